"""Snapshots, runs, models and output clips: what was sealed, trained and generated, and what became of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db import models
from db.among import among
from db.clock import utc_now
from db.events import record_event
from db.records import ModelRecord, SnapshotRecord

_PAGE = 500


def add_snapshot(session: Session, columns: Mapping[str, Any]) -> None:
    """Record a sealed snapshot."""
    row = models.Snapshot(**columns)
    session.add(row)
    record_event(
        session, "snapshot.sealed", row.name, {"merkle_root": row.merkle_root, "num_clips": row.num_clips}
    )


def list_snapshots(session: Session) -> list[SnapshotRecord]:
    """Return every snapshot, oldest first."""
    query = (
        select(models.Snapshot, models.Recall.reason)
        .outerjoin(models.Recall, models.Recall.snapshot_id == models.Snapshot.id)
        .order_by(models.Snapshot.id)
    )
    return [_as_snapshot(row, reason) for row, reason in session.execute(query)]


def find_snapshot(session: Session, name: str) -> SnapshotRecord | None:
    """Return the snapshot called `name`."""
    query = (
        select(models.Snapshot, models.Recall.reason)
        .outerjoin(models.Recall, models.Recall.snapshot_id == models.Snapshot.id)
        .where(models.Snapshot.name == name)
    )
    found = session.execute(query).one_or_none()
    return None if found is None else _as_snapshot(*found)


def recall_snapshot(session: Session, snapshot_id: int, name: str, reason: str) -> None:
    """Withdraw a snapshot from use, for good."""
    session.add(models.Recall(snapshot_id=snapshot_id, reason=reason, recorded_at=utc_now()))
    record_event(session, "snapshot.recalled", name, {"reason": reason})


def _as_snapshot(row: models.Snapshot, reason: str | None) -> SnapshotRecord:
    names = set(SnapshotRecord.__dataclass_fields__) - {"recall_reason"}
    return SnapshotRecord(**{name: getattr(row, name) for name in names}, recall_reason=reason)


def find_run(session: Session, run_id: str) -> models.Run | None:
    """Return a run's row, for use inside `db` and its callers' transaction only."""
    return session.scalar(select(models.Run).where(models.Run.run_id == run_id))


def ensure_run(
    session: Session,
    *,
    run_id: str,
    snapshot_id: int,
    permit: dict[str, Any],
    config: dict[str, Any],
    config_digest: str,
) -> bool:
    """Record the start of a run; return False if it is on record already (a resumed run)."""
    if find_run(session, run_id) is not None:
        record_event(session, "run.resumed", run_id, {"config_digest": config_digest})
        return False
    session.add(
        models.Run(
            run_id=run_id,
            snapshot_id=snapshot_id,
            permit=permit,
            config=config,
            config_digest=config_digest,
            recorded_at=utc_now(),
        )
    )
    record_event(session, "run.started", run_id, {"config_digest": config_digest})
    return True


def replace_exposures(session: Session, run_id: str, exposures: Sequence[tuple[str, int, int, int]]) -> None:
    """Write a run's exposure table: (clip_id text, count, first step, last step) for each clip it consumed.

    The table is the run's last word: a resumed run rewrites its own rows, nobody else's.
    """
    run = session.scalars(select(models.Run).where(models.Run.run_id == run_id)).one()
    session.execute(delete(models.Exposure).where(models.Exposure.run_id == run.id))
    for start in range(0, len(exposures), _PAGE):
        page = exposures[start : start + _PAGE]
        query = select(models.Clip.clip_id, models.Clip.id).where(
            models.Clip.clip_id.in_([row[0] for row in page])
        )
        ids = {row.clip_id: row.id for row in session.execute(query)}
        session.add_all(
            models.Exposure(
                run_id=run.id, clip_id=ids[clip_id], count=count, first_step=first, last_step=last
            )
            for clip_id, count, first, last in page
        )


def add_model(session: Session, *, run_id: str, columns: Mapping[str, Any]) -> None:
    """Record the signed weights of a run."""
    run = session.scalars(select(models.Run).where(models.Run.run_id == run_id)).one()
    row = models.Model(run_id=run.id, recorded_at=utc_now(), **columns)
    session.add(row)
    record_event(session, "model.signed", row.name, {"weights_sha256": row.weights_sha256, "run_id": run_id})


def list_models(session: Session) -> list[ModelRecord]:
    """Return every model, oldest first."""
    query = (
        select(models.Model, models.Run.run_id, models.Snapshot.name)
        .join(models.Run, models.Run.id == models.Model.run_id)
        .join(models.Snapshot, models.Snapshot.id == models.Run.snapshot_id)
        .order_by(models.Model.id)
    )
    return [
        ModelRecord(
            id=row.id,
            name=row.name,
            urn=row.urn,
            run_id=run_id,
            snapshot_name=snapshot_name,
            weights_sha256=row.weights_sha256,
            num_parameters=row.num_parameters,
            num_steps=row.num_steps,
            recorded_at=row.recorded_at,
        )
        for row, run_id, snapshot_name in session.execute(query)
    ]


def find_model(session: Session, name: str) -> ModelRecord | None:
    """Return the model called `name`."""
    return next((model for model in list_models(session) if model.name == name), None)


def library_outputs(session: Session) -> dict[str, str]:
    """Return for each generated clip whose bytes were taken in as footage the name of its model's snapshot."""
    query = (
        select(models.OutputClip.sha256, models.Snapshot.name)
        .join(models.Asset, models.Asset.sha256 == models.OutputClip.sha256)
        .join(models.Model, models.Model.id == models.OutputClip.model_id)
        .join(models.Run, models.Run.id == models.Model.run_id)
        .join(models.Snapshot, models.Snapshot.id == models.Run.snapshot_id)
    )
    return {row.sha256: row.name for row in session.execute(query)}


