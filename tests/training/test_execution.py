"""How a run is carried out: decided once, and stated."""

from __future__ import annotations

import dataclasses
import os

import pytest
import torch
from torch import Tensor

from tests.training.cleared_footage import TINY, TINY_PIXELS
from training import execution
from training.execution import choose_execution


def test_components_are_trained_as_they_always_were() -> None:
    chosen = choose_execution(TINY, "cpu")
    assert (chosen.is_half, chosen.is_compiled, chosen.noise_device, chosen.reasons) == (
        False,
        False,
        "cpu",
        (),
    )
    assert chosen.facts() == {
        "precision": "float32",
        "execution": "eager",
        "determinism": "deterministic algorithms",
        "noise": "cpu",
        "left_out": "nothing",
    }


def test_what_a_processor_does_not_have_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "multiplies_brain_floats", lambda: False)
    chosen = choose_execution(TINY_PIXELS, "cpu")
    assert (chosen.is_half, chosen.is_compiled) == (False, False)
    assert (
        chosen.facts()["left_out"]
        == "bfloat16: this device does not multiply it; compilation: for GPUs alone"
    )


def test_products_are_taken_at_half_precision_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "multiplies_brain_floats", lambda: True)
    chosen = choose_execution(TINY_PIXELS, "cpu")
    assert chosen.facts()["precision"] == "bfloat16 products, float32 sums and weights"
    weight = torch.full((1, 1), 1.0 + 2**-12)

    def model(tokens: Tensor, time: Tensor, words: Tensor) -> Tensor:
        return tokens @ weight

    numbers = torch.ones(1, 1, 1), torch.zeros(1), torch.zeros(1, 1, dtype=torch.long)
    assert chosen.carried_out(model)(*numbers).dtype == torch.bfloat16
    whole = choose_execution(dataclasses.replace(TINY_PIXELS, precision="float32"), "cpu")
    assert float(whole.carried_out(model)(*numbers)) == 1.0 + 2**-12


def test_on_a_gpu_pixels_have_noise_of_the_gpu_and_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda: True)
    chosen = choose_execution(TINY_PIXELS, "cuda:1")
    assert (chosen.is_half, chosen.is_compiled, chosen.noise_device) == (True, True, "cuda:1")
    assert choose_execution(TINY, "cuda:1").noise_device == "cpu"


def test_a_gpu_is_held_to_deterministic_algorithms_and_let_go_after(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after training in the same process may use operations that have none."""
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda: True)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    with choose_execution(TINY, "cpu").deterministic():
        assert not torch.are_deterministic_algorithms_enabled()
    with choose_execution(TINY_PIXELS, "cuda:0").deterministic():
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert not torch.are_deterministic_algorithms_enabled()
