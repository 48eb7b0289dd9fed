"""Pixel patches as tokens."""

from __future__ import annotations

import torch

from tests.training.test_steering import clip
from training.pixels import PixelTokenizer
from training.randomness import generator_for
from training.steering import know_frames

TOKENIZER = PixelTokenizer(clip_shape=(4, 16, 16), patch_shape=(2, 8, 4))


def test_nothing_of_a_clip_is_lost() -> None:
    frames = torch.randint(0, 256, (4, 3, 16, 16), generator=generator_for("pixels", "clip", 0)).to(
        torch.uint8
    )
    tokens = TOKENIZER.encode(frames)
    assert tokens.shape == (TOKENIZER.num_tokens, TOKENIZER.num_components) == (16, 192)
    assert (tokens.dtype, float(tokens.abs().max())) == (torch.float32, 1.0)
    assert torch.equal(TOKENIZER.decode(tokens), frames)
    assert torch.equal(TOKENIZER.patches(tokens), tokens)


def test_what_is_beyond_black_and_white_is_cut() -> None:
    tokens = torch.full((16, 192), 1.5)
    assert int(TOKENIZER.decode(tokens).min()) == 255
    assert int(TOKENIZER.decode(-tokens).max()) == 0


def test_it_is_fitted_to_nothing() -> None:
    assert TOKENIZER.tensors() == {}
    assert TOKENIZER.variances is None
    assert TOKENIZER.to("meta").device.type == "meta"


def test_known_frames_are_kept_pixel_for_pixel() -> None:
    source = clip(1)
    known = know_frames(TOKENIZER, {1: source[1], 2: source[2]})
    end = torch.randn(1, 16, 192, generator=generator_for("pixels", "end", 0))
    held, free = TOKENIZER.decode(known(end, 0.5)[0]), TOKENIZER.decode(end[0])
    assert torch.equal(held[1:3], source[1:3])
    assert torch.equal(held[[0, 3]], free[[0, 3]])
