"""L1 of a run that takes the place of another: nothing that is left out is in it, what it says of the other holds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from db.errors import Error
from db.project import Project
from governance.snapshots.snapshot import find_record, stated_spans, verified_document
from training.forgetting.contact import read_contacts
from training.proof.evidence import RunEvidence, find_run
from training.proof.findings import Level, ProofFinding, Standing, fails, holds, not_checked
from training.proof.roots import root_findings

if TYPE_CHECKING:
    from governance.snapshots.snapshot import ClearedSpan


def retraining_findings(
    project: Project, run: RunEvidence, spans: Collection[ClearedSpan]
) -> Iterator[ProofFinding]:
    """Check what the intent states under `retrains` against `spans`, the clips of the run's snapshot; if it does."""
    stated = run.intent.document.get("retrains")
    if stated is None:
        return
    try:
        yield _check_left_out(stated, spans)
        yield _check_start(stated)
        yield _check_parent(project, stated)
    except (KeyError, TypeError, ValueError) as exc:
        yield fails(Level.L1, "retrains", f"the intent states it in a way that cannot be read: {exc!r}")


def _check_left_out(stated: Mapping[str, Any], spans: Collection[ClearedSpan]) -> ProofFinding:
    """Check that no clip of the snapshot, whatever it is called, has a picture of the seconds that are left out."""
    for clip in stated["left_out"]:
        start, end = (clip[name] * Fraction(clip["time_base"]) for name in ("start_pts", "end_pts"))
        for span in spans:
            is_apart = span.end_pts * span.time_base <= start or end <= span.start_pts * span.time_base
            if span.asset_sha256 == clip["asset_sha256"] and not is_apart:
                detail = f"clip {span.clip_id} of its snapshot has seconds of {clip['clip_id']}"
                return fails(Level.L1, "retrains.left_out", detail)
    names = ", ".join(clip["clip_id"] for clip in stated["left_out"])
    return holds(Level.L1, "retrains.left_out", f"no clip of its snapshot has a picture of {names}")


def _check_start(stated: Mapping[str, Any]) -> ProofFinding:
    """A run that begins at step 0 begins with nothing of the other; that it does is what `order.step` checks."""
    start = stated["start"]
    if (start["step"], start["checkpoint"]) != (0, None):
        return fails(Level.L1, "retrains.start", f"begins from a checkpoint, after step {start['step']}")
    return holds(Level.L1, "retrains.start", f"from step 0, since {start['reason']}")


def _check_parent(project: Project, stated: Mapping[str, Any]) -> ProofFinding:
    """Compare what is stated of the other run with its intent and its ledger."""
    try:
        parent = find_run(project, stated["run_id"])
        record = find_record(project, parent.snapshot_name)
        spans = stated_spans(verified_document(project, record))
        contacts = read_contacts(parent.ledger, spans, {clip["clip_id"] for clip in stated["left_out"]})
    except Error as exc:
        return not_checked(Level.L1, "retrains.parent", f"run {stated['run_id']}: {exc}")
    if broken := [item for item in root_findings(parent) if item.standing is Standing.FAILS]:
        return fails(
            Level.L1, "retrains.parent", f"run {stated['run_id']}: {broken[0].code}: {broken[0].detail}"
        )
    found = {contact.clip_id: contact.as_json() for contact in contacts.contacts}
    claimed = {
        clip["clip_id"]: {key: clip[key] for key in found.get(clip["clip_id"], {})}
        for clip in stated["left_out"]
    }
    same_run = (parent.intent.sha256, record.merkle_root) == (
        stated["intent_sha256"],
        stated["snapshot_root"],
    )
    if not same_run or found != claimed or contacts.last_save_before != stated["start"]["last_save_before"]:
        return fails(Level.L1, "retrains.parent", f"run {stated['run_id']} is not what is said of it")
    return holds(Level.L1, "retrains.parent", f"run {stated['run_id']} read them as is said, by its ledger")
