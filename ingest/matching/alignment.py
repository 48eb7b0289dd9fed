"""Alignment: the lines in time along which frames of one view resemble frames of another.

Every hit (query time, other time) votes for an offset under each of a few speeds (Hough 1962); hits of one line
that are close in time form a candidate segment. Only time is judged here, not whether the pictures are the same.

Shapes: H hits of one pair of views, M hits on one line, B bins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALIGNMENT_RULES = "hough-3"
"""Names the rules of this module; part of a detector's digest."""
SPEEDS = (1.0, 0.8, 0.9, 1.1, 1.25, 1.5, 0.67, 0.5, 2.0)
"""Seconds of the other side per second of the query. Between them the exact speed is found later."""
_BIN_SECONDS = 0.25
_REACH_SECONDS = 0.3
"""Samples every half second lie up to a quarter second off the line; a little more for unsteady time stamps."""
_MAX_LINES = 16
"""Lines made into segments for one level of similarity, the ones with most votes."""
_MAX_GAP_SECONDS = 3.0
_UNIT_SPEED_BONUS = 1.1
"""Real copies mostly keep their speed; with few hits several speeds explain them equally well."""
_STANDS_OUT = 0.1
_PLATEAU = 0.8
_MAX_SLACK_SECONDS = 60.0
_MAX_RUN_SAMPLES = 40


@dataclass(frozen=True, eq=False)
class PairHits:
    """The hits between one query view and one other view."""

    query_seconds_H: NDArray[np.float64]
    other_seconds_H: NDArray[np.float64]
    similarity_H: NDArray[np.float64]

    def only(self, is_kept_H: NDArray[np.bool_]) -> PairHits:
        """Return some of the hits."""
        return PairHits(
            self.query_seconds_H[is_kept_H], self.other_seconds_H[is_kept_H], self.similarity_H[is_kept_H]
        )

    def swapped(self) -> PairHits:
        """Return the hits as they are seen from the other side."""
        return PairHits(self.other_seconds_H, self.query_seconds_H, self.similarity_H)


@dataclass(frozen=True, eq=False)
class Segment:
    """A stretch of query time that runs along a line: other = speed * query + offset."""

    speed: float
    offset_seconds: float
    slack_seconds: tuple[float, float]
    """How far below and above the offset it has nearly as many votes: wide where the scene stands still."""
    query_seconds_M: NDArray[np.float64]
    """The query samples with a hit on the line, ascending, each once."""
    similarity_M: NDArray[np.float64]
    """The best of each sample's hits on the line."""
    weight: float
    """Sum of the similarity above the threshold over those samples."""
    level: float
    """The similarity from which hits counted."""

    @property
    def likeness(self) -> float:
        """Mean of the three best similarities: a short copy stands out by it among long stretches that are alike."""
        return float(np.sort(self.similarity_M)[-3:].mean())

    def is_during(self, start_seconds: float, end_seconds: float) -> bool:
        """Return whether some of it lies between two times of the query."""
        return bool(self.query_seconds_M[0] < end_seconds and self.query_seconds_M[-1] > start_seconds)

    def is_above(self, min_similarity: float) -> bool:
        """Return whether more was asked of its hits than of any hit."""
        return self.level > min_similarity


def expand_runs(
    query_starts_H: NDArray[np.float64],
    query_ends_H: NDArray[np.float64],
    other_starts_H: NDArray[np.float64],
    other_ends_H: NDArray[np.float64],
    similarity_H: NDArray[np.float64],
    *,
    period_seconds: float,
) -> PairHits:
    """Make hits between runs of still frames into hits between the samples they stand for.

    Of a run at most 40 samples are taken, evenly: more would not make the alignment any clearer.
    """
    is_short = (query_ends_H <= query_starts_H) & (other_ends_H <= other_starts_H)
    parts = [PairHits(query_starts_H[is_short], other_starts_H[is_short], similarity_H[is_short])]
    for hit in np.flatnonzero(~is_short):
        near = _samples(float(query_starts_H[hit]), float(query_ends_H[hit]), period_seconds)
        far = _samples(float(other_starts_H[hit]), float(other_ends_H[hit]), period_seconds)
        near_H, far_H = (grid.reshape(-1) for grid in np.meshgrid(near, far))
        parts.append(PairHits(near_H, far_H, np.full(len(near_H), similarity_H[hit])))
    return PairHits(
        np.concatenate([part.query_seconds_H for part in parts]),
        np.concatenate([part.other_seconds_H for part in parts]),
        np.concatenate([part.similarity_H for part in parts]),
    )


def _samples(start: float, end: float, period: float) -> NDArray[np.float64]:
    num = min(_MAX_RUN_SAMPLES, 1 + round((end - start) / period))
    return np.linspace(start, end, num)


def find_segments(hits: PairHits, *, min_similarity: float, min_samples: int, limit: int) -> list[Segment]:
    """Return up to `limit` segments with at least `min_samples`, the ones that stand out first.

    At the first of two levels of similarity, close to the best hit, the copied part of a film stands alone; at the
    second all hits count, and a segment may run on into footage that is merely alike. Segments that say nearly the
    same thing are given once.
    """
    if len(hits.similarity_H) == 0:
        return []
    best = float(hits.similarity_H.max())
    kept: list[Segment] = []
    for level in sorted({min_similarity, max(min_similarity, best - _STANDS_OUT)}, reverse=True):
        for candidate in _segments_at_level(hits, level, min_samples):
            if len(kept) < limit and not any(_is_same(candidate, segment) for segment in kept):
                kept.append(candidate)
    return kept


