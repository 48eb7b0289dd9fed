"""One shard of a large index: a folder with vectors, rows and measured truth that appears whole or not at all.

Shapes: Q queries, K neighbours, N rows, D dimensions, H held queries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from db.files import durable_file, staged_folder
from ingest.errors import EncoderError
from ingest.index.files import IndexFile, fill_file, merge_files
from ingest.index.manifest import REBUILD_HINT, ShardEntry, check_sizes, file_digests
from ingest.index.recall import ExactSearch, RecallPoint, TrueNeighbours, measure_recall
from ingest.index.rows import ASSETS_NAME, ROWS_NAME, RowTable, RowTableBuilder, joined_tables

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.index.kind import IndexKind
    from ingest.index.rows import IndexRows

_VECTORS_NAME, _TRUTH_NAME = "vectors.faiss", "truth.npz"
_FILES = (_VECTORS_NAME, ROWS_NAME, ASSETS_NAME, _TRUTH_NAME)
_ESCALATION = (64, 1024)


class Shard:
    """A shard opened for search."""

    def __init__(self, folder: Path, entry: ShardEntry, kind: IndexKind) -> None:
        """Open the shard in `folder`. Raises `EncoderError` if a file is missing, cut short or does not fit."""
        check_sizes(folder, entry.files)
        self._path = folder / _VECTORS_NAME
        self.table = RowTable.read(folder)
        self._file = IndexFile(self._path, kind, live_N=self.table.live(entry.removed))
        if not self._file.num_rows == self.table.num_rows == entry.num_rows:
            raise EncoderError(
                f"{folder}: has {self._file.num_rows} vectors and {self.table.num_rows} rows, "
                f"recorded with {entry.num_rows}",
                hint=REBUILD_HINT,
            )

    def search(
        self, queries_QD: NDArray[np.float32], num_neighbours: int, num_probes: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return scores and rows QK of the nearest rows, best first, filled up with row -1."""
        score_QK, row_QK = self._file.search(queries_QD, num_neighbours, num_probes)
        self._check_rows(row_QK)
        return score_QK, row_QK

    def search_above(
        self, queries_QD: NDArray[np.float32], min_score_Q: NDArray[np.float32], num_probes: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        """Return query, score and row of every pair of at least the query's score, as far as the probes reach.

        The nearest 64 are asked for first, then 1,024, which a GPU can answer; queries that still overflow are
        answered one by one by a range search on the CPU.
        """
        parts: list[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]] = []
        open_Q = np.arange(len(queries_QD))
        for num_neighbours in _ESCALATION:
            score_QK, row_QK = self.search(queries_QD[open_Q], num_neighbours, num_probes)
            passes_QK = (row_QK >= 0) & (score_QK >= min_score_Q[open_Q, None])
            overflows_Q = passes_QK[:, -1]
            query, column = np.nonzero(passes_QK & ~overflows_Q[:, None])
            parts.append((open_Q[query], score_QK[query, column], row_QK[query, column]))
            open_Q = open_Q[overflows_Q]
        # faiss gives what lies above a limit, not at it.
        limit_Q = np.nextafter(min_score_Q, np.float32(-np.inf))
        for number in open_Q:
            scores, rows = self._file.search_above(queries_QD[number], float(limit_Q[number]), num_probes)
            self._check_rows(rows)
            parts.append((np.full(len(rows), number), scores, rows))
        queries, all_scores, all_rows = zip(*parts, strict=True)
        return np.concatenate(queries), np.concatenate(all_scores), np.concatenate(all_rows)

    def _check_rows(self, rows: NDArray[np.int64]) -> None:
        if rows.size and rows.max() >= self.table.num_rows:
            raise EncoderError(f"{self._path}: names a row that is not there", hint=REBUILD_HINT)


def write_shard(
    folder: Path,
    kind: IndexKind,
    trained: Path,
    held_HD: NDArray[np.float32],
    rows: Iterable[tuple[IndexRows, NDArray[np.float32]]],
) -> ShardEntry:
    """Write rows, given with their transformed vectors, as a shard in `folder`, and measure its recall."""
    builder, exact = RowTableBuilder(), ExactSearch(held_HD)

    def _vectors() -> Iterator[NDArray[np.float32]]:
        for block, vectors_ND in rows:
            builder.push(block.assets, block.asset_N, block.view_N, block.seconds_N)
            exact.push(vectors_ND)
            yield vectors_ND

    with staged_folder(folder) as staged:
        with durable_file(staged / _VECTORS_NAME) as path:
            fill_file(path, trained, _vectors())
        return _finish(staged, folder.name, kind, builder.finish(), held_HD, exact.neighbours)


def merge_shards_into(
    folder: Path,
    kind: IndexKind,
    trained: Path,
    held_HD: NDArray[np.float32],
    parts: Sequence[tuple[Path, ShardEntry]],
) -> ShardEntry:
    """Write the rows of several shards, without those removed, as one shard in `folder`, and measure its recall."""
    tables = [RowTable.read(path) for path, _ in parts]
    keeps = [table.live(entry.removed) for table, (_, entry) in zip(tables, parts, strict=True)]
    truth = TrueNeighbours.none(len(held_HD))
    base = 0
    for (path, _), keep_N in zip(parts, keeps, strict=True):
        part = _read_truth(path / _TRUTH_NAME, len(held_HD), len(keep_N)).renumbered(keep_N, base)
        truth = truth.joined(part.score_HK, part.row_HK)
        base += int(keep_N.sum())
    with staged_folder(folder) as staged:
        files = [(path / _VECTORS_NAME, keep_N) for (path, _), keep_N in zip(parts, keeps, strict=True)]
        with durable_file(staged / _VECTORS_NAME) as path:
            merge_files(path, trained, files)
        table = joined_tables(zip(tables, keeps, strict=True))
        return _finish(staged, folder.name, kind, table, held_HD, truth)


def _finish(
    staged: Path,
    name: str,
    kind: IndexKind,
    table: RowTable,
    held_HD: NDArray[np.float32],
    truth: TrueNeighbours,
) -> ShardEntry:
    """Write what belongs beside the vectors, and describe the shard."""
    table.write(staged)
    with durable_file(staged / _TRUTH_NAME) as path:
        np.savez(path, score=truth.score_HK, row=truth.row_HK)
    recall: tuple[RecallPoint, ...] = ()
    if table.num_rows:
        search = IndexFile(staged / _VECTORS_NAME, kind).search
        recall = measure_recall(held_HD, truth, search, num_lists=kind.num_lists)
    return ShardEntry(
        name=name,
        num_rows=table.num_rows,
        num_assets=table.num_assets,
        files=file_digests(staged, _FILES),
        recall=recall,
    )


def _read_truth(path: Path, num_queries: int, num_rows: int) -> TrueNeighbours:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            truth = TrueNeighbours(arrays["score"], arrays["row"])
    except (OSError, ValueError, KeyError) as exc:
        raise EncoderError(f"{path}: cannot be read: {exc}", hint=REBUILD_HINT) from exc
    if truth.row_HK.shape[0] != num_queries or truth.row_HK.max(initial=-1) >= num_rows:
        raise EncoderError(f"{path}: does not belong to this shard", hint=REBUILD_HINT)
    return truth
