from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ingest.borders import luma
from ingest.geometry import Picture, compare_runs, register
from tests.media import flat_scene, moving_scene

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _compressed(image: NDArray[np.uint8], quality: int = 60) -> NDArray[np.uint8]:
    data = io.BytesIO()
    Image.fromarray(luma(image)).save(data, "JPEG", quality=quality)
    return np.asarray(Image.open(data))


def _scene(seed: int) -> list[NDArray[np.uint8]]:
    return list(islice(moving_scene(seed, 40), 0, None, 8))


def _pictures(frames: Iterator[NDArray[np.uint8]] | list[NDArray[np.uint8]]) -> list[Picture]:
    return [Picture(_compressed(frame)) for frame in frames]


def _two_takes(seed: int) -> list[NDArray[np.uint8]]:
    """A person-sized patch that moves before a room: the room is the same whatever the seed."""
    room = next(moving_scene(99, 1))
    subject = next(moving_scene(seed, 1, 72, 56))
    frames = []
    for row in range(10, 60, 10):
        frame = room.copy()
        frame[row : row + 72, 60:116] = subject
        frames.append(frame)
    return frames


def test_a_compressed_copy_agrees() -> None:
    scene = _scene(1)
    copy = [Picture(_compressed(frame, 25)) for frame in scene]
    agreement = compare_runs(copy, _pictures(scene))
    assert agreement is not None
    assert agreement.score > 0.95
    assert agreement.num_inliers > 50


def test_a_cropped_and_scaled_copy_agrees_and_its_map_is_found() -> None:
    scene = _scene(2)
    cropped = [np.asarray(Image.fromarray(frame[22:122, 29:163]).resize((192, 144))) for frame in scene]
    agreement = compare_runs(_pictures(cropped), _pictures(scene))
    assert agreement is not None
    assert agreement.score > 0.9
    fit = register(_pictures(cropped)[0].features, _pictures(scene)[0].features)
    assert fit is not None
    np.testing.assert_allclose(fit.map_23, [[134 / 192, 0, 29], [0, 100 / 144, 22]], atol=1.0)


def test_a_caption_across_the_bottom_does_not_hide_a_copy() -> None:
    scene = _scene(3)
    captioned = [frame.copy() for frame in scene]
    for frame in captioned:
        frame[108:136] = 12
        frame[116:128, 40:150:6] = 255
    agreement = compare_runs(_pictures(captioned), _pictures(scene))
    assert agreement is not None
    assert agreement.score > 0.95


def test_a_mirrored_copy_agrees_once_it_is_mirrored_back() -> None:
    scene = _scene(4)
    mirrored = _pictures([frame[:, ::-1] for frame in scene])
    agreement = compare_runs([picture.mirrored for picture in mirrored], _pictures(scene))
    assert agreement is not None
    assert agreement.score > 0.95
    plain = compare_runs(mirrored, _pictures(scene))
    assert plain is None or plain.score < 0.3


def test_another_subject_in_the_same_room_does_not_agree() -> None:
    """The room registers well, and most of the picture is the room."""
    agreement = compare_runs(_pictures(_two_takes(5)), _pictures(_two_takes(6)))
    assert agreement is not None
    assert agreement.num_inliers > 20
    assert agreement.motion < 0.5
    assert agreement.score < 0.75
    same = compare_runs(_pictures(_two_takes(5)), _pictures(_two_takes(5)))
    assert same is not None
    assert same.score > 0.95


def test_different_scenes_and_empty_frames_do_not_fit() -> None:
    different = compare_runs(_pictures(_scene(7)), _pictures(_scene(8)))
    assert different is None or different.score < 0.3
    grey = _pictures(flat_scene((90, 90, 90), 3))
    assert compare_runs(grey, grey) is None
    assert compare_runs([], []) is None
