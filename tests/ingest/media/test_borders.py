from __future__ import annotations

import numpy as np

from ingest.media.borders import ContentBox, content_box, is_textured, luma
from tests.media import flat_scene, moving_scene


def test_black_and_white_bars_are_cut_off() -> None:
    for level in (0, 16, 255):
        frames = [
            np.pad(frame, ((20, 30), (12, 8), (0, 0)), constant_values=level) for frame in moving_scene(1, 3)
        ]
        box = content_box(frames)
        assert box == ContentBox(top=20, bottom=164, left=12, right=204)
        assert box.crop(frames[0]).shape == (144, 192, 3)


def test_a_frame_without_bars_is_kept_whole() -> None:
    assert content_box(list(moving_scene(2, 3))) == ContentBox(top=0, bottom=144, left=0, right=192)


def test_grey_bars_are_picture() -> None:
    frames = [np.pad(frame, ((20, 20), (0, 0), (0, 0)), constant_values=128) for frame in moving_scene(1, 2)]
    assert content_box(frames) == ContentBox(top=0, bottom=184, left=0, right=192)


def test_what_only_some_frames_leave_dark_is_no_bar() -> None:
    """One dark frame must not cut the bright one that follows."""
    dark = np.zeros((144, 192, 3), dtype=np.uint8)
    dark[60:80, 80:100] = 200
    assert content_box([dark, next(moving_scene(1, 1))]) == ContentBox(top=0, bottom=144, left=0, right=192)


def test_black_frames_are_kept_whole() -> None:
    assert content_box(list(flat_scene((0, 0, 0), 2))) == ContentBox(top=0, bottom=144, left=0, right=192)


def test_flat_frames_have_no_texture_and_scenes_have() -> None:
    assert not any(is_textured(frame) for frame in flat_scene((90, 120, 60), 1))
    gradient = np.repeat(np.linspace(0, 60, 192, dtype=np.uint8)[None, :, None], 144, axis=0)
    assert not is_textured(np.repeat(gradient, 3, axis=2))
    assert all(is_textured(frame) for seed in range(4) for frame in moving_scene(seed, 1))


def test_luma_of_grey_is_its_level() -> None:
    levels = np.arange(256, dtype=np.uint8)
    assert luma(np.repeat(levels[None, :, None], 3, axis=2)).tolist() == [levels.tolist()]