def _segments_at_level(hits: PairHits, level: float, min_samples: int) -> list[Segment]:
    above = hits.only(hits.similarity_H >= level)
    excess_H = above.similarity_H - level + 0.05
    lines = [line for speed in SPEEDS for line in _lines(above, excess_H, speed)]
    lines.sort(key=lambda line: (-line.votes, line.speed != 1.0, line.offset_seconds))
    found = [
        segment
        for line in lines[:_MAX_LINES]
        for segment in _segments_on(above, excess_H, line, level)
        if len(segment.query_seconds_M) >= min_samples
    ]
    return sorted(found, key=lambda segment: (-segment.weight, segment.speed != 1.0, segment.offset_seconds))


@dataclass(frozen=True)
class _Line:
    """A speed and an offset with their votes."""

    speed: float
    offset_seconds: float
    slack_seconds: tuple[float, float]
    votes: float


def _lines(hits: PairHits, excess_H: NDArray[np.float64], speed: float) -> Iterator[_Line]:
    """Yield the fullest bins of one speed, each with the plateau around it, which is not looked at again."""
    offset_H = hits.other_seconds_H - speed * hits.query_seconds_H
    bin_H = np.round(offset_H / _BIN_SECONDS).astype(np.int64)
    first = int(bin_H.min())
    votes_B = _votes(hits, excess_H, bin_H - first)
    # Samples on an even grid fill every other bin: half the votes of either neighbour even that out.
    near_B = np.convolve(votes_B, [0.5, 1.0, 0.5], mode="same")
    is_open = near_B > 0
    bonus = _UNIT_SPEED_BONUS if speed == 1.0 else 1.0
    for fullest in np.argsort(-near_B, kind="stable")[: 4 * _MAX_LINES]:
        if not is_open[fullest]:
            continue
        low, high = _plateau(near_B, int(fullest))
        is_open[max(0, low - 1) : high + 2] = False
        slack = (float(low - fullest) * _BIN_SECONDS, float(high - fullest) * _BIN_SECONDS)
        yield _Line(speed, float((fullest + first) * _BIN_SECONDS), slack, bonus * float(near_B[fullest]))


def _votes(hits: PairHits, excess_H: NDArray[np.float64], bin_H: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum the votes of each bin; a query sample has one vote in a bin, that of its best hit."""
    order = np.lexsort((-excess_H, hits.query_seconds_H, bin_H))
    bins, seconds = bin_H[order], hits.query_seconds_H[order]
    is_first = np.ones(len(order), dtype=np.bool_)
    is_first[1:] = (np.diff(bins) != 0) | (np.diff(seconds) != 0)
    return np.bincount(bins[is_first], weights=excess_H[order][is_first]).astype(np.float64)


def _plateau(near_B: NDArray[np.float64], fullest: int) -> tuple[int, int]:
    """Return the bins around the fullest, ends included, that have nearly as many votes without a break."""
    is_high = near_B >= _PLATEAU * near_B[fullest]
    reach = round(_MAX_SLACK_SECONDS / _BIN_SECONDS)
    low = high = fullest
    while low > max(0, fullest - reach) and is_high[low - 1]:
        low -= 1
    while high < min(len(near_B) - 1, fullest + reach) and is_high[high + 1]:
        high += 1
    return low, high


def _segments_on(
    hits: PairHits, excess_H: NDArray[np.float64], line: _Line, level: float
) -> Iterator[Segment]:
    offset_H = hits.other_seconds_H - line.speed * hits.query_seconds_H
    on_line = np.flatnonzero(np.abs(offset_H - line.offset_seconds) <= _REACH_SECONDS)
    order = on_line[np.argsort(hits.query_seconds_H[on_line], kind="stable")]
    gaps = np.flatnonzero(np.diff(hits.query_seconds_H[order]) > _MAX_GAP_SECONDS) + 1
    for part in np.split(order, gaps):
        if len(part):
            yield _segment(hits, excess_H, offset_H, part, line, level)


def _segment(
    hits: PairHits,
    excess_H: NDArray[np.float64],
    offset_H: NDArray[np.float64],
    part: NDArray[np.int64],
    line: _Line,
    level: float,
) -> Segment:
    """Build the segment of the hits `part`; each query sample counts once, with its best hit.

    The best hits alone say where the line is: at an unchanged pace they lie on it, their neighbours beside it.
    """
    # Of equally good ones the earliest, whatever order the hits came in.
    order = np.lexsort((hits.other_seconds_H[part], -excess_H[part], hits.query_seconds_H[part]))
    by_sample = part[order]
    seconds_M, first = np.unique(hits.query_seconds_H[by_sample], return_index=True)
    best = by_sample[first]
    offset = float(np.average(offset_H[best], weights=excess_H[best]))
    weight = float(excess_H[best].sum()) * (_UNIT_SPEED_BONUS if line.speed == 1.0 else 1.0)
    return Segment(
        speed=line.speed,
        offset_seconds=offset,
        slack_seconds=line.slack_seconds,
        query_seconds_M=seconds_M,
        similarity_M=hits.similarity_H[best],
        weight=weight,
        level=level,
    )


def _is_same(one: Segment, other: Segment) -> bool:
    """Say whether half of the shorter one's time is shared and the lines are less than 0.5 s apart there."""
    start = max(one.query_seconds_M[0], other.query_seconds_M[0])
    end = min(one.query_seconds_M[-1], other.query_seconds_M[-1])
    shorter = float(min(np.ptp(one.query_seconds_M), np.ptp(other.query_seconds_M)))
    middle = float(start + end) / 2
    apart = abs((one.speed - other.speed) * middle + one.offset_seconds - other.offset_seconds)
    return bool(end - start >= 0.5 * shorter and apart < 0.5)
