"""Alignment: the lines in time along which frames of one asset resemble frames of another.

Every hit (query time, other time) votes for an offset under each of a few speeds (Hough 1962); hits of one line
that are close in time form a candidate segment. Only time is judged here, not whether the pictures are the same.

Shapes: H hits of one pair of assets, M hits on one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPEEDS = (1.0, 0.8, 0.9, 1.1, 1.25, 0.5, 2.0)
"""Seconds of the other asset per second of the query."""
_BIN_SECONDS = 0.25
_REACH_SECONDS = 0.3
"""Samples every half second lie up to a quarter second off the line; a little more for unsteady time stamps."""
_MAX_BINS = 48
"""Offsets looked at for each speed: enough for as many copied stretches of one pair of assets."""
_MAX_GAP_SECONDS = 3.0
_UNIT_SPEED_BONUS = 1.1
"""Real copies mostly keep their speed; with few hits several speeds explain them equally well."""
_STANDS_OUT = 0.1
_STILL_SIMILARITY = 0.95


@dataclass(frozen=True, eq=False)
class PairHits:
    """The hits between one query asset and one other asset."""

    query_seconds_H: NDArray[np.float64]
    other_seconds_H: NDArray[np.float64]
    similarity_H: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Segment:
    """A stretch of query time that runs along a line: other = speed * query + offset."""

    speed: float
    offset_seconds: float
    query_seconds_M: NDArray[np.float64]
    """The query samples with a hit on the line, ascending, each once."""
    weight: float
    """Sum of the similarity above the threshold over those samples."""


def find_segments(hits: PairHits, *, min_similarity: float, min_samples: int, limit: int) -> list[Segment]:
    """Return up to `limit` segments for each of three levels of similarity, each with at least `min_samples`.

    All hits count at the first level, where a segment may run on into footage that is merely alike; at the
    levels half way and close to the best hit, the copied part of it stands alone. Heavier ones come first within
    a level. Segments that say nearly the same thing are given once; others may overlap, since of a static scene
    the best line is not known yet.
    """
    if len(hits.similarity_H) == 0:
        return []
    best = float(hits.similarity_H.max())
    levels = {min_similarity, (min_similarity + best) / 2, max(min_similarity, best - _STANDS_OUT)}
    kept: list[Segment] = []
    for level in sorted(levels):
        is_above_H = hits.similarity_H >= level
        above = PairHits(
            hits.query_seconds_H[is_above_H], hits.other_seconds_H[is_above_H], hits.similarity_H[is_above_H]
        )
        found = _segments_at_level(above, level, min_samples, limit)
        kept += [segment for segment in found if not any(_is_equal(segment, other) for other in kept)]
    return kept


def _segments_at_level(hits: PairHits, level: float, min_samples: int, limit: int) -> list[Segment]:
    if len(hits.similarity_H) == 0:
        return []
    excess_H = hits.similarity_H - level + 0.05
    candidates = [
        segment for speed in SPEEDS for segment in _segments_at_speed(hits, excess_H, speed, min_samples)
    ]
    candidates.sort(key=lambda segment: (-segment.weight, segment.speed != 1.0, segment.offset_seconds))
    kept: list[Segment] = []
    for candidate in candidates:
        if len(kept) == limit:
            break
        if not any(_is_same(candidate, segment) for segment in kept):
            kept.append(candidate)
    return kept


def still_runs(vectors_ND: NDArray[np.float32]) -> NDArray[np.int64]:
    """Number the rows so that a row has the number of the one before while it still looks like the run's first."""
    run_N = np.zeros(len(vectors_ND), dtype=np.int64)
    first = 0
    for row in range(1, len(vectors_ND)):
        is_still = float(vectors_ND[first] @ vectors_ND[row]) > _STILL_SIMILARITY
        run_N[row] = run_N[row - 1] + (not is_still)
        first = first if is_still else row
    return run_N


def _segments_at_speed(
    hits: PairHits, excess_H: NDArray[np.float64], speed: float, min_samples: int
) -> Iterator[Segment]:
    offset_H = hits.other_seconds_H - speed * hits.query_seconds_H
    for center in _fullest_bins(offset_H, excess_H):
        on_line = np.flatnonzero(np.abs(offset_H - center) <= _REACH_SECONDS)
        if len(on_line) < min_samples:
            continue
        order = on_line[np.argsort(hits.query_seconds_H[on_line], kind="stable")]
        gaps = np.flatnonzero(np.diff(hits.query_seconds_H[order]) > _MAX_GAP_SECONDS) + 1
        for part in np.split(order, gaps):
            segment = _segment(hits, excess_H, offset_H, part, speed)
            if len(segment.query_seconds_M) >= min_samples:
                yield segment


def _fullest_bins(offset_H: NDArray[np.float64], excess_H: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the centres of the bins with the most votes; static scenes fill very many of them alike."""
    bin_H = np.round(offset_H / _BIN_SECONDS).astype(np.int64)
    votes_B = np.bincount(bin_H - bin_H.min(), weights=excess_H)
    near_B = np.convolve(votes_B, np.ones(3), mode="same")
    fullest = np.argsort(-near_B, kind="stable")[:_MAX_BINS]
    return np.asarray((fullest[near_B[fullest] > 0] + bin_H.min()) * _BIN_SECONDS)


def _segment(
    hits: PairHits,
    excess_H: NDArray[np.float64],
    offset_H: NDArray[np.float64],
    part: NDArray[np.int64],
    speed: float,
) -> Segment:
    """Build the segment of the hits `part`; each query sample counts once, with its best hit.

    The best hits alone say where the line is: at an unchanged pace they lie on it, their neighbours beside it.
    """
    by_sample = part[np.lexsort((-excess_H[part], hits.query_seconds_H[part]))]
    seconds_M, first = np.unique(hits.query_seconds_H[by_sample], return_index=True)
    best = by_sample[first]
    offset = float(np.average(offset_H[best], weights=excess_H[best]))
    weight = float(excess_H[best].sum()) * (_UNIT_SPEED_BONUS if speed == 1.0 else 1.0)
    return Segment(speed=speed, offset_seconds=offset, query_seconds_M=seconds_M, weight=weight)


def _is_same(one: Segment, other: Segment) -> bool:
    """Say whether half of the shorter one's time is shared and the lines are less than 0.5 s apart there."""
    shorter = float(min(np.ptp(one.query_seconds_M), np.ptp(other.query_seconds_M)))
    return _shared_seconds(one, other) >= 0.5 * shorter and _seconds_apart(one, other) < 0.5


def _is_equal(one: Segment, other: Segment) -> bool:
    """Say whether nearly all of the longer one's time is shared and the lines are the same."""
    longer = float(max(np.ptp(one.query_seconds_M), np.ptp(other.query_seconds_M)))
    return _shared_seconds(one, other) >= 0.9 * longer and _seconds_apart(one, other) < 0.2


def _shared_seconds(one: Segment, other: Segment) -> float:
    start = max(one.query_seconds_M[0], other.query_seconds_M[0])
    return float(min(one.query_seconds_M[-1], other.query_seconds_M[-1]) - start)


def _seconds_apart(one: Segment, other: Segment) -> float:
    """Return how far the lines are apart in the middle of what they share."""
    start = max(one.query_seconds_M[0], other.query_seconds_M[0])
    end = min(one.query_seconds_M[-1], other.query_seconds_M[-1])
    middle = float(start + end) / 2
    return abs((one.speed - other.speed) * middle + one.offset_seconds - other.offset_seconds)
