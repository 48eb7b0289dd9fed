"""The processes that carry a run together: each takes its share of every batch, the first one keeps the record.

`accelerate launch --multi_gpu --num_processes 2 .venv/bin/cleartitle train …` starts them; each finds the others by the
environment that the launcher sets. Gradients are averaged, so all of them take the same steps. No other module knows
accelerate.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from ingest.encoders.compute import choose_compute

if TYPE_CHECKING:
    from torch import nn

    from training.flow import Velocity
    from training.model import VideoDiT

Told = TypeVar("Told")

_RANK_VARIABLE, _SIZE_VARIABLE = "RANK", "WORLD_SIZE"
"""Set by `accelerate launch` and `torchrun`."""


class Team(Protocol):
    """The processes of a run, as one of them sees them."""

    @property
    def rank(self) -> int:
        """This process, from 0; the first keeps ledger, checkpoints and database."""
        ...

    @property
    def size(self) -> int:
        """How many processes there are."""
        ...

    @property
    def device(self) -> str:
        """What this process calculates on."""
        ...

    def spread(self, model: VideoDiT) -> Velocity:
        """Return the model such that the gradient of its parameters comes to be the mean over all processes."""
        ...

    def holding_back(self) -> contextlib.AbstractContextManager[None]:
        """Keep gradients to this process for as long as the context lasts; the next one outside is the mean of all."""
        ...

    def gather(self, value: Told) -> list[Told]:
        """Return what each process calls this with, by rank. Every process must call it."""
        ...

    def leave(self) -> None:
        """Say goodbye to the others."""
        ...


class Alone:
    """A run in one process."""

    rank = 0
    size = 1

    def __init__(self, device: str) -> None:
        self.device = device

    def spread(self, model: VideoDiT) -> Velocity:
        """Return the model as it is."""
        return model

    def holding_back(self) -> contextlib.AbstractContextManager[None]:
        """Do nothing: there is nobody to keep gradients from."""
        return contextlib.nullcontext()

    def gather(self, value: Told) -> list[Told]:
        """Return the one value."""
        return [value]

    def leave(self) -> None:
        """Do nothing."""


class Accelerated:
    """Several processes, joined by accelerate: NCCL between GPUs, Gloo between processes on the CPU."""

    def __init__(self, *, is_on_cpu: bool) -> None:
        from accelerate import Accelerator

        self._accelerator = Accelerator(cpu=is_on_cpu)
        self._spread: nn.Module | None = None
        self.rank: int = self._accelerator.process_index
        self.size: int = self._accelerator.num_processes
        self.device = str(self._accelerator.device)

    def spread(self, model: VideoDiT) -> Velocity:
        """Return the model wrapped for data-parallel training; all processes begin with the first one's parameters."""
        spread: nn.Module = self._accelerator.prepare_model(model)
        self._spread = spread
        return spread

    def holding_back(self) -> contextlib.AbstractContextManager[None]:
        """Keep gradients here until the next backward pass outside."""
        context: contextlib.AbstractContextManager[None] = self._accelerator.no_sync(self._spread)
        return context

    def gather(self, value: Told) -> list[Told]:
        """Return what each process calls this with, by rank."""
        from accelerate.utils import gather_object

        gathered: Sequence[Told] = gather_object([value])
        return list(gathered)

    def leave(self) -> None:
        """Wait for the others and close the connections."""
        self._accelerator.wait_for_everyone()
        self._accelerator.end_training()


def is_follower() -> bool:
    """Whether this process is one of several and not the first."""
    return int(os.environ.get(_RANK_VARIABLE, "0")) > 0


def join_team() -> Team:
    """Join the processes that a launcher started, or be alone; the device is this process's own."""
    device = choose_compute().device
    if int(os.environ.get(_SIZE_VARIABLE, "1")) > 1:
        return Accelerated(is_on_cpu=device.type == "cpu")
    return Alone(str(device))
