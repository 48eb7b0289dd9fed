"""Words by which a prompt asks for what a grant may forbid (pure). English, small, and no substitute for a person.

Of each constraint: words and phrases that leave no doubt, and those that a person must judge. Phrases are runs of
words, in lower case; the last word also stands for its plural in -s.
"""

from __future__ import annotations

from collections.abc import Mapping

from db.vocabularies import OutputConstraint

NO_DOUBT: Mapping[OutputConstraint, tuple[str, ...]] = {
    OutputConstraint.NO_LIKENESS: (
        "lookalike", "look alike", "likeness of", "deepfake", "deep fake", "face swap", "digital double",
    ),
    OutputConstraint.NO_SCENE_RECREATION: (
        "recreate", "recreation of", "recreating", "remake", "reenact", "re enact", "reenactment", "reshoot",
        "shot for shot", "frame for frame", "scene from", "same scene as", "replica of",
    ),
    OutputConstraint.NO_STYLE_BY_NAME: (
        "in the style of", "style of", "styled after", "styled like", "in the manner of", "in the vein of",
        "à la", "a la", "inspired by", "the look of", "directed by", "filmed by", "shot by", "painted by", "film by",
    ),
    OutputConstraint.NO_POLITICAL: (
        "election", "electoral", "ballot", "vote", "voter", "voting", "referendum", "propaganda", "political",
        "politics", "politician", "campaign rally", "election campaign",
    ),
    OutputConstraint.NO_ADULT: (
        "nude", "naked", "nudity", "porn", "porno", "pornographic", "pornography", "erotic", "erotica", "sex",
        "sexual", "topless", "orgy", "striptease", "hentai", "nsfw", "xxx", "undressing",
    ),
}  # fmt: skip

DOUBT: Mapping[OutputConstraint, tuple[str, ...]] = {
    OutputConstraint.NO_LIKENESS: (
        "man", "men", "woman", "women", "person", "people", "face", "portrait", "child", "children", "girl", "boy",
        "baby", "babies", "actor", "actress", "actresses", "singer", "dancer", "model", "celebrity", "celebrities",
        "star", "player", "lady", "ladies", "guy", "king", "queen", "president", "couple", "family", "families",
        "crowd", "he", "she", "him", "her", "who", "looks like", "resembling", "famous", "selfie", "human",
    ),
    OutputConstraint.NO_SCENE_RECREATION: (
        "scene of", "film", "movie", "footage", "copy", "sequel", "trailer", "episode", "as in", "iconic",
    ),
    OutputConstraint.NO_STYLE_BY_NAME: ("style", "like", "by", "school of", "tribute to", "homage to"),
    OutputConstraint.NO_POLITICAL: (
        "president", "senator", "minister", "parliament", "congress", "senate", "protest", "rally", "rallies",
        "demonstration", "demonstrator", "campaign", "government", "coup", "revolution", "candidate", "party",
        "flag", "activist", "war",
    ),
    OutputConstraint.NO_ADULT: (
        "lingerie", "underwear", "bikini", "undressed", "sensual", "seductive", "sexy", "kiss", "kissing", "bedroom",
        "strip", "explicit", "adult", "lover", "intimate",
    ),
    OutputConstraint.NO_DISPARAGEMENT: (
        "stupid", "ugly", "disgusting", "corrupt", "criminal", "fraud", "liar", "idiot", "hate", "hated", "pathetic",
        "shameful", "incompetent", "drunk", "evil", "filthy", "worst", "mocking", "mocked", "ridiculous", "against",
    ),
}  # fmt: skip

LINKING_WORDS = frozenset(
    "a an and are as at by for from in into is it of off on or over the through to under up with".split()
)
"""Words that say nothing of what a title is about."""

PICTURESQUE = frozenset({"picturesque", "grotesque", "burlesque", "arabesque", "statuesque", "romanesque"})
"""Words in -esque that name nobody."""
