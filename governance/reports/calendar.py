"""The expiry calendar: what ends within 30, 60 and 90 days, and the snapshots and models that rest on it."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from db import artefacts
from db.clock import rfc3339
from db.expiry import EndingRight, RightKind
from db.project import Project
from governance.snapshots.snapshot import DOCUMENT_NAME, snapshot_folder

STEPS_DAYS = (30, 60, 90)
_LEAVES = b',"leaves":['
_CHUNK = 1 << 20


def with_lineage(
    project: Project, session: Session, ending: Iterable[EndingRight]
) -> tuple[EndingRight, ...]:
    """Add to each grant the snapshots that name it, and the models of their runs. Recalled snapshots count too."""
    ending = tuple(ending)
    wanted = {right.ref for right in ending if right.kind is RightKind.GRANT}
    if not wanted:
        return ending
    naming: dict[str, list[str]] = defaultdict(list)
    for snapshot in artefacts.list_snapshots(session):
        for digest in wanted & _grants_of(snapshot_folder(project, snapshot.name) / DOCUMENT_NAME):
            naming[digest].append(snapshot.name)
    made: dict[str, list[str]] = defaultdict(list)
    for model in artefacts.list_models(session):
        made[model.snapshot_name].append(model.name)
    return tuple(
        replace(
            right,
            snapshots=tuple(sorted(naming[right.ref])),
            models=tuple(sorted({name for snapshot in naming[right.ref] for name in made[snapshot]})),
        )
        if right.kind is RightKind.GRANT
        else right
        for right in ending
    )


def _grants_of(document: Path) -> set[str]:
    """Return the digests of the grants that a snapshot document lists; none if it cannot be read.

    The document is canonical JSON, in which the grants stand before the leaves: these, which may be a million, are
    not read. Quotes within text are escaped there, so the mark between the two is found nowhere else.
    """
    head = b""
    try:
        with document.open("rb") as file:
            while _LEAVES not in head and (chunk := file.read(_CHUNK)):
                head += chunk
        listed: Mapping[str, Any] = json.loads(head.partition(_LEAVES)[0] + b"}").get("grants", {})
    except (OSError, ValueError):
        return set()
    return set(listed)


def step_of(right: EndingRight, now: dt.datetime) -> str:
    """Return the part of the calendar that something belongs to: `within 30 days`, `60 to 90 days`."""
    days = days_left(right, now)
    before = 0
    for step in STEPS_DAYS:
        if days <= step:
            return f"within {step} days" if before == 0 else f"{before} to {step} days"
        before = step
    return f"after {before} days"


def days_left(right: EndingRight, now: dt.datetime) -> int:
    """Return the days until something ends, a part of a day counting as one."""
    return -((now - right.ends_at) // dt.timedelta(days=1))


def ending_json(right: EndingRight, now: dt.datetime) -> dict[str, Any]:
    """Return a line of the calendar as JSON values."""
    return {
        "right": right.kind.value,
        "ref": right.ref,
        "who": right.who,
        "what": right.what,
        "ends_at": rfc3339(right.ends_at),
        "days_left": days_left(right, now),
        "num_clips": right.num_clips,
        "duration_seconds": round(right.duration_seconds, 3),
        "snapshots": list(right.snapshots),
        "models": list(right.models),
        "runs": list(right.runs),
    }


def rests_on(right: EndingRight) -> str:
    """Return in words which snapshots and models rest on it."""
    parts = [
        _listed(names, noun)
        for names, noun in ((right.snapshots, "snapshot"), (right.models, "model"))
        if names
    ]
    return "; ".join(parts) or "none"


def _listed(names: Sequence[str], noun: str, *, shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{noun}{'s' if len(names) > 1 else ''} {', '.join(names[:shown])}{more}"
