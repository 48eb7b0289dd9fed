"""Low-rank layers beside those of a frozen transformer, by peft, under names that diffusers loads.

A parameter is called as in a file of `save_lora_weights`, without the `transformer.` in front:
`transformer_blocks.0.attn1.to_q.lora_A.weight`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from training.adapters.pipeline import foreign_code
from training.errors import CheckpointError, TrainingConfigError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_ADAPTER = "default"


def add_layers(transformer: Any, *, rank: int, alpha: int, target_modules: Sequence[str]) -> None:
    """Put low-rank layers beside the linear ones whose names are, or end with, one of `target_modules`.

    Raises `TrainingConfigError` if a name is that of no layer.
    """
    import torch

    names = [name for name, _ in transformer.named_modules()]
    for target in target_modules:
        if not any(name == target or name.endswith(f".{target}") for name in names):
            raise TrainingConfigError(f"target_modules: the base has no layer called {target!r}")
    with foreign_code(), torch.random.fork_rng():
        from peft import LoraConfig

        try:
            transformer.add_adapter(
                LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(target_modules)), _ADAPTER
            )
        except ValueError as exc:
            words = " ".join(str(exc).split())[:200]
            raise TrainingConfigError(f"target_modules: {words}") from exc


def layer_parameters(transformer: Any) -> dict[str, torch.nn.Parameter]:
    """Return the parameters of the low-rank layers, in order of name."""
    return {
        name.replace(f".{_ADAPTER}.", "."): parameter
        for name, parameter in sorted(transformer.named_parameters())
        if f".{_ADAPTER}." in name
    }


def initialise(parameters: Mapping[str, torch.nn.Parameter], generator: torch.Generator) -> None:
    """Fill from `generator` (on the CPU): A uniform as peft does it, B zero, so that the first step is the base's."""
    import torch

    for name, parameter in parameters.items():
        value = torch.zeros(parameter.shape)
        if ".lora_A." in name:
            bound = parameter[0].numel() ** -0.5
            value.uniform_(-bound, bound, generator=generator)
        with torch.no_grad():
            parameter.copy_(value)


def fill(parameters: Mapping[str, torch.nn.Parameter], tensors: Mapping[str, Tensor]) -> None:
    """Take over values by name. Raises `CheckpointError` if a tensor is missing, left over or misshapen."""
    import torch

    if differing := sorted(parameters.keys() ^ tensors.keys()):
        raise CheckpointError(f"tensors do not fit the adapter: {differing[0]} is not on both sides")
    for name, parameter in parameters.items():
        if parameter.shape != tensors[name].shape:
            raise CheckpointError(
                f"tensors do not fit the adapter: {name} is {list(tensors[name].shape)}, "
                f"expected {list(parameter.shape)}"
            )
        with torch.no_grad():
            parameter.copy_(tensors[name])


@contextlib.contextmanager
def filled(parameters: Mapping[str, torch.nn.Parameter], tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Have other values in the parameters for a while. Raises `CheckpointError` as `fill` does."""
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    try:
        fill(parameters, tensors)
        yield
    finally:
        fill(parameters, before)
