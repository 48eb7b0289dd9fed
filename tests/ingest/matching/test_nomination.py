"""Nomination: an index must lead to the hits that comparing everything leads to."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from db import queries
from db.project import Project
from governance.bootstrap import bootstrap
from ingest.encoders.encoder import EncoderIdentity
from ingest.encoders.normalization import Normalization, fit_normalization
from ingest.errors import EncoderError
from ingest.index.identity import IndexIdentity
from ingest.index.kind import IndexKind
from ingest.index.rows import IndexRows
from ingest.index.shards import build_index, remove_assets
from ingest.matching import nomination
from ingest.matching.alignment import PairHits
from ingest.matching.detectors import detector_for
from ingest.matching.matches import find_matches
from ingest.matching.nomination import (
    ExactNominator,
    IndexNominator,
    LibraryIndex,
    Nominator,
    ViewPair,
    estimated_rows,
    index_folder,
    index_of,
    index_statement,
    nominator_for,
    normalization_path,
)
from ingest.pictures.vectors import FrameVectors, VectorStore
from ingest.pictures.views import WHOLE
from tests.library import ColourEncoder, take_footage
from tests.media import moving_scene, write_video

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DIM = 16
_ROWS = 60
_NUM_ASSETS = 24
_IDENTITY = EncoderIdentity(name="scenes", weights_sha256="0" * 64, preprocessing="none", dim=_DIM)
_FLAT = IndexKind(name="flat-fp16")
_LISTS = IndexKind(name="ivf-sq8", num_lists=16)
_Found = dict[ViewPair, PairHits]


def _asset(number: int) -> str:
    return f"{number:064x}"


def _vectors(number: int) -> FrameVectors:
    """Draw rows of two views; every third asset shows ten rows of the one three before it, and a still run."""
    random = np.random.default_rng(number)
    vectors_ND = random.normal(size=(_ROWS, _DIM))
    if number >= 3 and number % 3 == 0:
        earlier_ND = np.random.default_rng(number - 3).normal(size=(_ROWS, _DIM))
        vectors_ND[5:15] = earlier_ND[20:30] + 0.1 * random.normal(size=(10, _DIM))
    vectors_ND /= np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    seconds_N = np.tile(np.arange(_ROWS // 2) / 2, 2)
    end_seconds_N = seconds_N.copy()
    end_seconds_N[8] += 0.49
    return FrameVectors(
        boxes=(WHOLE, WHOLE),
        view_N=np.repeat(np.array([0, 1], dtype=np.int16), _ROWS // 2),
        pts_N=np.arange(_ROWS, dtype=np.int64),
        seconds_N=seconds_N,
        end_seconds_N=end_seconds_N,
        is_textured_N=np.arange(_ROWS) % 10 != 9,
        vectors_ND=vectors_ND.astype(np.float16),
        pdq_N32=np.zeros((_ROWS, 32), np.uint8),
        pdq_mirrored_N32=np.zeros((_ROWS, 32), np.uint8),
        pdq_quality_N=np.zeros(_ROWS, np.int16),
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return bootstrap(tmp_path / "project").project


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vectors of all assets, written once; tests take copies."""
    folder = tmp_path_factory.mktemp("written") / "vectors"
    for number in range(_NUM_ASSETS):
        VectorStore(folder).write(_asset(number), _IDENTITY, _vectors(number))
    return folder


@pytest.fixture
def store(project: Project, written: Path) -> VectorStore:
    shutil.copytree(written, project.vectors, dirs_exist_ok=True)
    return VectorStore(project.vectors)


_ALL = [_asset(number) for number in range(_NUM_ASSETS)]


def _build(
    store: VectorStore, index: LibraryIndex, assets: Sequence[str], kind: IndexKind = _FLAT
) -> LibraryIndex:
    def _rows_of(wanted: Sequence[str]) -> Iterator[IndexRows]:
        for block in store.blocks(wanted, _IDENTITY, max_rows=200):
            yield IndexRows(
                assets=block.assets,
                asset_N=block.asset_N,
                view_N=block.view_N.astype(np.int64),
                seconds_N=block.seconds_N,
                vectors_ND=block.vectors_ND,
            )

    build_index(index.folder, index.identity, assets, _rows_of, num_rows=1500, kind=kind, rows_per_shard=600)
    return index


