"""The procedural set."""

from __future__ import annotations

import collections

import numpy as np
import pytest

from training.instrument.scenes import SCENES_PER_CAPTION, SHAPES, Scene, captions, cover, procedural_scenes


def test_every_caption_has_eight_scenes_of_its_own() -> None:
    scenes = procedural_scenes()
    counts = collections.Counter(scene.caption for scene in scenes)
    assert len(scenes) == len(set(scenes)) == 384
    assert counts == dict.fromkeys(captions(), SCENES_PER_CAPTION)


def test_a_seed_gives_the_same_scenes_again_and_another_gives_others() -> None:
    assert procedural_scenes(3) == procedural_scenes(3)
    assert not set(procedural_scenes(3)) & set(procedural_scenes(4))


@pytest.mark.parametrize("seed", [0, 1])
def test_no_shape_leaves_the_frame(seed: int) -> None:
    for scene in procedural_scenes(seed):
        frames = scene.draw(2, 64, 64)
        edges = (frames[:, :, 0], frames[:, :, -1], frames[:, :, :, 0], frames[:, :, :, -1])
        assert all((edge == frames[0, 0, 0, 0]).all() for edge in edges), scene


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_covers_the_area_of_its_circle_about_its_centre_of_mass(shape: str) -> None:
    share = cover(shape, (30.25, 33.5), 10.0, (64, 64))
    rows, columns = np.indices(share.shape) + 0.5
    assert share.sum() == pytest.approx(np.pi * 100.0, rel=0.01)
    assert (share * columns).sum() / share.sum() == pytest.approx(30.25, abs=0.05)
    assert (share * rows).sum() / share.sum() == pytest.approx(33.5, abs=0.05)


def test_a_scene_is_the_same_at_every_size() -> None:
    scene = Scene(colour="red", shape="triangle", direction="up")
    large = scene.draw(8, 64, 64).astype(float).reshape(8, 3, 32, 2, 32, 2).mean(axis=(3, 5))
    assert np.abs(large - scene.draw(8, 32, 32)).mean() < 1.0
