"""The attack suite: which copies of which clips a detector is calibrated on, planned before anything is written.

Whole groups of content are either references or held out. Of each reference one copy is made for each kind of
attack; held-out clips are attacked as well, for queries that match nothing, and host the copies that need one. Of
a long clip only the first part becomes a reference: an excerpt of the rest, a sibling, shows the same scene at
another time and is no copy either. All that is random comes of one seed and of the digests of the clips, not of their
names or order.
"""

from __future__ import annotations

import enum
import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from db.errors import ConfigError
from ingest.attacks.bases import SHORTEST_SECONDS, Base
from ingest.attacks.copies import Transform, copied_seconds
from ingest.attacks.recipes import AttackKind, draw_edits, fit_host, host_seconds_needed

_MAKER = "attacks/1"
"""Part of every file name; raised when the same plan would give other pictures."""
_SIBLING_GAP_SECONDS = 1.0
_SHORT_SECONDS = (2.0, 3.0)


@dataclass(frozen=True, kw_only=True)
class SuiteSettings:
    """What a suite is made of."""

    kinds: tuple[AttackKind, ...] = tuple(AttackKind)
    longest_seconds: float = 8.0
    """Of any excerpt that is attacked."""
    reference_seconds: float = 60.0
    """Of a base that can become a reference; what lies behind it is not used, siblings aside."""
    held_out_share: float = 0.25
    """Of the groups."""
    negatives_per_base: int = 6
    """Kinds of attack done to each held-out base."""
    short_side: int = 360
    """What films are reduced to first; smaller ones stay as they are."""

    def __post_init__(self) -> None:
        if not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise ConfigError("an attack suite needs kinds of attack, each once")
        if not SHORTEST_SECONDS <= self.longest_seconds <= self.reference_seconds:
            raise ConfigError(
                f"excerpts of {self.longest_seconds:g} s: between {SHORTEST_SECONDS:g} s and the"
                f" {self.reference_seconds:g} s of a reference are possible"
            )
        if not 0 < self.held_out_share < 1 or self.negatives_per_base < 1 or self.short_side < 64:
            raise ConfigError(
                "an attack suite holds out some groups, attacks each held-out clip, and keeps 64 pixels or more"
            )


@dataclass(frozen=True)
class Span:
    """A stretch of time."""

    start_seconds: float
    end_seconds: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end_seconds - self.start_seconds


class Role(enum.StrEnum):
    """What a query is to the references."""

    COPY = "copy"
    NEGATIVE = "negative"
    """Attacked like a copy, but of footage that is no reference."""
    SIBLING = "sibling"
    """Of the same clip as a reference, but of seconds that are not in it."""


class Relation(enum.StrEnum):
    """What a query is to one reference."""

    COPY = "copy"
    SIBLING = "sibling"
    SAME_GROUP = "same-group"
    """Two clips of one group: nobody said whether they show the same."""
    STRANGER = "stranger"


