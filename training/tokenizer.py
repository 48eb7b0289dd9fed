"""Video tokenizers: what a clip is to the model. A clip is cut into patches, and a token stands for one of them.

`PcaTokenizer`, closed form: a token is the patch's coordinates on the leading principal components of the snapshot's
own footage. `training.pixels.PixelTokenizer`: the patch itself. Nothing is trained by gradient and nothing is
pretrained, so a tokenizer's lineage is the snapshot and nothing else.

Shapes: B clips, T frames, C = 3 colours, H by W pixels, N tokens of a clip, P values of a patch, K
components. Components are found in one pass with bounded memory by merging each batch into a truncated
singular value decomposition (Ross et al. 2008, "Incremental Learning for Robust Visual Tracking", section
3.1).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor

from training.errors import TrainingConfigError

# Directions kept while merging, as a multiple of those wanted: what batches push out of the basis is then
# noise.
_OVERSAMPLING = 2
_PATCHES_PER_MERGE = 512


class Tokenizer(Protocol):
    """Turns uint8 clips into float tokens and back."""

    @property
    def clip_shape(self) -> tuple[int, int, int]:
        """Frames, height and width of a clip."""
        ...

    @property
    def patch_shape(self) -> tuple[int, int, int]:
        """Frames, height and width of a patch; each divides the clip's."""
        ...

    @property
    def num_tokens(self) -> int:
        """Tokens of a clip."""
        ...

    @property
    def num_components(self) -> int:
        """Values of a token."""
        ...

    @property
    def variances(self) -> Tensor | None:
        """Variances K of a token's values over the footage; `None`: nobody looked."""
        ...

    @property
    def device(self) -> torch.device:
        """Where tokens lie."""
        ...

    def encode(self, frames_TCHW: Tensor) -> Tensor:
        """Turn one uint8 clip into float32 tokens NK; one at a time, so that its bits depend on no other."""
        ...

    def patches(self, tokens_NK: Tensor) -> Tensor:
        """Turn tokens NK into patches NP, pixel values in [-1, 1] or a little beyond."""
        ...

    def decode(self, tokens_NK: Tensor) -> Tensor:
        """Turn tokens NK back into a uint8 clip TCHW on the CPU, clipped to black and white."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Return what it was fitted to, by name; its shapes are in the configuration."""
        ...

    def to(self, device: str) -> Tokenizer:
        """Return the same tokenizer with its tensors on `device`."""
        ...


