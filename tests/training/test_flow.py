"""Rectified flow: loss and sampler."""

from __future__ import annotations

import torch
from torch import Tensor

from training.flow import flow_loss, sample_tokens
from training.randomness import generator_for

GOAL = torch.tensor([[[2.0, -1.0]]])
WORDS = torch.tensor([[1]])


def test_the_true_velocity_has_no_loss() -> None:
    noise = torch.randn(3, 1, 2, generator=generator_for("seed", "noise", 0))
    footage = GOAL.expand(3, 1, 2)

    def true_velocity(noisy: Tensor, time: Tensor, words: Tensor) -> Tensor:
        # At time t, the noise still to be left behind is (z - t x) / (1 - t).
        return footage - (noisy - time[:, None, None] * footage) / (1 - time[:, None, None])

    time = torch.tensor([0.2, 0.5, 0.8])
    loss = flow_loss(
        true_velocity,
        footage,
        WORDS.expand(3, 1),
        time_B=time,
        noise_BNK=noise,
        weight_B1K=torch.ones(3, 1, 2),
    )
    assert float(loss) < 1e-10


def test_an_error_counts_for_what_it_is_said_to() -> None:
    def wrong(noisy: Tensor, time: Tensor, words: Tensor) -> Tensor:
        return torch.tensor([1.0, 2.0]).expand_as(noisy)

    nothing = torch.zeros(1, 1, 2)
    loss = flow_loss(
        wrong,
        nothing,
        WORDS,
        time_B=torch.tensor([0.2]),
        noise_BNK=nothing,
        weight_B1K=torch.tensor([[[3.0, 0.5]]]),
    )
    assert float(loss) == (3.0 * 1.0 + 0.5 * 4.0) / 2


def test_straight_velocity_leads_from_noise_to_footage() -> None:
    noise = torch.randn(1, 1, 2, generator=generator_for("seed", "noise", 0))

    def straight(noisy: Tensor, time: Tensor, words: Tensor) -> Tensor:
        return (GOAL - noise).expand_as(noisy)

    assert torch.allclose(sample_tokens(straight, noise, WORDS, num_steps=7, guidance=2.0), GOAL, atol=1e-5)


def test_guidance_extrapolates_from_uncaptioned_to_captioned() -> None:
    def caption_as_velocity(noisy: Tensor, time: Tensor, words: Tensor) -> Tensor:
        return words[:, :, None].to(noisy.dtype).expand_as(noisy)

    start = torch.zeros(1, 1, 2)
    for guidance in (0.0, 1.0, 2.5):
        end = sample_tokens(caption_as_velocity, start, WORDS, num_steps=4, guidance=guidance)
        assert torch.allclose(end, torch.full((1, 1, 2), guidance))
