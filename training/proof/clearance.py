"""L1: the clips of every step are those that snapshot and configuration give, cleared at that time and not held out."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator

from db.canonical import digest_of
from db.exposures import exposures_of
from db.project import Project
from governance.errors import SnapshotError, VerificationError
from governance.snapshots.permits import RunPermit, read_permit
from governance.snapshots.snapshot import find_record, held_out_spans, stated_spans, verified_document
from training.errors import ProofError
from training.gate import reading_order
from training.proof.base import base_findings
from training.proof.evidence import RunEvidence, read_json
from training.proof.findings import Level, ProofFinding, Standing, fails, holds, not_checked
from training.proof.intent import permit_path
from training.proof.ledger import Leaf, read_heads, read_leaves
from training.proof.retraining import retraining_findings
from training.proof.signatures import check_signature
from training.randomness import batch_indices, run_seed


def clearance_findings(project: Project, run: RunEvidence) -> Iterator[ProofFinding]:
    """Check order, permits, recall and exposure against the snapshot's document; the footage is not needed."""
    record = find_record(project, run.snapshot_name)
    try:
        document = verified_document(project, record)
    except (SnapshotError, VerificationError) as exc:
        yield fails(Level.L1, "snapshot.document", str(exc))
        return
    root = run.intent.document["snapshot"]["merkle_root"]
    if record.merkle_root != root:
        yield fails(
            Level.L1,
            "snapshot.root",
            f"the run declared {root[:16]}, the snapshot is {record.merkle_root[:16]}",
        )
        return
    yield holds(
        Level.L1, "snapshot.root", f"{len(document['leaves'])} clips under {root[:16]}, credentials trusted"
    )
    clip_ids = [span.clip_id for span in sorted(stated_spans(document), key=reading_order)]
    held_out = _check_held_out(project, run, clip_ids, {span.clip_id for span in held_out_spans(document)})
    yield held_out
    yield _check_order(run, root, len(clip_ids))
    yield _check_permits(run, root, str(document["purpose"]))
    yield _check_recall(run, record.recall_reason)
    yield from _told_halts(run)
    if held_out.standing is Standing.FAILS:
        yield not_checked(Level.L1, "exposure", "the run consumed clips that are not for training")
    else:
        yield _check_exposure(project, run, clip_ids)
    yield from base_findings(project, run)
    yield from retraining_findings(project, run, (*stated_spans(document), *held_out_spans(document)))


def _check_held_out(
    project: Project, run: RunEvidence, clip_ids: list[str], held_out: set[str]
) -> ProofFinding:
    """Check that every clip in the ledger is one of the training part, and that none held out is on record.

    The ledger names clips by their place in the training part; that the frames were those clips' is shown by a replay.
    """
    num_clips = len(clip_ids)
    for leaf in read_leaves(run.ledger):
        for index in leaf.get("clips", ()):
            if not 0 <= index < num_clips:
                where = f"step {leaf['step']}" if leaf["kind"] == "step" else "the fitting of the tokenizer"
                detail = f"{where} consumed clip number {index}, of {num_clips} that are for training"
                return fails(Level.L1, "held_out", detail)
    with project.session() as session:
        recorded = {row.clip_id for row in exposures_of(session, run.run_id)}
    if leaked := recorded & held_out:
        return fails(
            Level.L1, "held_out", f"clip {min(leaked)} is held out, and the run is on record with it"
        )
    if not held_out:
        return holds(Level.L1, "held_out", "the snapshot holds nothing out")
    return holds(Level.L1, "held_out", f"none of the {len(held_out)} clips held out is in any step")


