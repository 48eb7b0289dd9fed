"""The drills: each thing that somebody could change is changed, and the level that must see it names it.

Each drill, on a copy of one run, says what is damaged, and what `training verify --replay 2` then names, in its words:
level, check, answer; what holds is left out. The last drills are of runs in progress, which stop or do not let
themselves be misled.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from db import artefacts, models
from db.canonical import canonical_json, digest_of
from db.errors import AnsweredNo, AnsweredUndecided
from db.project import Project, open_project
from governance.errors import SnapshotError
from governance.signing.keys import load_permit_key
from governance.snapshots.snapshot import DOCUMENT_NAME, find_record, snapshot_folder
from tests.library import claim_rights, make_library, take_footage
from tests.media import flip_byte
from tests.training.proof.test_audit import rewrite
from tests.training.trained_library import CONFIG, seal
from training.data import FrameCache
from training.licensed_run import LicensedRun, begin_run, complete_run
from training.proof.commands import training
from training.proof.evidence import find_run
from training.proof.intent import permit_path
from training.proof.ledger import read_leaves
from training.proof.signatures import signed


@dataclass(frozen=True)
class Answer:
    """What `training verify` answered."""

    named: list[str]
    """Whatever does not hold, as `L1 order.step: fails`."""
    details: str
    exit: type[BaseException] | None


def verify(project: Project) -> Answer:
    """Check the model at every level up to replay, all of its segments."""
    arguments = ["verify", "model", "--replay", "2", "--json", "--project", str(project.root)]
    done = CliRunner().invoke(training, arguments)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    found = [row for row in rows if row["kind"] == "finding" and row["standing"] != "holds"]
    return Answer(
        named=[f"{row['level']} {row['code']}: {row['standing']}" for row in found],
        details=" | ".join(row["detail"] for row in found),
        exit=None if done.exception is None else type(done.exception),
    )


def a_byte_of_a_ledger_row(project: Project) -> None:
    flip_byte(find_run(project, "model").ledger, 300)


def a_lost_ledger_row(project: Project) -> None:
    ledger = find_run(project, "model").ledger
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(lines[:4] + lines[5:]))


def another_clip_in_a_step(project: Project) -> None:
    """By whoever holds the permit key: everything is signed again."""

    def swap(leaves: list[dict[str, Any]]) -> None:
        step = next(leaf for leaf in leaves if leaf["kind"] == "step")
        step["clips"] = [1 - step["clips"][0], *step["clips"][1:]]

    rewrite(find_run(project, "model"), swap, project)


def other_frames_in_a_step(project: Project) -> None:
    """The right clips by name, and other pictures in their place; signed again."""

    def swap(leaves: list[dict[str, Any]]) -> None:
        next(leaf for leaf in leaves if leaf["kind"] == "step" and leaf["step"] == 3)["frames"] = "0" * 64

    rewrite(find_run(project, "model"), swap, project)


def a_byte_of_a_checkpoint(project: Project) -> None:
    flip_byte(find_run(project, "model").folder / "step-00000002.safetensors", -5)


def a_byte_of_the_weights(project: Project) -> None:
    weights = find_run(project, "model").weights
    assert weights is not None
    flip_byte(weights, -5)


def a_byte_of_the_snapshot(project: Project) -> None:
    document = snapshot_folder(project, "spring") / DOCUMENT_NAME
    flip_byte(document, document.stat().st_size // 2)


def another_root_on_record(project: Project) -> None:
    with project.session() as session:
        session.execute(update(models.Snapshot).values(merkle_root="0" * 64))


def another_snapshot_of_that_name(project: Project) -> None:
    """Sealed, signed and on record under the name, but not the one that the run declared."""
    from db.clock import utc_now
    from governance.decisions.clearance import clear_library, present_comparison
    from governance.policy.files import find_policy
    from governance.snapshots.sealing import seal_snapshot

    [first, *_] = [leaf["clip_id"] for leaf in _document(project)["leaves"]]
    with project.session() as session:
        session.execute(update(models.Snapshot).values(name="old"))
    shutil.move(snapshot_folder(project, "spring"), snapshot_folder(project, "old"))
    policy, comparison = find_policy("commercial-training"), present_comparison(project)
    clear_library(project, policy, comparison, as_of=utc_now(), on_progress=lambda _n: None)
    seal_snapshot(project, "spring", policy, comparison, only={first})


def _document(project: Project) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((snapshot_folder(project, "spring") / DOCUMENT_NAME).read_bytes())
    return document


def an_expired_permit(project: Project) -> None:
    """The heads were signed after it had ended; signed again."""
    run, key = find_run(project, "model"), load_permit_key(project.keys)

    def expire(leaves: list[dict[str, Any]]) -> None:
        leaf = next(leaf for leaf in leaves if leaf["kind"] == "permit")
        document = json.loads(permit_path(run.folder, leaf["sha256"]).read_bytes())
        document["not_after"] = document["not_before"]
        late = signed({name: value for name, value in document.items() if name != "signature"}, key)
        leaf["sha256"] = digest_of(late)
        permit_path(run.folder, digest_of(late)).write_bytes(canonical_json(late))

    rewrite(run, expire, project)


def a_recalled_snapshot(project: Project) -> None:
    with project.session() as session:
        artefacts.recall_snapshot(session, find_record(project, "spring").id, "spring", "licence withdrawn")


def another_exposure_on_record(project: Project) -> None:
    with project.session() as session:
        session.execute(update(models.Exposure).values(count=models.Exposure.count + 1))


_NO_REPLAY = "L2 replay: not checked"
_NO_ORDER = "L1 order.step: not checked"


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (a_byte_of_a_ledger_row, ["L0 ledger.root: fails", _NO_ORDER, _NO_REPLAY]),
        (a_lost_ledger_row, ["L0 ledger.root: fails", _NO_ORDER, _NO_REPLAY]),
        (another_clip_in_a_step, ["L1 order.step: fails", "L1 exposure: fails", _NO_REPLAY]),
        (other_frames_in_a_step, ["L2 replay: fails"]),
        (a_byte_of_a_checkpoint, ["L0 checkpoint.state: fails", _NO_ORDER, _NO_REPLAY]),
        (a_byte_of_the_weights, ["L0 weights.digest: fails", _NO_ORDER, _NO_REPLAY]),
        (a_byte_of_the_snapshot, ["L1 snapshot.document: fails", _NO_REPLAY]),
        (another_root_on_record, ["L1 snapshot.document: fails", _NO_REPLAY]),
        (another_snapshot_of_that_name, ["L1 snapshot.root: fails", _NO_REPLAY]),
        (an_expired_permit, ["L1 permit: fails", _NO_REPLAY]),
        (a_recalled_snapshot, ["L1 snapshot.recall: fails", _NO_REPLAY]),
        (another_exposure_on_record, ["L1 exposure: fails", _NO_REPLAY]),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_was_changed_is_named_by_the_level_that_must_see_it(
    project: Project, damage: Callable[[Project], None], named: list[str]
) -> None:
    damage(project)
    answer = verify(project)
    assert (answer.named, answer.exit) == (named, AnsweredNo), answer.details


def test_the_run_that_was_not_damaged_holds(project: Project) -> None:
    assert verify(project) == Answer(named=[], details="", exit=None)


def test_a_byte_of_a_clip_is_named_by_replay(project: Project, trained_root: Path) -> None:
    """The record is as it was: that the footage is not the sealed one is seen where it is read, and decides nothing."""
    sea = trained_root / "footage" / "sea.mp4"
    kept = sea.read_bytes()
    try:
        flip_byte(sea, len(kept) // 2)
        answer = verify(project)
    finally:
        sea.write_bytes(kept)
    assert answer.named == [_NO_REPLAY, _NO_REPLAY]
    assert answer.exit is AnsweredUndecided
    [clip_id] = [leaf["clip_id"] for leaf in _document(project)["leaves"] if _is_of(leaf, kept)]
    assert f"clip {clip_id}" in answer.details


def _is_of(leaf: dict[str, Any], content: bytes) -> bool:
    from db.canonical import sha256_hex

    return bool(leaf["asset_sha256"] == sha256_hex(content))


@pytest.fixture
def begun(tmp_path: Path) -> tuple[Project, LicensedRun]:
    """A project of its own, and a run that was stopped and saved after its first step and is taken up again."""
    project = make_library(tmp_path / "begun")
    seal(project)

    def begin() -> LicensedRun:
        run = begin_run(project, "spring", CONFIG, name="model", on_clip=lambda _n: None)
        assert isinstance(run, LicensedRun)
        return run

    def stop(report: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        complete_run(project, begin(), on_step=stop)
    return project, begin()


def test_an_altered_entry_of_the_decode_cache_is_named_and_never_used(
    begun: tuple[Project, LicensedRun], trained_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    project, run = begun
    cache: FrameCache = run.run.clips.frame_cache
    altered = [span for span in run.run.clips.spans if cache.path_of(span).exists()]
    assert altered
    for span in altered:
        flip_byte(cache.path_of(span), 100)
    with caplog.at_level(logging.WARNING):
        complete_run(project, run, on_step=lambda _r: None)
    for span in altered:
        assert f"clip {span.clip_id}: cached frames are missing or changed, decoding again" in caplog.text
    assert verify(project).named == []
    assert _weights(project) == _weights(open_project(trained_root / "project"))


def test_a_clip_revoked_in_mid_run_halts_it_and_the_halt_is_named(begun: tuple[Project, LicensedRun]) -> None:
    project, run = begun
    footage = project.root.parent / "footage"
    files = take_footage(project, footage)
    claim_rights(
        project, files, footage / "rights.csv", "sea.mp4,The sea,Sea Films,CC-BY-NC-4.0,",
        "hill.mp4,A hill,Hill Films,CC-BY-4.0,2030-12-31",
    )  # fmt: skip
    with pytest.raises(SnapshotError, match=r"not cleared any more .* stops after 2 steps"):
        complete_run(project, run, on_step=lambda _r: None)
    last = list(read_leaves(find_run(project, run.run_id).ledger))[-1]
    assert (last["kind"], last["step"]) == ("halt", 2)
    done = CliRunner().invoke(training, ["verify", run.run_id, "--json", "--project", str(project.root)])
    halts = [json.loads(line) for line in done.stdout.splitlines() if '"halt"' in line]
    assert [(row["level"], row["standing"]) for row in halts] == [("L1", "holds")]
    assert "halted after step 2" in halts[0]["detail"]


def _weights(project: Project) -> str:
    model = find_run(project, "model").model
    assert model is not None
    return model.weights_sha256


def test_what_is_forgotten_is_found_trained_without_and_proven_gone(
    project: Project, trained_root: Path
) -> None:
    """The forget test, by commands alone: found from the exposure, trained again without it, and that run verifies."""
    sea = str(trained_root / "footage" / "sea.mp4")

    def call(*arguments: str) -> tuple[list[dict[str, Any]], BaseException | None]:
        done = CliRunner().invoke(training, [*arguments, "--json", "--project", str(project.root)])
        return [json.loads(line) for line in done.stdout.splitlines()], done.exception

    runs, error = call("affected", sea)
    assert (error, [run["model_name"] for run in runs]) == (None, ["model"])
    [trained], error = call("forget", "model", "--file", sea, "--name", "model-without-sea")
    assert error is None
    assert trained["retrains"]["model"] == "model"
    checked, error = call("verify", "model-without-sea", "--replay", "2")
    assert error is None, checked
    codes = {row["code"]: row["standing"] for row in checked if row["kind"] == "finding"}
    assert {codes[f"retrains.{name}"] for name in ("left_out", "start", "parent")} == {"holds"}
    assert codes["replay"] == "holds"
    runs, error = call("affected", sea)
    assert (error, [run["model_name"] for run in runs]) == (None, ["model"])
