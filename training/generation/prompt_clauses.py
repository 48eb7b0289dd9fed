"""Prompts against what the grants of a model forbid its clips (pure).

A prompt is read, a clip is not: of each constraint the answer is that the prompt breaches it, that a person must
judge, or that the prompt asks for nothing of the kind. The last says nothing of the pictures, and is not called kept:
who looks at pictures is a person. Two constraints need no look: our clips carry no sound, and their credentials say
that a model made them.

What can be told of words is told by lists (`training.generation.clause_words`), by the names of persons, rights
holders and titles on record, and by what may be a name: a word that is capitalised within the prompt, or that no
training caption held.
"""

from __future__ import annotations

import enum
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from db.vocabularies import OutputConstraint
from governance.snapshots.output_clauses import OutputClause
from training.generation.clause_words import DOUBT, LINKING_WORDS, NO_DOUBT, PICTURESQUE
from training.vocabulary import Vocabulary, words_of

_MAX_NAMED = 3
"""Clauses that a sentence names; the others are counted."""

_BY_CONSTRUCTION: Mapping[OutputConstraint, str] = {
    OutputConstraint.NO_VOICE: "clips carry no sound",
    OutputConstraint.LABEL_REQUIRED: "the credentials say that a model made the clip; "
    "a label that people see is for whoever shows it",
}
_MAY_BE_NAMES = frozenset({OutputConstraint.NO_LIKENESS, OutputConstraint.NO_STYLE_BY_NAME})


class Standing(enum.StrEnum):
    """How a prompt stands to a constraint, the gravest first."""

    BREACHED = "breached"
    """It asks for what is forbidden: nothing is drawn."""
    DOUBTFUL = "doubtful"
    """It may: the clip is held for a person."""
    NOT_EXAMINED = "not-examined"
    """It asks for nothing of the kind; whether the pictures show it was not looked at, and that is said."""
    BY_CONSTRUCTION = "by-construction"
    """No clip of ours can breach it."""


