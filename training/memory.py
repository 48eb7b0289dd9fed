"""Running out of memory, said such that something can be done about it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from training.errors import TrainingConfigError

if TYPE_CHECKING:
    from training.settings import RunConfig

# What PyTorch's allocator of the CPU says, which raises no error of its own kind.
_CPU_PHRASES = ("DefaultCPUAllocator", "not enough memory", "can't allocate memory")


@contextlib.contextmanager
def advising(config: RunConfig, device: str, *, doing: str) -> Iterator[None]:
    """Turn the errors of an allocator that found no memory into `TrainingConfigError`s with advice; others pass."""
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as exc:
        raise _advice(config, device, doing) from exc
    except RuntimeError as exc:
        if not any(phrase in str(exc) for phrase in _CPU_PHRASES):
            raise
        raise _advice(config, device, doing) from exc


def _advice(config: RunConfig, device: str, doing: str) -> TrainingConfigError:
    ways = [config.memory_advice]
    if config.batch_size > 1:
        ways.insert(0, f"a smaller batch_size (now {config.batch_size})")
    if config.accumulation < config.batch_size:
        ways.insert(
            0,
            f"a larger accumulation (now {config.accumulation}), which takes the same batch in smaller parts",
        )
    return TrainingConfigError(
        f"{doing}: {device} has too little memory for {config.batch_size // config.accumulation} clips at a time",
        hint=f"set in the configuration {', or '.join(ways)}",
    )
