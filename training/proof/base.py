"""L1 of a run that fine-tunes a model of others: the base on record is the one that the run declared."""

from __future__ import annotations

from collections.abc import Iterator

from db.errors import ConfigError, Error
from db.project import Project
from training.adapters.bases import find_base
from training.proof.evidence import RunEvidence
from training.proof.findings import Level, ProofFinding, fails, holds, not_checked

_CODE = "base.record"


def base_findings(project: Project, run: RunEvidence) -> Iterator[ProofFinding]:
    """Check what the intent states under `base` against the record; if it does. The files are checked by a replay."""
    stated = run.intent.document.get("base")
    pinned = run.intent.document["config"].get("base_digest")
    if stated is None and pinned is None:
        return
    if stated is None or stated.get("digest") != pinned:
        yield fails(Level.L1, _CODE, "the intent names another base than its configuration")
        return
    try:
        record = find_base(project, str(stated["name"])).record
    except ConfigError as exc:
        yield not_checked(Level.L1, _CODE, str(exc))
        return
    except Error as exc:
        yield fails(Level.L1, _CODE, str(exc))
        return
    if record.summary() != stated:
        yield fails(Level.L1, _CODE, f"base {record.name} is not what the run declared of it")
        return
    yield holds(
        Level.L1,
        _CODE,
        f"base {record.name}, {len(record.files)} files, training data {record.status.value}: "
        f"{stated['attestation']}",
    )
