"""Rectified flow: the training loss and the sampler.

A straight path from noise e (t = 0) to footage x (t = 1): z = (1 - t) e + t x, with velocity x - e (Liu et
al. 2022, arXiv 2209.03003, section 2.1; Lipman et al. 2022, arXiv 2210.02747, equation 22). Shapes as in
`training.model`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from training.vocabulary import PADDING_ID

Velocity = Callable[[Tensor, Tensor, Tensor], Tensor]
"""A model as the flow sees it: (tokens_BNK, time_B, words_BL) to velocity BNK."""

Steering = Callable[[Tensor, float], Tensor]
"""What a walk is held to: (where it would end, tokens BNK; time) to where it should end."""


@dataclass(frozen=True, kw_only=True)
class LogitNormal:
    """Times in (0, 1) whose logit is normal (Esser et al. 2024, arXiv 2403.03206, section 3.1)."""

    mean: float
    deviation: float
    latest: float = 1.0
    """Later times are drawn as this one."""

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw times B."""
        normal_B = torch.randn(count, generator=generator)
        return (normal_B * self.deviation + self.mean).sigmoid().clamp_max(self.latest)


def flow_loss(
    model: Velocity,
    tokens_BNK: Tensor,
    words_BL: Tensor,
    *,
    time_B: Tensor,
    noise_BNK: Tensor,
    weight_B1K: Tensor,
) -> Tensor:
    """Return the mean squared error of the predicted velocity, a scalar; `weight_B1K` says what an error counts for."""
    time_B11 = time_B[:, None, None]
    noisy_BNK = (1.0 - time_B11) * noise_BNK + time_B11 * tokens_BNK
    error_BNK = model(noisy_BNK, time_B, words_BL) - (tokens_BNK - noise_BNK)
    return (error_BNK.square() * weight_B1K).mean()


@torch.no_grad()
def sample_tokens(
    model: Velocity,
    start_BNK: Tensor,
    words_BL: Tensor,
    *,
    num_steps: int,
    guidance: float,
    first_step: int = 0,
    steering: Steering | None = None,
) -> Tensor:
    """Walk from noise to tokens BNK in equal Euler steps under classifier-free guidance.

    Guidance is u + guidance (c - u) for velocities c with and u without the caption (Ho and Salimans 2022,
    arXiv 2207.12598, equation 6, with their w = guidance - 1). `start_BNK` is noise; with a `first_step` above 0 it is
    where the straight path stands after so many of the steps. `steering` corrects where each step is headed.
    """
    both_words = torch.cat([words_BL, torch.full_like(words_BL, PADDING_ID)])
    tokens_BNK = start_BNK
    for step in range(first_step, num_steps):
        time, left = step / num_steps, 1.0 - step / num_steps
        time_2B = tokens_BNK.new_full((len(both_words),), time)
        captioned, free = model(torch.cat([tokens_BNK, tokens_BNK]), time_2B, both_words).chunk(2)
        velocity_BNK = free + guidance * (captioned - free)
        if steering is not None:
            end_BNK = steering(tokens_BNK + left * velocity_BNK, time)
            velocity_BNK = (end_BNK - tokens_BNK) / left
        tokens_BNK = tokens_BNK + velocity_BNK / num_steps
    return tokens_BNK
