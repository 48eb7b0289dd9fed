"""Telling whether anything that decisions rest on was recorded since, without reading it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import models, rights_models

_EVIDENCE: tuple[type[Any], ...] = (
    models.AssetPath, models.Claim, models.Clip, models.Collection, models.Detector, models.Embedding, models.Grant,
    models.Match, models.Membership, models.Model, models.OutputClip, models.RejectedFile, models.Search,
    models.Snapshot, models.SoundPrint, rights_models.Agreement, rights_models.Appearance, rights_models.Document,
    rights_models.Filing, rights_models.GrantScope, rights_models.Party, rights_models.Release, rights_models.Review,
    rights_models.RightsSignal, rights_models.SignalReading, rights_models.Title,
)  # fmt: skip
"""Every table that a decision may follow from. Rows are only ever added, so the last id tells."""

_TIMES = (
    models.Grant.valid_from,
    models.Grant.valid_to,
    rights_models.Agreement.executed_at,
    rights_models.Agreement.terminated_at,
    rights_models.Filing.embargo_until,
    rights_models.Party.verified_at,
    rights_models.Release.valid_from,
    rights_models.Release.valid_to,
    rights_models.Review.expires_at,
    rights_models.RightsSignal.captured_at,
)
"""Every time that facts are counted from."""


def evidence_marks(session: Session) -> dict[str, int]:
    """Return the last id of each table of evidence."""
    return {table.__tablename__: session.scalar(select(func.max(table.id))) or 0 for table in _EVIDENCE}


def does_a_day_end_between(session: Session, start: dt.datetime, end: dt.datetime) -> bool:
    """Return whether the whole days to or from any recorded time differ between two aware times."""
    for column in _TIMES:
        for time in session.scalars(select(column).where(column.is_not(None)).distinct()):
            assert time is not None, "asked for those that are stated"
            # Both directions: a day is counted from its end for what ends, from its beginning for what began.
            if (time - start).days != (time - end).days or (start - time).days != (end - time).days:
                return True
            if (time <= start) != (time <= end):
                return True
    return False
