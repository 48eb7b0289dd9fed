"""The device and number format that neural networks run in: chosen once, logged with the reason, passed down."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_logger = logging.getLogger(__name__)

_KEPT_OPERATORS = 4096
"""oneDNN keeps 1,024; a network of 50 layers needs 50 for each size and number of pictures."""


@dataclass(frozen=True, kw_only=True)
class Compute:
    """Where a network runs and in which floating-point format."""

    device: torch.device
    dtype: torch.dtype
    reason: str
    """Why this device and format, as a phrase to show the user."""


def choose_compute() -> Compute:
    """Choose a CUDA GPU with half precision if this machine has one, else the CPU.

    A CPU that multiplies brain floats (AVX512-BF16 or AMX) uses those: 1.6 times as fast there, and the vectors
    of the embedded default encoder keep a cosine of 0.999 to those in single precision. Elsewhere single is faster.
    """
    _keep_operators()
    import torch

    if torch.cuda.is_available():
        name = torch.cuda.get_device_name(0)
        compute = Compute(
            device=torch.device("cuda", 0), dtype=torch.float16, reason=f"GPU {name}, half precision"
        )
    else:
        threads = torch.get_num_threads()
        has_brain_floats = multiplies_brain_floats()
        precision = "brain floats (bfloat16)" if has_brain_floats else "single precision"
        compute = Compute(
            device=torch.device("cpu"),
            dtype=torch.bfloat16 if has_brain_floats else torch.float32,
            reason=f"no CUDA GPU here: CPU with {threads} threads, {precision}",
        )
    _logger.info("compute: %s", compute.reason)
    return compute


def _keep_operators() -> None:
    """Have oneDNN keep every operator that the sizes of pictures call for; it reads this when torch is loaded.

    One that it throws out and makes again costs time, and leaves memory behind each time: a process that met the 19
    sizes of the embedded default took 34 ms for a picture instead of 20, and kept growing.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(_KEPT_OPERATORS))


def multiplies_brain_floats() -> bool:
    """Whether this machine's CPU multiplies bfloat16 itself."""
    import torch

    # Older processors only emulate the format, which is slower than single precision.
    has = torch.cpu.get_capabilities()
    return bool(has.get("avx512_bf16") or has.get("amx_bf16"))
