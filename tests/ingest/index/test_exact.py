from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ingest.errors import EncoderError
from ingest.index.exact import FrameIndex, IndexHits
from ingest.index.torch_flat import TorchFlat

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _unit_rows(seed: int, num_rows: int, dim: int = 32, *, spread: float = 1.0) -> NDArray[np.float16]:
    """Draw unit rows; a `spread` below 1 crowds them around one direction, the same for every seed."""
    rows_ND = spread * np.random.default_rng(seed).normal(size=(num_rows, dim)) + float(spread < 1)
    return np.asarray(rows_ND / np.linalg.norm(rows_ND, axis=1, keepdims=True), dtype=np.float16)


def _expected(queries_QD: NDArray[np.float16], rows_ND: NDArray[np.float16], threshold: float) -> IndexHits:
    """Compare everything with everything in double precision."""
    scores_QN = (queries_QD.astype(np.float64) @ rows_ND.astype(np.float64).T).astype(np.float32)
    query_P, row_P = np.nonzero(scores_QN >= threshold)
    return IndexHits(query_P, row_P, scores_QN[query_P, row_P])


def _assert_equal(found: IndexHits, expected: IndexHits) -> None:
    """Equal to the bit, and in the same order."""
    for part in ("query_P", "row_P", "score_P"):
        np.testing.assert_array_equal(getattr(found, part), getattr(expected, part), strict=True)


@pytest.mark.parametrize(
    ("num_rows", "spread"),
    [
        pytest.param(300, 1.0, id="few_hits_are_within_the_first_neighbours"),
        pytest.param(900, 0.05, id="every_row_is_a_hit_and_fits_the_second_round"),
        pytest.param(2500, 0.05, id="every_row_is_a_hit_and_only_a_range_search_finds_all"),
        pytest.param(40, 0.05, id="fewer_rows_than_neighbours"),
    ],
)
def test_every_pair_at_or_above_the_threshold_is_found(num_rows: int, spread: float) -> None:
    rows_ND, queries_QD = _unit_rows(1, num_rows, spread=spread), _unit_rows(2, 70, spread=spread)
    queries_QD[60:] = rows_ND[:10]
    expected = _expected(queries_QD, rows_ND, 0.4)
    assert expected.num_pairs >= (10 if spread == 1 else 70 * num_rows)
    _assert_equal(FrameIndex(rows_ND).search_above(queries_QD, 0.4), expected)


def test_rounds_are_mixed_within_one_batch() -> None:
    crowd_ND, loners_ND = _unit_rows(3, 1500, spread=0.02), _unit_rows(4, 500)
    rows_ND = np.concatenate([loners_ND, crowd_ND])[np.random.default_rng(5).permutation(2000)]
    queries_QD = np.concatenate([loners_ND[:5], crowd_ND[:5], loners_ND[5:10]])
    expected = _expected(queries_QD, rows_ND, 0.9)
    counts_Q = np.bincount(expected.query_P, minlength=15)
    assert counts_Q.min() < 64
    assert counts_Q.max() > 1024
    _assert_equal(FrameIndex(rows_ND).search_above(queries_QD, 0.9), expected)


def test_more_queries_than_one_batch_keep_their_numbers() -> None:
    rows_ND = _unit_rows(6, 200, dim=16)
    queries_QD = np.tile(rows_ND, (11, 1))
    _assert_equal(FrameIndex(rows_ND).search_above(queries_QD, 0.8), _expected(queries_QD, rows_ND, 0.8))


def test_a_pair_exactly_at_the_threshold_is_found() -> None:
    rows_ND = np.array([[1, 0], [0, 1]], dtype=np.float16)
    query_QD = np.array([[0.5, 0.25]], dtype=np.float16)
    index = FrameIndex(rows_ND)
    assert index.search_above(query_QD, 0.5).row_P.tolist() == [0]
    assert index.search_above(query_QD, 0.25).row_P.tolist() == [0, 1]
    assert index.search_above(query_QD, np.nextafter(0.5, 1, dtype=np.float32)).num_pairs == 0


def test_a_score_does_not_depend_on_the_other_queries() -> None:
    rows_ND, queries_QD = _unit_rows(7, 500, dim=64), _unit_rows(8, 100, dim=64)
    index = FrameIndex(rows_ND)
    together = index.search_above(queries_QD, 0.2)
    alone = index.search_above(queries_QD[31:32], 0.2)
    np.testing.assert_array_equal(together.score_P[together.query_P == 31], alone.score_P)


