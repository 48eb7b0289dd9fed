from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from db.errors import UndecidedError
from ingest.errors import EncoderError
from ingest.index import shards
from ingest.index.files import IndexFile, fill_file
from ingest.index.identity import IndexIdentity
from ingest.index.kind import EXACT_ROWS, IndexKind, KindName, choose_kind, compressed_kind
from ingest.index.manifest import read_manifest, shard_folder
from ingest.index.recall import RecallPoint, choose_point
from ingest.index.rows import IndexRows
from ingest.index.sharded import Nominations, ShardedIndex
from ingest.index.shards import (
    add_shard,
    assets_of,
    build_index,
    merge_shards,
    remove_assets,
    remove_strays,
    train,
    verify_index,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DIM = 48
_ROWS_PER_ASSET = 100
_NUM_ASSETS = 120
_IDENTITY = IndexIdentity(encoder_digest="e" * 64)
_EXACT = IndexKind(name="flat-fp16")
_KINDS = [
    _EXACT,
    IndexKind(name="ivf-sq8", num_lists=16),
    IndexKind(name="ivf-rabitq", num_lists=16),
]


def _digest(number: int) -> str:
    return f"{number:064x}"


def _asset(number: int, dim: int = _DIM) -> IndexRows:
    """Draw an asset of ten scenes in runs of ten similar rows, in two views."""
    random = np.random.default_rng(number)
    scenes_SD = random.normal(size=(10, dim))
    vectors_ND = np.repeat(scenes_SD, _ROWS_PER_ASSET // 10, axis=0)
    vectors_ND += 0.5 * random.normal(size=vectors_ND.shape)
    vectors_ND /= np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    return IndexRows(
        assets=(_digest(number),),
        asset_N=np.zeros(_ROWS_PER_ASSET, np.int64),
        view_N=np.repeat([0, 3], _ROWS_PER_ASSET // 2),
        seconds_N=np.arange(_ROWS_PER_ASSET) / 3,
        vectors_ND=vectors_ND.astype(np.float16),
    )


def _assets(first: int, last: int) -> list[IndexRows]:
    return [_asset(number) for number in range(first, last)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[IndexKind, Path]:
    """Train one index of each kind; tests take copies."""
    sample = np.concatenate([rows.vectors_ND for rows in _assets(0, 20)])
    folders = {kind: tmp_path_factory.mktemp("trained") / kind.name for kind in _KINDS}
    for kind, folder in folders.items():
        train(folder, sample, _IDENTITY, num_rows=5000, kind=kind)
    return folders


@pytest.fixture(params=_KINDS, ids=lambda kind: kind.name)
def folder(request: pytest.FixtureRequest, trained: dict[IndexKind, Path], tmp_path: Path) -> Path:
    return _copy(trained[request.param], tmp_path / "index")


@pytest.fixture
def exact_folder(trained: dict[IndexKind, Path], tmp_path: Path) -> Path:
    return _copy(trained[_EXACT], tmp_path / "index")


def _copy(source: Path, target: Path) -> Path:
    for path in source.rglob("*"):
        if path.is_file():
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            (target / path.relative_to(source)).write_bytes(path.read_bytes())
    return target


def _found(hits: Nominations, query: int = 0) -> list[tuple[str, int, float]]:
    at = np.flatnonzero(hits.query_P == query)
    return [(hits.assets[hits.asset_P[p]], int(hits.view_P[p]), float(hits.seconds_P[p])) for p in at]


def _first(folder: Path, rows: IndexRows, row: int) -> tuple[str, int, float]:
    return _found(ShardedIndex(folder, _IDENTITY).search(rows.vectors_ND[row : row + 1]))[0]


def test_a_row_is_found_with_its_asset_view_and_seconds_in_every_shard(folder: Path) -> None:
    add_shard(folder, _assets(0, 20), _IDENTITY)
    add_shard(folder, _assets(20, 40), _IDENTITY)
    index = ShardedIndex(folder, _IDENTITY)
    queries = np.stack([_asset(7).vectors_ND[60], _asset(33).vectors_ND[12]])
    hits = index.search(queries, 30)
    assert _found(hits, 0)[0] == (_digest(7), 3, 20.0)
    assert _found(hits, 1)[0] == (_digest(33), 0, 4.0)
    assert np.bincount(hits.query_P).tolist() == [30, 30]
    for query in (0, 1):
        scores = hits.score_P[hits.query_P == query]
        assert (np.diff(scores) <= 0).all()


def test_an_exact_index_finds_what_comparing_everything_finds(exact_folder: Path) -> None:
    library = _assets(0, 40)
    add_shard(exact_folder, library[:15], _IDENTITY)
    add_shard(exact_folder, library[15:], _IDENTITY)
    rows_ND = np.concatenate([rows.vectors_ND for rows in library]).astype(np.float32)
    queries = rows_ND[5::400]
    scores_QN = queries @ rows_ND.T
    hits = ShardedIndex(exact_folder, _IDENTITY).search(queries, 20)
    for query, scores_N in enumerate(scores_QN):
        nearest = np.argsort(-scores_N)[:20]
        numbers = [(int(asset, 16), round(seconds * 3)) for asset, _, seconds in _found(hits, query)]
        assert {asset * _ROWS_PER_ASSET + row for asset, row in numbers} == set(nearest.tolist())
        np.testing.assert_allclose(hits.score_P[hits.query_P == query], scores_N[nearest], atol=1e-3)
    [point] = read_manifest(exact_folder).shards[1].recall
    assert point.recall_at_64 > 0.999


@pytest.mark.parametrize("min_score", [0.9, 0.3, -1.0], ids=["few", "more_than_64", "more_than_1024"])
def test_every_row_above_a_score_is_nominated(exact_folder: Path, min_score: float) -> None:
    library = _assets(0, 30)
    add_shard(exact_folder, library, _IDENTITY)
    rows_ND = np.concatenate([rows.vectors_ND for rows in library]).astype(np.float32)
    queries = rows_ND[[3, 777]]
    hits = ShardedIndex(exact_folder, _IDENTITY).search_above(queries, min_score)
    for query in (0, 1):
        wanted = np.flatnonzero(rows_ND @ queries[query] >= min_score + 1e-3)
        numbers = {int(a, 16) * _ROWS_PER_ASSET + round(s * 3) for a, _, s in _found(hits, query)}
        assert set(wanted.tolist()) <= numbers
        assert hits.score_P[hits.query_P == query].min() >= min_score - 5e-3


def test_compressed_search_above_a_score_reaches_beyond_a_thousand_rows(
    trained: dict[IndexKind, Path], tmp_path: Path
) -> None:
    folder = _copy(trained[_KINDS[1]], tmp_path / "index")
    add_shard(folder, _assets(0, 30), _IDENTITY)
    document = json.loads((folder / "manifest.json").read_bytes())
    for shard in document["shards"]:  # so that every list is read
        shard["recall"] = [shard["recall"][-1]]
    (folder / "manifest.json").write_text(json.dumps(document))
    hits = ShardedIndex(folder, _IDENTITY).search_above(_asset(3).vectors_ND[:1], -1.0)
    assert hits.num_pairs == 30 * _ROWS_PER_ASSET


def test_removed_assets_are_never_found_and_leave_with_the_next_merge(folder: Path) -> None:
    add_shard(folder, _assets(0, 12), _IDENTITY)
    add_shard(folder, _assets(12, 24), _IDENTITY)
    assert remove_assets(folder, [_digest(3), _digest(14), _digest(99)]) == 2
    assert remove_assets(folder, [_digest(3)]) == 0
    index = ShardedIndex(folder, _IDENTITY)
    for number in (3, 14):
        everything = index.search(_asset(number).vectors_ND[:40:10], 24 * _ROWS_PER_ASSET)
        assert everything.num_pairs > 0
        assert _digest(number) not in everything.assets
        above = index.search_above(_asset(number).vectors_ND[:40:10], -0.1)
        assert above.num_pairs > 0
        assert _digest(number) not in above.assets
    assert _digest(14) not in assets_of(folder)

    merged = merge_shards(folder)
    assert merged is not None
    assert (merged.num_rows, merged.num_assets, merged.removed) == (22 * _ROWS_PER_ASSET, 22, ())
    assert [path.name for path in shard_folder(folder, "").iterdir()] == [merged.name]
    assert merged.recall[-1].recall_nominated > 0.6
    verify_index(folder)
    for number in (2, 13, 23):
        assert _first(folder, _asset(number), 57) == (_digest(number), 3, 19.0)


def test_a_merged_index_answers_as_the_shards_did(folder: Path) -> None:
    for first in (0, 8, 16):
        add_shard(folder, _assets(first, first + 8), _IDENTITY)
    remove_assets(folder, [_digest(1), _digest(9)])
    queries = np.concatenate([_asset(number).vectors_ND[::50] for number in range(24)])
    before = ShardedIndex(folder, _IDENTITY).search(queries, 10)
    merge_shards(folder, ["0001", "0002"])
    manifest = read_manifest(folder)
    assert [shard.name for shard in manifest.shards] == ["0003", "0004"]
    after = ShardedIndex(folder, _IDENTITY).search(queries, 10)
    same = [set(_found(before, query)) == set(_found(after, query)) for query in range(len(queries))]
    assert np.mean(same) > 0.95


def test_an_asset_that_was_removed_can_be_added_again(exact_folder: Path) -> None:
    add_shard(exact_folder, _assets(0, 4), _IDENTITY)
    remove_assets(exact_folder, [_digest(2)])
    add_shard(exact_folder, _assets(2, 3), _IDENTITY)
    assert _first(exact_folder, _asset(2), 0) == (_digest(2), 0, 0.0)
    assert len(_found(ShardedIndex(exact_folder, _IDENTITY).search(_asset(2).vectors_ND[:1], 1000))) == 400


def test_merging_when_every_asset_was_removed_leaves_no_shard(folder: Path) -> None:
    add_shard(folder, _assets(0, 3), _IDENTITY)
    remove_assets(folder, [_digest(number) for number in range(3)])
    assert merge_shards(folder) is None
    assert read_manifest(folder).shards == ()
    assert ShardedIndex(folder, _IDENTITY).search(_asset(0).vectors_ND[:2]).num_pairs == 0


def test_an_empty_index_answers_nothing(folder: Path) -> None:
    index = ShardedIndex(folder, _IDENTITY)
    assert index.search(_asset(0).vectors_ND).num_pairs == 0
    assert index.search_above(_asset(0).vectors_ND, -1).num_pairs == 0
    assert index.manifest.recall is None
    assert assets_of(folder) == frozenset()


def test_recall_is_measured_against_exact_search_and_written_down(folder: Path) -> None:
    entry = add_shard(folder, _assets(0, 40), _IDENTITY)
    manifest = read_manifest(folder)
    assert manifest.shards == (entry,)
    recall = manifest.recall
    assert recall is not None
    assert recall.recall_nominated >= recall.recall_at_64
    assert (recall.num_probes == 1) == manifest.kind.is_exact
    # Reading all sixteen lists leaves only the loss of compression.
    assert entry.recall[-1].recall_nominated > 0.6
    assert entry.recall[-1].recall_nominated >= entry.recall[0].recall_nominated
    held = np.load(folder / "held.npy")
    rows_ND = np.concatenate([rows.vectors_ND for rows in _assets(0, 40)]).astype(np.float32)
    hits = ShardedIndex(folder, _IDENTITY).search(held, 256)
    shares = []
    for query, scores_N in enumerate(held @ rows_ND.T):
        nearest = set(np.argsort(-scores_N)[:64].tolist())
        numbers = {int(a, 16) * _ROWS_PER_ASSET + round(s * 3) for a, _, s in _found(hits, query)}
        shares.append(len(nearest & numbers) / 64)
    assert np.mean(shares) == pytest.approx(recall.recall_nominated, abs=1e-3)


def _point(num_probes: int, nominated: float, error: float = 0.0) -> RecallPoint:
    return RecallPoint(
        num_probes=num_probes, recall_at_64=nominated / 2, recall_nominated=nominated, score_error=error
    )


def test_the_fewest_probes_that_reach_the_target_are_chosen() -> None:
    small = (_point(4, 0.5), _point(8, 0.99, 0.1), _point(16, 1.0))
    large = (_point(4, 0.9), _point(8, 0.95, 0.2), _point(16, 0.97))
    chosen = choose_point([(100, small), (300, large), (50, ())])
    assert chosen is not None
    assert (chosen.num_probes, chosen.score_error) == (8, 0.2)
    assert chosen.recall_nominated == pytest.approx(0.96)
    missed = choose_point([(10, (_point(4, 0.2), _point(8, 0.3)))])
    assert missed is not None
    assert missed.num_probes == 8
    assert choose_point([]) is None


@dataclass(frozen=True)
class _Halved:
    """A transform that keeps some dimensions, and lowers the scores of queries whose first number is positive."""

    digest: str = "d" * 64

    def apply_rows(self, vectors_ND: NDArray[Any]) -> NDArray[np.float32]:
        return np.asarray(vectors_ND[:, : _DIM // 2] * 2, dtype=np.float32)

    def apply_queries(self, vectors_QD: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self.apply_rows(vectors_QD), np.where(vectors_QD[:, 0] > 0, -0.5, 0).astype(np.float32)


def test_rows_and_queries_go_through_the_transform(tmp_path: Path) -> None:
    transform = _Halved()
    identity = IndexIdentity(encoder_digest="e" * 64, transform=transform)
    folder = tmp_path / "index"
    manifest = train(folder, _asset(0).vectors_ND, identity, num_rows=1000)
    assert (manifest.dim, manifest.transform_digest) == (_DIM // 2, "d" * 64)
    add_shard(folder, _assets(0, 15), identity)
    index = ShardedIndex(folder, identity)
    queries = _asset(4).vectors_ND[::10]
    halved, terms_Q = transform.apply_queries(queries)
    assert set(terms_Q.tolist()) == {-0.5, 0.0}
    hits = index.search(queries, 5)
    rows_ND = np.concatenate([transform.apply_rows(rows.vectors_ND) for rows in _assets(0, 15)])
    scores_QN = halved @ rows_ND.T + terms_Q[:, None]
    for query, scores_N in enumerate(scores_QN):
        asset, row = divmod(int(np.argmax(scores_N)), _ROWS_PER_ASSET)
        assert _found(hits, query)[0] == (_digest(asset), 3 * (row >= 50), row / 3)
        np.testing.assert_allclose(
            hits.score_P[hits.query_P == query], np.sort(-scores_N)[:5] * -1, atol=3e-3
        )
    for min_score in (1.0, -1.0):
        above = index.search_above(queries, min_score)
        counts_Q = np.bincount(above.query_P, minlength=len(queries))
        assert (counts_Q >= (scores_QN >= min_score + 3e-3).sum(axis=1)).all()
        assert (counts_Q <= (scores_QN >= min_score - 6e-3).sum(axis=1)).all()


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        (IndexIdentity(encoder_digest="f" * 64), "index is of encoder eeee.*asked for is encoder ffff"),
        (
            IndexIdentity(encoder_digest="e" * 64, transform=_Halved()),
            "of transform none, asked for is transform dddd",
        ),
    ],
)
def test_an_index_of_another_encoder_or_transform_is_refused(
    exact_folder: Path, identity: IndexIdentity, message: str
) -> None:
    with pytest.raises(EncoderError, match=message) as refused:
        ShardedIndex(exact_folder, identity)
    assert refused.value.hint is not None
    assert "build the index again" in refused.value.hint
    with pytest.raises(EncoderError, match=message):
        add_shard(exact_folder, _assets(0, 1), identity)


def test_vectors_that_cannot_be_compared_are_refused_and_nothing_is_added(exact_folder: Path) -> None:
    rows = _asset(1)
    damaged = rows.vectors_ND.copy()
    damaged[7, 3] = np.inf
    with pytest.raises(EncoderError, match="not finite"):
        add_shard(exact_folder, [_asset(0), replace(rows, vectors_ND=damaged)], _IDENTITY)
    with pytest.raises(EncoderError, match="16 dimensions, the index has 48"):
        add_shard(exact_folder, [_asset(0, dim=16)], _IDENTITY)
    with pytest.raises(EncoderError, match="no rows"):
        add_shard(exact_folder, [], _IDENTITY)
    add_shard(exact_folder, [_asset(0)], _IDENTITY)
    with pytest.raises(EncoderError, match="is in the index already"):
        add_shard(exact_folder, [_asset(0)], _IDENTITY)
    with pytest.raises(EncoderError, match="16 dimensions, the index has 48"):
        ShardedIndex(exact_folder, _IDENTITY).search(_asset(0, dim=16).vectors_ND)
    assert len(read_manifest(exact_folder).shards) == 1
    assert [path.name for path in shard_folder(exact_folder, "").iterdir()] == ["0001"]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def _remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("name", ["vectors.faiss", "rows.parquet", "assets.parquet", "truth.npz"])
def test_a_damaged_shard_is_reported_with_the_way_out(exact_folder: Path, name: str) -> None:
    add_shard(exact_folder, _assets(0, 3), _IDENTITY)
    path = shard_folder(exact_folder, "0001") / name
    verify_index(exact_folder)
    _flip(path)
    with pytest.raises(EncoderError, match=f"{name}: sha256 is .* recorded as") as refused:
        verify_index(exact_folder)
    assert refused.value.hint is not None
    assert "build the index again" in refused.value.hint
    _cut(path)
    with pytest.raises(EncoderError, match=f"{name}: is .* bytes long, recorded with"):
        ShardedIndex(exact_folder, _IDENTITY)
    _remove(path)
    with pytest.raises(EncoderError, match=f"{name}: is missing"):
        ShardedIndex(exact_folder, _IDENTITY)


@pytest.mark.parametrize("content", ["", "{}", '{"format": "cleartitle.index/9"}', "[]"])
def test_a_damaged_manifest_is_reported(exact_folder: Path, content: str) -> None:
    (exact_folder / "manifest.json").write_text(content)
    with pytest.raises(EncoderError, match=r"manifest\.json"):
        read_manifest(exact_folder)


def test_a_folder_without_an_index_is_reported_and_never_replaced(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="there is no index here"):
        ShardedIndex(tmp_path, _IDENTITY)
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(EncoderError, match="is no index, and would be replaced"):
        train(tmp_path, _asset(0).vectors_ND, _IDENTITY, num_rows=100)
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_a_sample_too_small_to_train_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="16 lists needs 624 rows to train, not 50"):
        train(tmp_path / "index", _asset(0).vectors_ND, _IDENTITY, num_rows=100, kind=_KINDS[1])
    with pytest.raises(EncoderError, match="1 rows are too few"):
        train(tmp_path / "index", _asset(0).vectors_ND[:1], _IDENTITY, num_rows=100)
    assert not (tmp_path / "index").exists()


def test_an_index_that_cannot_be_written_is_our_error(exact_folder: Path) -> None:
    with pytest.raises(UndecidedError, match="cannot be written") as failed:
        fill_file(exact_folder / "nowhere" / "vectors.faiss", exact_folder / "trained.faiss", [])
    assert failed.value.hint is not None


class _Store:
    """The truth: reads the rows of assets, and remembers which."""

    def __init__(self) -> None:
        self.read: list[int] = []
        self.fails_at: int | None = None

    def rows_of(self, digests: Sequence[str]) -> Iterator[IndexRows]:
        for number in (int(digest, 16) for digest in digests):
            if number == self.fails_at:
                raise KeyboardInterrupt
            self.read.append(number)
            yield _asset(number)


def test_a_killed_build_goes_on_where_it_was(tmp_path: Path) -> None:
    store, folder = _Store(), tmp_path / "index"
    digests = [_digest(number) for number in range(10)]
    build_index(folder, _IDENTITY, digests[:1], store.rows_of, num_rows=1000)
    store.fails_at = 7
    with pytest.raises(KeyboardInterrupt):
        build_index(folder, _IDENTITY, digests, store.rows_of, num_rows=1000, rows_per_shard=300)
    assert assets_of(folder) == frozenset(digests[:7])
    store.fails_at = None
    store.read.clear()
    build_index(folder, _IDENTITY, digests, store.rows_of, num_rows=1000, rows_per_shard=300)
    assert store.read == [7, 8, 9]
    assert assets_of(folder) == frozenset(digests)
    verify_index(folder)


def test_building_follows_the_library_and_replaces_another_index(tmp_path: Path) -> None:
    store, folder = _Store(), tmp_path / "index"
    digests = [_digest(number) for number in range(8)]
    manifest = build_index(folder, _IDENTITY, digests, store.rows_of, num_rows=800, rows_per_shard=300)
    assert [shard.num_rows for shard in manifest.shards] == [300, 300, 200]
    build_index(folder, _IDENTITY, [*digests[2:], _digest(20)], store.rows_of, num_rows=800)
    assert assets_of(folder) == frozenset([*digests[2:], _digest(20)])

    other = IndexIdentity(encoder_digest="a" * 64)
    build_index(folder, other, digests[:2], store.rows_of, num_rows=200)
    assert assets_of(folder) == frozenset(digests[:2])
    with pytest.raises(EncoderError, match="of encoder aaaa"):
        ShardedIndex(folder, _IDENTITY)
    with pytest.raises(EncoderError, match="no rows to train"):
        build_index(tmp_path / "none", _IDENTITY, [], store.rows_of, num_rows=0)


def test_a_shard_that_no_manifest_names_is_ignored_and_made_again(
    exact_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between the shard and the manifest leaves such a folder."""

    def _killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shards, "write_manifest", _killed)
        with pytest.raises(KeyboardInterrupt):
            add_shard(exact_folder, _assets(0, 2), _IDENTITY)
    assert assets_of(exact_folder) == frozenset()
    assert ShardedIndex(exact_folder, _IDENTITY).search(_asset(0).vectors_ND).num_pairs == 0
    add_shard(exact_folder, _assets(1, 3), _IDENTITY)
    assert assets_of(exact_folder) == {_digest(1), _digest(2)}
    (shard_folder(exact_folder, "0009")).mkdir()
    remove_strays(exact_folder)
    assert [path.name for path in shard_folder(exact_folder, "").iterdir()] == ["0001"]


def test_the_kind_follows_the_number_of_rows_and_keeps_a_row_within_100_bytes() -> None:
    assert choose_kind(EXACT_ROWS, 256) == _EXACT
    for dim in (32, 64, 65, 128, 256, 257, 512, 1280):
        for num_rows in (EXACT_ROWS + 1, 10**9):
            kind = choose_kind(num_rows, dim)
            assert not kind.is_exact
            assert kind.bytes_per_row(dim) <= 100
    assert choose_kind(10**8, 256) == IndexKind(name="ivf-pq", num_lists=16_384)
    assert compressed_kind(10**7, 256).num_lists == 4096


@pytest.mark.slow
def test_a_product_quantizer_takes_any_dimension_and_costs_what_it_says(tmp_path: Path) -> None:
    dim = 70
    library = [_asset(number, dim) for number in range(110)]
    sample = np.concatenate([rows.vectors_ND for rows in library])
    kind = IndexKind(name="ivf-pq", num_lists=32)
    folder = tmp_path / "index"
    train(folder, sample, _IDENTITY, num_rows=len(sample), kind=kind)
    add_shard(folder, library, _IDENTITY)
    recall = read_manifest(folder).recall
    assert recall is not None
    assert recall.recall_nominated >= 0.9
    assert _first(folder, library[100], 31)[0] == _digest(100)
    # Each shard holds the trained index once and the truth of the held queries; the rest grows with the rows.
    manifest = read_manifest(folder)
    files = manifest.shards[0].files
    growing = files["vectors.faiss"].size_bytes - manifest.files["trained.faiss"].size_bytes
    assert (growing + files["rows.parquet"].size_bytes) / len(sample) <= kind.bytes_per_row(dim) <= 100


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["flat-fp16", "ivf-sq8"])
def test_gpu_and_cpu_nominate_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: KindName
) -> None:
    folder = tmp_path / "index"
    kind = IndexKind(name=name, num_lists=0 if name == "flat-fp16" else 16)
    sample = np.concatenate([rows.vectors_ND for rows in _assets(0, 20)])
    train(folder, sample, _IDENTITY, num_rows=5000, kind=kind)
    add_shard(folder, _assets(0, 60), _IDENTITY)
    queries = np.concatenate([_asset(number).vectors_ND[::25] for number in range(0, 60, 7)])
    with caplog.at_level(logging.INFO, logger="ingest.index.files"):
        on_gpu = ShardedIndex(folder, _IDENTITY).search(queries, 20)
    assert "on GPU 0" in caplog.text
    monkeypatch.setattr("faiss.get_num_gpus", lambda: 0)
    on_cpu = ShardedIndex(folder, _IDENTITY).search(queries, 20)
    shares = [
        len(set(_found(on_gpu, query)) & set(_found(on_cpu, query))) / 20 for query in range(len(queries))
    ]
    assert np.mean(shares) > 0.98


def test_a_gpu_that_fails_is_reported_and_replaced_by_the_cpu(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def _fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    add_shard(folder, _assets(0, 2), _IDENTITY)
    kind = read_manifest(folder).kind
    monkeypatch.setattr("faiss.get_num_gpus", lambda: 1)
    monkeypatch.setattr("faiss.StandardGpuResources", _fail)
    with caplog.at_level(logging.WARNING, logger="ingest.index.files"):
        file = IndexFile(shard_folder(folder, "0001") / "vectors.faiss", kind)
    # RaBitQ has no GPU form, so nothing is tried.
    assert ("out of memory" in caplog.text) == (kind.name != "ivf-rabitq")
    _, rows = file.search(_asset(1).vectors_ND[:1].astype(np.float32), 1, 16)
    assert rows.tolist() == [[_ROWS_PER_ASSET]]