def _check_order(run: RunEvidence, root: str, num_clips: int) -> ProofFinding:
    """Compare every step with the order that follows from snapshot root and configuration."""
    seed, config, num_steps = run_seed(root, run.config), run.config, 0
    for leaf in read_leaves(run.ledger):
        if leaf["kind"] == "fitting":
            count = min(config.num_fitting_clips, num_clips)
            if not count or leaf["clips"] != [number * num_clips // count for number in range(count)]:
                return fails(
                    Level.L1, "order.fitting", "the tokenizer was fitted on other clips than it should be"
                )
        if leaf["kind"] != "step":
            continue
        expected = batch_indices(seed, num_steps, num_clips=num_clips, batch_size=config.batch_size)
        if (leaf["step"], leaf["clips"]) != (num_steps, expected):
            return fails(Level.L1, "order.step", f"step {num_steps} consumed other clips than it should")
        num_steps += 1
    if run.model is not None and num_steps != config.num_steps:
        return fails(
            Level.L1, "order.step", f"{num_steps} steps are in the ledger, the run had {config.num_steps}"
        )
    return holds(Level.L1, "order.step", f"the clips of all {num_steps} steps are those of the public order")


def _check_permits(run: RunEvidence, root: str, purpose: str) -> ProofFinding:
    """Check that each head was signed while the permit that counted then was valid, and for training."""
    heads = {int(head["num_leaves"]): head for head in read_heads(run.heads)}
    permit: RunPermit | None = None
    num_permits = 0
    for number, leaf in enumerate(read_leaves(run.ledger), start=1):
        if leaf["kind"] == "permit":
            try:
                permit = _permit(run, leaf, root, purpose)
            except ProofError as exc:
                return fails(Level.L1, "permit", str(exc))
            num_permits += 1
        head = heads.get(number)
        if head is None:
            continue
        signed_at = dt.datetime.fromisoformat(head["signed_at"])
        if permit is None or not permit.not_before <= signed_at < permit.not_after:
            return fails(
                Level.L1, "permit", f"at step {head['step']} ({head['signed_at']}) no permit counted"
            )
    if permit is None:
        return fails(Level.L1, "permit", "the ledger names no permit")
    return holds(
        Level.L1,
        "permit",
        f"{num_permits} permits, each signed, for this snapshot and configuration, in time",
    )


def _permit(run: RunEvidence, leaf: Leaf, root: str, purpose: str) -> RunPermit:
    path = permit_path(run.folder, leaf["sha256"])
    document = dict(read_json(path))
    if digest_of(document) != leaf["sha256"]:
        raise ProofError(f"{path}: is not the permit that the ledger names")
    check_signature(document, run.key, subject=str(path))
    permit = read_permit(document)
    if (permit.snapshot_root, permit.config_digest) != (root, run.config.digest):
        raise ProofError(f"{path}: the permit is for another snapshot or configuration")
    if permit.purpose != purpose:
        raise ProofError(f"{path}: the permit is for {permit.purpose}, not for {purpose}")
    return permit


def _check_recall(run: RunEvidence, recall_reason: str | None) -> ProofFinding:
    if recall_reason is not None:
        return fails(
            Level.L1,
            "snapshot.recall",
            f"snapshot {run.snapshot_name} was recalled: {recall_reason}; the model is tainted",
        )
    return holds(Level.L1, "snapshot.recall", "the snapshot has not been recalled")


def _told_halts(run: RunEvidence) -> Iterator[ProofFinding]:
    """Say where the run was stopped since footage was withdrawn, which is as it should be."""
    for leaf in read_leaves(run.ledger):
        if leaf["kind"] == "halt":
            yield holds(Level.L1, "halt", f"halted after step {leaf['step']}: {leaf['because']}")


def _check_exposure(project: Project, run: RunEvidence, clip_ids: list[str]) -> ProofFinding:
    """Compare the exposure on record with what the ledger adds up to."""
    if run.model is None:
        return not_checked(Level.L1, "exposure", "the run has not finished")
    count: Counter[str] = Counter()
    for leaf in read_leaves(run.ledger):
        if leaf["kind"] == "step":
            count.update(clip_ids[index] for index in leaf["clips"])
    with project.session() as session:
        recorded = {row.clip_id: row.count for row in exposures_of(session, run.run_id)}
    if dict(count) != recorded:
        return fails(Level.L1, "exposure", "the exposure on record is not what the ledger adds up to")
    return holds(
        Level.L1, "exposure", f"{sum(count.values())} readings of {len(count)} of {len(clip_ids)} clips"
    )
