"""Walks that are held to known frames."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training.flow import sample_tokens
from training.randomness import generator_for
from training.steering import know_frames
from training.tokenizer import PcaTokenizer, fit_tokenizer

SHAPE = (4, 16, 16)
WORDS = torch.tensor([[1]])


def clip(number: int) -> Tensor:
    """A clip of smooth noise that moves: a low-dimensional family, so that few components carry it."""
    generator = generator_for("steering", "clip", number)
    coarse = torch.rand((1, 3, 4, 5, 5), generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=SHAPE, mode="trilinear", align_corners=True)
    return (smooth[0].permute(1, 0, 2, 3) * 255).to(torch.uint8)


@pytest.fixture(scope="module", params=[4, 2])
def tokenizer(request: pytest.FixtureRequest) -> PcaTokenizer:
    """With one patch over the whole time, and with two."""
    clips = [clip(number) for number in range(40)]
    return fit_tokenizer(clips, clip_shape=SHAPE, patch_shape=(request.param, 8, 8), num_components=48)


def drawn(tokenizer: PcaTokenizer, seed: int, known: dict[int, Tensor]) -> Tensor:
    """Draw with a model that knows nothing: every walk ends at the mean clip."""
    noise = torch.randn(
        (1, tokenizer.num_tokens, tokenizer.num_components), generator=generator_for("s", "n", seed)
    )

    def to_the_mean(tokens: Tensor, time: Tensor, words: Tensor) -> Tensor:
        return -tokens / (1.0 - time[:, None, None])

    tokens = sample_tokens(
        to_the_mean,
        noise,
        WORDS,
        num_steps=8,
        guidance=1.0,
        steering=know_frames(tokenizer, known) if known else None,
    )
    return tokenizer.decode(tokens[0])


def distance(one: Tensor, other: Tensor) -> float:
    return float((one.double() - other.double()).abs().mean())


@pytest.mark.parametrize("place", [0, 3])
def test_a_known_frame_is_met_and_the_free_draw_misses_it(tokenizer: PcaTokenizer, place: int) -> None:
    frame = clip(1)[place]
    free, held = drawn(tokenizer, 0, {}), drawn(tokenizer, 0, {place: frame})
    assert distance(held[place], frame) < 0.25 * distance(free[place], frame)


def test_several_known_frames_are_met(tokenizer: PcaTokenizer) -> None:
    source = clip(2)
    free, held = drawn(tokenizer, 0, {}), drawn(tokenizer, 0, {0: source[0], 3: source[3]})
    for place in (0, 3):
        assert distance(held[place], source[place]) < 0.35 * distance(free[place], source[place])


def test_what_is_met_already_is_left_alone(tokenizer: PcaTokenizer) -> None:
    faint = clip(3) // 4 + 96  # within what a picture can show, so that decoding clips nothing
    tokens = tokenizer.encode(faint)[None]
    known = know_frames(tokenizer, {0: tokenizer.decode(tokens[0])[0]})
    assert (known(tokens, 0.5) - tokens).abs().max() < 0.05


def test_steering_is_the_posterior_mean() -> None:
    """Against the textbook formula x + A^T (A A^T + s I)^-1 (y - A x), in float64, one patch and one place."""
    tokenizer = fit_tokenizer(
        [clip(number)[:, :, :8, :8] for number in range(60)],
        clip_shape=(4, 8, 8),
        patch_shape=(4, 8, 8),
        num_components=12,
    )
    frame = clip(5)[0, :, :8, :8]
    known = know_frames(tokenizer, {0: frame})
    mean = torch.randn((1, 1, 12), generator=generator_for("s", "mean", 0))
    time = 0.25
    forward = (tokenizer.scale_K[:, None] * tokenizer.basis_KP)[:, : 3 * 64].double().T
    pixels = frame.flatten().double() / 127.5 - 1.0 - tokenizer.mean_P[: 3 * 64].double()
    noise = 0.05**2 / ((1 - time) ** 2 / (time**2 + (1 - time) ** 2))
    inner = forward @ forward.T + noise * torch.eye(3 * 64, dtype=torch.float64)
    x = mean[0, 0].double()
    expected = x + forward.T @ torch.linalg.solve(inner, pixels - forward @ x)
    assert torch.allclose(known(mean, time)[0, 0].double(), expected, atol=2e-3)


def test_a_walk_that_begins_late_keeps_what_it_begins_with() -> None:
    start = torch.full((1, 1, 2), 3.0)

    def one(tokens: Tensor, time: Tensor, words: Tensor) -> Tensor:
        return torch.ones_like(tokens)

    end = sample_tokens(one, start, WORDS, num_steps=4, guidance=1.0, first_step=3)
    assert torch.allclose(end, torch.full((1, 1, 2), 3.25))
