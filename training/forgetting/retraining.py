"""Training again without certain clips: the same configuration, on what is left of the snapshot and still cleared.

It begins at step 0, always. A checkpoint of the old run is clean of a clip only if no step before it had the clip and
its tokenizer was not fitted on it; and before the first step the tokenizer is fitted on every clip of a snapshot of up
to `tokenizer_clips` of them. In larger ones there may be clean checkpoints, but they belong to an order and a noise
that follow from the old snapshot's root, and to a vocabulary of all its captions: a run is not continued on another.

What the new run states is signed before its first step, in its intent under `retrains`:

- `run_id`, `model`, `intent_sha256`, `weights_sha256`, `snapshot_root`: the run that it takes the place of;
- `left_out`: each clip with its file, seconds and what the old run had to do with it, by that run's ledger;
- `start`: the step and the checkpoint that it begins from (0 and none), after how many steps the old run was last saved
  before any step had one of the clips, and why it does not begin there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from db import artefacts
from db.clock import utc_now
from db.errors import ConfigError, RefusedError
from db.project import Project
from governance.decisions.clearance import clear_library, present_comparison
from governance.policy.files import find_policy
from governance.snapshots.sealing import seal_snapshot
from governance.snapshots.snapshot import (
    ClearedSpan,
    find_record,
    held_out_spans,
    stated_spans,
    verified_document,
)
from training.errors import ProofError
from training.forgetting.contact import RunContacts, read_contacts
from training.isolation import NOT_ASKED, Isolation
from training.licensed_run import LicensedModel, LicensedRun, begin_run
from training.proof.evidence import RunEvidence, find_run
from training.proof.findings import Standing
from training.proof.roots import root_findings


@dataclass(frozen=True, kw_only=True)
class Retraining:
    """A run that takes the place of another."""

    begun: LicensedRun | LicensedModel
    """A finished model if the run was through before."""
    retrains: Mapping[str, Any]
    """What its intent states."""
    num_not_cleared: int
    """Clips that are left of the old snapshot and are not cleared any more."""


FITTED = "the tokenizer was fitted on what is left out, before the first step"
OTHER_SNAPSHOT = (
    "a run is not continued on another snapshot: order, noise and vocabulary follow from the snapshot"
)


def begin_without(
    project: Project,
    model_name: str,
    clip_ids: Collection[str],
    *,
    name: str,
    on_clip: Callable[[int], None],
    isolation: Isolation = NOT_ASKED,
) -> Retraining:
    """Seal what is left of the model's snapshot under `name` and begin the run of model `name` on it, or take it up.

    Raises `ConfigError` if the model is unknown or had nothing to do with any of the clips, `ProofError` if the record
    of the old run does not hold, `SnapshotError` if nothing is left, `RefusedError` if a snapshot called `name` holds
    anything but what is left, and what `begin_run` raises.
    """
    old = find_run(project, model_name)
    if old.model is None:
        raise ConfigError(f"run {old.run_id} has no model yet; there is nothing to forget")
    if name == old.model.name:
        raise ConfigError(f"the new model cannot be called {name!r} as the old one is")
    require_record(old)
    document = verified_document(project, find_record(project, old.snapshot_name))
    spans = stated_spans(document)
    contacts = read_contacts(old.ledger, spans, clip_ids)
    if not any(contact.is_contact for contact in contacts.contacts):
        raise ConfigError(
            f"model {old.model.name} had nothing to do with {', '.join(sorted(clip_ids))}",
            hint="`cleartitle training affected` says what a clip went into",
        )
    left_out = [span for span in spans if span.clip_id in clip_ids]
    sealed = (*spans, *held_out_spans(document))
    rest = {span.clip_id for span in sealed if not any(shares_pictures(span, other) for other in left_out)}
    _seal_rest(project, old.snapshot_name, name, rest)
    retrains = _statement(old, contacts, spans)
    begun = begin_run(
        project, name, old.config, name=name, on_clip=on_clip, isolation=isolation, retrains=retrains
    )
    num_sealed = find_record(project, name).num_clips
    return Retraining(begun=begun, retrains=retrains, num_not_cleared=len(rest) - num_sealed)


def require_record(run: RunEvidence) -> None:
    """Raise `ProofError` if what a run left behind was changed; that some of it is gone does not matter."""
    for finding in root_findings(run):
        if finding.standing is Standing.FAILS:
            raise ProofError(f"run {run.run_id}: {finding.code}: {finding.detail}")


def shares_pictures(span: ClearedSpan, other: ClearedSpan) -> bool:
    """Return whether two clips have seconds of one file in common."""
    start, end = other.start_pts * other.time_base, other.end_pts * other.time_base
    is_apart = span.end_pts * span.time_base <= start or end <= span.start_pts * span.time_base
    return span.asset_sha256 == other.asset_sha256 and not is_apart


def _seal_rest(project: Project, old_name: str, name: str, rest: set[str]) -> None:
    """Seal those of `rest` that are still cleared; a snapshot of that name that holds nothing else is used again."""
    with project.session() as session:
        known = artefacts.find_snapshot(session, name)
    if known is not None:
        sealed = {span.clip_id for span in stated_spans(verified_document(project, known))}
        if not sealed <= rest:
            raise RefusedError(
                f"snapshot {name} exists and holds other clips than are left of {old_name}",
                hint="give --name another name",
            )
        return
    policy = find_policy(find_record(project, old_name).policy_name, project.policies)
    comparison = present_comparison(project)
    clear_library(project, policy, comparison, as_of=utc_now(), on_progress=lambda _number: None)
    seal_snapshot(project, name, policy, comparison, only=rest)


def _statement(old: RunEvidence, contacts: RunContacts, spans: Collection[ClearedSpan]) -> Mapping[str, Any]:
    assert old.model is not None
    by_id = {span.clip_id: span for span in spans}
    is_fitted = any(contact.is_fitted for contact in contacts.contacts)
    return {
        "run_id": old.run_id,
        "model": old.model.name,
        "intent_sha256": old.intent.sha256,
        "weights_sha256": old.model.weights_sha256,
        "snapshot_root": old.intent.document["snapshot"]["merkle_root"],
        "left_out": [contact.as_json() | _place(by_id[contact.clip_id]) for contact in contacts.contacts],
        "start": {
            "step": 0,
            "checkpoint": None,
            "last_save_before": contacts.last_save_before,
            "reason": FITTED if is_fitted else OTHER_SNAPSHOT,
        },
    }


def _place(span: ClearedSpan) -> dict[str, Any]:
    time_base = f"{span.time_base.numerator}/{span.time_base.denominator}"
    return {"start_pts": span.start_pts, "end_pts": span.end_pts, "time_base": time_base}
