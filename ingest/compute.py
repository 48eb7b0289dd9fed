"""The device and number format that neural networks run in: chosen once, logged with the reason, passed down."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Compute:
    """Where a network runs and in which floating-point format."""

    device: torch.device
    dtype: torch.dtype
    reason: str
    """Why this device and format, as a phrase to show the user."""


def choose_compute() -> Compute:
    """Choose a CUDA GPU with half precision if this machine has one, else the CPU with single precision.

    Half precision on a CPU is slower than single on most of them, so it is never chosen there.
    """
    import torch

    if torch.cuda.is_available():
        name = torch.cuda.get_device_name(0)
        compute = Compute(
            device=torch.device("cuda", 0), dtype=torch.float16, reason=f"GPU {name}, half precision"
        )
    else:
        threads = torch.get_num_threads()
        compute = Compute(
            device=torch.device("cpu"),
            dtype=torch.float32,
            reason=f"no CUDA GPU here: CPU with {threads} threads, single precision",
        )
    _logger.info("compute: %s", compute.reason)
    return compute
