"""The facts that a policy may speak of: schema version 1.

Every default is the answer that clears nothing. The dataclasses are the documentation of the facts; policies
are checked against them, so that a misspelt fact, or a value that a fact can never have, is an error and not
a rule that never fires.

Facts hold what matters to a decision and nothing that tells two clips apart, so that equal facts are decided
once.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from db.records import GrantRecord
from db.vocabularies import Tri, Use
from governance.license_terms import terms_of_expression

SCHEMA_VERSION = 1

PERPETUAL_DAYS = 1_000_000
"""`grant.days_left` of a grant without a stated end: about 2738 years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantFacts:
    """What the one grant of the clip's file says."""

    present: bool = False
    """There is exactly one grant for the file. False also if several contradict each other."""
    license_expression: str = ""
    """SPDX expression, as in the rights table."""
    license_known: bool = False
    """Every licence relied on is one whose terms we know; false for each `LicenseRef-`."""
    commercial_use: Tri = Tri.UNKNOWN
    """Commercial use is allowed."""
    derivatives: Tri = Tri.UNKNOWN
    """Adapted works may be made and shared."""
    share_alike: Tri = Tri.UNKNOWN
    """Adapted works must carry the same licence."""
    attribution: Tri = Tri.UNKNOWN
    """Author, notice or licence text must be given."""
    permitted_uses: tuple[Use, ...] = ()
    """Uses that the rights holder permits without a condition."""
    uses_stated: bool = False
    """The row states permitted uses. False: it says nothing, which is neither permission nor prohibition."""
    territories: tuple[str, ...] = ()
    """ISO 3166-1 alpha-2 codes or WORLD; empty if the row states none."""
    in_force: Tri = Tri.UNKNOWN
    """The grant is in force at the time of the decision."""
    days_left: int = 0
    """Whole days until the grant ends; 1000000 if it states no end; negative once it has ended."""
    has_evidence: bool = False
    """The digest of a document that proves the grant is recorded."""
    rights_holder_stated: bool = False
    """The row names who gives the grant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFacts:
    """What is known of the footage itself."""

    fully_decoded: bool = False
    """Every frame could be read."""
    duration_seconds: float = 0.0
    """Length of the clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchFacts:
    """What the near-duplicate search says of the clip's seconds."""

    compared: bool = False
    """The search covers this file. False: nothing is known, whatever the numbers below say."""
    detector: str = ""
    """Digest of the detector that the search was made with; empty if there was none."""
    num_reference_copies: int = 0
    """Copied spans of footage that we must not contain."""
    reference_sets: tuple[str, ...] = ()
    """The reference sets that they belong to."""
    num_title_conflicts: int = 0
    """Copied spans of footage in the library that another holder claims."""
    num_unclaimed_copies: int = 0
    """Copied spans of footage in the library for which nobody's grant is in force: whose it is, is not known."""
    num_other_terms_copies: int = 0
    """Copied spans of footage in the library of the same holder under other terms: which hold, is not known."""
    num_unsure_copies: int = 0
    """Spans that may be copies of footage in reference sets or under another title: alike, but not surely the same."""
    num_reference_sounds: int = 0
    """Spans whose sound is that of footage we must not contain, or of footage in the library under another title."""
    num_same_holder_copies: int = 0
    """Copied spans of footage in the library of the same holder under the same terms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that a decision rests on."""

    grant: GrantFacts = field(default_factory=GrantFacts)
    media: MediaFacts = field(default_factory=MediaFacts)
    matches: MatchFacts = field(default_factory=MatchFacts)
    purpose: str = ""
    """What the clips are wanted for, such as `commercial` or `research`."""

    def as_cel(self) -> dict[str, Any]:
        """Return the facts as plain values: the variables of a condition, and what a decision records."""
        return {"schema": SCHEMA_VERSION, **_plain(self)}


def grant_facts(grant: GrantRecord | None, as_of: dt.datetime) -> GrantFacts:
    """Return the facts of `grant` at the aware time `as_of`; without a grant, that there is none.

    A grant without a stated start or end is taken to have none, as open licences do.
    """
    if grant is None:
        return GrantFacts()
    uses = tuple(Use(use) for use in grant.permitted_uses)
    terms = terms_of_expression(grant.license_expression, uses)
    has_begun = grant.valid_from is None or grant.valid_from <= as_of
    has_ended = grant.valid_to is not None and grant.valid_to <= as_of
    return GrantFacts(
        present=True,
        license_expression=grant.license_expression,
        license_known=terms.is_known,
        commercial_use=terms.commercial_use,
        derivatives=terms.derivatives,
        share_alike=terms.share_alike,
        attribution=terms.attribution,
        permitted_uses=tuple(sorted(set(uses))),
        uses_stated=bool(uses),
        territories=tuple(sorted(set(grant.territories))),
        in_force=Tri.YES if has_begun and not has_ended else Tri.NO,
        days_left=PERPETUAL_DAYS if grant.valid_to is None else (grant.valid_to - as_of).days,
        has_evidence=grant.evidence_sha256 is not None,
        rights_holder_stated=bool(grant.rights_holder.strip()),
    )


@dataclass(frozen=True, slots=True)
class FactType:
    """What values a fact can have. `kind` is `bool`, `text`, `int`, `double` or `list` (of texts)."""

    kind: str
    values: tuple[str, ...] = ()
    """The only texts there are, where the vocabulary is closed."""


@functools.cache
def fact_types() -> Mapping[str, FactType]:
    """Return the type of every fact by its dotted name, such as `grant.in_force`."""
    return dict(_types_of(Facts, ""))


def _types_of(owner: type[Any], prefix: str) -> list[tuple[str, FactType]]:
    types: list[tuple[str, FactType]] = []
    for name, hint in typing.get_type_hints(owner).items():
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            types.extend(_types_of(hint, f"{prefix}{name}."))
        else:
            types.append((prefix + name, _type_of(hint)))
    return types


def _type_of(hint: Any) -> FactType:
    if typing.get_origin(hint) is tuple:
        return FactType("list", _type_of(typing.get_args(hint)[0]).values)
    if issubclass(hint, StrEnum):
        return FactType("text", tuple(hint))
    return FactType({bool: "bool", str: "text", int: "int", float: "double"}[hint])


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, StrEnum):
        return value.value
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
