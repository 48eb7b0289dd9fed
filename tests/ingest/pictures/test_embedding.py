from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ingest.encoders.encoder import EncoderIdentity
from ingest.errors import MediaError
from ingest.media.borders import luma
from ingest.pictures.embedding import SampledPicture, VectorsBuilder, embed_file, scan_pictures
from ingest.pictures.pdq import fingerprint
from ingest.pictures.stills import Stills, writing_stills
from ingest.pictures.vectors import FrameVectors, VectorStore
from ingest.pictures.views import WHOLE, ViewBox
from tests.media import flat_scene, moving_scene, truncate_file, write_video

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Frames = Iterable[NDArray[np.uint8]]

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


class _Embedded:
    """What frames given twice a second, each with five stills, become."""

    def __init__(self, path: Path, frames: Frames) -> None:
        self.encoder = _ToneEncoder()
        self._path = path
        with writing_stills(path) as writer:
            builder = VectorsBuilder(self.encoder, writer)
            for number, frame in enumerate(frames):
                builder.push_still(number / 2, luma(frame))
                builder.push(SampledPicture(number * 100, number / 2, frame))
                for tenth in range(1, 5):
                    builder.push_still(number / 2 + tenth / 10, luma(frame))
            self.vectors: FrameVectors = builder.finish()
            self.textured_pts = list(builder.textured_pts)

    def stills(self, view: int) -> Stills:
        """Open the stills of a view."""
        return Stills(self._path, view)


def _embed(tmp_path: Path, frames: Frames) -> _Embedded:
    return _Embedded(tmp_path / "stills.parquet", frames)


def _moving(seed: int, num_frames: int, height: int = 72, width: int = 96) -> list[NDArray[np.uint8]]:
    return list(islice(moving_scene(seed, 4 * num_frames, height, width), 0, None, 4))


def test_bars_are_cut_off_and_pictures_come_in_batches(tmp_path: Path) -> None:
    frames = [np.pad(frame, ((15, 15), (0, 0), (0, 0)), constant_values=16) for frame in _soft_wide(40)]
    embedded = _embed(tmp_path, frames)
    assert [len(batch) for batch in embedded.encoder.batches] == [32, 8]
    assert {shape for batch in embedded.encoder.batches for shape in batch} == {(90, 160, 3)}
    vectors = embedded.vectors
    assert vectors.pts_N.tolist() == [number * 100 for number in range(40)]
    assert (
        vectors.seconds_N.tolist() == vectors.end_seconds_N.tolist() == [number / 2 for number in range(40)]
    )
    assert vectors.vectors_ND.shape == (40, 8)
    assert vectors.vectors_ND.dtype == np.float16
    assert vectors.boxes == (WHOLE,)
    assert set(vectors.view_N.tolist()) == {0}
    assert embedded.stills(0).picture(3).shape == (90, 160)


@pytest.mark.parametrize("num_samples", [1, 31, 32, 33, 65])
def test_no_still_is_lost_between_batches(tmp_path: Path, num_samples: int) -> None:
    embedded = _embed(tmp_path, _moving(1, num_samples, 24, 32))
    wanted = np.arange(5 * num_samples) / 10
    np.testing.assert_allclose(embedded.stills(0).seconds_S, wanted)
    whole = embedded.vectors.of_view(0)
    assert embedded.vectors.pts_N[whole].tolist() == [number * 100 for number in range(num_samples)]


def test_frames_that_stand_still_are_one_row_with_their_interval(tmp_path: Path) -> None:
    first, second = _moving(1, 1)[0], _moving(2, 1)[0]
    embedded = _embed(tmp_path, [first] * 40 + [second] * 3 + [first])
    whole = embedded.vectors.of_view(0)
    assert embedded.vectors.seconds_N[whole].tolist() == [0.0, 20.0, 21.5]
    assert embedded.vectors.end_seconds_N[whole].tolist() == [19.5, 21.0, 21.5]
    assert embedded.vectors.pts_N[whole].tolist() == [0, 4000, 4300]
    # What a clip is worth is counted in frames, not in runs.
    assert embedded.textured_pts == [number * 100 for number in range(44)]
    assert len(embedded.stills(0).seconds_S) == 220


def test_coding_noise_does_not_end_a_run_and_slow_change_does(tmp_path: Path) -> None:
    """A run is compared with its first frame: a pan that creeps along must not pass for one still picture."""
    random = np.random.default_rng(1)
    still = np.clip(_moving(1, 1, 144, 192)[0], 20, 230).astype(np.int16)
    noisy = [(still + random.integers(-4, 5, still.shape)).astype(np.uint8) for _ in range(6)]
    assert len(_embed(tmp_path, noisy).vectors.of_view(0)) == 1
    creeping = [(still + step).astype(np.uint8) for step in range(0, 20, 2)]
    assert len(_embed(tmp_path, creeping).vectors.of_view(0)) == 4


