from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ingest.encoders.encoder import EncoderIdentity
from ingest.errors import EncoderError
from ingest.pictures.vectors import FrameVectors, VectorStore
from ingest.pictures.views import WHOLE, ViewBox
from tests.media import flip_byte, truncate_file

_IDENTITY = EncoderIdentity(name="tones", weights_sha256="0" * 64, preprocessing="none", dim=8)


def _asset(number: int) -> str:
    return f"{number:064x}"


def _vectors(seed: int, num_rows: int, *, num_flat: int = 0) -> FrameVectors:
    """Make rows of two views; the last `num_flat` of them have no texture."""
    random = np.random.default_rng(seed)
    return FrameVectors(
        boxes=(WHOLE, ViewBox(0.1, 1 / 3, 0.25, 0.7)),
        view_N=(np.arange(num_rows) >= num_rows // 2).astype(np.int16),
        pts_N=np.arange(num_rows, dtype=np.int64) * 512 + 2**40,
        seconds_N=np.arange(num_rows) / 3,
        end_seconds_N=np.arange(num_rows) / 3 + random.integers(0, 2, num_rows) / 7,
        is_textured_N=np.arange(num_rows) < num_rows - num_flat,
        vectors_ND=random.normal(size=(num_rows, 8)).astype(np.float16),
        pdq_N32=random.integers(0, 256, (num_rows, 32), dtype=np.uint8),
        pdq_mirrored_N32=random.integers(0, 256, (num_rows, 32), dtype=np.uint8),
        pdq_quality_N=random.integers(0, 101, num_rows).astype(np.int16),
    )


def _assert_identical(read: FrameVectors, written: FrameVectors) -> None:
    for part in dataclasses.fields(FrameVectors):
        one, other = getattr(read, part.name), getattr(written, part.name)
        if part.name == "boxes":
            assert one == other
            continue
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("num_rows", [0, 1, 57])
def test_vectors_come_back_bit_for_bit(tmp_path: Path, num_rows: int) -> None:
    store, written = VectorStore(tmp_path), _vectors(1, num_rows, num_flat=num_rows // 3)
    assert not store.has(_asset(1), _IDENTITY)
    path = store.write(_asset(1), _IDENTITY, written)
    assert path == store.path(_asset(1), _IDENTITY)
    _assert_identical(store.read(_asset(1), _IDENTITY), written)


def test_rows_of_a_view_are_told_apart() -> None:
    vectors = _vectors(1, 9)
    assert vectors.num_rows == 9
    assert vectors.of_view(0).tolist() == [0, 1, 2, 3]
    assert vectors.of_view(1).tolist() == [4, 5, 6, 7, 8]
    assert vectors.of_view(2).tolist() == []


def test_an_asset_is_there_once_its_vectors_and_its_stills_are(tmp_path: Path) -> None:
    """A run that was killed between the two must not pass for done."""
    store = VectorStore(tmp_path)
    with store.writing_stills(_asset(1), _IDENTITY) as writer:
        writer.push(1, 0.5, np.full((6, 8), 77, dtype=np.uint8))
        assert not store.stills_path(_asset(1), _IDENTITY).exists()
    assert store.stills_path(_asset(1), _IDENTITY).is_file()
    assert not store.has(_asset(1), _IDENTITY)
    store.write(_asset(1), _IDENTITY, _vectors(1, 4))
    assert store.has(_asset(1), _IDENTITY)
    stills = store.stills(_asset(1), _IDENTITY, 1)
    assert stills.seconds_S.tolist() == [0.5]
    assert stills.picture(0).tolist() == [[77] * 8] * 6
    store.stills_path(_asset(1), _IDENTITY).unlink()
    assert not store.has(_asset(1), _IDENTITY)
    with pytest.raises(EncoderError, match="cannot be read"):
        store.stills(_asset(1), _IDENTITY, 0)


@pytest.mark.parametrize("rules", ["FRAME_RULES", "VIEW_RULES"])
def test_vectors_made_under_other_rules_are_made_anew_and_never_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rules: str
) -> None:
    """Where frames were cut differently, vectors of the same encoder cannot be compared either."""
    from ingest.pictures import vectors

    store = VectorStore(tmp_path)
    old = store.write(_asset(1), _IDENTITY, _vectors(1, 4))
    with store.writing_stills(_asset(1), _IDENTITY):
        pass
    assert store.has(_asset(1), _IDENTITY)
    monkeypatch.setattr(vectors, rules, "others")
    assert not store.has(_asset(1), _IDENTITY)
    with pytest.raises(EncoderError, match="cannot be read"):
        store.read(_asset(1), _IDENTITY)
    # Not even where somebody put the old file to the new place.
    new = store.path(_asset(1), _IDENTITY)
    new.parent.mkdir(parents=True)
    new.write_bytes(old.read_bytes())
    with pytest.raises(EncoderError, match="cannot be compared"):
        store.read(_asset(1), _IDENTITY)


def test_encoders_have_files_of_their_own(tmp_path: Path) -> None:
    store, other = VectorStore(tmp_path), dataclasses.replace(_IDENTITY, preprocessing="squash")
    store.write(_asset(1), _IDENTITY, _vectors(1, 4))
    assert not store.has(_asset(1), other)
    with pytest.raises(EncoderError, match="cannot be read") as raised:
        store.read(_asset(1), other)
    assert raised.value.hint == "delete the file and ingest the footage again"


def test_vectors_of_another_encoder_are_refused_wherever_they_lie(tmp_path: Path) -> None:
    store, other = VectorStore(tmp_path), dataclasses.replace(_IDENTITY, name="edges")
    written = store.write(_asset(1), _IDENTITY, _vectors(1, 4))
    misplaced = store.path(_asset(1), other)
    misplaced.parent.mkdir(parents=True)
    written.rename(misplaced)
    with pytest.raises(EncoderError, match="vectors of tones cannot be compared with vectors of edges"):
        store.read(_asset(1), other)


def test_a_table_that_names_no_encoder_is_refused(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    store = VectorStore(tmp_path)
    path = store.write(_asset(1), _IDENTITY, _vectors(1, 4))
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata(None), path)
    with pytest.raises(EncoderError, match="an unknown encoder"):
        store.read(_asset(1), _IDENTITY)
    pq.write_table(table.drop_columns(["pdq"]), path)
    with pytest.raises(EncoderError, match="pdq"):
        store.read(_asset(1), _IDENTITY)


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, keep: float) -> None:
    store = VectorStore(tmp_path)
    truncate_file(store.write(_asset(1), _IDENTITY, _vectors(1, 50)), keep)
    with pytest.raises(EncoderError, match="cannot be read"):
        store.read(_asset(1), _IDENTITY)


