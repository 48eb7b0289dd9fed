"""Match rows: what is to be recorded of a match, and how what was found from both sides becomes one.

When an asset is searched it is compared with all others, and others added later are compared with it, so that a copy is
often found from both sides. Neither search can be left out, because one that starts from the shorter asset sees only
the best of several copies in the longer one; so spans that share most of their seconds on both sides are taken for the
one match they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from sqlalchemy.orm import Session

from db.matches import matches_of
from db.records import MatchRecord
from db.vocabularies import COPY_TIERS, MatchKind, MatchTier

_SAME_SHARE = 0.5
"""Of the shorter span. The ends that the two searches give differ by a sample or two; two copies of one stretch that
follow each other share no more than that on one of the sides."""


@dataclass(frozen=True, kw_only=True)
class MatchRow:
    """A row of the match table: the lower asset id first, whichever side it was found from."""

    asset_id: int
    other_id: int
    start_seconds: float
    end_seconds: float
    other_start_seconds: float
    other_end_seconds: float
    kind: MatchKind
    tier: MatchTier
    score: float
    num_votes: int
    speed: float
    is_mirrored: bool
    evidence: Mapping[str, Any]

    @property
    def is_copy(self) -> bool:
        """Whether it is more than alike."""
        return self.tier in COPY_TIERS

    @property
    def pair(self) -> tuple[int, int]:
        """The two assets."""
        return self.asset_id, self.other_id

    @property
    def sides(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The seconds of either asset."""
        return (self.start_seconds, self.end_seconds), (self.other_start_seconds, self.other_end_seconds)

    def is_also(self, other: MatchRow) -> bool:
        """Return whether two matches of one pair of assets are the same copy."""
        return all(
            min(end, other_end) - max(start, other_start)
            > _SAME_SHARE * min(end - start, other_end - other_start)
            for (start, end), (other_start, other_end) in zip(self.sides, other.sides, strict=True)
        )

    def covers(self, other: MatchRow, *, slack_seconds: float) -> bool:
        """Return whether `other` says nothing new, give or take some time at each end."""
        return (
            (self.is_copy or not other.is_copy)
            and self.is_also(other)
            and all(
                start <= other_start + slack_seconds and other_end <= end + slack_seconds
                for (start, end), (other_start, other_end) in zip(self.sides, other.sides, strict=True)
            )
        )

    def widened(self, other: MatchRow) -> MatchRow:
        """Return this match with the seconds of both: what either search calls copied must stay out."""
        return replace(
            self,
            start_seconds=min(self.start_seconds, other.start_seconds),
            end_seconds=max(self.end_seconds, other.end_seconds),
            other_start_seconds=min(self.other_start_seconds, other.other_start_seconds),
            other_end_seconds=max(self.other_end_seconds, other.other_end_seconds),
        )


def as_row(seen: MatchRecord) -> MatchRow:
    """Turn a match on record, as either side sees it, back into its row."""
    near = Side(seen.asset_id, seen.start_seconds, seen.end_seconds)
    far = Side(seen.other_id, seen.other_start_seconds, seen.other_end_seconds)
    return ordered(
        near,
        far,
        kind=seen.kind,
        tier=seen.tier,
        score=seen.score,
        num_votes=seen.num_votes,
        speed=seen.speed,
        is_mirrored=seen.is_mirrored,
        evidence=seen.evidence,
    )


@dataclass(frozen=True, order=True)
class Side:
    """One side of a match."""

    asset_id: int
    start_seconds: float
    end_seconds: float


def ordered(near: Side, far: Side, *, speed: float, **shared: Any) -> MatchRow:
    """Return the row of two sides in either order; `speed` is seconds of `far` per second of `near`."""
    this, other = sorted((near, far))
    return MatchRow(
        asset_id=this.asset_id,
        other_id=other.asset_id,
        start_seconds=this.start_seconds,
        end_seconds=this.end_seconds,
        other_start_seconds=other.start_seconds,
        other_end_seconds=other.end_seconds,
        speed=speed if this is near else 1 / speed,
        **shared,
    )


def merged(matches: Iterable[MatchRow]) -> list[MatchRow]:
    """Make one of those that are the same copy: score and evidence of the stronger, seconds of both.

    What is only alike is left out where the same seconds are a copy.
    """
    by_pair: dict[tuple[int, int], list[MatchRow]] = defaultdict(list)
    for match in sorted(matches, key=lambda match: (match.is_copy, match.score), reverse=True):
        kept = by_pair[match.pair]
        same = next((number for number, stronger in enumerate(kept) if stronger.is_also(match)), None)
        if same is None:
            kept.append(match)
        elif match.is_copy:
            kept[same] = kept[same].widened(match)
    return [match for kept in by_pair.values() for match in kept]


def not_known(
    session: Session,
    matches: Iterable[MatchRow],
    *,
    asset_ids: Sequence[int],
    kind: MatchKind,
    detector_digest: str,
    slack_seconds: float,
) -> list[MatchRow]:
    """Return those that say something new, give or take some time at each end.

    What is on record of the assets was found from the other side, or with another encoder.
    """
    known: dict[tuple[int, int], list[MatchRow]] = defaultdict(list)
    for seen in chain.from_iterable(matches_of(session, asset_ids, detector_digest).values()):
        if seen.kind is kind:
            row = as_row(seen)
            known[row.pair].append(row)
    return [
        match
        for match in matches
        if not any(row.covers(match, slack_seconds=slack_seconds) for row in known.get(match.pair, ()))
    ]