def test_a_film_without_texture_has_no_textured_row(tmp_path: Path) -> None:
    embedded = _embed(tmp_path, [*flat_scene((0, 0, 0), 3, 72, 96), *flat_scene((120, 60, 90), 3, 72, 96)])
    assert embedded.vectors.seconds_N.tolist() == [0.0, 1.5]
    assert not embedded.vectors.is_textured_N.any()
    assert embedded.textured_pts == []


def test_frames_without_texture_are_marked(tmp_path: Path) -> None:
    frames = [*_moving(1, 2), *flat_scene((0, 0, 0), 2, 72, 96), *_moving(2, 1)]
    embedded = _embed(tmp_path, frames)
    whole = embedded.vectors.of_view(0)
    assert embedded.vectors.is_textured_N[whole].tolist() == [True, True, False, True]
    assert embedded.textured_pts == [0, 100, 400]


def test_rows_carry_the_fingerprints_of_their_pictures(tmp_path: Path) -> None:
    frames = _moving(3, 2)
    vectors = _embed(tmp_path, frames).vectors
    for row, frame in enumerate(frames):
        mark = fingerprint(luma(frame))
        assert vectors.pdq_N32[row].tobytes() == mark.bits
        assert vectors.pdq_mirrored_N32[row].tobytes() == mark.mirrored_bits
        assert vectors.pdq_quality_N[row] == mark.quality


def _split(num_frames: int) -> list[NDArray[np.uint8]]:
    """Two films side by side, soft enough that their textures make no edges."""
    halves = zip(_soft(21, num_frames), _soft(22, num_frames), strict=True)
    return [np.concatenate(pair, axis=1) for pair in halves]


def _soft(seed: int, num_frames: int) -> list[NDArray[np.uint8]]:
    from PIL import Image, ImageFilter

    blur = ImageFilter.GaussianBlur(1.2)
    return [np.asarray(Image.fromarray(frame).filter(blur)) for frame in _moving(seed, num_frames, 90, 80)]


def test_parts_have_rows_at_half_the_rate_and_stills_of_their_own(tmp_path: Path) -> None:
    frames = _split(40)
    embedded = _embed(tmp_path, frames)
    vectors = embedded.vectors
    assert vectors.boxes[0] == WHOLE
    assert sorted(box.left for box in vectors.boxes[1:]) == pytest.approx([0.0, 0.5], abs=0.02)
    assert np.all(np.diff(vectors.view_N) >= 0)
    assert vectors.seconds_N[vectors.of_view(0)].tolist() == [number / 2 for number in range(40)]
    for view in (1, 2):
        assert vectors.seconds_N[vectors.of_view(view)].tolist() == [float(number) for number in range(20)]
        stills = embedded.stills(view)
        np.testing.assert_allclose(stills.seconds_S, np.arange(200) / 10)
        part = vectors.boxes[view].crop(luma(frames[10]))
        assert stills.picture(50).shape == part.shape
        assert np.abs(stills.picture(50).astype(int) - part).mean() < 4
    np.testing.assert_array_equal(
        vectors.vectors_ND[vectors.of_view(1)[3]],
        _ToneEncoder().embed([vectors.boxes[1].crop(frames[6])])[0].astype(np.float16),
    )


def test_a_part_in_which_nothing_moves_is_no_view(tmp_path: Path) -> None:
    """A window or a poster: whatever was found in it would be turned down for want of motion."""
    poster = _soft(26, 1)[0]
    beside_a_poster = [np.concatenate([frame, poster], axis=1) for frame in _soft(21, 40)]
    boxes = _embed(tmp_path, beside_a_poster).vectors.boxes
    assert any(box.right == pytest.approx(0.5, abs=0.02) for box in boxes)
    assert all(box.left < 0.48 for box in boxes)


def test_a_part_that_returns_is_the_same_view(tmp_path: Path) -> None:
    """The second batch of 32 has no split screen, the third has."""
    embedded = _embed(tmp_path, [*_split(32), *_soft_wide(32), *_split(32)])
    assert len(embedded.vectors.boxes) == 3
    seconds = embedded.vectors.seconds_N[embedded.vectors.of_view(1)]
    assert seconds.max() >= 46
    assert not ((seconds >= 16) & (seconds < 32)).any()
    stills_S = embedded.stills(1).seconds_S
    assert not ((stills_S > 16.01) & (stills_S < 31.99)).any()


