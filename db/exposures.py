"""Reading exposures: what a training run consumed, as the run recorded it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import models


@dataclass(frozen=True, kw_only=True)
class RunExposure:
    """How often a run consumed a clip, and when. A clip that it never reached has no such record."""

    clip_id: str
    count: int
    """Times the clip was in a batch."""
    first_step: int
    last_step: int


def exposures_of(session: Session, run_id: str) -> list[RunExposure]:
    """Return what a run consumed, in order of clip id; empty for a run that is unknown or has not finished."""
    query = (
        select(
            models.Clip.clip_id, models.Exposure.count, models.Exposure.first_step, models.Exposure.last_step
        )
        .join(models.Exposure, models.Exposure.clip_id == models.Clip.id)
        .join(models.Run, models.Run.id == models.Exposure.run_id)
        .where(models.Run.run_id == run_id)
        .order_by(models.Clip.clip_id)
    )
    return [
        RunExposure(clip_id=clip_id, count=count, first_step=first, last_step=last)
        for clip_id, count, first, last in session.execute(query)
    ]


@dataclass(frozen=True)
class RunOnRecord:
    """A run that was begun, finished or not."""

    run_id: str
    snapshot_name: str


def runs_on_record(session: Session) -> list[RunOnRecord]:
    """Return every run, the oldest first."""
    query = (
        select(models.Run.run_id, models.Snapshot.name)
        .join(models.Snapshot, models.Snapshot.id == models.Run.snapshot_id)
        .order_by(models.Run.id)
    )
    return [RunOnRecord(run_id, name) for run_id, name in session.execute(query)]


def config_of_run(session: Session, run_id: str) -> Mapping[str, Any]:
    """Return the configuration of a run that is on record."""
    config: dict[str, Any] = session.scalars(
        select(models.Run.config).where(models.Run.run_id == run_id)
    ).one()
    return config
