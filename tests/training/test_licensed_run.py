"""What a licensed run gives and leaves behind."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from sqlalchemy import String
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from db import models
from tests.library import make_library
from tests.training.trained_library import CONFIG, seal
from training.licensed_run import LicensedRun, begin_run, complete_run, model_urn
from training.logs import FOLDER_NAME


def test_the_name_of_a_model_fits_its_column() -> None:
    """It had room for 64 characters of 85: on PostgreSQL every `train` failed at its end, SQLite does not count."""
    column = models.Model.__table__.c.urn.type
    assert isinstance(column, String)
    assert column.length is not None
    assert len(model_urn("0" * 64)) <= column.length


def test_a_run_leaves_its_course_and_what_it_drew_on_the_way(tmp_path: Path) -> None:
    project = make_library(tmp_path)
    seal(project)
    config = dataclasses.replace(CONFIG, batch_size=16, num_steps=20, checkpoint_every=10)
    begun = begin_run(project, "spring", config, name="model", on_clip=lambda _n: None)
    assert isinstance(begun, LicensedRun)
    complete_run(project, begun, on_step=lambda _r: None)
    folder = begun.run.folder
    assert sorted(path.stem for path in folder.glob("step-*.png")) == ["step-00000010", "step-00000020"]
    assert {path.stem for path in folder.glob("step-*.json")} == {"step-00000010", "step-00000020"}
    events = EventAccumulator(str(folder / FOLDER_NAME)).Reload()
    assert [event.step for event in events.Scalars("loss")] == list(range(1, 21))
    assert [event.value for event in events.Scalars("loss")] == pytest.approx(begun.run.losses)
