"""Exact vector search in memory; with `ingest.index.files` the only module that imports faiss.

faiss nominates pairs in single or half precision; every score that is given out is then computed in double precision
from the stored vectors, so that a score depends on its two vectors alone, not on the batch or the device.

Shapes: Q queries, N rows, D dimensions, P pairs.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.errors import EncoderError
from ingest.index.torch_flat import TorchFlat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float16] | NDArray[np.float32]

_logger = logging.getLogger(__name__)

_NEIGHBOURS = (64, 1024)
"""faiss has no range search on a GPU and takes at most 2,048 neighbours there (faiss issue 565)."""
_QUERY_BATCH = 1024
_ROW_CHUNK = 65_536
_PAIR_CHUNK = 16_384
_ROUNDING = 2e-3
"""More than single or half precision can be wrong by about an inner product of unit vectors."""


@dataclass(frozen=True, eq=False)
class IndexHits:
    """Pairs of a query and a row, in order of query and then of row."""

    query_P: NDArray[np.int64]
    row_P: NDArray[np.int64]
    score_P: NDArray[np.float32]
    """Inner products."""

    @property
    def num_pairs(self) -> int:
        """How many pairs there are."""
        return len(self.query_P)


class FrameIndex:
    """The rows of one block, ready to be searched: on a GPU if faiss or torch sees one, else on the CPU."""

    def __init__(self, rows_ND: Vectors) -> None:
        """Index `rows_ND`, which is kept. Raises `EncoderError` if a row is not finite."""
        _check_finite(rows_ND, "indexed")
        self._rows_ND = rows_ND
        self._index = _faiss_index(rows_ND)

    def search_above(self, queries_QD: Vectors, min_score: float) -> IndexHits:
        """Find every pair whose score is at least `min_score`; nothing is cut off.

        Raises `EncoderError` if the queries have another dimension or are not finite.
        """
        if queries_QD.shape[1] != self._rows_ND.shape[1]:
            raise EncoderError(
                f"query vectors have {queries_QD.shape[1]} dimensions, the index has {self._rows_ND.shape[1]}"
            )
        _check_finite(queries_QD, "query")
        pairs = [np.empty((2, 0), dtype=np.int64)]
        if len(self._rows_ND):
            for start in range(0, len(queries_QD), _QUERY_BATCH):
                batch = np.asarray(queries_QD[start : start + _QUERY_BATCH], dtype=np.float32)
                query, row = self._nominate(batch, min_score - _ROUNDING)
                pairs.append(np.stack([query + start, row]))
        return self._scored(queries_QD, np.concatenate(pairs, axis=1), min_score)

    def _nominate(
        self, batch_QD: NDArray[np.float32], min_score: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Find all pairs above a loose threshold.

        The nearest 64 are asked for first; queries whose last neighbour still passes are asked again with
        1,024, and those that still overflow are compared with every row.
        """
        queries, rows = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        open_Q = np.arange(len(batch_QD))
        for num_neighbours in _NEIGHBOURS:
            k = min(num_neighbours, len(self._rows_ND))
            score_QK, row_QK = self._index.search(batch_QD[open_Q], k)
            overflows_Q = (score_QK[:, -1] >= min_score) & (k < len(self._rows_ND))
            query, column = np.nonzero((score_QK >= min_score) & ~overflows_Q[:, None])
            queries.append(open_Q[query])
            rows.append(row_QK[query, column])
            open_Q = open_Q[overflows_Q]
            if len(open_Q) == 0:
                return np.concatenate(queries), np.concatenate(rows)
        for start in range(0, len(self._rows_ND), _ROW_CHUNK):
            chunk = np.asarray(self._rows_ND[start : start + _ROW_CHUNK], dtype=np.float32)
            query, row = np.nonzero(batch_QD[open_Q] @ chunk.T >= min_score)
            queries.append(open_Q[query])
            rows.append(row + start)
        return np.concatenate(queries), np.concatenate(rows)

    def _scored(self, queries_QD: Vectors, pairs_2P: NDArray[np.int64], min_score: float) -> IndexHits:
        """Score nominated pairs in double precision, drop those below `min_score`, and sort the rest."""
        query_P, row_P = pairs_2P[:, np.lexsort((pairs_2P[1], pairs_2P[0]))]
        score_P = np.empty(len(query_P), dtype=np.float32)
        for start in range(0, len(query_P), _PAIR_CHUNK):
            part = slice(start, start + _PAIR_CHUNK)
            near = queries_QD[query_P[part]].astype(np.float64)
            far = self._rows_ND[row_P[part]].astype(np.float64)
            score_P[part] = np.einsum("pd,pd->p", near, far)
        passes = score_P >= min_score
        return IndexHits(query_P[passes], row_P[passes], score_P[passes])


def _check_finite(vectors: Vectors, whose: str) -> None:
    for start in range(0, len(vectors), _ROW_CHUNK):
        if not np.isfinite(vectors[start : start + _ROW_CHUNK]).all():
            raise EncoderError(
                f"{whose} vectors are not finite: such a row would be like nothing and hide a copy"
            )


def _faiss_index(rows_ND: Vectors) -> Any:
    """Build a flat index on the GPU, or on the CPU if there is none or it fails, and log which it is."""
    import faiss

    try:
        index = _gpu_index(rows_ND) if faiss.get_num_gpus() > 0 else _torch_index(rows_ND)
    except RuntimeError as exc:
        _logger.warning("vector search falls back to the CPU, the GPU failed: %s", exc)
    else:
        if index is not None:
            _logger.info("vector search runs on GPU 0")
            return index
        _logger.info("vector search runs on the CPU: faiss sees no GPU")
    index = faiss.IndexFlatIP(rows_ND.shape[1])
    index.add(np.ascontiguousarray(rows_ND, dtype=np.float32))
    return index


def _torch_index(rows_ND: Vectors) -> TorchFlat | None:
    """Return an index in torch if faiss is built without GPUs and torch has one, as on Arm servers."""
    import faiss

    if "GPU" in faiss.get_compile_options():
        return None
    import torch

    return TorchFlat(rows_ND, torch.device("cuda", 0)) if torch.cuda.is_available() else None


def _gpu_index(rows_ND: Vectors) -> Any:
    import faiss

    resources = faiss.StandardGpuResources()
    config = faiss.GpuIndexFlatConfig()
    config.device = 0
    config.useFloat16 = rows_ND.dtype == np.float16
    index = faiss.GpuIndexFlatIP(resources, rows_ND.shape[1], config)
    index.add(np.ascontiguousarray(rows_ND, dtype=np.float32))
    return index