def test_single_precision_is_searched_too() -> None:
    rows_ND, queries_QD = _unit_rows(9, 300).astype(np.float32), _unit_rows(10, 20).astype(np.float32)
    hits = FrameIndex(rows_ND).search_above(queries_QD, 0.3)
    query_P, row_P = np.nonzero(queries_QD @ rows_ND.T >= 0.3)
    assert (hits.query_P.tolist(), hits.row_P.tolist()) == (query_P.tolist(), row_P.tolist())


@pytest.mark.parametrize(("num_queries", "num_rows"), [(0, 5), (5, 0), (0, 0)])
def test_nothing_compared_gives_no_pairs(num_queries: int, num_rows: int) -> None:
    hits = FrameIndex(_unit_rows(1, num_rows)).search_above(_unit_rows(2, num_queries), -1.0)
    _assert_equal(hits, IndexHits(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)))


def test_vectors_of_another_dimension_are_refused() -> None:
    with pytest.raises(EncoderError, match="16 dimensions, the index has 32"):
        FrameIndex(_unit_rows(1, 5)).search_above(_unit_rows(2, 5, dim=16), 0.5)


def test_vectors_that_are_not_numbers_are_refused() -> None:
    """Such a row is alike to nothing, so it would hide a copy."""
    rows_ND = _unit_rows(1, 5)
    damaged_ND = rows_ND.copy()
    damaged_ND[3, 7] = np.nan
    with pytest.raises(EncoderError, match="indexed vectors are not finite"):
        FrameIndex(damaged_ND)
    with pytest.raises(EncoderError, match="query vectors are not finite"):
        FrameIndex(rows_ND).search_above(damaged_ND, 0.5)


def test_a_gpu_that_fails_is_reported_and_replaced_by_the_cpu(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def _fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("faiss.get_num_gpus", lambda: 1)
    monkeypatch.setattr("faiss.StandardGpuResources", _fail)
    rows_ND = _unit_rows(1, 50)
    with caplog.at_level(logging.WARNING, logger="ingest.index.exact"):
        hits = FrameIndex(rows_ND).search_above(rows_ND, 0.999)
    assert "out of memory" in caplog.text
    assert hits.row_P.tolist() == list(range(50))


@pytest.mark.parametrize("num_neighbours", [3, 64])
def test_torch_finds_the_same_neighbours_across_its_chunks(
    monkeypatch: pytest.MonkeyPatch, num_neighbours: int
) -> None:
    import torch

    monkeypatch.setattr("ingest.index.torch_flat._CHUNK_ROWS", 40)
    rows_ND, queries_QD = _unit_rows(1, 130).astype(np.float32), _unit_rows(2, 9).astype(np.float32)
    score_QK, row_QK = TorchFlat(rows_ND, torch.device("cpu")).search(queries_QD, num_neighbours)
    scores_QN = queries_QD @ rows_ND.T
    np.testing.assert_array_equal(row_QK, np.argsort(-scores_QN, axis=1)[:, :num_neighbours])
    np.testing.assert_allclose(score_QK, np.take_along_axis(scores_QN, row_QK, 1), atol=1e-6)


def test_torch_serves_where_faiss_is_built_without_gpus(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    cpu = torch.device("cpu")
    monkeypatch.setattr("faiss.get_num_gpus", lambda: 0)
    monkeypatch.setattr("faiss.get_compile_options", lambda: "OPTIMIZE NEON")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.device", lambda *_: cpu)
    rows_ND, queries_QD = _unit_rows(3, 700, spread=0.05), _unit_rows(4, 20, spread=0.05)
    with caplog.at_level(logging.INFO, logger="ingest.index.exact"):
        found = FrameIndex(rows_ND).search_above(queries_QD, 0.4)
    assert "on GPU 0" in caplog.text
    _assert_equal(found, _expected(queries_QD, rows_ND, 0.4))


@pytest.mark.gpu
@pytest.mark.parametrize("is_single", [False, True])
def test_gpu_and_cpu_find_the_same_pairs_with_the_same_scores(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, is_single: bool
) -> None:
    crowd_ND, loners_ND = _unit_rows(3, 1500, 512, spread=0.02), _unit_rows(4, 5000, 512)
    halves_ND = np.concatenate([crowd_ND, loners_ND])
    rows_ND = halves_ND.astype(np.float32) if is_single else halves_ND
    queries_QD = rows_ND[1400:3000:2]
    with caplog.at_level(logging.INFO, logger="ingest.index.exact"):
        on_gpu = FrameIndex(rows_ND).search_above(queries_QD, 0.1)
    assert "on GPU 0" in caplog.text
    monkeypatch.setattr("faiss.get_num_gpus", lambda: 0)
    _assert_equal(on_gpu, FrameIndex(rows_ND).search_above(queries_QD, 0.1))
