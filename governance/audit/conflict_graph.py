"""The graph of copies, and the pairs of files in it whose claims cannot both be right.

Edges are the copies that the present detector is sure of; connected files are one component. Copies are followed
through one file that nobody claims, or that is itself a copy of footage to be kept out. The work grows with the
number of matches, never with the number of pairs of files.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from db import conflicts as records
from db.conflicts import CopyEdge, ReplacedClaim, Standing

BLOCKED = frozenset({"\0blocked"})
"""Stands for reference footage among the holders: nobody is called so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSeconds:
    """A stretch of both files that shows the same."""

    start_seconds: float
    end_seconds: float
    other_start_seconds: float
    other_end_seconds: float


@dataclass(frozen=True, slots=True)
class ConflictingPair:
    """Two assets in conflict, before it is read who they are."""

    code: str
    one: int
    other: int
    shared: tuple[SharedSeconds, ...]
    through: int | None = None
    holders: tuple[frozenset[str] | None, frozenset[str] | None] = (None, None)
    """Of one file: the holders on each side."""
    replaced: ReplacedClaim | None = None


class CopyGraph:
    """The files that have copies: who claims each, and which are connected."""

    def __init__(self, session: Session, detector_digest: str) -> None:
        self._session = session
        self._detector = detector_digest
        self._parent: dict[int, int] = {}
        for edge in records.copy_edges(session, detector_digest):
            self._parent[self.root(edge.asset_id)] = self.root(edge.other_id)
        known: dict[frozenset[str], frozenset[str]] = {}
        self._holders: dict[int, frozenset[str]] = {}
        self._blocked: set[int] = set()
        for asset_id, holders, is_blocked in records.holders_by_asset(session, self._parent):
            self._holders[asset_id] = known.setdefault(holders, holders)
            if is_blocked:
                self._blocked.add(asset_id)
        self.sizes: dict[int, int] = defaultdict(int)
        for asset_id in list(self._parent):
            self.sizes[self.root(asset_id)] += 1

    def root(self, asset_id: int) -> int:
        """Return the asset that stands for a component."""
        root = asset_id
        while (above := self._parent.setdefault(root, root)) != root:
            root = above
        while asset_id != root:
            self._parent[asset_id], asset_id = root, self._parent[asset_id]
        return root

    def component(self, asset_id: int) -> tuple[int, int]:
        """Return the number and the size of an asset's component; 0 and 1 for one without copies."""
        if asset_id not in self._parent:
            return 0, 1
        root = self.root(asset_id)
        return root, self.sizes[root]

    def conflicts(self) -> Iterator[ConflictingPair]:
        """Yield the pairs of files that are in conflict, those with a match of their own first."""
        hubs: dict[int, list[_Reach]] = defaultdict(list)
        direct: set[tuple[int, int]] = set()
        edges = records.copy_edges(self._session, self._detector)
        for (one, other), group in itertools.groupby(edges, key=lambda edge: (edge.asset_id, edge.other_id)):
            spans = list(group)
            if (code := self._code(one, other)) is not None:
                direct.add((one, other))
                yield ConflictingPair(code, one, other, tuple(map(_shared, spans)))
            self._reach(hubs, spans)
        for hub in sorted(hubs):
            yield from self._through(hub, hubs.pop(hub), direct)

    def _code(self, one: int, other: int) -> str | None:
        mine, theirs = self._holders[one], self._holders[other]
        if one in self._blocked and other in self._blocked:
            return None
        if (one in self._blocked and theirs) or (other in self._blocked and mine):
            return "conflict.blocked_copy"
        # Two holders without a name are not taken for the same one.
        is_conflict = bool(mine) and bool(theirs) and (mine != theirs or "" in mine)
        return "conflict.two_holders" if is_conflict else None

    def _reach(self, hubs: dict[int, list[_Reach]], spans: Sequence[CopyEdge]) -> None:
        """Remember what reaches a file that may link two others."""
        for edge in spans:
            for hub, end, hub_span, span in (
                (edge.asset_id, edge.other_id, (edge.start_seconds, edge.end_seconds), _far(edge)),
                (edge.other_id, edge.asset_id, _far(edge), (edge.start_seconds, edge.end_seconds)),
            ):
                is_blocked = end in self._blocked
                holders = BLOCKED if is_blocked else self._holders[end]
                if holders and hub not in self._blocked:
                    hubs[hub].append(_Reach(*hub_span, end, span, holders))

    def _through(
        self, hub: int, reaches: list[_Reach], direct: set[tuple[int, int]]
    ) -> Iterator[ConflictingPair]:
        """Yield the conflicts between files that share seconds of a third.

        One pass over the spans in order of start: each is held against the two that reach furthest, of different
        holders. So whatever is in conflict with an earlier span is found, with one of those it is in conflict with.
        """
        if self._holders[hub] and not any(reach.holders is BLOCKED for reach in reaches):
            return
        furthest: list[_Reach] = []
        for reach in sorted(reaches, key=lambda r: (r.start_seconds, r.end_seconds, r.asset_id)):
            rival = next((r for r in furthest if r.holders != reach.holders), None)
            if rival is not None and rival.end_seconds > reach.start_seconds:
                pair = self._linked(hub, rival, reach, direct)
                if pair is not None:
                    yield pair
            furthest = _two_furthest([reach, *furthest])

    def _linked(
        self, hub: int, one: _Reach, other: _Reach, direct: set[tuple[int, int]]
    ) -> ConflictingPair | None:
        is_blocked = BLOCKED in (one.holders, other.holders)
        if not is_blocked and self._holders[hub]:
            return None  # each of them meets the holder of the file in between
        first, second = sorted((one, other), key=lambda reach: reach.asset_id)
        key = first.asset_id, second.asset_id
        if first.asset_id == second.asset_id or key in direct:
            return None
        direct.add(key)
        start = max(one.start_seconds, other.start_seconds)
        end = min(one.end_seconds, other.end_seconds)
        shared = SharedSeconds(
            start_seconds=first.mapped(start),
            end_seconds=first.mapped(end),
            other_start_seconds=second.mapped(start),
            other_end_seconds=second.mapped(end),
        )
        code = "conflict.blocked_copy" if is_blocked else "conflict.two_holders"
        return ConflictingPair(code, first.asset_id, second.asset_id, (shared,), hub)


