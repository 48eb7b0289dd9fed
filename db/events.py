"""The append-only list of state changes. Each event is written in the transaction of the change it reports."""

from __future__ import annotations

import getpass
import os
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.canonical import digest_of
from db.clock import rfc3339, utc_now
from db.models import Event
from db.records import EventRecord


def current_actor() -> str:
    """Name who acts: CLEARTITLE_ACTOR when set, else the login name, else the user number."""
    if actor := os.environ.get("CLEARTITLE_ACTOR"):
        return actor
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def record_event(session: Session, kind: str, subject: str, payload: dict[str, Any]) -> None:
    """Append an event; `kind` is dotted (`snapshot.sealed`), `payload` must be JSON."""
    now = utc_now()
    actor = current_actor()
    content = {"kind": kind, "subject": subject, "payload": payload, "actor": actor, "at": rfc3339(now)}
    session.add(
        Event(
            kind=kind,
            subject=subject,
            payload=payload,
            actor=actor,
            digest=digest_of(content),
            recorded_at=now,
        )
    )


def list_events(
    session: Session, *, kind: str | None = None, subject: str | None = None
) -> list[EventRecord]:
    """Return events, oldest first."""
    query = select(Event).order_by(Event.id)
    if kind is not None:
        query = query.where(Event.kind == kind)
    if subject is not None:
        query = query.where(Event.subject == subject)
    return [_as_event(row) for row in session.scalars(query)]


def newest_event(session: Session, *, kind: str, subject: str) -> EventRecord | None:
    """Return the last event of a kind on a subject."""
    query = select(Event).where(Event.kind == kind, Event.subject == subject).order_by(Event.id.desc())
    row = session.scalar(query.limit(1))
    return None if row is None else _as_event(row)


def _as_event(row: Event) -> EventRecord:
    return EventRecord(
        id=row.id,
        kind=row.kind,
        subject=row.subject,
        payload=row.payload,
        actor=row.actor,
        digest=row.digest,
        recorded_at=row.recorded_at,
    )
