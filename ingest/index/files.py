"""Index files of faiss: trained once, filled, merged, memory-mapped and searched.

Beside `ingest.index.exact` the only module that imports faiss. A file holds one shard; row r of the shard has the id r.
Scores are inner products, exact in half precision for a flat file and approximate for a compressed one. Rows of
compressed files are turned at random first: a quantizer that cuts a vector into equal parts wants the variance spread
evenly, and after a principal component analysis it is not.

Shapes: Q queries, K neighbours, N rows, D dimensions.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from db.errors import UndecidedError
from ingest.errors import EncoderError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.index.kind import IndexKind

_logger = logging.getLogger(__name__)

_SUB_QUANTIZERS = 64
_BITS = 8
_ROTATION_SEED = 1
_BLOCK_ROWS = 65_536
_GPU_NEIGHBOURS = 2048
"""More a GPU does not give (faiss wiki, "Faiss on the GPU")."""


def train_file(path: Path, kind: IndexKind, sample_ND: NDArray[np.float32]) -> None:
    """Write an empty index of `kind`, trained on `sample_ND`, which every shard is then made of.

    Raises `EncoderError` if the sample is too small for the kind.
    """
    import faiss

    num_rows, dim = sample_ND.shape
    if num_rows < kind.min_training_rows:
        raise EncoderError(
            f"an index with {kind.num_lists} lists needs {kind.min_training_rows} rows to train, not {num_rows}",
            hint="train with a larger sample, or choose an index with fewer lists",
        )
    if kind.is_exact:
        index: Any = faiss.IndexScalarQuantizer(
            dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
    else:
        index = _rotated(kind, dim)
        index.train(np.ascontiguousarray(sample_ND[: kind.training_rows]))
    _write(index, path)


def _rotated(kind: IndexKind, dim: int) -> Any:
    import faiss

    # The number of dimensions a product quantizer takes is a multiple of its parts; the rotation adds what is missing.
    inner_dim = -(-dim // _SUB_QUANTIZERS) * _SUB_QUANTIZERS if kind.name == "ivf-pq" else dim
    rotation = faiss.RandomRotationMatrix(dim, inner_dim)
    rotation.init(_ROTATION_SEED)
    metric = faiss.METRIC_INNER_PRODUCT
    lists = faiss.IndexFlatIP(inner_dim)
    ivf: faiss.IndexIVF
    match kind.name:
        case "ivf-sq8":
            scalar = faiss.ScalarQuantizer.QT_8bit
            ivf = faiss.IndexIVFScalarQuantizer(lists, inner_dim, kind.num_lists, scalar, metric)
        case "ivf-rabitq":
            ivf = faiss.IndexIVFRaBitQ(lists, inner_dim, kind.num_lists, metric)
        case _:
            ivf = faiss.IndexIVFPQ(lists, inner_dim, kind.num_lists, _SUB_QUANTIZERS, _BITS, metric)
    return faiss.IndexPreTransform(rotation, ivf)


def fill_file(path: Path, trained: Path, blocks: Iterable[NDArray[np.float32]]) -> None:
    """Write a copy of the index in `trained` that holds the rows of `blocks`, numbered from 0 in their order."""

    index = _read(trained)
    for block_ND in blocks:
        index.add(np.ascontiguousarray(block_ND, dtype=np.float32))
    _write(index, path)


def merge_files(path: Path, trained: Path, parts: Sequence[tuple[Path, NDArray[np.bool_]]]) -> None:
    """Write an index of the rows of several files, without those whose mask is false, numbered anew in that order.

    Codes are copied as they are; the vectors are not needed.
    """
    import faiss

    merged = _read(trained)
    sources = [(_read(part, faiss.IO_FLAG_READ_ONLY), keep_N) for part, keep_N in parts]
    ivf = faiss.try_extract_index_ivf(merged)
    if ivf is None:
        _append_rows(merged, sources)
    else:
        _append_lists(merged, ivf, sources)
    _write(merged, path)


def _append_rows(merged: Any, sources: Sequence[tuple[Any, NDArray[np.bool_]]]) -> None:
    for source, keep_N in sources:
        for start in range(0, len(keep_N), _BLOCK_ROWS):
            keep = keep_N[start : start + _BLOCK_ROWS]
            # Half precision to single and back loses nothing.
            merged.add(source.reconstruct_n(start, len(keep))[keep])


def _append_lists(merged: Any, ivf: Any, sources: Sequence[tuple[Any, NDArray[np.bool_]]]) -> None:
    import faiss

    base = 0
    for source, keep_N in sources:
        number_N = np.cumsum(keep_N, dtype=np.int64) - 1 + base
        lists: Any = faiss.extract_index_ivf(source).invlists
        for list_no in range(ivf.nlist):
            size = lists.list_size(list_no)
            if size == 0:
                continue
            ids = faiss.rev_swig_ptr(lists.get_ids(list_no), size)
            codes = faiss.rev_swig_ptr(lists.get_codes(list_no), size * ivf.code_size).reshape(size, -1)
            keep = keep_N[ids]
            kept_ids = np.ascontiguousarray(number_N[ids[keep]])
            kept_codes = np.ascontiguousarray(codes[keep])
            if len(kept_ids):
                ivf.invlists.add_entries(
                    list_no, len(kept_ids), faiss.swig_ptr(kept_ids), faiss.swig_ptr(kept_codes)
                )
        base += int(keep_N.sum())
    ivf.ntotal = merged.ntotal = base


class IndexFile:
    """One file, opened for search. Its rows stay on the disk until they are needed, unless a GPU holds a copy."""

    def __init__(self, path: Path, kind: IndexKind, *, live_N: NDArray[np.bool_] | None = None) -> None:
        """Open `path`; rows where `live_N` is false are never found. Raises `EncoderError` if it cannot be read."""
        import faiss

        self._kind = kind
        # A flat file is mapped by its own reader, inverted lists by theirs.
        flag = faiss.IO_FLAG_MMAP_IFC if kind.is_exact else faiss.IO_FLAG_MMAP
        self._index = _read(path, flag | faiss.IO_FLAG_READ_ONLY)
        self._selector: Any = None
        if live_N is not None and not live_N.all():
            engine: Any = faiss  # its annotations are those of C++ and know no Python arguments
            self._selector = engine.IDSelectorBitmap(np.packbits(live_N, bitorder="little"))
        # GPU indexes know no selectors: a shard with removed rows is searched on the CPU until it is merged.
        self._gpu_index = None if self._selector is not None else _on_gpu(path, self._index, kind)

    @property
    def num_rows(self) -> int:
        """How many rows the file holds, removed ones included."""
        return int(self._index.ntotal)

    def search(
        self, queries_QD: NDArray[np.float32], num_neighbours: int, num_probes: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return scores and rows QK of the nearest rows in `num_probes` lists, best first, filled up with row -1."""
        if self._gpu_index is not None and max(num_neighbours, num_probes) <= _GPU_NEIGHBOURS:
            index, parameters = self._gpu_index, self._parameters(num_probes, is_gpu=True)
        else:
            index, parameters = self._index, self._parameters(num_probes)
        queries = np.ascontiguousarray(queries_QD, dtype=np.float32)
        score_QK, row_QK = index.search(queries, num_neighbours, params=parameters)
        return score_QK, row_QK

    def search_above(
        self, query_D: NDArray[np.float32], limit: float, num_probes: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return score and row of everything above `limit` in `num_probes` lists; always on the CPU."""
        query = np.ascontiguousarray(query_D[None], dtype=np.float32)
        _, scores, rows = self._index.range_search(query, limit, params=self._parameters(num_probes))
        return scores, rows

    def _parameters(self, num_probes: int, *, is_gpu: bool = False) -> Any:
        import faiss

        engine: Any = faiss
        choice = {} if is_gpu or self._selector is None else {"sel": self._selector}
        if self._kind.is_exact:
            return engine.SearchParameters(**choice) if choice else None
        inner = engine.SearchParametersIVF(nprobe=num_probes, **choice)
        return engine.SearchParametersPreTransform(index_params=inner)


def _read(path: Path, flags: int = 0) -> Any:
    import faiss

    try:
        return faiss.read_index(str(path), flags)
    except RuntimeError as exc:
        raise EncoderError(
            f"{path}: cannot be read as an index: {str(exc).splitlines()[0]}",
            hint="build the index again; it is made of the stored vectors, which are not touched",
        ) from exc


def _write(index: Any, path: Path) -> None:
    import faiss

    try:
        faiss.write_index(index, str(path))
    except RuntimeError as exc:
        raise UndecidedError(
            f"{path}: the index cannot be written: {str(exc).splitlines()[0]}",
            hint="see that the disk has room, and run the command again",
        ) from exc


def _on_gpu(path: Path, index: Any, kind: IndexKind) -> Any:
    """Return a copy on the first GPU, or nothing if there is none, it fails, or the kind has no GPU form."""
    import faiss

    if faiss.get_num_gpus() == 0 or kind.name == "ivf-rabitq" or index.ntotal == 0:
        return None
    try:
        resources = faiss.StandardGpuResources()
        if kind.is_exact:
            copy = _flat_on_gpu(resources, index)
        else:
            options = faiss.GpuClonerOptions()
            options.useFloat16 = True
            copy = faiss.index_cpu_to_gpu(resources, 0, _read(path), options)
    except RuntimeError as exc:
        _logger.warning("index %s is searched on the CPU, the GPU failed: %s", path, exc)
        return None
    _logger.info("index %s is searched on GPU 0", path)
    return copy


def _flat_on_gpu(resources: Any, index: Any) -> Any:
    import faiss

    config = faiss.GpuIndexFlatConfig()
    config.device = 0
    config.useFloat16 = True
    copy = faiss.GpuIndexFlatIP(resources, index.d, config)
    for start in range(0, index.ntotal, _BLOCK_ROWS):
        copy.add(index.reconstruct_n(start, min(_BLOCK_ROWS, index.ntotal - start)))
    return copy
