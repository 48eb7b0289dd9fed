"""Where a token stands in its clip, told to the model in two ways: by what is added to it, and by turning.

Shapes: N tokens, that run over time, then rows, then columns; D features of a token, E of an attention head; A heads,
B clips.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

Grid = tuple[int, int, int]
"""Tokens of a clip along time, height and width."""

_LONGEST_WAVE = 10_000.0
# Tokens are few along each axis, so a short wave tells the farthest apart (Heo et al. 2024, arXiv 2403.13298, take 100
# for pictures).
_LONGEST_TURN = 100.0


def wave_table(grid: Grid, width: int) -> Tensor:
    """Return sines and cosines ND of each token's time, row and column, a third of the features each (DiT's, by axes).

    Features that are left over are 0. Values have mean square 1/2 or less.
    """
    num_waves = width // 6
    table_ND = torch.zeros(math.prod(grid), width)
    frequencies = _frequencies(num_waves, _LONGEST_WAVE, table_ND.device)
    for axis, place_N in enumerate(_coordinates(grid, table_ND.device)):
        angles = place_N[:, None] * frequencies
        start = 2 * axis * num_waves
        table_ND[:, start : start + 2 * num_waves] = torch.cat([angles.sin(), angles.cos()], dim=-1)
    return table_ND


@dataclass(frozen=True)
class Turning:
    """Turns queries and keys by where their tokens stand, so that attention sees how far apart two of them are.

    Rotary embedding (Su et al. 2021, arXiv 2104.09864, section 3.2.2) of time, row and column, a third of a head's
    features each; features that are left over are not turned.
    """

    cosine_NE: Tensor
    sine_NE: Tensor

    def __call__(self, features_BANE: Tensor) -> Tensor:
        """Return the features of the tokens, turned."""
        half = features_BANE.shape[-1] // 2
        partner = torch.cat([-features_BANE[..., half:], features_BANE[..., :half]], dim=-1)
        return features_BANE * self.cosine_NE + partner * self.sine_NE


def turning(grid: Grid, head_width: int, device: torch.device) -> Turning:
    """Return the turning for heads of an even `head_width` on `device`."""
    num_turns = head_width // 6
    frequencies = _frequencies(num_turns, _LONGEST_TURN, device)
    turned = [place_N[:, None] * frequencies for place_N in _coordinates(grid, device)]
    still = torch.zeros(math.prod(grid), head_width // 2 - 3 * num_turns, device=device)
    angles_NF = torch.cat([*turned, still], dim=-1)
    angles_NE = torch.cat([angles_NF, angles_NF], dim=-1)
    return Turning(cosine_NE=angles_NE.cos(), sine_NE=angles_NE.sin())


def _coordinates(grid: Grid, device: torch.device) -> list[Tensor]:
    """Return time, row and column N of each token."""
    axes = [torch.arange(size, dtype=torch.float32, device=device) for size in grid]
    return [axis.flatten() for axis in torch.meshgrid(*axes, indexing="ij")]


def _frequencies(count: int, longest: float, device: torch.device) -> Tensor:
    """Return angles per step from 1 downwards, in equal ratios."""
    steps = torch.arange(count, dtype=torch.float32, device=device)
    return torch.exp(-math.log(longest) * steps / max(1, count))
