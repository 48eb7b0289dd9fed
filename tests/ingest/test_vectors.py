from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from ingest.encoders import EncoderIdentity
from ingest.errors import EncoderError
from ingest.vectors import FrameVectors, VectorsBuilder, VectorStore
from tests.media import flat_scene, flip_byte, moving_scene, truncate_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

_IDENTITY = EncoderIdentity(name="tones", weights_sha256="0" * 64, preprocessing="none", dim=8)


class _ToneEncoder:
    """Embeds a picture as how its tones are distributed, and remembers what it was shown."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[int, ...]]] = []

    @property
    def identity(self) -> EncoderIdentity:
        return _IDENTITY

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        self.batches.append([image.shape for image in images])
        rows = [np.histogram(image, bins=8, range=(0, 256))[0] + 1.0 for image in images]
        vectors_BD = np.stack(rows) / np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(vectors_BD, dtype=np.float32)


def _asset(number: int) -> str:
    return f"{number:064x}"


def _vectors(seed: int, num_rows: int, *, num_flat: int = 0) -> FrameVectors:
    """Make rows without pictures; the last `num_flat` of them have no texture."""
    random = np.random.default_rng(seed)
    return FrameVectors(
        pts_N=np.arange(num_rows, dtype=np.int64) * 512 + 2**40,
        seconds_N=np.arange(num_rows) / 3,
        is_textured_N=np.arange(num_rows) < num_rows - num_flat,
        vectors_ND=random.normal(size=(num_rows, 8)).astype(np.float16),
        previews=tuple(random.bytes(int(size)) for size in random.integers(0, 40, num_rows)),
    )


def _assert_identical(read: FrameVectors, written: FrameVectors) -> None:
    for part in ("pts_N", "seconds_N", "is_textured_N"):
        np.testing.assert_array_equal(getattr(read, part), getattr(written, part), strict=True)
    assert read.vectors_ND.dtype == np.float16
    assert read.vectors_ND.shape == written.vectors_ND.shape
    assert read.vectors_ND.tobytes() == written.vectors_ND.tobytes()
    assert read.previews == written.previews


@pytest.mark.parametrize("num_rows", [0, 1, 57])
def test_vectors_come_back_bit_for_bit(tmp_path: Path, num_rows: int) -> None:
    store, written = VectorStore(tmp_path), _vectors(1, num_rows, num_flat=num_rows // 3)
    assert not store.has(_asset(1), _IDENTITY)
    path = store.write(_asset(1), _IDENTITY, written)
    assert path == store.path(_asset(1), _IDENTITY)
    assert store.has(_asset(1), _IDENTITY)
    _assert_identical(store.read(_asset(1), _IDENTITY), written)


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
    import pyarrow as pa
    import pyarrow.parquet as pq

    store = VectorStore(tmp_path)
    path = store.path(_asset(1), _IDENTITY)
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"pts": [1, 2]}), path)
    with pytest.raises(EncoderError, match="an unknown encoder"):
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
            np.testing.assert_array_equal(block.seconds_N[is_here_N], source.seconds_N[source.is_textured_N])
            np.testing.assert_array_equal(
                block.vectors_ND[is_here_N], source.vectors_ND[source.is_textured_N]
            )


def test_no_assets_give_no_blocks(tmp_path: Path) -> None:
    assert list(VectorStore(tmp_path).blocks([], _IDENTITY)) == []


def test_assets_without_texture_give_no_rows(tmp_path: Path) -> None:
    store = VectorStore(tmp_path)
    store.write(_asset(1), _IDENTITY, _vectors(1, 5, num_flat=5))
    store.write(_asset(2), _IDENTITY, _vectors(2, 0))
    for block in store.blocks([_asset(1), _asset(2)], _IDENTITY):
        assert block.vectors_ND.shape == (0, 8)
        assert len(block.asset_N) == len(block.seconds_N) == 0


def test_the_builder_cuts_bars_off_and_batches(tmp_path: Path) -> None:
    encoder = _ToneEncoder()
    builder = VectorsBuilder(encoder)
    for index, inside in enumerate(moving_scene(1, 40, 96, 192)):
        builder.push(index * 100, index / 2, np.pad(inside, ((24, 24), (0, 0), (0, 0)), constant_values=16))
    vectors = builder.finish()
    assert [len(batch) for batch in encoder.batches] == [32, 8]
    assert {shape for batch in encoder.batches for shape in batch} == {(96, 192, 3)}
    assert vectors.pts_N.tolist() == [index * 100 for index in range(40)]
    assert vectors.seconds_N.tolist() == [index / 2 for index in range(40)]
    assert vectors.vectors_ND.shape == (40, 8)
    assert vectors.vectors_ND.dtype == np.float16
    assert vectors.num_rows == vectors.num_textured_rows == len(vectors.previews) == 40
    with Image.open(io.BytesIO(vectors.previews[0])) as preview:
        assert (preview.format, preview.mode, preview.size) == ("JPEG", "L", (192, 96))
    _assert_identical(_round_trip(VectorStore(tmp_path), vectors), vectors)


def _round_trip(store: VectorStore, vectors: FrameVectors) -> FrameVectors:
    store.write(_asset(9), _IDENTITY, vectors)
    return store.read(_asset(9), _IDENTITY)


def test_the_builder_marks_frames_without_texture() -> None:
    builder = VectorsBuilder(_ToneEncoder())
    frames = [
        *moving_scene(1, 2),
        *flat_scene((0, 0, 0), 2),
        *flat_scene((120, 60, 90), 1),
        *moving_scene(2, 1),
    ]
    for index, frame in enumerate(frames):
        builder.push(index, float(index), frame)
    vectors = builder.finish()
    assert vectors.is_textured_N.tolist() == [True, True, False, False, False, True]
    assert vectors.num_textured_rows == 3


def test_previews_are_small() -> None:
    builder = VectorsBuilder(_ToneEncoder())
    builder.push(0, 0.0, next(moving_scene(1, 1, 360, 640)))
    (preview,) = builder.finish().previews
    with Image.open(io.BytesIO(preview)) as picture:
        assert picture.size == (284, 160)


def test_a_film_without_frames_has_no_rows() -> None:
    vectors = VectorsBuilder(_ToneEncoder()).finish()
    assert (vectors.num_rows, vectors.vectors_ND.shape, vectors.previews) == (0, (0, 8), ())
