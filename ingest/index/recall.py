"""How many of the true neighbours an approximate index nominates, measured while the index is filled.

The vectors of a large library are read once, to fill a shard; in that pass a few held-out queries are compared with
every one of them, exactly. Shapes: H held queries, K neighbours, N rows, D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEIGHBOURS = 64
NOMINATIONS = 256
"""How many rows a search names for each query, so that exact scores can sort out the true 64."""
TARGET = 0.95
"""Share of the true 64 neighbours among the nominated that a search should reach."""
_PROBES = (4, 8, 16, 32, 64, 128, 256, 512)
_CHUNK_ROWS = 16_384

Search = Callable[["NDArray[np.float32]", int, int], "tuple[NDArray[np.float32], NDArray[np.int64]]"]
"""Queries HD, number of neighbours and number of probes to scores and rows HK."""


@dataclass(frozen=True, kw_only=True)
class RecallPoint:
    """What a search with so many probes finds."""

    num_probes: int
    recall_at_64: float
    """Share of the true 64 nearest among the 64 first."""
    recall_nominated: float
    """Share of the true 64 nearest among the 256 first."""
    score_error: float
    """99 of 100 scores of true neighbours are at most this much lower than the exact score."""


@dataclass(frozen=True, eq=False)
class TrueNeighbours:
    """The exact nearest rows of the held queries, best first; filled up with row -1 at a score of minus infinity."""

    score_HK: NDArray[np.float32]
    row_HK: NDArray[np.int64]

    @staticmethod
    def none(num_queries: int) -> TrueNeighbours:
        """Return the neighbours among no rows."""
        shape = (num_queries, NEIGHBOURS)
        return TrueNeighbours(np.full(shape, -np.inf, np.float32), np.full(shape, -1, np.int64))

    def joined(self, score_HN: NDArray[np.float32], row_HN: NDArray[np.int64]) -> TrueNeighbours:
        """Return the nearest among these and further rows."""
        score = np.concatenate([self.score_HK, score_HN], axis=1)
        row = np.concatenate([self.row_HK, row_HN], axis=1)
        order = np.argsort(-score, axis=1, kind="stable")[:, :NEIGHBOURS]
        return TrueNeighbours(np.take_along_axis(score, order, 1), np.take_along_axis(row, order, 1))

    def renumbered(self, keep_N: NDArray[np.bool_], base: int) -> TrueNeighbours:
        """Return the neighbours after rows were left out and the rest numbered anew from `base`."""
        number_N = np.cumsum(keep_N, dtype=np.int64) - 1 + base
        is_kept = (self.row_HK >= 0) & keep_N[self.row_HK]
        return TrueNeighbours(
            np.where(is_kept, self.score_HK, np.float32(-np.inf)),
            np.where(is_kept, number_N[self.row_HK], -1),
        )


class ExactSearch:
    """Compares held queries with rows as they stream by, in memory of one chunk."""

    def __init__(self, held_HD: NDArray[np.float32]) -> None:
        self._held_HD = held_HD
        self._num_rows = 0
        self.neighbours = TrueNeighbours.none(len(held_HD))

    def push(self, rows_ND: NDArray[np.float32]) -> None:
        """Take the next rows."""
        for start in range(0, len(rows_ND), _CHUNK_ROWS):
            score_HN = self._held_HD @ rows_ND[start : start + _CHUNK_ROWS].T
            k = min(NEIGHBOURS, score_HN.shape[1])
            nearest = np.argpartition(-score_HN, k - 1, axis=1)[:, :k]
            score_HK = np.take_along_axis(score_HN, nearest, 1)
            self.neighbours = self.neighbours.joined(score_HK, nearest + self._num_rows + start)
        self._num_rows += len(rows_ND)


def measure_recall(
    held_HD: NDArray[np.float32], truth: TrueNeighbours, search: Search, *, num_lists: int
) -> tuple[RecallPoint, ...]:
    """Measure a search at rising numbers of probes, once if there are no lists. Empty if nothing can be found."""
    is_true_HK = truth.row_HK >= 0
    if not is_true_HK.any():
        return ()
    probes = [probes for probes in _PROBES if probes <= num_lists] or [1]
    return tuple(_point(held_HD, truth, search, num_probes) for num_probes in probes)


def _point(
    held_HD: NDArray[np.float32], truth: TrueNeighbours, search: Search, num_probes: int
) -> RecallPoint:
    score_HK, row_HK = search(held_HD, NOMINATIONS, num_probes)
    num_true, first, nominated = 0, 0, 0
    lower: list[NDArray[np.float32]] = []
    for true_scores, true_rows, scores, rows in zip(
        truth.score_HK, truth.row_HK, score_HK, row_HK, strict=True
    ):
        is_true = true_rows >= 0
        num_true += int(is_true.sum())
        first += int(np.isin(true_rows[is_true], rows[:NEIGHBOURS]).sum())
        _, at_true, at_found = np.intersect1d(true_rows[is_true], rows[rows >= 0], return_indices=True)
        nominated += len(at_true)
        lower.append(true_scores[is_true][at_true] - scores[rows >= 0][at_found])
    errors = np.concatenate(lower)
    return RecallPoint(
        num_probes=num_probes,
        recall_at_64=first / num_true,
        recall_nominated=nominated / num_true,
        score_error=max(0.0, float(np.quantile(errors, 0.99))) if len(errors) else 0.0,
    )


def choose_point(shards: Sequence[tuple[int, tuple[RecallPoint, ...]]]) -> RecallPoint | None:
    """Return the fewest probes whose recall over all shards, weighed by rows, reaches the target, else the most.

    A row among the nearest 64 of the whole is among the nearest 64 of its shard, so shards may be averaged. `None`
    if nothing was measured.
    """
    measured = [(num_rows, points) for num_rows, points in shards if points]
    if not measured:
        return None
    weights = [num_rows for num_rows, _ in measured]
    columns = [_average(points, weights) for points in zip(*(points for _, points in measured), strict=True)]
    return next((point for point in columns if point.recall_nominated >= TARGET), columns[-1])


def _average(points: Sequence[RecallPoint], weights: Sequence[int]) -> RecallPoint:
    return RecallPoint(
        num_probes=points[0].num_probes,
        recall_at_64=float(np.average([point.recall_at_64 for point in points], weights=weights)),
        recall_nominated=float(np.average([point.recall_nominated for point in points], weights=weights)),
        score_error=max(point.score_error for point in points),
    )