@dataclass(frozen=True, slots=True)
class _Reach:
    """Seconds of a file that another file, which somebody claims, is a copy of."""

    start_seconds: float
    end_seconds: float
    asset_id: int
    span: tuple[float, float]
    """The seconds of that other file."""
    holders: frozenset[str]

    def mapped(self, seconds: float) -> float:
        """Return when the other file shows what this one shows at `seconds`."""
        share = (seconds - self.start_seconds) / (self.end_seconds - self.start_seconds)
        return self.span[0] + share * (self.span[1] - self.span[0])


def _two_furthest(reaches: Iterable[_Reach]) -> list[_Reach]:
    """Return the span that ends last, and of those of other holders the one that ends last."""
    ordered = sorted(reaches, key=lambda reach: -reach.end_seconds)
    others = [reach for reach in ordered if reach.holders != ordered[0].holders]
    return [ordered[0], *others[:1]]


def _far(edge: CopyEdge) -> tuple[float, float]:
    return edge.other_start_seconds, edge.other_end_seconds


def _shared(edge: CopyEdge) -> SharedSeconds:
    return SharedSeconds(
        start_seconds=edge.start_seconds,
        end_seconds=edge.end_seconds,
        other_start_seconds=edge.other_start_seconds,
        other_end_seconds=edge.other_end_seconds,
    )


def whole_of(standing: Standing) -> tuple[SharedSeconds, ...]:
    """Return all of a file, as shared with itself."""
    seconds = standing.duration_seconds
    span = SharedSeconds(
        start_seconds=0.0, end_seconds=seconds, other_start_seconds=0.0, other_end_seconds=seconds
    )
    return (span,)


def blocked_bytes(session: Session) -> Iterator[ConflictingPair]:
    """Yield the files that somebody claims and that are, byte for byte, footage to be kept out."""
    for standing in records.standings(session, records.blocked_library_assets(session)):
        if standing.claims:
            holders = frozenset(claim.grant.rights_holder for claim in standing.claims)
            yield ConflictingPair(
                "conflict.blocked_copy",
                standing.asset_id,
                standing.asset_id,
                whole_of(standing),
                holders=(holders, BLOCKED),
            )


def competing_bytes(session: Session) -> Iterator[ConflictingPair]:
    """Yield, for each file that several holders claim, the one who is evidenced first against each of the others."""
    for standing in records.standings(session, records.assets_of_several_holders(session)):
        own = [claim for claim in standing.claims if claim.is_of_file]
        since: dict[str, dt.datetime] = {}
        for claim in own:
            holder = claim.grant.rights_holder
            since[holder] = min(since.get(holder, claim.recorded_at), claim.recorded_at)
        ranked = sorted(since, key=lambda holder: (since[holder], holder))
        for holder in ranked[1:]:
            yield ConflictingPair(
                "conflict.same_bytes",
                standing.asset_id,
                standing.asset_id,
                whole_of(standing),
                holders=(frozenset({ranked[0]}), frozenset({holder})),
            )


def replaced_claims(session: Session) -> Iterator[ConflictingPair]:
    """Yield the files at which a claim took another holder's place."""
    for replaced in records.replaced_claims(session):
        yield ConflictingPair(
            "conflict.earlier_owner", replaced.asset_id, replaced.asset_id, (), replaced=replaced
        )
