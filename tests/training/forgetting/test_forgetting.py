"""A clip that is recalled: what it went into is found, and the model is trained again without it, and that verifies."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from db import artefacts, models
from db.canonical import canonical_json
from db.errors import ConfigError, RefusedError
from db.project import Project, open_project
from governance.decisions.explanation import find_clips
from governance.errors import SnapshotError
from governance.signing.keys import load_permit_key
from governance.snapshots.snapshot import find_record, stated_spans, verified_document
from tests.library import claim_rights, make_library, take_footage
from tests.media import flip_byte
from tests.training.trained_library import CONFIG, generate, seal, train
from training.errors import ProofError
from training.forgetting.affected import affected_runs
from training.forgetting.contact import Contact, RunContacts
from training.forgetting.retraining import FITTED, begin_without
from training.licensed_run import LicensedModel, LicensedRun, begin_run, complete_run, model_folder
from training.proof.audit import record_findings
from training.proof.commands import training
from training.proof.evidence import find_run
from training.proof.findings import ProofFinding, Standing
from training.proof.intent import INTENT_NAME
from training.proof.signatures import signed


@pytest.fixture(scope="module")
def drawn_root(trained_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project in which the model drew a clip. Read only."""
    root = tmp_path_factory.mktemp("forgetting")
    generate(open_project(shutil.copytree(trained_root / "project", root / "project")))
    return root


@pytest.fixture
def project(drawn_root: Path, tmp_path: Path) -> Project:
    """A copy that a test may change; the footage it points to is shared."""
    return open_project(shutil.copytree(drawn_root / "project", tmp_path / "project"))


@pytest.fixture
def sea(trained_root: Path) -> Path:
    return trained_root / "footage" / "sea.mp4"


def clips_of(project: Project, file: Path) -> list[str]:
    with project.session() as session:
        return [clip.clip_id for clip in find_clips(session, str(file), None)]


def retrain(project: Project, clip_ids: list[str], name: str = "without") -> LicensedModel:
    begun = begin_without(project, "model", clip_ids, name=name, on_clip=lambda _n: None).begun
    return complete_run(project, begun, on_step=lambda _r: None) if isinstance(begun, LicensedRun) else begun


def findings(project: Project, name: str = "without") -> dict[str, ProofFinding]:
    return {item.code: item for item in record_findings(project, find_run(project, name))}


def command(project: Project, *arguments: str) -> Result:
    return CliRunner().invoke(training, [*arguments, "--project", str(project.root)])


def test_what_a_clip_went_into_is_found(project: Project, sea: Path) -> None:
    clip_ids = clips_of(project, sea)
    (run,) = affected_runs(project, clip_ids)
    assert (run.model_name, run.snapshot_name, run.basis, run.is_fitted) == (
        "model",
        "spring",
        "ledger",
        True,
    )
    assert run.num_reads > 0
    assert set(run.clip_ids) == set(clip_ids)
    assert [Path(path).suffix for path in run.outputs] == [".mp4"]
    found = clips_of(project, sea.with_name("found.mp4"))
    assert affected_runs(project, found) == [], "it was never cleared, so nothing read it"


def test_a_run_that_has_not_finished_is_found(project: Project, sea: Path) -> None:
    config = dataclasses.replace(CONFIG, seed=7)
    begun = begin_run(project, "spring", config, name="other", on_clip=lambda _n: None)
    assert isinstance(begun, LicensedRun)
    clip_ids = clips_of(project, sea)
    assert [run.model_name for run in affected_runs(project, clip_ids)] == ["model"], "nothing of it is left"
    with pytest.raises(KeyboardInterrupt):
        complete_run(project, begun, on_step=_stop)
    assert [run.model_name for run in affected_runs(project, clip_ids)] == ["model", None]


def _stop(_report: object) -> None:
    raise KeyboardInterrupt


def test_without_its_ledger_the_exposure_table_speaks(project: Project, sea: Path) -> None:
    find_run(project, "model").ledger.unlink()
    (run,) = affected_runs(project, clips_of(project, sea))
    assert (run.basis, run.is_fitted) == ("exposure table", None)


