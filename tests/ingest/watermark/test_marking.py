from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

from db.errors import ConfigError
from ingest.watermark.marking import MIN_PSNR_DB, mark_frames
from tests.ingest.watermark.marked import KEY, MARK_ID, scene_frames
from tests.media import flat_scene

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _psnr(frame: NDArray[np.uint8], marked: NDArray[np.uint8]) -> float:
    change = marked.astype(np.float64) - frame
    return float(10 * np.log10(255**2 / np.mean(change**2)))


def _one_of_each_kind() -> list[NDArray[np.uint8]]:
    random = np.random.default_rng(1)
    return [
        scene_frames(1)[0],
        *flat_scene((0, 0, 0), 1),
        *flat_scene((255, 255, 255), 1),
        *flat_scene((90, 120, 60), 1),
        random.integers(0, 256, (200, 300, 3)).astype(np.uint8),
        random.integers(0, 256, (64, 900)).astype(np.uint8),
        np.full((720, 1280, 3), 128, np.uint8),
    ]


def test_no_frame_of_any_kind_falls_below_the_floor() -> None:
    for frame in _one_of_each_kind():
        (marked,) = mark_frames([frame], MARK_ID, KEY)
        assert marked.shape == frame.shape
        assert marked.dtype == np.uint8
        assert _psnr(frame, marked) >= MIN_PSNR_DB


def test_the_budget_is_used() -> None:
    """A weaker mark would pass the test above and read badly."""
    random = np.random.default_rng(2)
    busy = random.integers(20, 236, (256, 256, 3)).astype(np.uint8)
    for frame in (busy, np.full((360, 640, 3), 128, np.uint8)):
        (marked,) = mark_frames([frame], MARK_ID, KEY)
        assert _psnr(frame, marked) < MIN_PSNR_DB + 0.1


def test_the_mark_is_grey() -> None:
    frame = np.full((128, 128, 3), (100, 140, 180), np.uint8)
    (marked,) = mark_frames([frame], MARK_ID, KEY)
    change = marked.astype(int) - frame
    assert np.array_equal(change[..., 0], change[..., 1])
    assert np.array_equal(change[..., 0], change[..., 2])


def test_frames_come_out_one_by_one_and_the_given_ones_stay() -> None:
    taken: list[int] = []

    def source() -> Iterator[NDArray[np.uint8]]:
        for index, frame in enumerate(frames):
            taken.append(index)
            yield frame

    frames = scene_frames(3, side=96)
    before = [frame.copy() for frame in frames]
    for index, marked in enumerate(mark_frames(source(), MARK_ID, KEY)):
        assert taken == list(range(index + 1))
        assert not np.array_equal(marked, frames[index])
    assert all(np.array_equal(*pair) for pair in zip(frames, before, strict=True))


def test_the_same_frame_is_marked_the_same() -> None:
    frame = scene_frames(1)[0]
    one, again = mark_frames([frame, frame], MARK_ID, KEY)
    assert np.array_equal(one, again)


def test_an_id_beyond_64_bits_is_refused_before_any_frame() -> None:
    with pytest.raises(ConfigError, match="64 bits"):
        mark_frames(iter([]), 2**64, KEY)


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((96, 96, 4), "uint8", "expected uint8 RGB"),
        ((96, 96, 3), "float32", "expected uint8 RGB"),
        ((96,), "uint8", "expected uint8 RGB"),
        ((96, 63, 3), "uint8", "too small"),
        ((0, 0, 3), "uint8", "too small"),
    ],
)
def test_what_is_no_frame_is_refused(shape: tuple[int, ...], dtype: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        list(mark_frames([np.zeros(shape, dtype)], MARK_ID, KEY))


def test_a_frame_of_another_size_is_refused() -> None:
    frames = [np.zeros((96, 96, 3), np.uint8), np.zeros((96, 98, 3), np.uint8)]
    with pytest.raises(ConfigError, match="among frames of shape"):
        list(mark_frames(frames, MARK_ID, KEY))


def test_a_frame_of_another_kind_is_refused_wherever_it_comes() -> None:
    frames = [np.zeros((96, 96, 3), np.uint8), np.zeros((96, 96, 3), np.float32)]
    with pytest.raises(ConfigError, match="expected uint8"):
        list(mark_frames(frames, MARK_ID, KEY))  # type: ignore[arg-type]


def test_nothing_in_is_nothing_out() -> None:
    assert list(mark_frames([], MARK_ID, KEY)) == []
