"""A clip that is withdrawn while a run goes on stops it at the next checkpoint, and the record says where and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.clock import utc_now
from db.project import Project
from db.vocabularies import Outcome
from governance.errors import SnapshotError
from governance.snapshots.snapshot import open_snapshot
from governance.snapshots.standing import Standing
from tests.cli import cleartitle
from tests.library import claim_rights, make_library, take_footage
from tests.training.trained_library import CONFIG, seal, train
from training.licensed_run import LicensedRun, begin_run, complete_run
from training.proof.audit import record_findings
from training.proof.evidence import find_run
from training.proof.findings import Standing as Found
from training.proof.ledger import read_leaves

_STUDY = "study.mp4,A study,Study Films,CC-BY-NC-4.0,"
_HILL = "hill.mp4,A hill,Hill Films,CC-BY-4.0,2030-12-31"
_SEA = "sea.mp4,The sea,Sea Films,CC0-1.0,"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = make_library(tmp_path)
    seal(project)
    return project


def correct_rights(project: Project, *rows: str) -> None:
    """Ingest the rights table again with these rows."""
    footage = project.root.parent / "footage"
    files = take_footage(project, footage)
    claim_rights(project, files, footage / "rights.csv", *rows)


def begun(project: Project) -> LicensedRun:
    run = begin_run(project, "spring", CONFIG, name="model", on_clip=lambda _n: None)
    assert isinstance(run, LicensedRun)
    return run


@pytest.mark.parametrize(
    ("sea", "reason"),
    [
        ("sea.mp4,The sea,Sea Films,CC-BY-NC-4.0,", "license"),
        ("sea.mp4,The sea,Sea Films,CC0-1.0,2020-01-01", "expired"),
        ("sea.mp4,The sea,Sea Films,LicenseRef-new-terms,", "license"),
    ],
    ids=["another licence", "ended", "not known any more"],
)
def test_a_withdrawn_grant_halts_the_run_where_it_was_saved(project: Project, sea: str, reason: str) -> None:
    """Only a recall of the whole snapshot did: of a grant that was corrected, the run trained on to the end."""
    run = begun(project)
    correct_rights(project, sea, _HILL, _STUDY)
    with pytest.raises(
        SnapshotError, match=r"spring: clip [0-9a-f]{16} is not cleared .* stops after 2 steps"
    ) as told:
        complete_run(project, run, on_step=lambda _r: None)
    assert reason in str(told.value)
    assert not list(project.models.rglob("*.c2pa"))
    evidence = find_run(project, run.run_id)
    *_, checkpoint, halt = read_leaves(evidence.ledger)
    assert (checkpoint["kind"], checkpoint["step"]) == ("checkpoint", 2)
    assert (halt["kind"], halt["step"]) == ("halt", 2)
    assert "is not cleared any more" in halt["because"]
    findings = {item.code: item for item in record_findings(project, evidence)}
    assert findings["halt"].detail.startswith("halted after step 2: snapshot spring: clip")
    assert Found.FAILS not in {item.standing for item in findings.values()}


def test_a_halted_run_begins_again_only_once_its_clips_are_cleared_again(
    project: Project, tmp_path: Path
) -> None:
    run = begun(project)
    correct_rights(project, "sea.mp4,The sea,Sea Films,CC-BY-NC-4.0,", _HILL, _STUDY)
    with pytest.raises(SnapshotError):
        complete_run(project, run, on_step=lambda _r: None)
    with pytest.raises(SnapshotError, match="is not cleared any more"):
        train(project)
    correct_rights(project, _SEA, _HILL, _STUDY)
    finished = train(project)
    kinds = [leaf["kind"] for leaf in read_leaves(find_run(project, "model").ledger)]
    assert kinds == [
        "intent", "permit", "fitting", "step", "step", "checkpoint", "halt", "permit", "step", "step", "checkpoint",
        "weights",
    ]  # fmt: skip
    whole = make_library(tmp_path / "whole")
    seal(whole)
    assert train(whole).record.weights_sha256 == finished.record.weights_sha256
    answer = cleartitle("training", "verify", "model", "--replay", "2", "--json", cwd=project.root)
    assert answer.exit_code == 0, answer.stdout + answer.stderr
    assert [line["code"] for line in answer.json_lines() if line.get("code") == "halt"] == ["halt"]


def test_what_is_added_about_other_footage_halts_nothing(project: Project) -> None:
    run = begun(project)
    correct_rights(project, _SEA, _HILL, "study.mp4,A study,Study Films,CC-BY-ND-4.0,")
    assert complete_run(project, run, on_step=lambda _r: None).is_new


def test_nothing_is_asked_again_while_nothing_is_added(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing = Standing(project, open_snapshot(project, "spring", now=utc_now()))
    assert standing.withdrawn(utc_now()) == ()
    monkeypatch.setattr(standing, "_ask", lambda *_: pytest.fail("it was asked again"))
    assert standing.withdrawn(utc_now()) == ()
    monkeypatch.undo()
    correct_rights(project, "sea.mp4,The sea,Sea Films,CC-BY-NC-4.0,", _HILL, _STUDY)
    [withdrawal] = standing.withdrawn(utc_now())
    assert (withdrawal.outcome, withdrawal.code) == (Outcome.EXCLUDED, "license.noncommercial")
    assert "not cleared any more" in str(withdrawal)