def test_what_nothing_is_known_of_counts_as_affected(project: Project, sea: Path) -> None:
    find_run(project, "model").ledger.unlink()
    with project.session() as session:
        artefacts.replace_exposures(session, find_run(project, "model").run_id, [])
    (run,) = affected_runs(project, clips_of(project, sea))
    assert (run.basis, run.model_name) == ("not known", "model")


def test_a_model_is_trained_again_without_a_file(project: Project, sea: Path) -> None:
    with project.session() as session:
        artefacts.recall_snapshot(session, find_record(project, "spring").id, "spring", "licence withdrawn")
    forgotten = clips_of(project, sea)
    trained = retrain(project, forgotten)
    assert trained.record.snapshot_name == "without"
    assert trained.record.weights_sha256 != find_run(project, "model").model.weights_sha256  # type: ignore[union-attr]
    left = {
        span.clip_id for span in stated_spans(verified_document(project, find_record(project, "without")))
    }
    before = {
        span.clip_id for span in stated_spans(verified_document(project, find_record(project, "spring")))
    }
    assert left == before - set(forgotten)
    assert [run.model_name for run in affected_runs(project, forgotten)] == ["model"]
    found = findings(project)
    assert {item.standing for item in found.values()} == {Standing.HOLDS}, found
    assert {"retrains.left_out", "retrains.start", "retrains.parent"} < set(found)
    assert FITTED in found["retrains.start"].detail
    card = (model_folder(project, "without") / "model-card.md").read_text(encoding="utf-8")
    assert "trained again without" in card


def test_forgetting_again_finds_the_model_and_after_a_stop_goes_on(project: Project, sea: Path) -> None:
    clip_ids = clips_of(project, sea)
    begun = begin_without(project, "model", clip_ids, name="without", on_clip=lambda _n: None).begun
    assert isinstance(begun, LicensedRun)
    with pytest.raises(KeyboardInterrupt):
        complete_run(project, begun, on_step=_stop)
    assert retrain(project, clip_ids).is_new
    assert not retrain(project, clip_ids).is_new


def test_what_a_model_drew_carries_it_on(project: Project, sea: Path) -> None:
    """Its clip is taken in as footage; a run that reads that is affected by what the model was trained on."""
    with project.session() as session:
        (clip,) = session.scalars(select(models.OutputClip)).all()
        (hill,) = clips_of(project, sea.with_name("hill.mp4"))
        drawn = session.scalars(
            select(models.Asset).join(models.Clip).where(models.Clip.clip_id == hill)
        ).one()
        assert artefacts.clips_of_outputs(session, [clip.model_id]) == set()
        clip.sha256 = drawn.sha256
        session.flush()
        assert artefacts.clips_of_outputs(session, [clip.model_id]) == {hill}
    (run,) = affected_runs(project, clips_of(project, sea))
    assert hill in run.clip_ids


def test_a_record_that_was_changed_is_not_built_on(project: Project, sea: Path) -> None:
    flip_byte(find_run(project, "model").ledger, 300)
    with pytest.raises(ProofError, match=r"ledger\.root"):
        retrain(project, clips_of(project, sea))
    assert not list(project.snapshots.glob("without*"))


def test_clips_that_are_not_cleared_any_more_are_left_out_and_counted(tmp_path: Path) -> None:
    project, footage = make_library(tmp_path), tmp_path / "footage"
    files = take_footage(project, footage)
    claim_rights(project, files, footage / "more.csv", "found.mp4,Found,Found Films,CC0-1.0,")
    seal(project)
    train(project)
    # Rights of the same footage are claimed for somebody else, for non-commercial use: it is no longer clear.
    claim_rights(project, files, footage / "late.csv", "hill.mp4,A hill,Other Films,CC-BY-NC-4.0,")
    sea, hill = (clips_of(project, footage / name) for name in ("sea.mp4", "hill.mp4"))
    retraining = begin_without(project, "model", sea, name="without", on_clip=lambda _n: None)
    assert retraining.num_not_cleared == len(hill)
    sealed = {
        span.clip_id for span in stated_spans(verified_document(project, find_record(project, "without")))
    }
    assert sealed == set(clips_of(project, footage / "found.mp4"))


