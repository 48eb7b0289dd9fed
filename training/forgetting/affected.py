"""What a clip went into: the runs that read it, their models, and what those drew.

A run is affected if one of its steps had the clip, or its tokenizer was fitted on it. That is read from the ledger;
where the ledger is gone or the snapshot's document does not hold, from the exposure table, and a finished run of which
neither says anything counts as affected: not known is not untouched. Clips that an affected model drew and that were
taken in as footage carry it on: the runs that read those are affected too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from db import artefacts
from db.errors import Error
from db.exposures import RunOnRecord, exposures_of, runs_on_record
from db.project import Project
from db.records import ModelRecord
from governance.snapshots.snapshot import find_record, stated_spans, verified_document
from training.forgetting.contact import read_contacts
from training.generation.holding import list_held
from training.proof.ledger import LEDGER_NAME


@dataclass(frozen=True, kw_only=True)
class AffectedRun:
    """A run that had to do with one of the clips, and what came of it."""

    run_id: str
    snapshot_name: str
    basis: str
    """`ledger`, `exposure table`, or `not known`."""
    clip_ids: tuple[str, ...]
    num_reads: int
    is_fitted: bool | None
    """The tokenizer was fitted on one of them; `None`: not known."""
    model_name: str | None
    """`None`: the run has not finished."""
    outputs: tuple[str, ...]
    """Where the published clips of the model were written."""
    num_held: int
    """Clips of the model that wait for a person."""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values with stable keys."""
        return {"kind": "affected-run"} | asdict(self)


@dataclass(frozen=True, kw_only=True)
class _Reading:
    basis: str
    clip_ids: tuple[str, ...]
    num_reads: int
    is_fitted: bool | None


def affected_runs(project: Project, clip_ids: Collection[str]) -> list[AffectedRun]:
    """Return every run that had to do with one of the clips, or with what such a run's model drew; the oldest first."""
    wanted = set(clip_ids)
    with project.session() as session:
        runs, models = runs_on_record(session), artefacts.list_models(session)
    by_run = {model.run_id: model for model in models}
    while True:
        readings = {run: _reading(project, run, by_run.get(run.run_id), wanted) for run in runs}
        affected = {run: reading for run, reading in readings.items() if reading is not None}
        with project.session() as session:
            model_ids = [by_run[run.run_id].id for run in affected if run.run_id in by_run]
            drawn = artefacts.clips_of_outputs(session, model_ids)
        if drawn <= wanted:
            return [
                _affected(project, run, reading, by_run.get(run.run_id)) for run, reading in affected.items()
            ]
        wanted |= drawn


def _reading(
    project: Project, run: RunOnRecord, model: ModelRecord | None, wanted: set[str]
) -> _Reading | None:
    """Return what a run read of the clips; `None`: nothing."""
    ledger = project.runs / run.run_id / LEDGER_NAME
    if ledger.exists():
        try:
            spans = stated_spans(verified_document(project, find_record(project, run.snapshot_name)))
            found = read_contacts(ledger, spans, wanted).contacts
            contacts = [contact for contact in found if contact.is_contact]
        except (Error, KeyError, IndexError, TypeError):
            # A ledger or document that was damaged clears nobody.
            return _reading_on_record(project, run, wanted) or _not_known()
        if not contacts:
            return None
        return _Reading(
            basis="ledger",
            clip_ids=tuple(contact.clip_id for contact in contacts),
            num_reads=sum(contact.num_reads for contact in contacts),
            is_fitted=any(contact.is_fitted for contact in contacts),
        )
    # Without ledger and model the run was never saved: nothing of it is left.
    return _reading_on_record(project, run, wanted) or (None if model is None else _not_known())


def _reading_on_record(project: Project, run: RunOnRecord, wanted: set[str]) -> _Reading | None:
    with project.session() as session:
        rows = [row for row in exposures_of(session, run.run_id) if row.clip_id in wanted]
    if not rows:
        return None
    return _Reading(
        basis="exposure table",
        clip_ids=tuple(row.clip_id for row in rows),
        num_reads=sum(row.count for row in rows),
        is_fitted=None,
    )


def _not_known() -> _Reading:
    return _Reading(basis="not known", clip_ids=(), num_reads=0, is_fitted=None)


def _affected(
    project: Project, run: RunOnRecord, reading: _Reading, model: ModelRecord | None
) -> AffectedRun:
    outputs: Sequence[str] = ()
    if model is not None:
        with project.session() as session:
            outputs = artefacts.output_paths(session, model.id)
    name = None if model is None else model.name
    return AffectedRun(
        run_id=run.run_id,
        snapshot_name=run.snapshot_name,
        basis=reading.basis,
        clip_ids=reading.clip_ids,
        num_reads=reading.num_reads,
        is_fitted=reading.is_fitted,
        model_name=name,
        outputs=tuple(outputs),
        num_held=sum(held.model_name == name for held in list_held(project)),
    )
