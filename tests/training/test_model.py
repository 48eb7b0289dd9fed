"""The video transformer."""

from __future__ import annotations

import torch

from tests.training.cleared_footage import TINY
from training.model import VideoDiT, build_model
from training.randomness import generator_for

WORDS = torch.tensor([[1, 2, 0, 0], [0, 0, 0, 0]])
TIMES = torch.tensor([0.1, 0.9])


def _model() -> VideoDiT:
    model = build_model(TINY, num_components=6, num_ids=5, device="cpu")
    model.initialise(generator_for("seed", "weights", 0))
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


def test_a_fresh_model_predicts_zero_for_every_token() -> None:
    output = _model()(_tokens(), TIMES, WORDS)
    assert output.shape == (2, 4, 6)
    assert not output.any()


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
