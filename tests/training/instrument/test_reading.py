"""What the instrument reads off clips."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from training.instrument.reading import NOTHING, read_clip
from training.instrument.scenes import Scene

SCENE = Scene(colour="green", shape="square", direction="right", start=(0.3, 0.5))


def _drawn(scene: Scene = SCENE) -> np.ndarray:
    return scene.draw(16, 64, 64)


def test_a_clip_is_read_in_the_words_of_its_caption() -> None:
    assert read_clip(_drawn()).caption == "a green square moving right"


def test_time_run_backwards_turns_the_direction_round() -> None:
    assert read_clip(_drawn()[::-1]).direction == "left"


def test_a_mirrored_clip_goes_the_other_way_and_keeps_the_rest() -> None:
    assert read_clip(_drawn()[..., ::-1]).caption == "a green square moving left"


def test_a_triangle_on_its_head_is_not_called_a_better_triangle() -> None:
    upright = _drawn(dataclasses.replace(SCENE, shape="triangle"))
    turned = read_clip(upright[:, :, ::-1])
    assert turned.shape_overlap < read_clip(upright).shape_overlap - 0.1


@pytest.mark.parametrize("dimming", [0.4, 0.7])
def test_a_paler_colour_is_still_that_colour(dimming: float) -> None:
    dim = (_drawn() * dimming).astype(np.uint8)
    assert read_clip(dim).colour == "green"


def test_a_stopping_object_loses_the_constant_velocity() -> None:
    frames = _drawn()
    stopping = np.concatenate([frames[:4], np.repeat(frames[3:4], 12, axis=0)])
    assert read_clip(frames).constant_velocity_r2 > 0.99
    assert read_clip(stopping).constant_velocity_r2 < 0.8


def test_shuffled_frames_lose_the_constant_velocity() -> None:
    shuffled = _drawn()[np.random.default_rng(0).permutation(16)]
    assert read_clip(shuffled).constant_velocity_r2 < 0.5


def test_an_object_that_rests_has_no_direction() -> None:
    resting = read_clip(np.repeat(_drawn()[:1], 16, axis=0))
    assert (resting.colour, resting.shape, resting.direction) == ("green", "square", None)
    assert resting.constant_velocity_r2 == 0.0


def test_an_empty_clip_is_read_as_nothing() -> None:
    assert read_clip(np.full((16, 3, 64, 64), 24, dtype=np.uint8)) == NOTHING


def test_frames_without_an_object_are_left_out() -> None:
    frames = _drawn()
    frames[5] = 24
    assert read_clip(frames).caption == "a green square moving right"
    frames[2:] = 24
    assert read_clip(frames) == NOTHING
