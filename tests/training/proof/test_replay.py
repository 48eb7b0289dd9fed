"""Replays in one process of what several processes trained: near is near enough, and not nearer than that."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from db.project import Project, open_project
from tests.media import flip_byte
from training import loop
from training.config import TrainingConfig
from training.proof import replay as replays
from training.proof.evidence import find_run
from training.proof.findings import Standing
from training.proof.replay import Segment, replay
from training.randomness import batch_indices


@pytest.fixture
def project(trained_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy that a test may damage, of a run that is taken for one of two processes."""
    shutil.copytree(trained_root / "project", tmp_path / "project")
    monkeypatch.setattr(replays, "_num_processes", lambda _run: 2)
    return open_project(tmp_path / "project")


def _slower(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """Have replays learn at another rate, as stands for whatever else a run might have done."""
    rate_at = loop.learning_rate_at

    def slower(step: int, config: TrainingConfig) -> float:
        return share * rate_at(step, config)

    monkeypatch.setattr(loop, "learning_rate_at", slower)


def test_the_same_arithmetic_ends_where_it_was_signed(project: Project) -> None:
    finding = replay(project, find_run(project, "model"), Segment(2, 4), on_step=lambda _n: None)
    assert finding.standing is Standing.HOLDS
    assert "the weights end 0.0e+00 apart (2 processes carried the run, one the replay" in finding.detail


def test_the_last_digits_may_differ(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    _slower(monkeypatch, 1.0 - 1e-6)
    finding = replay(project, find_run(project, "model"), Segment(0, 4), on_step=lambda _n: None)
    assert finding.standing is Standing.HOLDS
    assert "0.0e+00" not in finding.detail


def test_other_training_fails(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    _slower(monkeypatch, -20.0)
    finding = replay(project, find_run(project, "model"), Segment(0, 4), on_step=lambda _n: None)
    assert finding.standing is Standing.FAILS
    assert "apart, which is more than 1e-02" in finding.detail


def test_another_order_fails_however_near_it_ends(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def another(seed: str, step: int, *, num_clips: int, batch_size: int) -> list[int]:
        return [*reversed(batch_indices(seed, step, num_clips=num_clips, batch_size=batch_size))]

    monkeypatch.setattr(loop, "batch_indices", another)
    finding = replay(project, find_run(project, "model"), Segment(2, 4), on_step=lambda _n: None)
    assert finding.standing is Standing.FAILS
    assert "does not do again what it signed for" in finding.detail


def test_a_checkpoint_that_was_changed_is_nothing_to_end_near_to(project: Project) -> None:
    run = find_run(project, "model")
    flip_byte(run.folder / "step-00000004.safetensors", -1)
    finding = replay(project, run, Segment(2, 4), on_step=lambda _n: None)
    assert finding.standing is Standing.NOT_CHECKED
    assert "sha256" in finding.detail
