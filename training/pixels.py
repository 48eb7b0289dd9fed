"""Pixel patches as tokens: nothing is fitted, so no clip goes into the tokenizer, and nothing of a clip is lost.

For models of some size, which predict the footage itself (`training.parametrisation.Footage`). Shapes as in
`training.tokenizer`; a token has the P values of its patch, so K is P.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from training.tokenizer import count_tokens, cut_patches, join_patches


@dataclasses.dataclass(frozen=True, kw_only=True)
class PixelTokenizer:
    """Tokens are patches of pixel values in [-1, 1]; decoding what was encoded gives the clip, bit for bit."""

    clip_shape: tuple[int, int, int]
    """Frames, height and width of a clip."""
    patch_shape: tuple[int, int, int]
    """Frames, height and width of a patch; each divides the clip's."""
    device: torch.device = dataclasses.field(default_factory=lambda: torch.device("cpu"))
    """Where tokens lie."""

    @property
    def num_tokens(self) -> int:
        """Tokens of a clip."""
        return count_tokens(self.clip_shape, self.patch_shape)

    @property
    def num_components(self) -> int:
        """Values of a token: those of a patch in three colours."""
        return 3 * math.prod(self.patch_shape)

    @property
    def variances(self) -> None:
        """Nobody looked at the footage."""
        return

    def encode(self, frames_TCHW: Tensor) -> Tensor:
        """Turn one uint8 clip into float32 tokens NK."""
        return cut_patches(frames_TCHW.to(self.device), self.patch_shape)

    def patches(self, tokens_NK: Tensor) -> Tensor:
        """Return the tokens, which are patches."""
        return tokens_NK

    def decode(self, tokens_NK: Tensor) -> Tensor:
        """Turn tokens NK back into a uint8 clip TCHW on the CPU, clipped to black and white."""
        return join_patches(tokens_NK, self.clip_shape, self.patch_shape).cpu()

    def tensors(self) -> dict[str, Tensor]:
        """Return nothing: it was fitted to nothing."""
        return {}

    def to(self, device: str) -> PixelTokenizer:
        """Return the same tokenizer for tokens on `device`."""
        return dataclasses.replace(self, device=torch.device(device))
