from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageFilter

from ingest.media.borders import luma
from ingest.pictures.views import WHOLE, ViewBox, find_boxes
from tests.media import flat_scene, moving_scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Greys = list[NDArray[np.uint8]]

_NUM_FRAMES = 16
_CLOSE = 0.03


def _moving(seed: int, height: int = 120, width: int = 160) -> Greys:
    """Return every sixth frame of a moving scene, as they are sampled, as soft as a photograph is at this size."""
    sampled = islice(moving_scene(seed, 6 * _NUM_FRAMES, height, width), 0, None, 6)
    return [_blurred(luma(frame), 1.2) for frame in sampled]


def _blurred(frame: NDArray[np.uint8], radius: float) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(frame).filter(ImageFilter.GaussianBlur(radius)))


def _scaled(frames: Greys, height: int, width: int) -> Greys:
    return [np.asarray(Image.fromarray(frame).resize((width, height))) for frame in frames]


def _compressed(frames: Greys) -> Greys:
    """Return the frames with the noise of a decoder."""
    random = np.random.default_rng(5)
    return [
        np.clip(frame + random.normal(0, 2, frame.shape), 0, 255).round().astype(np.uint8) for frame in frames
    ]


def _laid(hosts: Greys, parts: Greys, top: int, left: int) -> Greys:
    laid = []
    for host, part in zip(hosts, parts, strict=True):
        frame = host.copy()
        frame[top : top + part.shape[0], left : left + part.shape[1]] = part
        laid.append(frame)
    return laid


def _is_close(found: ViewBox, wanted: ViewBox) -> bool:
    sides = [(found.top, wanted.top), (found.bottom, wanted.bottom)]
    sides += [(found.left, wanted.left), (found.right, wanted.right)]
    return all(abs(one - other) <= _CLOSE for one, other in sides)


@pytest.mark.parametrize(
    ("top", "left", "height", "width"),
    [(66, 84, 44, 58), (6, 8, 48, 64), (0, 112, 36, 48), (72, 0, 48, 64), (36, 40, 48, 64)],
)
@pytest.mark.parametrize("seed", [1, 5])
def test_an_inset_over_a_moving_host_is_found(
    top: int, left: int, height: int, width: int, seed: int
) -> None:
    frames = _laid(_moving(seed), _moving(seed + 50, height, width), top, left)
    wanted = ViewBox(top / 120, (top + height) / 120, left / 160, (left + width) / 160)
    assert any(_is_close(box, wanted) for box in find_boxes(_compressed(frames)))


@pytest.mark.parametrize("seed", range(1, 7))
def test_an_inset_with_a_faint_outline_is_found(seed: int) -> None:
    """Both films have little contrast, as toys on a table have. Three of six were missed for want of an outline."""
    frames = _laid(_faded(_moving(seed)), _faded(_moving(seed + 50, 54, 72)), 60, 82)
    wanted = ViewBox(60 / 120, 114 / 120, 82 / 160, 154 / 160)
    assert any(_is_close(box, wanted) for box in find_boxes(_compressed(frames)))


def _faded(frames: Greys) -> Greys:
    return [(90 + 0.2 * (frame.astype(np.float32) - 128)).round().astype(np.uint8) for frame in frames]


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_both_halves_of_a_split_screen_are_found(seed: int) -> None:
    halves = zip(_moving(seed, 90, 80), _moving(seed + 50, 90, 80), strict=True)
    boxes = find_boxes(_compressed([np.concatenate(pair, axis=1) for pair in halves]))
    for wanted in (ViewBox(0, 1, 0, 0.5), ViewBox(0, 1, 0.5, 1)):
        assert any(_is_close(box, wanted) for box in boxes)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_the_edges_of_the_sharp_middle_of_a_blurred_pad_are_found(seed: int) -> None:
    """A wide picture made tall: above and below it is the same picture, large and blurred."""
    middles = _moving(seed, 68, 120)
    hosts = [_blurred(frame, 6) for frame in _scaled([middle[:, 40:80] for middle in middles], 200, 120)]
    boxes = find_boxes(_compressed(_laid(hosts, middles, 66, 0)))
    assert any(abs(box.top - 66 / 200) <= _CLOSE and box.bottom > 0.6 for box in boxes)
    assert any(abs(box.bottom - 134 / 200) <= _CLOSE and box.top < 0.4 for box in boxes)