def _normalization(*, beta: float = 0.0) -> Normalization:
    random = np.random.default_rng(99)
    background_ND = random.normal(size=(400, _DIM)) * np.linspace(1.5, 0.7, _DIM)
    background_ND /= np.linalg.norm(background_ND, axis=1, keepdims=True)
    return fit_normalization(background_ND, _IDENTITY, dim=8, beta=beta)


def _found(
    store: VectorStore, nominator: Nominator, *, min_similarity: float = 0.6, asked: Sequence[str] = _ALL
) -> _Found:
    found: _Found = {}
    for batch in store.blocks(asked, _IDENTITY, max_rows=1000):
        for pair, hits in nominator.nominate(batch, min_similarity=min_similarity, period_seconds=0.5):
            assert pair not in found
            assert pair.query_sha256 != pair.other_sha256
            found[pair] = hits
    return found


def _assert_same(found: _Found, expected: _Found) -> None:
    assert found.keys() == expected.keys()
    for pair, hits in found.items():
        for name in ("query_seconds_H", "other_seconds_H", "similarity_H"):
            np.testing.assert_array_equal(getattr(hits, name), getattr(expected[pair], name), strict=True)


@pytest.mark.parametrize("min_similarity", [0.9, 0.6, -1.0])
def test_an_exact_index_finds_what_comparing_everything_finds(
    project: Project, store: VectorStore, min_similarity: float
) -> None:
    index = _build(store, index_of(project, _IDENTITY), _ALL)
    asked = [_ALL[3], _ALL[6]]
    expected = _found(
        store, ExactNominator(store, _IDENTITY, _ALL), min_similarity=min_similarity, asked=asked
    )
    assert len(expected) > 0
    nominator = IndexNominator(store, _IDENTITY, index, _ALL)
    assert nominator.num_beyond_index == 0
    _assert_same(_found(store, nominator, min_similarity=min_similarity, asked=asked), expected)