def test_a_file_with_a_damaged_footer_is_refused(tmp_path: Path) -> None:
    store = VectorStore(tmp_path)
    flip_byte(store.write(_asset(1), _IDENTITY, _vectors(1, 50)), -6)
    with pytest.raises(EncoderError, match="cannot be read"):
        store.read(_asset(1), _IDENTITY)


def test_a_single_damaged_byte_of_a_vector_is_refused(tmp_path: Path) -> None:
    """A vector that changed on disk is alike to something else: it would hide a copy."""
    store, vectors = VectorStore(tmp_path), _vectors(1, 50)
    path = store.write(_asset(1), _IDENTITY, vectors)
    flip_byte(path, path.read_bytes().index(vectors.vectors_ND[20].tobytes()))
    with pytest.raises(EncoderError, match="cannot be read"):
        store.read(_asset(1), _IDENTITY)


def test_blocks_are_bounded_and_hold_every_textured_row_once(tmp_path: Path) -> None:
    store = VectorStore(tmp_path)
    written = {_asset(number): _vectors(number, 3 + number, num_flat=number % 3) for number in range(12)}
    for asset, vectors in written.items():
        store.write(asset, _IDENTITY, vectors)
    blocks = list(store.blocks(list(written), _IDENTITY, max_rows=20))
    assert len(blocks) > 2
    longest = max(vectors.num_rows for vectors in written.values())
    assert all(len(block.vectors_ND) < 20 + longest for block in blocks)
    assert [asset for block in blocks for asset in block.assets] == list(written)
    for block in blocks:
        for number, asset in enumerate(block.assets):
            is_here_N, source = block.asset_N == number, written[asset]
            for part in ("view_N", "seconds_N", "end_seconds_N", "vectors_ND"):
                wanted = getattr(source, part)[source.is_textured_N]
                np.testing.assert_array_equal(getattr(block, part)[is_here_N], wanted)


def test_no_assets_give_no_blocks(tmp_path: Path) -> None:
    assert list(VectorStore(tmp_path).blocks([], _IDENTITY)) == []


def test_assets_without_texture_give_no_rows(tmp_path: Path) -> None:
    store = VectorStore(tmp_path)
    store.write(_asset(1), _IDENTITY, _vectors(1, 5, num_flat=5))
    store.write(_asset(2), _IDENTITY, _vectors(2, 0))
    for block in store.blocks([_asset(1), _asset(2)], _IDENTITY):
        assert block.vectors_ND.shape == (0, 8)
        assert len(block.asset_N) == len(block.seconds_N) == len(block.view_N) == 0