@dataclass(frozen=True, kw_only=True)
class ClauseFinding:
    """How a prompt stands to one constraint."""

    constraint: OutputConstraint
    standing: Standing
    because: str
    clauses: tuple[OutputClause, ...]
    """Of the grants that it is about, at least one."""

    @property
    def sentence(self) -> str:
        """Clause, grant, rights holder and reason, in one line."""
        named = "; ".join(str(clause) for clause in self.clauses[:_MAX_NAMED])
        others = len(self.clauses) - _MAX_NAMED
        more = f"; and {others} other grants" if others > 0 else ""
        return f"{named}{more}: {self.because}"

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values with stable keys."""
        grants = [
            {"grant": clause.grant_digest, "title": clause.title, "rights_holder": clause.rights_holder}
            for clause in self.clauses
        ]
        return {
            "constraint": self.constraint.value,
            "standing": self.standing.value,
            "because": self.because,
            "grants": grants,
        }


def check_clauses(
    prompt: str, clauses: Iterable[OutputClause], *, people: Iterable[str], vocabulary: Vocabulary
) -> tuple[ClauseFinding, ...]:
    """Return how `prompt` stands to each constraint among `clauses`, in order of constraint.

    `people` are the names on record of persons. One finding for each constraint: the gravest, with the clauses that it
    is about.
    """
    ordered = sorted(clauses, key=lambda clause: clause.constraint)
    reading = _Reading(prompt, tuple(people), vocabulary)
    return tuple(
        reading.finding(constraint, tuple(group))
        for constraint, group in groupby(ordered, key=lambda clause: clause.constraint)
    )


class _Reading:
    """One prompt, taken apart."""

    def __init__(self, prompt: str, people: Sequence[str], vocabulary: Vocabulary) -> None:
        self._words = words_of(unicodedata.normalize("NFKC", prompt))
        self._people = people
        self._is_foreign = any(not _is_latin(character) for character in prompt)
        self._maybe_names = _maybe_names(prompt, vocabulary)

    def finding(self, constraint: OutputConstraint, clauses: tuple[OutputClause, ...]) -> ClauseFinding:
        """Return the gravest that is to be said of one constraint."""
        reason = _BY_CONSTRUCTION.get(constraint)
        if reason is not None:
            return _found(constraint, Standing.BY_CONSTRUCTION, reason, clauses)
        nothing = "the prompt asks for nothing of the kind; nobody looked whether the pictures show it"
        standing, because, concerned = min(
            self._reasons(constraint, clauses),
            key=lambda found: list(Standing).index(found[0]),
            default=(Standing.NOT_EXAMINED, nothing, clauses),
        )
        return _found(constraint, standing, because, concerned)

    def _reasons(
        self, constraint: OutputConstraint, clauses: tuple[OutputClause, ...]
    ) -> Iterable[tuple[Standing, str, tuple[OutputClause, ...]]]:
        """Yield what speaks against the prompt."""
        for phrase in NO_DOUBT.get(constraint, ()):
            if self._says(phrase):
                yield Standing.BREACHED, f"the prompt says {phrase!r}", clauses
        yield from self._names_on_record(constraint, clauses)
        yield from self._titles(constraint, clauses)
        if constraint is OutputConstraint.NO_STYLE_BY_NAME:
            for word in self._words:
                if word.endswith("esque") and word not in PICTURESQUE:
                    yield Standing.BREACHED, f"the prompt says {word!r}", clauses
        for phrase in DOUBT.get(constraint, ()):
            if self._says(phrase):
                yield Standing.DOUBTFUL, f"the prompt says {phrase!r}", clauses
        if constraint in _MAY_BE_NAMES and self._maybe_names:
            yield Standing.DOUBTFUL, f"{self._maybe_names[0]!r} in the prompt may be a name", clauses
        if self._is_foreign:
            yield Standing.DOUBTFUL, "the prompt has letters that the word lists do not know", clauses

    def _names_on_record(
        self, constraint: OutputConstraint, clauses: tuple[OutputClause, ...]
    ) -> Iterable[tuple[Standing, str, tuple[OutputClause, ...]]]:
        """Yield persons and rights holders that the prompt names."""
        is_about_people = constraint is not OutputConstraint.NO_SCENE_RECREATION
        is_slur = constraint is OutputConstraint.NO_DISPARAGEMENT and any(map(self._says, DOUBT[constraint]))
        gravity = Standing.BREACHED if is_slur or constraint in _MAY_BE_NAMES else Standing.DOUBTFUL
        for name in self._people if is_about_people else ():
            if self._holds(name):
                yield gravity, f"the prompt names {name!r}", clauses
        if constraint in {OutputConstraint.NO_STYLE_BY_NAME, OutputConstraint.NO_DISPARAGEMENT}:
            for clause in clauses:
                if self._holds(clause.rights_holder):
                    yield gravity, f"the prompt names {clause.rights_holder!r}", (clause,)

    def _titles(
        self, constraint: OutputConstraint, clauses: tuple[OutputClause, ...]
    ) -> Iterable[tuple[Standing, str, tuple[OutputClause, ...]]]:
        if constraint is OutputConstraint.NO_SCENE_RECREATION:
            for clause in clauses:
                if self._quotes(clause.title):
                    reason = f"the prompt has the title {clause.title!r}; look whether it shows that scene"
                    yield Standing.DOUBTFUL, reason, (clause,)

    def _says(self, phrase: str) -> bool:
        wanted = words_of(phrase)
        return _has_run(self._words, wanted) or _has_run(self._words, [*wanted[:-1], f"{wanted[-1]}s"])

    def _holds(self, name: str) -> bool:
        return _has_run(self._words, words_of(name))

    def _quotes(self, title: str) -> bool:
        """Return whether the prompt has what a title is about: all of it, if that is a single word."""
        wanted = [word for word in words_of(title) if word not in LINKING_WORDS]
        said = [word for word in self._words if word not in LINKING_WORDS]
        return said == wanted if len(wanted) < 2 else _has_run(said, wanted)


def _found(
    constraint: OutputConstraint, standing: Standing, because: str, clauses: tuple[OutputClause, ...]
) -> ClauseFinding:
    return ClauseFinding(constraint=constraint, standing=standing, because=because, clauses=clauses)


def _has_run(words: Sequence[str], wanted: Sequence[str]) -> bool:
    """Return whether `wanted`, at least one word, stands in `words` without a gap."""
    size = len(wanted)
    return size > 0 and any(
        list(words[start : start + size]) == list(wanted) for start in range(len(words) - size + 1)
    )


def _maybe_names(prompt: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return words of the prompt that may be names: unknown to the model, or capitalised after the first word."""
    unknown = set(vocabulary.unknown_words(prompt))
    spelled = [word.strip(".,;:!?\"'()") for word in prompt.split()]
    capitalised = [
        word
        for place, word in enumerate(spelled)
        if place and word[:1].isupper() and word.casefold() not in LINKING_WORDS
    ]
    not_known = [word for word in spelled if unknown & set(words_of(word)) - LINKING_WORDS]
    return tuple(dict.fromkeys((*capitalised, *not_known)))


def _is_latin(character: str) -> bool:
    return not character.isalpha() or unicodedata.name(character, "").startswith(
        ("LATIN", "FULLWIDTH LATIN", "FEMININE", "MASCULINE")
    )