def test_a_plain_moving_scene_has_no_parts() -> None:
    for seed in range(1, 9):
        assert find_boxes(_compressed(_moving(seed))) == []


def test_a_picture_that_stands_still_has_no_parts() -> None:
    """Any edge in it is there in every frame. Parts that are none take the place of those that are."""
    random = np.random.default_rng(7)
    panes = np.kron(random.integers(0, 256, (4, 5), dtype=np.uint8), np.ones((60, 64), dtype=np.uint8))
    assert find_boxes([panes] * _NUM_FRAMES) == []
    assert find_boxes(_compressed([panes] * _NUM_FRAMES)) == []
    for seed in range(1, 5):
        assert find_boxes(_moving(seed)[:1] * _NUM_FRAMES) == []


@pytest.mark.parametrize("seed", range(1, 5))
def test_a_film_beside_a_picture_that_stands_still_is_found(seed: int) -> None:
    """The still one has more edges, and clearer ones, than the outline of the other."""
    poster = _moving(seed + 50, 90, 80)[0]
    boxes = find_boxes([np.concatenate([frame, poster], axis=1) for frame in _moving(seed, 90, 80)])
    assert all(box.left < 0.48 for box in boxes)


def test_an_inset_of_a_few_pixels_or_nearly_the_whole_is_no_part() -> None:
    small = _laid(_moving(1), _moving(51, 18, 24), 50, 60)
    assert find_boxes(_compressed(small)) == []
    large = _laid(_moving(1), _moving(51, 116, 155), 2, 2)
    assert all(box.area <= 0.9 for box in find_boxes(_compressed(large)))


def test_flat_frames_have_no_parts() -> None:
    assert find_boxes([luma(frame) for frame in flat_scene((90, 30, 60), 5, 120, 160)]) == []


@pytest.mark.parametrize("shape", [(8, 8), (7, 300), (300, 7), (1, 1)])
def test_frames_of_odd_shapes_are_taken(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(1)
    boxes = find_boxes([random.integers(0, 256, shape, dtype=np.uint8) for _ in range(4)])
    assert len(boxes) <= 3


def test_the_same_frames_give_the_same_parts() -> None:
    frames = _compressed(_laid(_moving(3), _moving(53, 48, 64), 66, 90))
    assert find_boxes(frames) == find_boxes([frame.copy() for frame in frames])


def _numbered(height: int, width: int) -> NDArray[np.uint8]:
    return (np.arange(height)[:, None] * 16 + np.arange(width)).astype(np.uint8)


@pytest.mark.parametrize("prepare", [lambda grey: grey, lambda grey: np.stack([grey] * 3, axis=-1)])
def test_a_part_is_cut_out_without_its_outline(
    prepare: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
) -> None:
    picture = prepare(_numbered(10, 16))
    cut = ViewBox(0.2, 0.8, 0.25, 0.75).crop(picture)
    np.testing.assert_array_equal(cut, picture[3:7, 5:11])
    assert cut.flags.c_contiguous


def test_a_side_on_the_edge_of_the_frame_has_no_outline() -> None:
    picture = _numbered(10, 16)
    np.testing.assert_array_equal(WHOLE.crop(picture), picture)
    np.testing.assert_array_equal(ViewBox(0, 1, 0.5, 1).crop(picture), picture[:, 9:])
    np.testing.assert_array_equal(ViewBox(0, 0.5, 0, 1).crop(picture), picture[:4])


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 2)])
def test_a_part_is_never_empty(shape: tuple[int, int]) -> None:
    for box in _boxes_of_fifths():
        assert min(box.crop(np.zeros(shape, dtype=np.uint8)).shape) >= 1


def _boxes_of_fifths() -> Sequence[ViewBox]:
    fifths = [number / 5 for number in range(6)]
    spans = [(start, end) for start in fifths for end in fifths if end > start]
    return [ViewBox(top, bottom, left, right) for top, bottom in spans for left, right in spans]


def test_overlap_is_shared_area_over_all_area() -> None:
    left, right = ViewBox(0, 1, 0, 0.5), ViewBox(0, 1, 0.5, 1)
    assert left.overlap(left) == 1
    assert left.overlap(right) == 0
    assert left.overlap(WHOLE) == WHOLE.overlap(left) == 0.5
    assert left.overlap(ViewBox(0, 1, 0.25, 0.75)) == pytest.approx(1 / 3)
    assert ViewBox(0.25, 0.75, 0, 1).area == 0.5
