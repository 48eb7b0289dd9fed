"""The course of a run as TensorBoard reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.logs import FOLDER_NAME, Logs
from training.loop import StepReport


def _report(step: int, loss: float) -> StepReport:
    return StepReport(step=step, loss=loss, gradient_norm=0.5, learning_rate=1e-3, clip_ids=("a", "b"))


def _read(folder: Path, name: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder / FOLDER_NAME)).Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_every_step_has_its_numbers(tmp_path: Path) -> None:
    with Logs(tmp_path, step=0) as logs:
        for step in (1, 2):
            logs.note(_report(step, 2.0 / step))
    assert _read(tmp_path, "loss") == [(1, 2.0), (2, 1.0)]
    assert _read(tmp_path, "gradient_norm") == [(1, 0.5), (2, 0.5)]
    assert [rate for _, rate in _read(tmp_path, "learning_rate")] == pytest.approx([1e-3, 1e-3])
    rates = _read(tmp_path, "clips_per_second")
    assert [step for step, _ in rates] == [1, 2]
    assert all(rate > 0 for _, rate in rates)


def test_a_run_that_is_taken_up_shows_no_step_twice(tmp_path: Path) -> None:
    with Logs(tmp_path, step=0) as logs:
        for step in (1, 2, 3, 4):
            logs.note(_report(step, 1.0))
    # Killed after four steps, last saved after two.
    with Logs(tmp_path, step=2) as logs:
        for step in (3, 4, 5):
            logs.note(_report(step, 0.25))
    assert _read(tmp_path, "loss") == [(1, 1.0), (2, 1.0), (3, 0.25), (4, 0.25), (5, 0.25)]
