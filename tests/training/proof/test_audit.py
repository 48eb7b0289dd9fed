"""The drill: each thing that could have been changed after a run is found, and by the right level."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from db import artefacts, models
from db.canonical import canonical_json, digest_of
from db.errors import AnsweredNo, AnsweredUndecided, ConfigError
from db.exposures import exposures_of
from db.project import Project
from governance.signing.keys import load_permit_key
from governance.snapshots.permits import EVALUATION
from governance.snapshots.snapshot import find_record
from tests.library import make_library
from tests.media import flip_byte
from tests.training.trained_library import CONFIG, seal
from training.checkpoint import load_checkpoint, save_checkpoint
from training.errors import ProofError
from training.licensed_run import begin_run, model_folder
from training.papers.attestation import ATTESTATION_NAME, open_envelope, seal_envelope
from training.proof.audit import record_findings
from training.proof.clearance import _check_held_out
from training.proof.commands import training
from training.proof.evidence import RunEvidence, find_run
from training.proof.findings import ProofFinding, Standing
from training.proof.intent import INTENT_NAME, permit_path
from training.proof.ledger import HEADS_NAME, LEDGER_NAME, encode_leaf, read_heads, read_leaves
from training.proof.replay import Segment, choose_segments, replay, segments_of
from training.proof.signatures import signed


def codes(findings: list[ProofFinding], standing: Standing = Standing.FAILS) -> list[str]:
    return [f"{item.level.value} {item.code}" for item in findings if item.standing is standing]


def audited(project: Project) -> list[ProofFinding]:
    run = find_run(project, "model")
    return list(record_findings(project, run))


def rewrite(run: RunEvidence, change: Callable[[list[dict[str, Any]]], None], key_of: Project) -> None:
    """Change the leaves, and sign new heads and a new attestation, as whoever holds the permit key could."""
    from governance.snapshots.merkle import merkle_root

    key, leaves = load_permit_key(key_of.keys), [dict(leaf) for leaf in read_leaves(run.ledger)]
    change(leaves)
    run.ledger.write_bytes(b"".join(encode_leaf(leaf) + b"\n" for leaf in leaves))
    heads = []
    for head in read_heads(run.heads):
        content = {name: value for name, value in head.items() if name != "signature"}
        content["root"] = merkle_root(encode_leaf(leaf) for leaf in leaves[: head["num_leaves"]])
        heads.append(encode_leaf(signed(content, key)) + b"\n")
    run.heads.write_bytes(b"".join(heads))
    assert run.weights is not None
    path = run.weights.with_name(ATTESTATION_NAME)
    statement = open_envelope(json.loads(path.read_bytes()), key.public_key(), subject=path.name)
    ledger = statement["predicate"]["runDetails"]["byproducts"][0]
    ledger["digest"]["sha256"] = merkle_root(encode_leaf(leaf) for leaf in leaves)
    path.write_bytes(canonical_json(seal_envelope(statement, key)))


def test_a_run_that_went_well_holds_at_every_level(project: Project) -> None:
    findings = audited(project)
    assert {item.standing for item in findings} == {Standing.HOLDS}, findings
    assert {item.code for item in findings} == {
        "intent.signature", "head.signature", "ledger.root", "checkpoint.state", "weights.digest", "weights.origin",
        "attestation", "snapshot.root", "held_out", "order.step", "permit", "snapshot.recall", "exposure",
    }  # fmt: skip
    run = find_run(project, "model")
    assert segments_of(run) == [Segment(0, 2), Segment(2, 4)]
    taken: list[int] = []
    for segment in segments_of(run):
        finding = replay(project, run, segment, on_step=taken.append)
        assert finding.standing is Standing.HOLDS, finding
    assert taken == [1] * CONFIG.num_steps
    assert find_run(project, run.run_id) == run


@pytest.mark.parametrize(
    ("name", "place", "found"),
    [
        (LEDGER_NAME, 300, "L0 ledger.root"),
        (LEDGER_NAME, -40, "L0 ledger.root"),
        (HEADS_NAME, 120, "L0 head.signature"),
    ],
)
def test_a_changed_byte_of_the_record_is_found(project: Project, name: str, place: int, found: str) -> None:
    flip_byte(find_run(project, "model").folder / name, place)
    assert codes(audited(project))[0] == found


def test_a_lost_row_of_the_ledger_is_found(project: Project) -> None:
    run = find_run(project, "model")
    lines = run.ledger.read_bytes().splitlines(keepends=True)
    run.ledger.write_bytes(b"".join(lines[:4] + lines[5:]))
    assert codes(audited(project)) == ["L0 ledger.root"]


def test_a_changed_intent_is_refused(project: Project) -> None:
    flip_byte(find_run(project, "model").folder / INTENT_NAME, 200)
    with pytest.raises(ProofError):
        find_run(project, "model")


def test_a_changed_checkpoint_is_found(project: Project) -> None:
    run = find_run(project, "model")
    flip_byte(run.folder / "step-00000002.safetensors", -5)
    assert codes(audited(project)) == ["L0 checkpoint.state"]
    path = run.folder / "step-00000004.json"
    saved = load_checkpoint(path)
    doctored = dict(saved.tensors)
    doctored["losses"] = doctored["losses"] + 1
    save_checkpoint(run.folder, type(saved)(step=4, state=saved.state, tensors=doctored))
    assert codes(audited(project)) == ["L0 checkpoint.state", "L0 checkpoint.state"]


def test_other_weights_are_found(project: Project) -> None:
    flip_byte(model_folder(project, "model") / "model.safetensors", -5)
    assert codes(audited(project)) == ["L0 weights.digest"]


@pytest.mark.parametrize("place", [100, -20])
def test_a_changed_attestation_is_found(project: Project, place: int) -> None:
    flip_byte(model_folder(project, "model") / "attestation.dsse.json", place)
    assert codes(audited(project)) == ["L0 attestation"]


def test_another_sample_in_one_step_is_found_although_the_heads_are_signed(project: Project) -> None:
    run = find_run(project, "model")

    def swap(leaves: list[dict[str, Any]]) -> None:
        step = next(leaf for leaf in leaves if leaf["kind"] == "step")
        first, *rest = step["clips"]
        step["clips"] = [1 - first if first < 2 else 0, *rest]

    rewrite(run, swap, project)
    assert "L1 order.step" in codes(audited(project))


def test_other_frames_in_one_step_are_found_by_replay(project: Project) -> None:
    """The order is the public one and everything is signed; only the frames were others."""
    run = find_run(project, "model")

    def swap(leaves: list[dict[str, Any]]) -> None:
        next(leaf for leaf in leaves if leaf["kind"] == "step" and leaf["step"] == 3)["frames"] = "0" * 64

    rewrite(run, swap, project)
    assert codes(audited(project)) == []
    assert replay(project, run, Segment(0, 2), on_step=lambda _n: None).standing is Standing.HOLDS
    assert replay(project, run, Segment(2, 4), on_step=lambda _n: None).standing is Standing.FAILS


def test_a_changed_byte_of_footage_stops_a_replay(
    project: Project, trained_root: Path, tmp_path: Path
) -> None:
    run, sea = find_run(project, "model"), trained_root / "footage" / "sea.mp4"
    kept = sea.read_bytes()
    try:
        flip_byte(sea, len(kept) // 2)
        finding = replay(project, run, Segment(0, 2), on_step=lambda _n: None)
    finally:
        sea.write_bytes(kept)
    assert finding.standing is Standing.NOT_CHECKED
    assert "clip" in finding.detail


def test_an_expired_permit_is_found(project: Project) -> None:
    run = find_run(project, "model")
    key = load_permit_key(project.keys)

    def expire(leaves: list[dict[str, Any]]) -> None:
        leaf = next(leaf for leaf in leaves if leaf["kind"] == "permit")
        document = json.loads(permit_path(run.folder, str(leaf["sha256"])).read_bytes())
        document["not_after"] = document["not_before"]
        late = signed({name: value for name, value in document.items() if name != "signature"}, key)
        leaf["sha256"] = digest_of(late)
        permit_path(run.folder, digest_of(late)).write_bytes(canonical_json(late))

    rewrite(run, expire, project)
    assert codes(audited(project)) == ["L1 permit"]


def test_a_lost_or_changed_permit_is_found(project: Project) -> None:
    run = find_run(project, "model")
    [path] = (run.folder / "permits").iterdir()
    flip_byte(path, 30)
    assert codes(audited(project)) == ["L1 permit"]
    path.unlink()
    assert codes(audited(project)) == ["L1 permit"]


def test_a_recall_taints_the_model(project: Project) -> None:
    with project.session() as session:
        artefacts.recall_snapshot(session, find_record(project, "spring").id, "spring", "licence withdrawn")
    assert codes(audited(project)) == ["L1 snapshot.recall"]
    finding = replay(project, find_run(project, "model"), Segment(0, 2), on_step=lambda _n: None)
    assert finding.standing is Standing.NOT_CHECKED
    assert "licence withdrawn" in finding.detail


def test_a_changed_snapshot_is_found(project: Project) -> None:
    document = project.snapshots / "spring" / "snapshot.json"
    flip_byte(document, document.stat().st_size // 2)
    assert codes(audited(project)) == ["L1 snapshot.document"]


def test_another_exposure_on_record_is_found(project: Project) -> None:
    with project.session() as session:
        session.execute(update(models.Exposure).values(count=models.Exposure.count + 1))
    assert codes(audited(project)) == ["L1 exposure"]


def test_a_clip_that_is_not_for_training_is_found_in_the_ledger(project: Project) -> None:
    """What ignores the split draws from all clips, so its numbers reach beyond the training part."""
    run = find_run(project, "model")

    def reach_beyond(leaves: list[dict[str, Any]]) -> None:
        step = next(leaf for leaf in leaves if leaf["kind"] == "step")
        step["clips"] = [2, *step["clips"][1:]]

    rewrite(run, reach_beyond, project)
    assert codes(audited(project)) == ["L1 held_out", "L1 order.step"]
    assert codes(audited(project), Standing.NOT_CHECKED) == ["L1 exposure"]


def test_a_run_on_record_with_a_held_out_clip_is_found(project: Project) -> None:
    run = find_run(project, "model")
    with project.session() as session:
        clip_id = min(row.clip_id for row in exposures_of(session, run.run_id))
        held_out = _check_held_out(project, run, [*"ab"], {clip_id})
    assert held_out.standing is Standing.FAILS
    assert f"clip {clip_id} is held out" in held_out.detail
    assert _check_held_out(project, run, [*"ab"], {"0" * 16}).standing is Standing.HOLDS


def test_a_permit_for_evaluation_does_not_count_for_a_run(project: Project) -> None:
    run, key = find_run(project, "model"), load_permit_key(project.keys)
    leaf = next(leaf for leaf in read_leaves(run.ledger) if leaf["kind"] == "permit")
    permit = json.loads(permit_path(run.folder, leaf["sha256"]).read_bytes())
    content = {name: value for name, value in permit.items() if name != "signature"}
    other = signed(content | {"purpose": EVALUATION}, key)
    permit_path(run.folder, digest_of(other)).write_bytes(canonical_json(other))

    def name_it(leaves: list[dict[str, Any]]) -> None:
        for leaf in leaves:
            if leaf["kind"] == "permit":
                leaf["sha256"] = digest_of(other)

    rewrite(run, name_it, project)
    assert codes(audited(project)) == ["L1 permit"]


def test_segments_are_chosen_at_random_or_by_seed() -> None:
    segments = [Segment(step, step + 2) for step in range(0, 100, 2)]
    assert choose_segments(segments, 3, 1) == choose_segments(segments, 3, 1)
    assert len({tuple(choose_segments(segments, 3, None)) for _ in range(20)}) > 1
    assert choose_segments(segments, 1000, 1) == segments


def test_a_run_that_was_stopped_is_audited_as_far_as_it_went(tmp_path: Path) -> None:
    project = make_library(tmp_path)
    seal(project)
    begun = begin_run(project, "spring", CONFIG, name="model", on_clip=lambda _n: None)
    run = find_run(project, begun.run_id)  # type: ignore[union-attr]
    findings = list(record_findings(project, run))
    assert codes(findings) == []
    assert codes(findings, Standing.NOT_CHECKED) == ["L0 head.signature", "L1 order.step"]


def test_the_command(project: Project) -> None:
    def run(*arguments: str) -> object:
        return CliRunner().invoke(
            training, [*arguments, "--project", str(project.root)], catch_exceptions=True
        )

    good = run("verify", "model", "--replay", "2", "--json")
    found = [json.loads(line) for line in good.stdout.splitlines()]  # type: ignore[attr-defined]
    assert good.exception is None  # type: ignore[attr-defined]
    assert [row["level"] for row in found if row.get("code") == "replay"] == ["L2", "L2"]
    assert found[-1]["kind"] == "not_checked"
    text = run("verify", "model", "--replay", "0")
    assert isinstance(text.exception, AnsweredUndecided)  # type: ignore[attr-defined]
    assert "tamper-evident, not tamper-proof" in text.stdout  # type: ignore[attr-defined]
    claim = "network not off: whoever began the run did not ask for it"
    assert claim in text.stdout  # type: ignore[attr-defined]
    assert max(map(len, text.stdout.splitlines())) <= 100  # type: ignore[attr-defined]
    flip_byte(find_run(project, "model").ledger, 300)
    assert isinstance(run("verify", "model").exception, AnsweredNo)  # type: ignore[attr-defined]
    assert isinstance(run("verify", "nobody").exception, ConfigError)  # type: ignore[attr-defined]
    assert isinstance(run("verify", "../models").exception, ConfigError)  # type: ignore[attr-defined]