def test_little_memory_changes_nothing(
    project: Project, store: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = _build(store, index_of(project, _IDENTITY), _ALL)
    expected = _found(store, ExactNominator(store, _IDENTITY, _ALL), asked=_ALL[3:7:3])
    for name, value in (("_CACHED_ROWS", 70), ("_QUERY_ROWS", 17), ("_PILE_PAIRS", 30), ("_SCORED_PAIRS", 3)):
        monkeypatch.setattr(nomination, name, value)
    nominator = IndexNominator(store, _IDENTITY, index, _ALL)
    _assert_same(_found(store, nominator, asked=_ALL[3:7:3]), expected)
    assert nominator._rows._num_rows <= 70
    assert list(nominator._rows._blocks)  # or the cache would hold nothing at all


def test_a_compressed_index_misses_some_and_invents_nothing(project: Project, store: VectorStore) -> None:
    index = _build(store, index_of(project, _IDENTITY), _ALL, _LISTS)
    expected = _found(store, ExactNominator(store, _IDENTITY, _ALL))
    found = _found(store, IndexNominator(store, _IDENTITY, index, _ALL))
    known = {
        (pair, *hit)
        for pair, hits in expected.items()
        for hit in zip(hits.query_seconds_H, hits.other_seconds_H, hits.similarity_H, strict=True)
    }
    seen = {
        (pair, *hit)
        for pair, hits in found.items()
        for hit in zip(hits.query_seconds_H, hits.other_seconds_H, hits.similarity_H, strict=True)
    }
    assert seen <= known
    assert len(seen) > 0.8 * len(known)


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_through_a_normalisation_a_query_is_widened_until_the_rest_is_unlike(
    project: Project, store: VectorStore, monkeypatch: pytest.MonkeyPatch, beta: float
) -> None:
    """Scores of transformed vectors say nothing about the detector's threshold, and a fixed number cuts copies off."""
    _normalization(beta=beta).save(normalization_path(project, _IDENTITY))
    index = _build(store, index_of(project, _IDENTITY), _ALL)
    expected = _found(store, ExactNominator(store, _IDENTITY, _ALL), min_similarity=0.0, asked=_ALL[3:4])
    monkeypatch.setattr(nomination, "NOMINATIONS", 8)
    found = _found(store, IndexNominator(store, _IDENTITY, index, _ALL), min_similarity=0.0, asked=_ALL[3:4])
    assert set(found) <= set(expected)
    # Half of all rows are hits; those that are left out lie behind hundreds that are unlike.
    num_hits, num_expected = (
        sum(len(hits.similarity_H) for hits in some.values()) for some in (found, expected)
    )
    assert num_hits > 0.95 * num_expected


def test_queries_that_are_like_too_much_are_reported(
    project: Project, store: VectorStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _normalization().save(normalization_path(project, _IDENTITY))
    index = _build(store, index_of(project, _IDENTITY), _ALL)
    monkeypatch.setattr(nomination, "NOMINATIONS", 8)
    monkeypatch.setattr(nomination, "_MOST_NOMINATIONS", 32)
    _found(store, IndexNominator(store, _IDENTITY, index, _ALL), min_similarity=-1.0, asked=_ALL[:1])
    assert "54 query rows are like more than the 32 nearest rows" in caplog.text


def test_what_came_after_the_index_is_compared_exactly(project: Project, store: VectorStore) -> None:
    index = _build(store, index_of(project, _IDENTITY), _ALL[:9])
    nominator = IndexNominator(store, _IDENTITY, index, _ALL)
    assert nominator.num_beyond_index == _NUM_ASSETS - 9
    _assert_same(_found(store, nominator), _found(store, ExactNominator(store, _IDENTITY, _ALL)))


def test_what_is_not_asked_for_is_neither_read_nor_returned(project: Project, store: VectorStore) -> None:
    """An asset that was removed may have no vectors any more."""
    index = _build(store, index_of(project, _IDENTITY), _ALL)
    store.path(_ALL[6], _IDENTITY).unlink()
    rest = [asset for asset in _ALL if asset != _ALL[6]]
    nominator = IndexNominator(store, _IDENTITY, index, rest)
    expected = _found(store, ExactNominator(store, _IDENTITY, rest), asked=rest)
    _assert_same(_found(store, nominator, asked=rest), expected)

    remove_assets(index.folder, [_ALL[9]])
    fewer = [asset for asset in rest if asset != _ALL[9]]
    nominator = IndexNominator(store, _IDENTITY, index, fewer)
    assert not any(pair.other_sha256 == _ALL[9] for pair in _found(store, nominator, asked=rest))


def test_an_index_of_another_encoder_or_transform_is_refused(project: Project, store: VectorStore) -> None:
    index = _build(store, index_of(project, _IDENTITY), _ALL)
    stranger = LibraryIndex(folder=index.folder, identity=IndexIdentity(encoder_digest="f" * 64))
    with pytest.raises(EncoderError, match="is of encoder"):
        IndexNominator(store, _IDENTITY, stranger, _ALL)
    _normalization().save(normalization_path(project, _IDENTITY))
    with pytest.raises(EncoderError, match="is of transform"):
        IndexNominator(store, _IDENTITY, index_of(project, _IDENTITY), _ALL)


def test_rows_cut_by_other_rules_are_another_index(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    before = index_of(project, _IDENTITY).identity
    monkeypatch.setattr("ingest.pictures.vectors.VIEW_RULES", "other")
    assert index_of(project, _IDENTITY).identity != before


def test_an_asset_that_was_embedded_anew_is_an_error(project: Project, store: VectorStore) -> None:
    index = _build(store, index_of(project, _IDENTITY), _ALL)
    vectors = _vectors(6)
    store.write(
        _ALL[6],
        _IDENTITY,
        dataclasses.replace(
            vectors, seconds_N=vectors.seconds_N + 0.1, end_seconds_N=vectors.end_seconds_N + 0.1
        ),
    )
    with pytest.raises(EncoderError, match="embedded anew") as caught:
        _found(store, IndexNominator(store, _IDENTITY, index, _ALL))
    assert "cleartitle index drop" in str(caught.value.hint)


def test_the_index_is_used_where_there_is_one_that_fits(
    project: Project, store: VectorStore, caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(nominator_for(project, _IDENTITY, _ALL), ExactNominator)
    _build(store, index_of(project, _IDENTITY), _ALL[:9])
    with caplog.at_level(logging.INFO):
        assert isinstance(nominator_for(project, _IDENTITY, _ALL), IndexNominator)
    assert "15 assets are not in the index" in caplog.text

    _normalization().save(normalization_path(project, _IDENTITY))
    caplog.clear()
    assert isinstance(nominator_for(project, _IDENTITY, _ALL), ExactNominator)
    assert "the index cannot be used" in caplog.text
    assert index_statement(project, _IDENTITY) is None


def test_a_large_library_without_an_index_is_told(
    project: Project, store: VectorStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    nominator_for(project, _IDENTITY, _ALL)
    assert caplog.text == ""
    monkeypatch.setattr(nomination, "EXACT_ROWS", 1000)
    assert isinstance(nominator_for(project, _IDENTITY, _ALL), ExactNominator)
    assert "`cleartitle index build` would make it faster" in caplog.text


def test_rows_are_estimated_by_the_sizes_of_files(store: VectorStore) -> None:
    num_rows = _NUM_ASSETS * _ROWS
    assert estimated_rows(store, _IDENTITY, [*_ALL, "f" * 64]) == pytest.approx(num_rows, rel=0.35)


def test_what_an_index_misses_is_stated(project: Project, store: VectorStore) -> None:
    assert index_statement(project, _IDENTITY) is None
    index = index_of(project, _IDENTITY)
    _build(store, index, _ALL)
    assert index_statement(project, _IDENTITY) is None
    manifest = _build(store, index, _ALL, _LISTS).manifest()
    assert manifest.recall is not None
    share = int(100 * manifest.recall.recall_nominated)
    assert index_statement(project, _IDENTITY) == (
        f"nominated by an approximate index: finds {share} % of the true 64 nearest (measured on 128 rows)"
    )
    (index_folder(project, _IDENTITY) / "held.npy").unlink()
    assert index_statement(project, _IDENTITY) is None
    assert isinstance(nominator_for(project, _IDENTITY, _ALL), ExactNominator)


def test_an_index_of_fewer_dimensions_says_so(project: Project, store: VectorStore) -> None:
    _normalization().save(normalization_path(project, _IDENTITY))
    _build(store, index_of(project, _IDENTITY), _ALL)
    assert "reduced from 16 to 8 dimensions" in str(index_statement(project, _IDENTITY))


def test_matches_are_the_same_with_and_without_an_index(project: Project, tmp_path: Path) -> None:
    """A library of two films, of which one has a stretch of the other."""

    def _scene(seed: int) -> list[NDArray[np.uint8]]:
        return list(moving_scene(seed, 48, 96, 128))

    write_video(tmp_path / "a.mp4", [*_scene(1), *_scene(2)], rate=12)
    write_video(tmp_path / "b.mp4", [*_scene(3), *_scene(1)[6:]], rate=12, options={"crf": "30"})
    take_footage(project, tmp_path / "a.mp4", tmp_path / "b.mp4")
    identity, store = ColourEncoder.identity, VectorStore(project.vectors)
    detector = dataclasses.replace(detector_for(identity, project.calibrations), min_similarity=0.999)
    with project.session() as session:
        assets = list(queries.embedded_assets(session, identity.digest))
    exact = list(find_matches(store, identity, assets, assets, detector))
    assert [{span.query_sha256, span.other_sha256} for span in exact] == [set(assets)]

    def _rows_of(wanted: Sequence[str]) -> Iterator[IndexRows]:
        for block in store.blocks(wanted, identity):
            view_N = block.view_N.astype(np.int64)
            yield IndexRows(
                assets=block.assets,
                asset_N=block.asset_N,
                view_N=view_N,
                seconds_N=block.seconds_N,
                vectors_ND=block.vectors_ND,
            )

    index = index_of(project, identity)
    build_index(index.folder, index.identity, assets, _rows_of, num_rows=50)
    nominator = nominator_for(project, identity, assets)
    assert isinstance(nominator, IndexNominator)
    assert list(find_matches(store, identity, assets, nominator, detector)) == exact
