"""Whether the policy that a snapshot was sealed under lets a base be fine-tuned on it, and the result be released."""

from __future__ import annotations

from db.project import Project
from governance.policy.base_models import BaseModelTerms, release_objections, training_objections
from governance.policy.overlays import read_policy_text
from governance.snapshots.snapshot import find_record, verified_document
from training.adapters.base_record import BaseRecord
from training.adapters.errors import BaseModelRefused


def require_trainable(project: Project, snapshot_name: str, base: BaseRecord) -> None:
    """Raise `BaseModelRefused`, naming the clause, if the snapshot's policy forbids to fine-tune `base`."""
    if objections := training_objections(_terms(project, snapshot_name), base.facts):
        raise BaseModelRefused(
            f"the policy of snapshot {snapshot_name} forbids it: {'; '.join(objections)}",
            hint="take another base, or seal the snapshot under a policy that accepts this one",
        )


def require_releasable(project: Project, snapshot_name: str, base: BaseRecord) -> None:
    """Raise `BaseModelRefused`, naming the clauses, unless what an adapter of `base` draws may be sold."""
    if objections := release_objections(_terms(project, snapshot_name), base.facts):
        raise BaseModelRefused(
            f"what an adapter of {base.name} draws is not for commercial release: {'; '.join(objections)}",
            hint="a policy may say otherwise, under `base_models` (docs/adapters.md)",
        )


def is_releasable(project: Project, snapshot_name: str, base: BaseRecord) -> bool:
    """Return whether what an adapter of `base` draws may be released commercially."""
    return not release_objections(_terms(project, snapshot_name), base.facts)


def _terms(project: Project, snapshot_name: str) -> BaseModelTerms:
    """Return what the sealed policy says; the snapshot's document and credentials are verified."""
    document = verified_document(project, find_record(project, snapshot_name))
    return read_policy_text(document["policy"]["text"], f"snapshot {snapshot_name}").base_models
