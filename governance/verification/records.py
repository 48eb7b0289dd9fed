"""What a project's database adds to a verdict: whether the snapshot has been recalled since."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from db.terminal import safe_text
from governance.verification.chain_judgement import NOT_CHECKED_RECALL
from governance.verification.verdict import Verdict, VerdictFailure

if TYPE_CHECKING:
    from db.project import Project
    from db.records import SnapshotRecord


@dataclass(frozen=True)
class SnapshotRecords:
    """The snapshots that a project sealed, as they stood when they were read."""

    by_root: dict[str, SnapshotRecord]
    """By Merkle root; where several have the same, one that was recalled."""

    def apply(self, verdict: Verdict) -> Verdict:
        """Return the verdict with the recall of its snapshot: a recalled one turns a pass into a no."""
        if verdict.chain is None:
            return verdict
        record = self.by_root.get(verdict.chain.snapshot.merkle_root)
        if record is None:
            remark = "this project has no record of the snapshot, so whether it was recalled is not known"
            return replace(verdict, remarks=(*verdict.remarks, remark))
        not_checked = tuple(item for item in verdict.not_checked if item != NOT_CHECKED_RECALL)
        if record.recall_reason is None:
            remark = f"snapshot {safe_text(record.name)} is on record and has not been recalled"
            return replace(verdict, remarks=(*verdict.remarks, remark), not_checked=not_checked)
        reason = safe_text(f"snapshot {record.name} was recalled: {record.recall_reason}")
        objected = verdict.with_objection(VerdictFailure("snapshot.recalled", reason))
        return replace(objected, not_checked=not_checked)


def read_snapshot_records(project: Project) -> SnapshotRecords:
    """Read the snapshots of a project. Raises `UndecidedError` if its database is missing or unreachable."""
    from db.artefacts import list_snapshots

    with project.session() as session:
        records = sorted(list_snapshots(session), key=lambda record: record.recall_reason is not None)
    return SnapshotRecords({record.merkle_root: record for record in records})
