"""Which grants a clip may rely on, and what is left of them once every level above has narrowed them (pure).

Rights come down from titles to assets to spans of seconds, and a child can only narrow: a clip relies on one grant
of every level that speaks of it, and of each question the answer is the strictest of theirs. Several grants of one
holder at one level are alternatives. Two holders at any level are a conflict, which leaves nothing to rely on.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from db.clock import earliest
from db.contracts import Contract
from db.records import AssetEvidence, ClipRecord, GrantRecord
from db.rights_records import RightsStatements, ScopedGrant
from db.vocabularies import PostTermination, Purpose, Tri, Use
from governance.facts.areas import common_area
from governance.facts.license_terms import terms_of_expression

MAX_ALTERNATIVES = 64
"""Combinations of grants that are looked at; beyond that the grants are taken to contradict each other."""

_HARSHNESS = (
    PostTermination.SURVIVES,
    PostTermination.NO_NEW_TRAINING,
    PostTermination.NOT_STATED,
    PostTermination.SUPPRESS,
    PostTermination.RETRAIN,
    PostTermination.DESTROY,
)

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Reliance:
    """Grants that a clip may rely on together: one of each level, the nearest to the clip first."""

    grants: tuple[GrantRecord, ...]

    @property
    def nearest(self) -> GrantRecord:
        """The grant closest to the clip."""
        return self.grants[0]

    @property
    def valid_to(self) -> dt.datetime | None:
        """When the first of them ends."""
        return earliest(*(grant.valid_to for grant in self.grants))


@dataclass(frozen=True, kw_only=True)
class ClipGrants:
    """What there is to rely on for a clip."""

    reliances: tuple[Reliance, ...]
    """The alternatives; empty: no grant, or several that contradict each other."""
    num_competing: int
    """Claims beyond the first that differ in holder or, in rights tables, in terms."""
    is_contradicted: bool
    """A grant in force prohibits what another of the same holder permits."""


def clip_grants(clip: ClipRecord, evidence: AssetEvidence, as_of: dt.datetime) -> ClipGrants:
    """Return what `clip` may rely on at the time `as_of`."""
    above = upstream_grants_given(evidence.rights)
    levels = [left for level in _levels(clip, evidence) if (left := _without(level, above)).grants]
    everything = [grant for level in levels for grant in level.grants]
    holders = {grant.rights_holder for grant in everything}
    num_terms = len({_table_terms(grant) for grant in evidence.claims})
    # Two parties of one name are two holders. Rows of a rights table give a name alone.
    parties = {grant.contract.licensor_ref for grant in everything} - {""}
    num_competing = max(len(holders), len(parties), num_terms, 1) - 1
    is_complete = any(level.is_covering for level in levels)
    if num_competing or not is_complete:
        return ClipGrants(reliances=(), num_competing=num_competing, is_contradicted=False)
    choices = [_with_document_first(level.grants) for level in levels]
    if _num_combinations(choices) > MAX_ALTERNATIVES:
        return ClipGrants(reliances=(), num_competing=0, is_contradicted=True)
    reliances = tuple(Reliance(grants=grants) for grants in itertools.product(*choices))
    is_contradicted = _contradict(_in_force(everything, as_of)) or any(
        _contradict_in_silence(_in_force(level.grants, as_of)) for level in levels
    )
    return ClipGrants(reliances=reliances, num_competing=0, is_contradicted=is_contradicted)


@dataclass(frozen=True)
class _Level:
    grants: tuple[GrantRecord, ...]
    is_covering: bool
    """One of them holds for the whole clip."""


def upstream_grants_given(rights: RightsStatements) -> frozenset[int]:
    """Return the ids of grants that were given to a licensor, and not to us: his title, on which he relies.

    Whom a grant is given to, its agreement says. A grant that somebody merely names as his stays a competing claim.
    """
    lower = [scoped.grant.contract for scoped in rights.grants]
    return frozenset(
        above.grant.id
        for above in rights.grants
        for contract in lower
        if contract.upstream_ref == above.grant_ref
        and is_given_to(above.grant, contract.licensor_ref, rights)
    )


def is_given_to(grant: GrantRecord, party_ref: str, rights: RightsStatements) -> bool:
    """Return whether the agreement of a grant names `party_ref` as its licensee."""
    agreement = rights.agreements.get(grant.contract.agreement_ref)
    return agreement is not None and bool(party_ref) and agreement.licensee_ref == party_ref


def _without(level: _Level, grant_ids: frozenset[int]) -> _Level:
    left = tuple(grant for grant in level.grants if grant.id not in grant_ids)
    return _Level(left, is_covering=level.is_covering)


def _levels(clip: ClipRecord, evidence: AssetEvidence) -> Iterable[_Level]:
    """Yield the levels that have grants, the nearest to the clip first."""
    rights = evidence.rights
    on_spans = [g for g in rights.grants if not g.scope.startswith("title:") and _is_span(g)]
    touching = [g for g in on_spans if g.span.touches(clip.start_seconds, clip.end_seconds)]
    # A span that ends inside the clip narrows all of it: the seconds beyond it must not pull the others up.
    covering = [
        g
        for g in touching
        if g.span.covers(clip.start_seconds, clip.end_seconds) and g.scope not in rights.taken_over
    ]
    partial = [g for g in touching if g not in covering]
    for scoped in partial:
        yield _Level((scoped.grant,), is_covering=False)
    if covering:
        yield _Level(_distinct(g.grant for g in covering), is_covering=True)
    whole_file = [g for g in rights.grants if not g.scope.startswith("title:") and not _is_span(g)]
    # What was said of a path before this file took it over still narrows it, and permits nothing.
    for scoped in whole_file:
        if scoped.scope in rights.taken_over:
            yield _Level((scoped.grant,), is_covering=False)
    own = _distinct((*evidence.claims, *(g.grant for g in whole_file if g.scope not in rights.taken_over)))
    if own:
        yield _Level(own, is_covering=True)
    yield from _title_levels(clip, rights)


def _title_levels(clip: ClipRecord, rights: RightsStatements) -> Iterable[_Level]:
    seconds = (clip.start_seconds, clip.end_seconds)
    for ref in rights.titles:
        on_title = _distinct(g.grant for g in rights.grants if g.scope == f"title:{ref}")
        if on_title and rights.is_any_of_title(ref, *seconds):
            is_covering = not rights.has_broken_titles and rights.is_all_of_title(ref, *seconds)
            yield _Level(on_title, is_covering=is_covering)


def _is_span(scoped: ScopedGrant) -> bool:
    return scoped.span.start_seconds is not None or scoped.span.end_seconds is not None


def _distinct(grants: Iterable[GrantRecord]) -> tuple[GrantRecord, ...]:
    return tuple({grant.id: grant for grant in grants}.values())


def _with_document_first(grants: tuple[GrantRecord, ...]) -> tuple[GrantRecord, ...]:
    """Of grants that say the same, keep one: the first whose document is on record."""
    kept: dict[object, GrantRecord] = {}
    for grant in sorted(grants, key=lambda grant: grant.evidence_sha256 is None):
        kept.setdefault((_table_terms(grant), grant.contract), grant)
    return tuple(kept.values())


def _num_combinations(choices: Sequence[Sequence[object]]) -> int:
    total = 1
    for choice in choices:
        total *= len(choice)
    return total


def _table_terms(grant: GrantRecord) -> tuple[object, ...]:
    return (
        grant.rights_holder,
        grant.license_expression,
        grant.permitted_uses,
        grant.territories,
        grant.valid_from,
        grant.valid_to,
    )


def is_in_force(grant: GrantRecord, as_of: dt.datetime) -> bool:
    """Return whether the grant holds at `as_of`; a bound that is not stated is taken to be open."""
    has_begun = grant.valid_from is None or grant.valid_from <= as_of
    return has_begun and (grant.valid_to is None or grant.valid_to > as_of)


def _in_force(grants: Iterable[GrantRecord], as_of: dt.datetime) -> list[GrantRecord]:
    return [grant for grant in grants if is_in_force(grant, as_of)]


def _contradict(grants: Sequence[GrantRecord]) -> bool:
    prohibited = {use for grant in grants for use in grant.contract.prohibited_uses}
    return any(Use(use) in prohibited for grant in grants for use in grant.permitted_uses)


def _contradict_in_silence(alternatives: Sequence[GrantRecord]) -> bool:
    """Return whether one of the alternatives prohibits anything and another lists no uses, as open licences do.

    What the other prohibits itself does not count: a prohibition more must never make the outcome better.
    """
    silent = [grant for grant in alternatives if not grant.permitted_uses]
    return any(
        other is not grant and other.contract.prohibited_uses for grant in silent for other in alternatives
    )


@dataclass(frozen=True, kw_only=True)
class NarrowedTerms:
    """What the grants of a reliance allow together."""

    license_expression: str
    license_known: bool
    commercial_use: Tri
    derivatives: Tri
    share_alike: Tri
    attribution: Tri
    permitted_uses: tuple[Use, ...]
    prohibited_uses: tuple[Use, ...]
    uses_stated: bool
    purposes: tuple[Purpose, ...]
    purposes_stated: bool
    territories: tuple[str, ...]
    valid_from: dt.datetime | None
    valid_to: dt.datetime | None
    model_limited: bool
    post_termination: PostTermination
    output_constraints: tuple[str, ...]


def narrowed_terms(reliance: Reliance, all_countries: frozenset[str]) -> NarrowedTerms:
    """Combine the grants of a reliance: of every question the strictest answer.

    `all_countries`: what WORLD stands for, where a grant takes some of it out.
    """
    grants = reliance.grants
    contracts = [grant.contract for grant in grants]
    terms = [
        terms_of_expression(grant.license_expression, tuple(map(Use, grant.permitted_uses)))
        for grant in grants
    ]
    prohibited = {use for contract in contracts for use in contract.prohibited_uses}
    permitted = _common([set(map(Use, grant.permitted_uses)) for grant in grants if grant.permitted_uses])
    purposes = _common([set(contract.purposes) for contract in contracts if contract.purposes])
    return NarrowedTerms(
        license_expression=_joined([grant.license_expression for grant in grants]),
        license_known=all(term.is_known for term in terms),
        commercial_use=_permission([term.commercial_use for term in terms], contracts, "commercial_use"),
        derivatives=_permission([term.derivatives for term in terms], contracts, "derivatives"),
        share_alike=_duty([term.share_alike for term in terms], contracts, "share_alike"),
        attribution=_duty([term.attribution for term in terms], contracts, "attribution"),
        permitted_uses=tuple(sorted((permitted or set()) - prohibited)),
        prohibited_uses=tuple(sorted(prohibited)),
        uses_stated=permitted is not None or bool(prohibited),
        purposes=tuple(sorted(purposes or set())),
        purposes_stated=purposes is not None,
        territories=common_area(
            [(grant.territories, grant.contract.territories_out) for grant in grants], all_countries
        ),
        valid_from=_latest([grant.valid_from for grant in grants]),
        valid_to=reliance.valid_to,
        model_limited=any(contract.model_scope for contract in contracts),
        post_termination=max((contract.post_termination for contract in contracts), key=_HARSHNESS.index),
        output_constraints=tuple(
            sorted({str(c) for contract in contracts for c in contract.output_constraints})
        ),
    )


def _common(sets: Sequence[set[T]]) -> set[T] | None:
    """Return what all sets have in common; `None` if there is no set."""
    return set.intersection(*sets) if sets else None


def _joined(expressions: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(expressions))
    return distinct[0] if len(distinct) == 1 else " AND ".join(f"({text})" for text in distinct)


def _permission(values: list[Tri], contracts: Sequence[Contract], name: str) -> Tri:
    return _extreme(values, contracts, name, min)


def _duty(values: list[Tri], contracts: Sequence[Contract], name: str) -> Tri:
    return _extreme(values, contracts, name, max)


def _extreme(
    values: list[Tri], contracts: Sequence[Contract], name: str, strictest: Callable[..., Tri]
) -> Tri:
    """Return the strictest answer of licences and contracts; a contract that says nothing adds none.

    A contract can settle what a `LicenseRef-` leaves open, since it is what that name stands for.
    """
    order = (Tri.NO, Tri.UNKNOWN, Tri.YES).index
    answers = []
    for value, contract in zip(values, contracts, strict=True):
        stated: Tri = getattr(contract, name)
        if stated is Tri.UNKNOWN:
            answers.append(value)
        else:
            answers.append(stated if value is Tri.UNKNOWN else strictest(value, stated, key=order))
    return strictest(answers, key=order)


def _latest(times: Sequence[dt.datetime | None]) -> dt.datetime | None:
    return max((time for time in times if time is not None), default=None)
