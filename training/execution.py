"""How a run is carried out on a device: number format, compilation, determinism. Decided once, and on record.

What a configuration asks for and a device does not have is left out, and the record says so: the intent of the run
states both, the configuration and what came of it (`Execution.facts`).

Shapes as in `training.model`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.encoders.compute import multiplies_brain_floats
from training.config import BFLOAT16, COMPILED, PIXELS, TrainingConfig

if TYPE_CHECKING:
    from torch import Tensor

    from training.flow import Velocity

# Without a workspace of its own, cuBLAS may add up in another order each time (CUDA documentation, "Results
# reproducibility"). Read by cuBLAS when it is first used.
_CUBLAS_VARIABLE, _CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"


@dataclass(frozen=True, kw_only=True)
class Execution:
    """What a run calculates on, and how."""

    device: str
    noise_device: str
    """Where noise is drawn; the same seed gives other noise on another kind of device."""
    is_half: bool
    """Matrix products and attention are taken in bfloat16."""
    is_compiled: bool
    reasons: tuple[str, ...] = ()
    """What was asked for and is not done, and why."""

    @property
    def is_on_gpu(self) -> bool:
        """Whether the device is a CUDA GPU."""
        return self.device.startswith("cuda")

    def facts(self) -> dict[str, str]:
        """Return what the environment of a run states of this."""
        facts = {
            "precision": "bfloat16 products, float32 sums and weights" if self.is_half else "float32",
            "execution": "compiled" if self.is_compiled else "eager",
            "determinism": "deterministic algorithms",
            "noise": self.noise_device.partition(":")[0],
            "left_out": "; ".join(self.reasons) or "nothing",
        }
        if self.is_on_gpu:
            import torch

            facts["accelerator"] = torch.cuda.get_device_name(self.device)
        return facts

    @contextlib.contextmanager
    def deterministic(self) -> Iterator[None]:
        """Use deterministic algorithms alone on a GPU for as long as the context lasts; an operation without one fails.

        A CPU has no others.
        """
        import torch

        if not self.is_on_gpu:
            yield
            return
        os.environ.setdefault(_CUBLAS_VARIABLE, _CUBLAS_WORKSPACE)
        before = torch.are_deterministic_algorithms_enabled()
        torch.use_deterministic_algorithms(True)
        # It would fill fresh memory first; nothing here reads what it did not write.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)

    def carried_out(self, model: Velocity) -> Velocity:
        """Return `model` as it is run for training: compiled and at half precision where that was decided."""
        import torch

        running = torch.compile(model) if self.is_compiled else model
        if not self.is_half:
            return running

        def at_half_precision(tokens_BNK: Tensor, time_B: Tensor, words_BL: Tensor) -> Tensor:
            with torch.autocast(self.device.partition(":")[0], dtype=torch.bfloat16):
                return running(tokens_BNK, time_B, words_BL)

        return at_half_precision


def choose_execution(config: TrainingConfig, device: str) -> Execution:
    """Decide how a run of `config` is carried out on `device`, by what the device has."""
    is_on_gpu = device.startswith("cuda")
    reasons: list[str] = []
    is_half = config.precision == BFLOAT16
    if is_half and not _multiplies_half(device):
        is_half = False
        reasons.append("bfloat16: this device does not multiply it")
    is_compiled = config.execution == COMPILED
    if is_compiled and not is_on_gpu:
        is_compiled = False
        reasons.append("compilation: for GPUs alone")
    return Execution(
        device=device,
        # Drawn on the CPU, the noise of pixels would take longer than a GPU's step.
        noise_device=device if config.tokenizer == PIXELS else "cpu",
        is_half=is_half,
        is_compiled=is_compiled,
        reasons=tuple(reasons),
    )


def _multiplies_half(device: str) -> bool:
    import torch

    return torch.cuda.is_bf16_supported() if device.startswith("cuda") else multiplies_brain_floats()