_BASE_KEY = "base_digest"
"""In the configuration of a run: the model of others that it fine-tuned."""


def own_outputs(
    session: Session, asset_ids: Sequence[int], *, known_on: dt.datetime | None = None
) -> dict[int, bool]:
    """Return those of `asset_ids` that are generated clips of ours, and whether all that made them is promotable.

    What an adapter drew is not: what its base learnt would come back as cleared footage.
    """
    query = (
        select(models.Asset.id, models.Snapshot.is_promotable, models.Run.config)
        .join(models.OutputClip, models.OutputClip.sha256 == models.Asset.sha256)
        .join(models.Model, models.Model.id == models.OutputClip.model_id)
        .join(models.Run, models.Run.id == models.Model.run_id)
        .join(models.Snapshot, models.Snapshot.id == models.Run.snapshot_id)
        .where(among(models.Asset.id, asset_ids))
    )
    if known_on is not None:
        query = query.where(models.OutputClip.recorded_at <= known_on)
    found: dict[int, bool] = {}
    for asset_id, is_promotable, config in session.execute(query):
        is_whole = is_promotable is True and _BASE_KEY not in config
        found[asset_id] = found.get(asset_id, True) and is_whole
    return found


def has_output(session: Session, urn: str) -> bool:
    """Return whether a generated clip is on record."""
    return session.scalar(select(models.OutputClip.id).where(models.OutputClip.urn == urn)) is not None


def output_paths(session: Session, model_id: int) -> list[str]:
    """Return where the published clips of a model were written, the oldest first."""
    query = select(models.OutputClip.path).where(models.OutputClip.model_id == model_id)
    return list(session.scalars(query.order_by(models.OutputClip.id)))


def clips_of_outputs(session: Session, model_ids: Sequence[int]) -> set[str]:
    """Return the ids of the clips of generated clips of these models whose bytes were taken in as footage."""
    query = (
        select(models.Clip.clip_id)
        .join(models.Asset, models.Asset.id == models.Clip.asset_id)
        .join(models.OutputClip, models.OutputClip.sha256 == models.Asset.sha256)
        .where(among(models.OutputClip.model_id, model_ids))
    )
    return set(session.scalars(query))


def add_output(session: Session, *, model_id: int, columns: Mapping[str, Any]) -> int:
    """Record a generated clip that was signed and verified; return its key."""
    row = models.OutputClip(model_id=model_id, recorded_at=utc_now(), **columns)
    session.add(row)
    session.flush()
    record_event(session, "clip.published", row.urn, {"sha256": row.sha256, "path": row.path})
    return row.id
