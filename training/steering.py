"""Holding a drawn clip to frames that are known, without training: a linear inverse problem along the flow.

A frame is a linear function of the tokens (the tokenizer is a matrix), so known frames are linear equations for them.
At each step, where the walk would end is taken for the mean of what is still open, with variance
r^2 = (1 - t)^2 / (t^2 + (1 - t)^2), and moved to the mean given the known pixels (Pokle et al. 2023, arXiv 2310.04432,
"Training-free Linear Image Inversion via Flows", algorithm 1, after Song et al. 2023, "Pseudoinverse-Guided Diffusion
Models for Inverse Problems"). The model need not be differentiated; directions that known pixels say little of stay the
model's own, so seeds still differ. Where tokens are pixels, known pixels are tokens' values, and simply kept.

Shapes: T frames, C = 3 colours, H by W pixels; a column is what stands at one place of the picture in all temporal
patches: S columns of M values each; Q known pixel values of a column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from training.flow import Steering
from training.tokenizer import PcaTokenizer, Tokenizer, cut_patches

PIXEL_VARIANCE = 0.05**2
"""Of a known pixel, in [-1, 1]: how far the tokenizer, which leaves components out, may miss it."""


@dataclass(frozen=True, kw_only=True)
class KnownFrames:
    """Frames that a clip is to have, ready to steer a walk (`training.flow.Steering`)."""

    num_times: int
    """Temporal patches of a clip."""
    design_MQ: Tensor
    """From the values of a column to its known pixels, less their mean."""
    target_SQ: Tensor
    """Known pixels less the mean of each."""
    spectrum_M: Tensor
    axes_MM: Tensor
    """Eigenvalues and eigenvectors (columns) of design times its transpose."""

    def __call__(self, end_BNK: Tensor, time: float) -> Tensor:
        """Return the mean of the end given the known pixels, for a walk at `time` in [0, 1)."""
        variance = (1.0 - time) ** 2 / (time**2 + (1.0 - time) ** 2)
        columns_BSM = _columns(end_BNK, self.num_times)
        pull_BSM = (self.target_SQ - columns_BSM @ self.design_MQ) @ self.design_MQ.T
        damping_M = 1.0 / (self.spectrum_M + PIXEL_VARIANCE / variance)
        moved_BSM = columns_BSM + ((pull_BSM @ self.axes_MM) * damping_M) @ self.axes_MM.T
        return _tokens(moved_BSM, self.num_times)


@dataclass(frozen=True, kw_only=True)
class KnownPixels:
    """Frames that a clip of pixel tokens is to have."""

    is_known_NK: Tensor
    """Which values of which tokens are pixels of a known frame."""
    tokens_NK: Tensor
    """The known pixels; what else is in it does not count."""

    def __call__(self, end_BNK: Tensor, time: float) -> Tensor:
        """Return the end with the known pixels in it."""
        return torch.where(self.is_known_NK, self.tokens_NK, end_BNK)


def know_frames(tokenizer: Tokenizer, frames_CHW: Mapping[int, Tensor]) -> Steering:
    """Make ready the uint8 frames `frames_CHW`, by their place in the clip; at least one, of the clip's size."""
    num_frames, height, width = tokenizer.clip_shape
    still_TCHW = torch.zeros((num_frames, 3, height, width), dtype=torch.uint8)
    for number, frame_CHW in frames_CHW.items():
        still_TCHW[number] = frame_CHW
    if isinstance(tokenizer, PcaTokenizer):
        return _know_components(tokenizer, frames_CHW, still_TCHW)
    is_known_TCHW = torch.zeros_like(still_TCHW)
    is_known_TCHW[list(frames_CHW)] = 255
    return KnownPixels(
        is_known_NK=tokenizer.encode(is_known_TCHW) > 0.0, tokens_NK=tokenizer.encode(still_TCHW)
    )


def _know_components(
    tokenizer: PcaTokenizer, frames_CHW: Mapping[int, Tensor], still_TCHW: Tensor
) -> KnownFrames:
    patch_frames, num_values = tokenizer.patch_shape[0], tokenizer.num_components
    num_times = tokenizer.clip_shape[0] // patch_frames
    place_P = tokenizer.mean_P.shape[0] // patch_frames
    atoms_KP = tokenizer.basis_KP * tokenizer.scale_K[:, None]
    patches_NP = cut_patches(still_TCHW, tokenizer.patch_shape).to(tokenizer.mean_P.device)
    centred_GSP = (patches_NP - tokenizer.mean_P).reshape(num_times, -1, tokenizer.mean_P.shape[0])
    design, target = [], []
    for number in sorted(frames_CHW):
        group, within = divmod(number, patch_frames)
        pixels = slice(within * place_P, (within + 1) * place_P)
        part_MP = atoms_KP.new_zeros((num_times, num_values, place_P))
        part_MP[group] = atoms_KP[:, pixels]
        design.append(part_MP.flatten(0, 1))
        target.append(centred_GSP[group, :, pixels])
    design_MQ = torch.cat(design, dim=1)
    # float64: neighbouring frames are nearly the same equation twice.
    spectrum_M, axes_MM = torch.linalg.eigh(design_MQ.double() @ design_MQ.double().T)
    return KnownFrames(
        num_times=num_times,
        design_MQ=design_MQ,
        target_SQ=torch.cat(target, dim=1),
        spectrum_M=spectrum_M.clamp_min(0.0).float(),
        axes_MM=axes_MM.float(),
    )


def _columns(tokens_BNK: Tensor, num_times: int) -> Tensor:
    """Turn tokens BNK, which run over time first, into columns BSM."""
    batch, num_tokens, num_values = tokens_BNK.shape
    split = tokens_BNK.reshape(batch, num_times, num_tokens // num_times, num_values)
    return split.transpose(1, 2).flatten(2)


def _tokens(columns_BSM: Tensor, num_times: int) -> Tensor:
    batch, num_columns, size = columns_BSM.shape
    split = columns_BSM.reshape(batch, num_columns, num_times, size // num_times)
    return split.transpose(1, 2).flatten(1, 2)
