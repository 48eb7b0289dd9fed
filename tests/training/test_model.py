"""The video transformer."""

from __future__ import annotations

import pytest
import torch

from tests.training.cleared_footage import TINY, TINY_PIXELS
from training.config import config_from_mapping
from training.model import VideoDiT, build_model
from training.pixels import PixelTokenizer
from training.quality.flops import count_step_flops
from training.randomness import generator_for

WORDS = torch.tensor([[1, 2, 0, 0], [0, 0, 0, 0]])
TIMES = torch.tensor([0.1, 0.9])
VARIANCES = torch.tensor([3.0, 1.5, 0.7, 0.5, 0.2, 0.1])


def _model() -> VideoDiT:
    model = build_model(TINY, num_components=6, num_ids=5, device="cpu")
    model.initialise(generator_for("seed", "weights", 0), VARIANCES)
    return model


def _awake_model() -> VideoDiT:
    """A model whose zero-initialised gates have been opened."""
    model = _model()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "modulate" in name or name.startswith("predict"):
                parameter.normal_(0.0, 0.5, generator=generator_for("seed", name, 0))
    return model


def _tokens() -> torch.Tensor:
    return torch.randn(2, 4, 6, generator=generator_for("seed", "tokens", 0))


def test_a_fresh_model_predicts_the_velocity_of_gaussians_with_the_variances_of_the_footage() -> None:
    """Least squares over drawn pairs of noise and footage finds the same factor for every component."""
    generator = generator_for("seed", "pairs", 0)
    noise = torch.randn(50_000, 6, generator=generator)
    footage = torch.randn(50_000, 6, generator=generator) * VARIANCES.sqrt()
    output = _model()(_tokens(), TIMES, WORDS)
    for number, time in enumerate(TIMES):
        noisy = (1 - time) * noise + time * footage
        factor = ((footage - noise) * noisy).mean(dim=0) / noisy.square().mean(dim=0)
        assert torch.allclose(output[number], factor * _tokens()[number], atol=0.1)


def test_noise_of_more_dimensions_than_the_model_has_features_is_told_from_footage() -> None:
    """Footage without variance is its mean, so that the velocity is known whatever was learned."""
    model = build_model(TINY, num_components=40, num_ids=5, device="cpu")
    model.initialise(generator_for("seed", "weights", 0), torch.full((40,), 1e-12))
    noise = torch.randn(2, 4, 40, generator=generator_for("seed", "noise", 0))
    noisy = (1 - TIMES[:, None, None]) * noise
    assert torch.allclose(model(noisy, TIMES, WORDS), -noise, atol=1e-4)


def test_initial_weights_follow_the_generator_and_leave_global_randomness_alone() -> None:
    before = torch.random.get_rng_state()
    first, second = _model(), _model()
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_time_and_caption_change_the_prediction() -> None:
    model = _awake_model()
    output = model(_tokens(), TIMES, WORDS)
    assert not torch.allclose(output[0], model(_tokens(), TIMES.flip(0), WORDS)[0], atol=1e-4)
    assert not torch.allclose(output[0], model(_tokens(), TIMES, WORDS.flip(0))[0], atol=1e-4)


def test_padding_does_not_change_the_prediction() -> None:
    model = _awake_model()
    padded, short = model(_tokens(), TIMES, WORDS), model(_tokens(), TIMES, WORDS[:, :2])
    assert torch.allclose(padded, short, atol=1e-5)


def _awake_pixel_model() -> VideoDiT:
    model = build_model(TINY_PIXELS, num_components=384, num_ids=5, device="cpu")
    model.initialise(generator_for("seed", "weights", 0), None)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "modulate" in name or name.startswith("predict"):
                parameter.normal_(0.0, 0.5, generator=generator_for("seed", name, 0))
    return model


def _patches() -> torch.Tensor:
    return torch.randn(2, 8, 384, generator=generator_for("seed", "patches", 0))


def test_a_fresh_model_of_pixels_says_that_the_footage_is_grey() -> None:
    model = build_model(TINY_PIXELS, num_components=384, num_ids=5, device="cpu")
    model.initialise(generator_for("seed", "weights", 0), None)
    assert torch.allclose(model(_patches(), TIMES, WORDS), -_patches() / (1 - TIMES[:, None, None]))
    assert "variance_K" not in model.state_dict()


def test_time_caption_and_place_change_what_is_said_of_pixels() -> None:
    model = _awake_pixel_model()
    output = model(_patches(), TIMES, WORDS)
    assert not torch.allclose(output[0], model(_patches(), TIMES.flip(0), WORDS)[0], atol=1e-4)
    assert not torch.allclose(output[0], model(_patches(), TIMES, WORDS.flip(0))[0], atol=1e-4)
    # The same tokens in another order: what stands where counts, not which token it is.
    with torch.no_grad():
        model.token_position_ND.zero_()
    turned = model(_patches().flip(1), TIMES, WORDS).flip(1)
    assert not torch.allclose(model(_patches().roll(1, 1), TIMES, WORDS).roll(-1, 1), turned, atol=1e-3)


def test_attention_is_the_one_of_pytorch() -> None:
    """Flash and memory-efficient kernels are chosen inside it; nothing here multiplies queries by keys itself."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        _awake_pixel_model()(_patches(), TIMES, WORDS)
    called = {event.key for event in seen.key_averages()}
    assert "aten::scaled_dot_product_attention" in called
    assert not called & {"aten::softmax", "aten::_softmax"}


@pytest.mark.parametrize(
    ("preset", "million_parameters", "gigaflop"),
    [("s", 33.02, 81.7), ("b", 132.69, 299.6), ("b256", 135.83, 1086.3)],
)
def test_presets_have_the_size_that_is_said(preset: str, million_parameters: float, gigaflop: float) -> None:
    """docs/training.md has these numbers; counted for a vocabulary of 13 words, a clip and step."""
    config = config_from_mapping({"preset": preset})
    num_components = PixelTokenizer(
        clip_shape=config.clip_shape, patch_shape=config.patch_shape
    ).num_components
    with torch.device("meta"):
        model = VideoDiT(config, num_components=num_components, num_ids=14)
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    assert num_parameters / 1e6 == pytest.approx(million_parameters, abs=0.01)
    flop = count_step_flops(config, num_components=num_components, num_ids=14) / config.batch_size
    assert flop / 1e9 == pytest.approx(gigaflop, abs=0.1)


@pytest.mark.slow
def test_the_model_of_pixels_compiles_whole() -> None:
    """A break in the graph would cost a GPU more than compiling gains."""
    model = _awake_pixel_model()
    explained = torch._dynamo.explain(model)(_patches(), TIMES, WORDS)
    assert (explained.graph_count, explained.graph_break_count) == (1, 0)
    torch._dynamo.reset()
