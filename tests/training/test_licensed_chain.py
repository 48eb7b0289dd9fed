"""Train, generate and verify on a real sealed snapshot; and every way in which the chain must refuse."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import pytest
from sqlalchemy import select

from db import artefacts, models
from db.clock import utc_now
from db.errors import ConfigError, RefusedError
from db.project import Project, open_project
from governance.decisions.clearance import clear_library, present_comparison
from governance.errors import SnapshotError, VerificationError
from governance.policy.files import find_policy
from governance.snapshots.sealing import seal_snapshot
from governance.snapshots.snapshot import DOCUMENT_NAME, find_record, snapshot_folder
from governance.trust.anchors import TrustAnchors, load_trust_anchors
from governance.verification.verdict import VerdictOutcome
from governance.verification.verify import verify_file
from tests.library import make_library
from tests.media import flip_byte
from tests.training.screener import passing
from tests.training.trained_library import CONFIG, generate, seal, train
from training.copying.record import accept_untested
from training.errors import CheckpointError, NotCleared
from training.generation import generator as generators
from training.generation import release
from training.generation.generator import open_generator, require_commercial_release
from training.generation.request import ClipRequest, check_prompt
from training.licensed_run import (
    WEIGHTS_NAME,
    LicensedRun,
    begin_run,
    complete_run,
    model_folder,
)


def anchors(project: Project) -> TrustAnchors:
    """The project's trust anchors."""
    return load_trust_anchors(project.trust_anchors)


def test_a_clip_leads_to_model_snapshot_and_licences(project: Project) -> None:
    clip = generate(project)
    verdict = verify_file(
        clip.path,
        anchors(project),
        weights=model_folder(project, "model") / WEIGHTS_NAME,
        snapshot_document=snapshot_folder(project, "spring") / DOCUMENT_NAME,
    )
    assert verdict.outcome is VerdictOutcome.PASS, verdict.failures
    assert verdict.chain is not None
    assert verdict.chain.model is not None
    assert verdict.chain.model.name == "model"
    assert verdict.chain.snapshot.merkle_root == find_record(project, "spring").merkle_root
    assert {share.license_expression for share in verdict.chain.snapshot.licenses} == {"CC0-1.0", "CC-BY-4.0"}


def test_a_commercial_release_is_refused_to_what_research_went_into(project: Project) -> None:
    generator = open_generator(project, "model", open_screener=passing)
    with pytest.raises(RefusedError, match="not tested for copying"):
        require_commercial_release(project, generator)
    accept_untested(project, generator.record, "backgrounds of our own")
    require_commercial_release(project, generator)
    policy, comparison = find_policy("research-only"), present_comparison(project)
    clear_library(project, policy, comparison, as_of=utc_now(), on_progress=lambda _n: None)
    seal_snapshot(project, "study", policy, comparison)
    studied = dataclasses.replace(
        generator, record=dataclasses.replace(generator.record, snapshot_name="study")
    )
    with pytest.raises(RefusedError, match="study can never become a commercial release"):
        require_commercial_release(project, studied)


def test_exposure_names_every_clip_that_was_consumed(project: Project) -> None:
    with project.session() as session:
        rows = session.scalars(select(models.Exposure)).all()
        assert sum(row.count for row in rows) == CONFIG.batch_size * CONFIG.num_steps
        assert all(0 <= row.first_step <= row.last_step for row in rows)


def test_training_again_finds_the_finished_model(project: Project) -> None:
    again = train(project)
    assert not again.is_new