def test_what_cannot_be_forgotten_is_said(project: Project, sea: Path) -> None:
    clip_ids = clips_of(project, sea)
    with pytest.raises(ConfigError, match="had nothing to do with"):
        retrain(project, clips_of(project, sea.with_name("found.mp4")))
    with pytest.raises(ConfigError, match="cannot be called"):
        retrain(project, clip_ids, "model")
    with pytest.raises(RefusedError, match="holds other clips"):
        retrain(project, clip_ids, "spring")
    with pytest.raises(SnapshotError, match="nothing to seal"):
        retrain(project, clip_ids + clips_of(project, sea.with_name("hill.mp4")))
    assert not list(project.snapshots.glob("without*"))


def restate(project: Project, **changes: Any) -> None:
    """Sign another statement of what was left out; the ledger then names another intent, which L0 finds."""
    path = find_run(project, "without").folder / INTENT_NAME
    document = json.loads(path.read_bytes())
    document.pop("signature")
    document["retrains"] |= changes
    path.write_bytes(canonical_json(signed(document, load_permit_key(project.keys))))


def test_a_statement_that_was_changed_is_found(project: Project, sea: Path) -> None:
    from training.proof.retraining import retraining_findings

    retrain(project, clips_of(project, sea))
    stated = find_run(project, "without").intent.document["retrains"]
    spans = stated_spans(verified_document(project, find_record(project, "without")))

    def failing(**changes: Any) -> list[str]:
        restate(project, **(stated | changes))
        found = retraining_findings(project, find_run(project, "without"), spans)
        return [item.code for item in found if item.standing is not Standing.HOLDS]

    assert failing() == []
    kept = {
        "asset_sha256": spans[0].asset_sha256, "start_pts": spans[0].start_pts, "end_pts": spans[0].start_pts + 1,
        "time_base": str(spans[0].time_base),
    }  # fmt: skip
    assert failing(left_out=[stated["left_out"][0] | kept]) == ["retrains.left_out", "retrains.parent"]
    assert failing(start=stated["start"] | {"step": 2, "checkpoint": "0" * 64}) == ["retrains.start"]
    fewer = [clip | {"num_reads": clip["num_reads"] + 1} for clip in stated["left_out"]]
    assert failing(left_out=fewer) == ["retrains.parent"]
    assert failing(run_id="run-gone") == ["retrains.parent"]
    assert failing(left_out=[{}]) == ["retrains"]
    assert findings(project)["ledger.intent"].standing is Standing.FAILS


def test_the_last_save_before_a_clip_is_named() -> None:
    def saved_before(*first_steps: int | None) -> int:
        contacts = tuple(
            Contact(clip_id=str(step), asset_sha256="0" * 64, num_reads=1, first_step=step, is_fitted=False)
            for step in first_steps
        )
        return RunContacts(contacts=contacts, saved_steps=(2, 4, 6)).last_save_before

    assert [saved_before(step) for step in (0, 1, 2, 3, 4, None)] == [0, 0, 2, 2, 4, 6]
    assert saved_before(5, 3, None) == 2


def test_the_commands(project: Project, sea: Path) -> None:
    listed = command(project, "affected", str(sea), "--json")
    (row,) = [json.loads(line) for line in listed.stdout.splitlines()]
    assert row["model_name"] == "model"
    assert "spring" in command(project, "affected", str(sea)).stdout
    done = command(project, "forget", "model", "--file", str(sea), "--name", "without")
    assert done.exception is None
    assert "from step 0" in done.stdout
    assert "snapshot recall spring" in done.stderr
    again = command(
        project, "forget", "model", "--clip", clips_of(project, sea)[0], "--name", "without", "--json"
    )
    assert json.loads(again.stdout)["is_new"] is False
    verified = command(project, "verify", "without", "--replay", "2")
    assert verified.exception is None, verified.stdout
    assert isinstance(command(project, "forget", "model", "--name", "x").exception, ConfigError)
