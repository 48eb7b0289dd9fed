"""The course of a run as TensorBoard reads it: `tensorboard --logdir store/runs`.

Beside the proof and no part of it. A run that is taken up again writes on from where it stands; what a killed process
had written beyond that is marked as void (TensorBoard's `purge_step`), so that no step shows twice.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.loop import StepReport

FOLDER_NAME = "tensorboard"
_FLUSH_SECONDS = 10


class Logs:
    """Loss, learning rate, norm of the gradient and clips per second of each step, of one process of a run."""

    def __init__(self, run_folder: Path, *, step: int) -> None:
        """Begin to write in the folder of a run that stands after `step` steps."""
        # Takes half a second, and only training needs it.
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(
            str(run_folder / FOLDER_NAME), purge_step=step + 1, flush_secs=_FLUSH_SECONDS
        )
        self._since = time.perf_counter()

    def __enter__(self) -> Logs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def note(self, report: StepReport) -> None:
        """Write what a step came to; its time is counted from the step before, checkpoints included."""
        seconds, self._since = time.perf_counter() - self._since, time.perf_counter()
        values = {
            "loss": report.loss,
            "learning_rate": report.learning_rate,
            "gradient_norm": report.gradient_norm,
            "clips_per_second": len(report.clip_ids) / seconds,
        }
        for name, value in values.items():
            self._writer.add_scalar(name, value, report.step)
