"""Controlled vocabularies. The stored value is the text on the right; it never changes once released."""

from __future__ import annotations

import enum


class Outcome(enum.StrEnum):
    """What a policy decided about a clip."""

    CLEARED = "cleared"
    EXCLUDED = "excluded"
    HOLD = "hold"


class Tri(enum.StrEnum):
    """Three-valued truth. `UNKNOWN` is neither permission nor prohibition."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Use(enum.StrEnum):
    """Uses of footage: those of the CAWG Training and Data Mining assertion 1.1 by its names, finer ones by ours.

    How the terms of other vocabularies read in these: `ingest.rights.uses`.
    """

    AI_GENERATIVE_TRAINING = "cawg.ai_generative_training"
    AI_TRAINING = "cawg.ai_training"
    AI_INFERENCE = "cawg.ai_inference"
    DATA_MINING = "cawg.data_mining"
    FINE_TUNING = "cleartitle.fine_tuning"
    """Adapt a generative model that was trained on something else."""
    EVALUATION = "cleartitle.evaluation"
    DISTILLATION = "cleartitle.distillation"
    SYNTHETIC_DATA = "cleartitle.synthetic_data"
    """Make training data for other models."""
    CAPTIONING = "cleartitle.captioning"
    EMBEDDING = "cleartitle.embedding"
    SEARCH_INDEXING = "cleartitle.search_indexing"
    COMMERCIAL_OUTPUT = "cleartitle.commercial_output"
    """Use what the model makes commercially."""
    RESEARCH_OUTPUT = "cleartitle.research_output"
    DATA_REDISTRIBUTION = "cleartitle.data_redistribution"
    WEIGHTS_REDISTRIBUTION = "cleartitle.weights_redistribution"


class MatchTier(enum.StrEnum):
    """How a match was established, the surest first."""

    EXACT = "exact"
    """The same bytes."""
    HASH = "hash"
    """Perceptual fingerprints agree along the line, and the pictures do."""
    VERIFIED = "verified"
    """Registered pictures agree, as surely as the calibration asks for."""
    CANDIDATE = "candidate"
    """Alike over time, but less sure than the calibration asks for: a person must look."""
    SAME_SCENE = "same-scene"
    """The same place or camera, but what moves there differs: not a copy."""


COPY_TIERS = frozenset({MatchTier.EXACT, MatchTier.HASH, MatchTier.VERIFIED})


class MatchKind(enum.StrEnum):
    """What of the footage is the same."""

    PICTURE = "picture"
    SOUND = "sound"


class CollectionKind(enum.StrEnum):
    """Why we hold an asset: to use it, or to make sure that nothing we use contains it."""

    LIBRARY = "library"
    REFERENCE = "reference"


class SignalAction(enum.StrEnum):
    """What a machine-readable reservation may speak of, whatever its protocol calls it."""

    ACQUIRE = "acquire"
    """Fetch and keep a copy."""
    MINE = "mine"
    """Text and data mining in general."""
    SEARCH = "search"
    """Index for search."""
    AI_INPUT = "ai_input"
    """Give to a model as input."""
    TRAIN_NONGEN = "train_nongen"
    """Train a model that generates nothing."""
    TRAIN_GEN = "train_gen"
    """Train a generative model."""
    FINETUNE_GEN = "finetune_gen"
    """Adapt a generative model."""


class SignalValue(enum.StrEnum):
    """What a signal says of an action. `CONDITIONAL` is no permission until a person has read the condition."""

    ALLOW = "allow"
    DENY = "deny"
    CONDITIONAL = "conditional"
    UNKNOWN = "unknown"


class SignalValidity(enum.StrEnum):
    """Whether a signal could be read."""

    VALID = "valid"
    INVALID = "invalid"
    """Malformed, altered or too large: something was said, and it is not known what."""
    UNVERIFIABLE = "unverifiable"
    """Read, but what vouches for it could not be checked."""


class RightsLayer(enum.StrEnum):
    """What may carry rights of its own in the pictures and sound of a clip, besides the footage itself."""

    PERSONS = "persons"
    VOICE = "voice"
    MUSIC = "music"
    LOCATION = "location"
    MARKS = "marks"
    EMBEDDED_WORKS = "embedded_works"
    """Films, photographs, paintings and the like that are seen in it."""


class Presence(enum.StrEnum):
    """What somebody states about a layer of a stretch of footage."""

    NONE_PRESENT = "none_present"
    PRESENT = "present"
    UNKNOWN = "unknown"


class LayerState(enum.StrEnum):
    """Where a layer stands, the best first."""

    NONE_PRESENT = "none_present"
    CLEARED = "cleared"
    """Whoever and whatever is present is covered by a release in force."""
    UNKNOWN = "unknown"
    """Nobody has stated what is present."""
    UNCLEARED = "uncleared"
    """Somebody or something is present without a release that covers the use."""


class ReleaseKind(enum.StrEnum):
    """What a release is about."""

    PERSON = "person"
    VOICE = "voice"
    PROPERTY = "property"
    LOCATION = "location"
    MUSIC_COMPOSITION = "music_composition"
    MUSIC_MASTER = "music_master"
    MARK = "mark"
    ARTWORK = "artwork"


class PartyKind(enum.StrEnum):
    """Who can hold or give rights."""

    PERSON = "person"
    ORGANISATION = "organisation"
    ESTATE = "estate"
    GUILD = "guild"
    COLLECTING_SOCIETY = "collecting_society"


class AgreementKind(enum.StrEnum):
    """What kind of document grants stand in."""

    LICENCE = "licence"
    ASSIGNMENT = "assignment"
    WAIVER = "waiver"
    OPEN_LICENCE_NOTICE = "open_licence_notice"
    PUBLIC_DOMAIN_DEDICATION = "public_domain_dedication"


class Purpose(enum.StrEnum):
    """What a grant may be limited to."""

    COMMERCIAL = "commercial"
    RESEARCH = "research"
    EDITORIAL = "editorial"
    INTERNAL = "internal"


class PostTermination(enum.StrEnum):
    """What is owed for models that were trained while a grant was in force, once it ends. The mildest first."""

    SURVIVES = "survives"
    NO_NEW_TRAINING = "no_new_training"
    SUPPRESS = "suppress"
    RETRAIN = "retrain"
    DESTROY = "destroy"
    NOT_STATED = "not_stated"


class OutputConstraint(enum.StrEnum):
    """What a grant forbids, or asks of, the clips that a model makes."""

    NO_LIKENESS = "no_likeness"
    NO_VOICE = "no_voice"
    NO_SCENE_RECREATION = "no_scene_recreation"
    NO_STYLE_BY_NAME = "no_style_by_name"
    NO_DISPARAGEMENT = "no_disparagement"
    NO_POLITICAL = "no_political"
    NO_ADULT = "no_adult"
    LABEL_REQUIRED = "label_required"


class Acquisition(enum.StrEnum):
    """How footage came to us."""

    COMMISSIONED = "commissioned"
    LICENSED_DIRECT = "licensed_direct"
    MARKETPLACE = "marketplace"
    LIBRARY = "library"
    USER_CONTRIBUTED = "user_contributed"
    PUBLIC_DOMAIN = "public_domain"
    OPEN_LICENCE = "open_licence"
    CRAWLED = "crawled"
    SYNTHETIC = "synthetic"
    NOT_STATED = "not_stated"


class Verdict(enum.StrEnum):
    """What a reviewer says of a held clip."""

    APPROVE = "approve"
    """The doubts that hold this clip are settled, for the facts as they are now."""
    EXCLUDE = "exclude"
    """The clip stays out, whatever its policy says."""
    WAIVE = "waive"
    """Named reasons do not hold back what is in scope, until a date."""
    WITHDRAW = "withdraw"
    """An earlier verdict no longer counts."""
