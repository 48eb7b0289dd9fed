"""What the instrument says of footage, of noise and of mistakes."""

from __future__ import annotations

import numpy as np
import pytest

from training.instrument.scenes import Scene, captions, procedural_scenes
from training.instrument.scores import CHANCE, score_clips


@pytest.mark.parametrize(("num_frames", "side"), [(8, 32), (16, 64)])
@pytest.mark.parametrize("seed", [0, 7])
def test_the_set_itself_scores_one_on_everything(num_frames: int, side: int, seed: int) -> None:
    scenes = procedural_scenes(seed)[:: 1 if side == 32 else 3]
    scores = score_clips((scene.caption, scene.draw(num_frames, side, side)) for scene in scenes)
    assert (scores.colour, scores.direction, scores.shape, scores.all_three) == (1.0, 1.0, 1.0, 1.0)
    assert scores.constant_velocity_r2 > 0.995
    assert scores.shape_overlap > 0.99


def test_noise_scores_no_better_than_guessing() -> None:
    draws = np.random.default_rng(0)
    noise = [(caption, draws.integers(0, 256, (8, 3, 32, 32), dtype=np.uint8)) for caption in 8 * captions()]
    scores = score_clips(noise)
    # Four standard errors of a guess over 384 clips.
    assert scores.colour < CHANCE["colour"] + 0.09
    assert scores.direction < CHANCE["direction"] + 0.09
    assert scores.shape < CHANCE["shape"] + 0.10
    assert scores.constant_velocity_r2 < 0.2


def test_each_mistake_costs_its_own_score_only() -> None:
    frames = Scene(colour="red", shape="circle", direction="up").draw(16, 64, 64)
    asked = ["a blue circle moving up", "a red square moving up", "a red circle moving left"]
    found = [score_clips([(caption, frames)]) for caption in asked]
    assert [(s.colour, s.shape, s.direction) for s in found] == [(0, 1, 1), (1, 0, 1), (1, 1, 0)]
    assert [s.all_three for s in found] == [0, 0, 0]


@pytest.mark.parametrize("caption", ["", "a red circle", "a mauve circle moving up", "red red red moving up"])
def test_a_caption_of_another_set_is_refused(caption: str) -> None:
    frames = Scene(colour="red", shape="circle", direction="up").draw(8, 32, 32)
    with pytest.raises(ValueError, match="no caption of the procedural set"):
        score_clips([(caption, frames)])


def test_no_clips_have_no_score() -> None:
    with pytest.raises(ValueError, match="no clips"):
        score_clips([])
