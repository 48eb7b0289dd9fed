"""What a licensed run gives and leaves behind."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from sqlalchemy import String
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from db import models
from tests.library import make_library
from tests.training.trained_library import CONFIG, generate, seal
from training import execution
from training.errors import ProofError
from training.licensed_run import LicensedRun, begin_run, complete_run, model_folder, model_urn
from training.logs import FOLDER_NAME
from training.proof.audit import record_findings
from training.proof.evidence import find_run
from training.proof.findings import Standing
from training.proof.replay import replay, segments_of


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


def test_a_run_of_pixels_is_proven_and_its_model_draws(tmp_path: Path) -> None:
    project = make_library(tmp_path)
    seal(project)
    config = dataclasses.replace(
        CONFIG, preset="s", tokenizer="pixels", patch_frames=2, precision="bfloat16", execution="compiled"
    )
    begun = begin_run(project, "spring", config, name="model", on_clip=lambda _n: None)
    assert isinstance(begun, LicensedRun)
    complete_run(project, begun, on_step=lambda _r: None)
    run = find_run(project, "model")
    findings = list(record_findings(project, run))
    assert {item.standing for item in findings} == {Standing.HOLDS}, findings
    for segment in segments_of(run):
        finding = replay(project, run, segment, on_step=lambda _n: None)
        assert finding.standing is Standing.HOLDS, finding
        assert "the same bits" in finding.detail
    stated = run.intent.document["environment"]
    assert (stated["execution"], stated["processes"]) == ("eager", "1")
    assert "compilation: for GPUs alone" in stated["left_out"]
    clip = generate(project)
    assert clip.path.is_file()
    card = json.loads((model_folder(project, "model") / "model-card.json").read_text(encoding="utf-8"))
    assert card["architecture"] == "cleartitle-pixel-dit/1"


def test_a_run_goes_on_as_it_was_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half precision that was not there before would change the run in the middle, and the record would not say so."""
    project = make_library(tmp_path)
    seal(project)
    config = dataclasses.replace(CONFIG, precision="bfloat16")
    monkeypatch.setattr(execution, "multiplies_brain_floats", lambda: False)
    begin_run(project, "spring", config, name="model", on_clip=lambda _n: None)
    monkeypatch.setattr(execution, "multiplies_brain_floats", lambda: True)
    with pytest.raises(ProofError, match=r"precision is bfloat16 .*, the run was begun with float32"):
        begin_run(project, "spring", config, name="model", on_clip=lambda _n: None)
