"""Search in a folder of shards: nominations, to be scored again by the caller with the stored vectors.

Shapes: Q queries, K neighbours, P pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ingest.index.manifest import read_manifest, shard_folder
from ingest.index.recall import NOMINATIONS
from ingest.index.shard import Shard

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.index.identity import IndexIdentity, Vectors

_QUERY_BATCH = 1024
_PAIR = np.dtype([("query", np.int64), ("score", np.float32), ("shard", np.int32), ("row", np.int64)])


@dataclass(frozen=True, eq=False)
class Nominations:
    """Rows that may be like a query, in order of query and then of falling approximate score."""

    assets: tuple[str, ...]
    query_P: NDArray[np.int64]
    asset_P: NDArray[np.int64]
    """Index into `assets`."""
    view_P: NDArray[np.int64]
    seconds_P: NDArray[np.float64]
    score_P: NDArray[np.float32]

    @property
    def num_pairs(self) -> int:
        """How many pairs there are."""
        return len(self.query_P)


class ShardedIndex:
    """An index folder opened for search."""

    def __init__(self, folder: Path, identity: IndexIdentity) -> None:
        """Open every shard, mapped into memory. Raises `EncoderError` if the index is another's or damaged."""
        self.manifest = read_manifest(folder)
        identity.check(folder, self.manifest)
        self._identity = identity
        kind = self.manifest.kind
        self._shards = [
            Shard(shard_folder(folder, shard.name), shard, kind) for shard in self.manifest.shards
        ]
        recall = self.manifest.recall
        self._num_probes = max(1, kind.num_lists) if recall is None else recall.num_probes
        self._score_error = 0.0 if recall is None else recall.score_error

    @property
    def num_bytes_per_row(self) -> float:
        """Size of all files of the shards for each row."""
        num_bytes = sum(file.size_bytes for shard in self.manifest.shards for file in shard.files.values())
        return num_bytes / max(1, self.manifest.num_rows)

    def search(self, queries_QD: Vectors, num_neighbours: int = NOMINATIONS) -> Nominations:
        """Nominate the `num_neighbours` rows that are nearest to each query by approximate score."""
        queries, terms_Q = self._identity.queries(queries_QD, self.manifest.dim)
        found = [_no_pairs()]
        for start in range(0, len(queries), _QUERY_BATCH):
            batch = queries[start : start + _QUERY_BATCH]
            parts = [_no_pairs()]
            for number, shard in enumerate(self._shards):
                score_QK, row_QK = shard.search(batch, num_neighbours, self._num_probes)
                query, column = np.nonzero(row_QK >= 0)
                parts.append(_pairs(number, query + start, score_QK[query, column], row_QK[query, column]))
            found.append(_best(np.concatenate(parts), num_neighbours))
        return self._named(np.concatenate(found), terms_Q)

    def search_above(self, queries_QD: Vectors, min_score: float) -> Nominations:
        """Nominate every row whose exact score may be at least `min_score`, by the score error that was measured."""
        queries, terms_Q = self._identity.queries(queries_QD, self.manifest.dim)
        min_score_Q = (min_score - self._score_error - terms_Q).astype(np.float32)
        found = [_no_pairs()]
        for start in range(0, len(queries), _QUERY_BATCH):
            part = slice(start, start + _QUERY_BATCH)
            for number, shard in enumerate(self._shards):
                query, scores, rows = shard.search_above(queries[part], min_score_Q[part], self._num_probes)
                found.append(_pairs(number, query + start, scores, rows))
        return self._named(_best(np.concatenate(found), None), terms_Q)

    def _named(self, pairs: NDArray[np.void], terms_Q: NDArray[np.float32]) -> Nominations:
        """Say whose the rows are, and give the scores their terms."""
        numbers: dict[str, int] = {}
        asset_P = np.empty(len(pairs), np.int64)
        view_P = np.empty(len(pairs), np.int64)
        seconds_P = np.empty(len(pairs), np.float64)
        for number, shard in enumerate(self._shards):
            at = np.flatnonzero(pairs["shard"] == number)
            rows, table = pairs["row"][at], shard.table
            used, inverse = np.unique(table.asset_N[rows], return_inverse=True)
            named = [numbers.setdefault(table.asset(asset), len(numbers)) for asset in used]
            asset_P[at] = np.array(named, dtype=np.int64)[inverse]
            view_P[at], seconds_P[at] = table.view_N[rows], table.seconds_N[rows]
        return Nominations(
            assets=tuple(numbers),
            query_P=pairs["query"].copy(),
            asset_P=asset_P,
            view_P=view_P,
            seconds_P=seconds_P,
            score_P=pairs["score"] + terms_Q[pairs["query"]],
        )


def _no_pairs() -> NDArray[np.void]:
    return np.empty(0, dtype=_PAIR)


def _pairs(
    shard: int, query_P: NDArray[np.int64], score_P: NDArray[np.float32], row_P: NDArray[np.int64]
) -> NDArray[np.void]:
    pairs = np.empty(len(query_P), dtype=_PAIR)
    pairs["query"], pairs["score"], pairs["shard"], pairs["row"] = query_P, score_P, shard, row_P
    return pairs


def _best(pairs: NDArray[np.void], num_neighbours: int | None) -> NDArray[np.void]:
    """Sort pairs by query and falling score, and keep the first few of each query."""
    ordered = pairs[np.lexsort((pairs["row"], pairs["shard"], -pairs["score"], pairs["query"]))]
    if num_neighbours is None:
        return ordered
    rank = np.arange(len(ordered)) - np.searchsorted(ordered["query"], ordered["query"])
    return ordered[rank < num_neighbours]