def test_a_killed_run_ends_with_the_same_weights(trained_root: Path, tmp_path: Path) -> None:
    project = make_library(tmp_path)
    seal(project)
    begun = begin_run(project, "spring", CONFIG, name="model", on_clip=lambda _n: None)
    assert isinstance(begun, LicensedRun)

    def stop(report: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        complete_run(project, begun, on_step=stop)
    finished = train(project)
    whole = open_project(trained_root / "project")
    with whole.session() as session:
        uninterrupted = artefacts.find_model(session, "model")
    assert uninterrupted is not None
    assert finished.record.weights_sha256 == uninterrupted.weights_sha256


def test_the_same_clip_asked_for_again_is_the_one_that_is_there(project: Project) -> None:
    first, again = generate(project), generate(project)
    assert (first.is_new, again.is_new) == (True, False)
    assert first.urn == again.urn


def test_another_file_of_that_name_is_never_overwritten(project: Project) -> None:
    clip = generate(project)
    clip.path.write_bytes(b"something else")
    with pytest.raises(RefusedError, match="never overwritten"):
        generate(project)
    assert clip.path.read_bytes() == b"something else"


def test_a_recall_during_training_stops_the_signing(tmp_path: Path) -> None:
    """The snapshot used to be checked before the run only, so a model of withdrawn footage was signed."""
    project = make_library(tmp_path)
    seal(project)
    begun = begin_run(project, "spring", CONFIG, name="model", on_clip=lambda _n: None)
    assert isinstance(begun, LicensedRun)
    with project.session() as session:
        artefacts.recall_snapshot(session, find_record(project, "spring").id, "spring", "licence withdrawn")
    with pytest.raises(SnapshotError, match="licence withdrawn"):
        complete_run(project, begun, on_step=lambda _r: None)
    assert begun.run.step == CONFIG.checkpoint_every, "it stops at the first checkpoint after the recall"
    assert not list(project.models.rglob("*.c2pa"))


def test_a_changed_byte_of_footage_stops_training(tmp_path: Path) -> None:
    project = make_library(tmp_path)
    seal(project)
    sea = tmp_path / "footage" / "sea.mp4"
    flip_byte(sea, sea.stat().st_size // 2)
    with pytest.raises(NotCleared, match="clip"):
        train(project)


def test_a_recalled_snapshot_neither_trains_nor_generates(project: Project) -> None:
    record = find_record(project, "spring")
    with project.session() as session:
        artefacts.recall_snapshot(session, record.id, "spring", "licence withdrawn")
    with pytest.raises(SnapshotError, match="licence withdrawn"):
        train(project, "another")
    with pytest.raises(SnapshotError, match="licence withdrawn"):
        generate(project)


def test_an_expired_snapshot_does_not_generate(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generators, "utc_now", lambda: dt.datetime(2031, 1, 1, tzinfo=dt.UTC))
    with pytest.raises(SnapshotError, match="expired"):
        generate(project)


def test_changed_weights_do_not_generate(project: Project) -> None:
    weights = model_folder(project, "model") / WEIGHTS_NAME
    flip_byte(weights, weights.stat().st_size - 10)
    with pytest.raises(CheckpointError, match="sha256"):
        generate(project)


def test_a_changed_snapshot_does_not_generate(project: Project) -> None:
    document = snapshot_folder(project, "spring") / DOCUMENT_NAME
    flip_byte(document, document.stat().st_size // 2)
    with pytest.raises(SnapshotError):
        generate(project)


def test_a_clip_that_fails_verification_leaves_nothing_behind(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = project.root / "stranger"
    from governance.signing.keys import create_development_keys

    create_development_keys(stranger)
    foreign = load_trust_anchors([stranger / "trust.pem"])
    monkeypatch.setattr(release, "verify_file", lambda path, _trust: verify_file(path, foreign))
    with pytest.raises(VerificationError, match="was removed"):
        generate(project)
    assert not list(project.outputs.iterdir())
    with project.session() as session:
        assert not session.scalars(select(models.OutputClip)).all()


def test_an_unknown_model_lists_the_known_ones(project: Project) -> None:
    with pytest.raises(ConfigError, match="trained so far: model"):
        open_generator(project, "nobody")


def test_a_model_name_belongs_to_one_run(project: Project) -> None:
    other = dataclasses.replace(CONFIG, seed=1)
    with pytest.raises(ConfigError, match="another snapshot or configuration"):
        begin_run(project, "spring", other, name="model", on_clip=lambda _n: None)


@pytest.mark.parametrize("prompt", ["", "   ", "x" * 10_000])
def test_a_prompt_that_says_nothing_or_too_much_is_refused(prompt: str) -> None:
    with pytest.raises(ConfigError, match="prompt"):
        check_prompt(prompt)


@pytest.mark.parametrize("prompt", ["../../etc/passwd", "a\nb", "日本", "x" * 900])
def test_a_file_name_never_leaves_its_folder(prompt: str) -> None:
    name = ClipRequest(prompt=prompt, seed=3, height=64, width=64).file_name
    assert Path(name).name == name
    assert name.isascii()
    assert len(name) < 100