@dataclass(frozen=True, kw_only=True)
class PlannedReference:
    """The first seconds of a base, to be searched in."""

    base: Base
    seconds: float
    short_side: int

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the base, whose file is then taken as it is."""
        return self.seconds >= self.base.seconds

    @property
    def name(self) -> str:
        """What its file is called if it is written: the digest of how it is made."""
        return _name("reference", self.base.sha256, self.seconds, self.short_side)


@dataclass(frozen=True, kw_only=True)
class PlannedHost:
    """The film that a query is hidden in."""

    base: Base
    span: Span


@dataclass(frozen=True, kw_only=True)
class PlannedQuery:
    """An excerpt of a base and what is done to it."""

    kind: AttackKind
    role: Role
    base: Base
    take: Span
    """Of the base: the seconds that all queries of one base and role are cut from, decoded once."""
    excerpt: Span
    """Of the base, inside `take`."""
    transforms: tuple[Transform, ...]
    """Done to the excerpt, in order."""
    host: PlannedHost | None
    short_side: int

    @property
    def name(self) -> str:
        """What its file is called: the digest of how it is made."""
        host = None if self.host is None else (self.host.base.sha256, self.host.span)
        return _name(
            "query",
            self.base.sha256,
            self.take,
            self.excerpt,
            self.transforms,
            host,
            self.short_side,
        )

    @property
    def query_seconds(self) -> Span | None:
        """From when to when the finished query shows the copied seconds; None if nothing in it is copied."""
        if self.role is not Role.COPY:
            return None
        return Span(*copied_seconds(self.transforms, self.excerpt.seconds))

    @property
    def reference_seconds(self) -> Span | None:
        """Which seconds of the reference are copied: those of the base, since a reference starts where it does."""
        return self.excerpt if self.role is Role.COPY else None


@dataclass(frozen=True, kw_only=True)
class AttackSuite:
    """A plan: the same bases, settings and seed give the same one."""

    seed: int
    settings: SuiteSettings
    references: tuple[PlannedReference, ...]
    queries: tuple[PlannedQuery, ...]
    """Those of one base stand together."""


def relation_of(query: PlannedQuery, reference: PlannedReference) -> Relation:
    """Return what `query` is to `reference`; only copies are to be found, and only strangers are surely not."""
    if query.base.sha256 == reference.base.sha256:
        return Relation.COPY if query.role is Role.COPY else Relation.SIBLING
    return Relation.SAME_GROUP if query.base.group == reference.base.group else Relation.STRANGER


def plan_suite(bases: Iterable[Base], *, seed: int, settings: SuiteSettings | None = None) -> AttackSuite:
    """Plan the attack suite of `bases`.

    Where no held-out base of another group is there to be the host, the held-out clips are not hidden in
    one; copies always are.

    Raises `ConfigError` if there are not two groups at least, or if a base is too short or there twice.
    """
    settings = settings or SuiteSettings()
    by_digest = sorted(bases, key=lambda base: base.sha256)
    _check(by_digest)
    held_out_groups = _held_out_groups(by_digest, seed, settings.held_out_share)
    held_out = [base for base in by_digest if base.group in held_out_groups]
    references = [
        PlannedReference(
            base=base, seconds=_reference_seconds(base, settings), short_side=settings.short_side
        )
        for base in by_digest
        if base.group not in held_out_groups
    ]
    queries: list[PlannedQuery] = []
    for reference in references:
        queries += _copies(reference, held_out, seed, settings)
        queries += _siblings(reference, seed, settings)
    for base in held_out:
        queries += _negatives(base, held_out, seed, settings)
    return AttackSuite(seed=seed, settings=settings, references=tuple(references), queries=tuple(queries))


def _check(bases: Sequence[Base]) -> None:
    if len({base.group for base in bases}) < 2:
        raise ConfigError(
            f"{len(bases)} clips of not even two contents: nothing can be told apart",
            hint="bring footage of several contents: some are copied, others must not be found",
        )
    if len({base.sha256 for base in bases}) < len(bases):
        raise ConfigError("an attack suite takes each clip once")
    if short := [base.path.name for base in bases if base.seconds < SHORTEST_SECONDS]:
        raise ConfigError(f"clips shorter than {SHORTEST_SECONDS:g} s: {', '.join(short)}")


def _held_out_groups(bases: Iterable[Base], seed: int, share: float) -> set[str]:
    # In the order of their smallest digests, so that what the groups are called changes nothing.
    groups = list(dict.fromkeys(base.group for base in bases))
    Random(f"{seed}/held out").shuffle(groups)
    return set(groups[: min(len(groups) - 1, max(1, round(share * len(groups))))])


def _reference_seconds(base: Base, settings: SuiteSettings) -> float:
    # Long enough to lose a half: the other half gives the sibling.
    usable = base.seconds / 2 if base.seconds >= 3 * settings.longest_seconds else base.seconds
    return min(usable, settings.reference_seconds)


def _copies(
    reference: PlannedReference, held_out: Sequence[Base], seed: int, settings: SuiteSettings
) -> Iterator[PlannedQuery]:
    base = reference.base
    random = Random(f"{seed}/{base.sha256}")
    take = _draw_span(random, Span(0.0, reference.seconds), 2 * settings.longest_seconds)
    host = random.choice(held_out)
    for kind in settings.kinds:
        yield _query(Role.COPY, kind, base, take, host, seed, settings)


def _negatives(
    base: Base, held_out: Sequence[Base], seed: int, settings: SuiteSettings
) -> Iterator[PlannedQuery]:
    random = Random(f"{seed}/{base.sha256}")
    whole = Span(0.0, min(base.seconds, settings.reference_seconds))
    take = _draw_span(random, whole, 2 * settings.longest_seconds)
    others = [other for other in held_out if other.group != base.group]
    host = random.choice(others) if others else None
    kinds = [kind for kind in settings.kinds if host is not None or not kind.is_hosted]
    for kind in random.sample(kinds, min(settings.negatives_per_base, len(kinds))):
        yield _query(Role.NEGATIVE, kind, base, take, host, seed, settings)


def _siblings(reference: PlannedReference, seed: int, settings: SuiteSettings) -> Iterator[PlannedQuery]:
    start = reference.seconds + _SIBLING_GAP_SECONDS
    if reference.base.seconds - start < SHORTEST_SECONDS:
        return
    take = Span(start, min(reference.base.seconds, start + settings.longest_seconds))
    yield _query(Role.SIBLING, AttackKind.PLAIN, reference.base, take, None, seed, settings)


def _query(
    role: Role,
    kind: AttackKind,
    base: Base,
    take: Span,
    host: Base | None,
    seed: int,
    settings: SuiteSettings,
) -> PlannedQuery:
    random = Random(f"{seed}/{base.sha256}/{role}/{kind}")
    transforms = draw_edits(kind, random)
    longest = min(settings.longest_seconds, take.seconds)
    planned_host = None
    if kind.is_hosted and host is not None:
        usable = Span(0.0, min(host.seconds, settings.reference_seconds))
        transforms = fit_host(transforms, usable.seconds)
        longest = min(longest, usable.seconds)
        needed = host_seconds_needed(transforms, longest)
        planned_host = PlannedHost(base=host, span=_draw_span(random, usable, needed))
    return PlannedQuery(
        kind=kind,
        role=role,
        base=base,
        take=take,
        excerpt=_draw_span(random, take, _excerpt_seconds(random, kind, longest)),
        transforms=transforms,
        host=planned_host,
        short_side=settings.short_side,
    )


def _excerpt_seconds(random: Random, kind: AttackKind, longest: float) -> float:
    """Return how long an excerpt is; mostly less than it could be, so that copies begin and end anywhere."""
    if kind is AttackKind.SHORT:
        return min(longest, random.uniform(*_SHORT_SECONDS))
    return max(min(SHORTEST_SECONDS, longest), random.uniform(0.75, 1.0) * longest)


def _draw_span(random: Random, inside: Span, seconds: float) -> Span:
    """Return a stretch of `seconds`, or as many as there are, somewhere inside `inside`."""
    length = _floor(min(seconds, inside.seconds))
    start = _floor(random.uniform(inside.start_seconds, inside.end_seconds - length))
    start = max(start, inside.start_seconds)
    return Span(start, round(start + length, 3))


def _floor(seconds: float) -> float:
    return math.floor(seconds * 1000) / 1000


def _name(*recipe: object) -> str:
    return hashlib.sha256(repr((_MAKER, *recipe)).encode()).hexdigest()[:20]