def count_tokens(clip_shape: tuple[int, int, int], patch_shape: tuple[int, int, int]) -> int:
    """Return the patches of a clip."""
    return math.prod(size // patch for size, patch in zip(clip_shape, patch_shape, strict=True))


@dataclasses.dataclass(frozen=True, kw_only=True)
class PcaTokenizer:
    """Tokens on principal components; exact but for the components left out."""

    clip_shape: tuple[int, int, int]
    """Frames, height and width of a clip."""
    patch_shape: tuple[int, int, int]
    """Frames, height and width of a patch; each divides the clip's."""
    mean_P: Tensor
    """Mean patch, pixel values in [-1, 1]."""
    basis_KP: Tensor
    """Orthonormal rows, by falling variance; the largest entry of each row is positive."""
    scale_K: Tensor
    """A coordinate is divided by this: between whitening (sd) and plain PCA (1), see `_scales`."""

    @property
    def num_components(self) -> int:
        """Values of a token."""
        return self.basis_KP.shape[0]

    @property
    def variances(self) -> Tensor:
        """Variances K of a token's values over the footage, of mean 1. They follow from the scales, see `_scales`."""
        square_K = self.scale_K.square()
        return square_K / square_K.mean()

    @property
    def num_tokens(self) -> int:
        """Tokens of a clip."""
        return count_tokens(self.clip_shape, self.patch_shape)

    @property
    def device(self) -> torch.device:
        """Where tokens lie."""
        return self.mean_P.device

    def encode(self, frames_TCHW: Tensor) -> Tensor:
        """Turn one uint8 clip into float32 tokens NK; one at a time, so that its bits depend on no other."""
        patches_NP = cut_patches(frames_TCHW, self.patch_shape).to(self.device)
        return (patches_NP - self.mean_P) @ self.basis_KP.T / self.scale_K

    def patches(self, tokens_NK: Tensor) -> Tensor:
        """Turn tokens NK into patches NP, pixel values in [-1, 1] or a little beyond."""
        return (tokens_NK * self.scale_K) @ self.basis_KP + self.mean_P

    def decode(self, tokens_NK: Tensor) -> Tensor:
        """Turn tokens NK back into a uint8 clip TCHW on the CPU, clipped to black and white."""
        return join_patches(self.patches(tokens_NK).cpu(), self.clip_shape, self.patch_shape)

    def tensors(self) -> dict[str, Tensor]:
        """Return what it was fitted to, by name; its shapes are in the configuration."""
        return {"mean": self.mean_P, "basis": self.basis_KP, "scale": self.scale_K}

    def to(self, device: str) -> PcaTokenizer:
        """Return the same tokenizer with its tensors on `device`."""
        return dataclasses.replace(
            self,
            mean_P=self.mean_P.to(device),
            basis_KP=self.basis_KP.to(device),
            scale_K=self.scale_K.to(device),
        )


def cut_patches(frames_TCHW: Tensor, patch_shape: tuple[int, int, int]) -> Tensor:
    """Cut a uint8 clip into float32 patches NP in [-1, 1]; tokens run over time, then rows, then columns."""
    num_frames, _, height, width = frames_TCHW.shape
    t, h, w = patch_shape
    split = frames_TCHW.reshape(num_frames // t, t, 3, height // h, h, width // w, w)
    patches_NP = split.permute(0, 3, 5, 1, 2, 4, 6).reshape(-1, t * 3 * h * w)
    return patches_NP.to(torch.float32).div_(127.5).sub_(1.0)


def join_patches(
    patches_NP: Tensor, clip_shape: tuple[int, int, int], patch_shape: tuple[int, int, int]
) -> Tensor:
    """Put patches NP in [-1, 1] back together into a uint8 clip TCHW."""
    (num_frames, height, width), (t, h, w) = clip_shape, patch_shape
    split = patches_NP.reshape(num_frames // t, height // h, width // w, t, 3, h, w)
    frames_TCHW = split.permute(0, 3, 4, 1, 5, 2, 6).reshape(num_frames, 3, height, width)
    return frames_TCHW.add(1.0).mul(127.5).round().clamp(0.0, 255.0).to(torch.uint8)


def fit_tokenizer(
    clips_TCHW: Iterable[Tensor],
    *,
    clip_shape: tuple[int, int, int],
    patch_shape: tuple[int, int, int],
    num_components: int,
) -> PcaTokenizer:
    """Fit the tokenizer to uint8 clips in one pass; memory does not grow with their number.

    Keeps fewer than `num_components` where the footage spans fewer directions. The order of the clips is part
    of the result (in its last digits), so callers pass them in snapshot order.

    Raises `TrainingConfigError` if the clips hold no variation at all: fewer than two patches, or one flat
    colour.
    """
    merger = _SpectrumMerger(rank=_OVERSAMPLING * num_components)
    pending: list[Tensor] = []
    for clip_TCHW in clips_TCHW:
        pending.append(cut_patches(clip_TCHW, patch_shape))
        if sum(len(patches_NP) for patches_NP in pending) >= _PATCHES_PER_MERGE:
            merger.merge(torch.cat(pending))
            pending.clear()
    if pending:
        merger.merge(torch.cat(pending))
    deviation_K, basis_KP = merger.components(num_components)
    return PcaTokenizer(
        clip_shape=clip_shape,
        patch_shape=patch_shape,
        mean_P=merger.mean_P,
        basis_KP=basis_KP,
        scale_K=_scales(deviation_K),
    )


def _scales(deviation_K: Tensor) -> Tensor:
    """Divide by the square root of the deviation, then to unit mean variance.

    Full whitening would spend the model on faint detail and none at all on only the coarse shape; the square
    root is the measured middle. The common factor matches the tokens' power to that of the noise.
    """
    root_K = deviation_K.sqrt()
    return root_K * (deviation_K / root_K).square().mean().sqrt()


class _SpectrumMerger:
    """A truncated singular value decomposition of all patches merged so far, about their running mean."""

    def __init__(self, rank: int) -> None:
        self._rank = rank
        self._num_patches = 0
        self.mean_P = torch.zeros(0)
        self._weighted_RP = torch.zeros(0)

    def merge(self, patches_MP: Tensor) -> None:
        """Fold a batch in: stack old directions, centred batch and shift of the mean, then decompose."""
        batch_mean_P = patches_MP.mean(dim=0)
        rows = [patches_MP - batch_mean_P]
        count, total = len(patches_MP), self._num_patches + len(patches_MP)
        if self._num_patches == 0:
            self.mean_P = batch_mean_P
        else:
            shift_P = batch_mean_P - self.mean_P
            rows += [self._weighted_RP, shift_P[None] * (self._num_patches * count / total) ** 0.5]
            self.mean_P = self.mean_P + shift_P * (count / total)
        self._num_patches = total
        self._weighted_RP = _leading_directions(torch.cat(rows), self._rank)

    def components(self, num_components: int) -> tuple[Tensor, Tensor]:
        """Return standard deviations K and orthonormal directions KP with a fixed sign."""
        norm_R = self._weighted_RP.norm(dim=1) if self._num_patches else torch.zeros(0)
        # Directions below a ten-thousandth of the first are rounding error, not footage.
        keep = int((norm_R > 1e-4 * norm_R.max()).sum()) if norm_R.numel() and norm_R.max() > 1e-3 else 0
        if keep == 0:
            raise TrainingConfigError(
                f"the tokenizer cannot be fitted: {self._num_patches} patches hold no variation",
                hint="the snapshot needs at least two different pictures",
            )
        keep = min(keep, num_components)
        basis_KP = self._weighted_RP[:keep] / norm_R[:keep, None]
        largest_K = basis_KP.gather(1, basis_KP.abs().argmax(dim=1, keepdim=True))
        return norm_R[:keep] / max(self._num_patches - 1, 1) ** 0.5, (
            basis_KP * largest_K.sign()
        ).contiguous()


def _leading_directions(rows_MP: Tensor, rank: int) -> Tensor:
    """Return leading right singular vectors of `rows_MP` times singular values, by the Gram matrix.

    M is far smaller than P here, and float64 keeps the squaring of singular values harmless.
    """
    wide_MP = rows_MP.double()
    _, vectors_MM = torch.linalg.eigh(wide_MP @ wide_MP.T)
    leading_MR = vectors_MM.flip(1)[:, :rank]
    directions_RP: Tensor = leading_MR.T @ wide_MP
    return directions_RP.float()
