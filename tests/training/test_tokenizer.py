"""The PCA tokenizer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training.errors import TrainingConfigError
from training.tokenizer import PcaTokenizer, cut_patches, fit_tokenizer, join_patches

CLIP, PATCH = (4, 8, 8), (2, 4, 4)


def _clips(count: int, *, rank: int = 3) -> list[Tensor]:
    """Clips whose patches are mixtures of `rank` pictures, so that as many components hold everything."""
    generator = torch.Generator().manual_seed(5)
    pictures = torch.rand(rank, 2 * 3 * 4 * 4, generator=generator)
    weights = torch.rand(count, 8, rank, generator=generator)
    weights = weights / weights.sum(dim=-1, keepdim=True)
    return [join_patches((mixed @ pictures) * 2.0 - 1.0, CLIP, PATCH) for mixed in weights]


def _fit(clips: list[Tensor], num_components: int) -> PcaTokenizer:
    return fit_tokenizer(clips, clip_shape=CLIP, patch_shape=PATCH, num_components=num_components)


def test_patches_are_put_back_where_they_were_cut() -> None:
    clip = torch.arange(4 * 3 * 8 * 8).remainder(256).to(torch.uint8).reshape(4, 3, 8, 8)
    patches = cut_patches(clip, PATCH)
    assert patches.shape == (8, 96)
    assert torch.equal(join_patches(patches, CLIP, PATCH), clip)


def test_enough_components_restore_a_clip() -> None:
    clips = _clips(10)
    tokenizer = _fit(clips, 3)
    tokens = tokenizer.encode(clips[0])
    assert tokens.shape == (tokenizer.num_tokens, 3)
    difference = tokenizer.decode(tokens).to(torch.int16) - clips[0].to(torch.int16)
    assert difference.abs().max() <= 1


def test_components_are_orthonormal_with_a_fixed_sign() -> None:
    tokenizer = _fit(_clips(10), 3)
    basis = tokenizer.basis_KP
    assert torch.allclose(basis @ basis.T, torch.eye(3), atol=1e-5)
    assert (basis.gather(1, basis.abs().argmax(dim=1, keepdim=True)) > 0).all()


def test_merging_batches_finds_the_components_of_one_decomposition() -> None:
    clips = _clips(
        200, rank=4
    )  # 1600 patches: several merges; four mixed pictures differ in three directions
    tokenizer = _fit(clips, 3)
    patches = torch.cat([cut_patches(clip, PATCH) for clip in clips]).double()
    _, deviations, expected = torch.linalg.svd(patches - patches.mean(dim=0), full_matrices=False)
    assert torch.allclose(tokenizer.mean_P.double(), patches.mean(dim=0), atol=1e-5)
    overlap = (tokenizer.basis_KP.double() @ expected[:3].T).abs()
    assert torch.allclose(overlap, torch.eye(3, dtype=torch.float64), atol=1e-3)
    assert deviations[3] < 0.05 * deviations[2]


def test_tokens_have_unit_power_over_the_footage() -> None:
    clips = _clips(50)
    tokenizer = _fit(clips, 3)
    power = torch.cat([tokenizer.encode(clip) for clip in clips]).square().mean()
    assert abs(float(power) - 1.0) < 0.05


def test_the_variances_of_tokens_are_known_without_footage() -> None:
    clips = _clips(200, rank=4)
    tokenizer = _fit(clips, 3)
    tokens = torch.cat([tokenizer.encode(clip) for clip in clips])
    assert torch.allclose(tokens.var(dim=0), tokenizer.variances, rtol=0.02)


def test_footage_of_few_directions_keeps_few_components() -> None:
    # Two directions of mixture (the weights sum to one), and rounding to whole pixel values.
    generous = _fit(_clips(1, rank=1) + _clips(1, rank=2), 96)
    assert generous.num_components < 16


def test_fitting_twice_gives_the_same_bits() -> None:
    first, second = _fit(_clips(10), 3), _fit(_clips(10), 3)
    assert torch.equal(first.basis_KP, second.basis_KP)
    assert torch.equal(first.scale_K, second.scale_K)


@pytest.mark.parametrize("clips", [[], [torch.full((4, 3, 8, 8), 7, dtype=torch.uint8)]])
def test_footage_without_variation_is_refused(clips: list[Tensor]) -> None:
    with pytest.raises(TrainingConfigError, match="no variation"):
        _fit(clips, 3)