def _soft_wide(num_frames: int) -> list[NDArray[np.uint8]]:
    from PIL import Image, ImageFilter

    blur = ImageFilter.GaussianBlur(1.2)
    return [np.asarray(Image.fromarray(frame).filter(blur)) for frame in _moving(23, num_frames, 90, 160)]


def test_nothing_gives_empty_vectors(tmp_path: Path) -> None:
    embedded = _embed(tmp_path, [])
    vectors = embedded.vectors
    assert (vectors.num_rows, vectors.vectors_ND.shape) == (0, (0, 8))
    assert vectors.vectors_ND.dtype == np.float16
    assert vectors.pdq_N32.shape == vectors.pdq_mirrored_N32.shape == (0, 32)
    assert vectors.boxes == (WHOLE,)
    assert embedded.textured_pts == []
    assert embedded.encoder.batches == []
    assert len(embedded.stills(0).seconds_S) == 0
    store = VectorStore(tmp_path)
    store.write("a" * 64, _IDENTITY, vectors)
    assert store.read("a" * 64, _IDENTITY).num_rows == 0


def test_what_was_embedded_comes_back_from_the_store(tmp_path: Path) -> None:
    vectors = _embed(tmp_path, _split(6)).vectors
    store = VectorStore(tmp_path)
    store.write("a" * 64, _IDENTITY, vectors)
    read = store.read("a" * 64, _IDENTITY)
    assert read.boxes == vectors.boxes
    assert read.vectors_ND.tobytes() == vectors.vectors_ND.tobytes()
    assert read.end_seconds_N.tobytes() == vectors.end_seconds_N.tobytes()


@pytest.mark.parametrize(
    ("size", "settings"),
    [
        ((90, 160), {}),
        ((342, 610), {}),
        ((96, 128), {"sample_aspect_ratio": Fraction(16, 11)}),
        ((96, 128), {"rotation": 90}),
    ],
)
def test_pictures_and_stills_have_one_size(
    tmp_path: Path, size: tuple[int, int], settings: dict[str, object]
) -> None:
    """The borders found in the pictures are cut off the stills."""
    path = write_video(tmp_path / "film.mp4", moving_scene(1, 6, *size), rate=12, **settings)  # type: ignore[arg-type]
    frames = list(scan_pictures(path, samples_per_second=2))
    both = [frame for frame in frames if frame.image is not None and frame.still is not None]
    assert both
    for frame in both:
        assert frame.image is not None
        assert frame.still is not None
        assert frame.image.shape[:2] == frame.still.shape
        assert min(frame.still.shape) <= 320


def test_a_file_is_embedded_as_it_is_decoded(tmp_path: Path) -> None:
    store = VectorStore(tmp_path / "vectors")
    path = write_video(tmp_path / "film.mp4", moving_scene(1, 60, 72, 96), rate=20)
    returned = embed_file(path, "a" * 64, store, _ToneEncoder(), samples_per_second=2)
    assert store.has("a" * 64, _IDENTITY)
    stored = store.read("a" * 64, _IDENTITY)
    assert stored.seconds_N[stored.of_view(0)].tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert stored.vectors_ND.tobytes() == returned.vectors_ND.tobytes()
    np.testing.assert_allclose(store.stills("a" * 64, _IDENTITY, 0).seconds_S, np.arange(30) / 10)


def test_of_a_file_that_cannot_be_read_whole_nothing_is_kept(tmp_path: Path) -> None:
    store = VectorStore(tmp_path / "vectors")
    path = write_video(
        tmp_path / "film.mp4",
        moving_scene(1, 80, 72, 96),
        rate=20,
        container_options={"movflags": "faststart"},
    )
    truncate_file(path, 0.5)
    with pytest.raises(MediaError):
        embed_file(path, "a" * 64, store, _ToneEncoder(), samples_per_second=2)
    assert not store.has("a" * 64, _IDENTITY)
    assert [entry for entry in (tmp_path / "vectors").rglob("*") if entry.is_file()] == []


def test_boxes_of_views_are_shares_of_the_picture_inside_its_borders(tmp_path: Path) -> None:
    framed = [np.pad(frame, ((30, 30), (0, 0), (0, 0)), constant_values=16) for frame in _split(8)]
    vectors = _embed(tmp_path, framed).vectors
    assert sorted((box.top, box.bottom) for box in vectors.boxes[1:]) == [(0.0, 1.0), (0.0, 1.0)]
    assert any(box.overlap(ViewBox(0, 1, 0, 0.5)) > 0.95 for box in vectors.boxes)
