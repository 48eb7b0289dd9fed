"""Turning rows of grants into records. Grants never change, so a session keeps those that it has met."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import models
from db.contracts import Contract
from db.records import GrantRecord

_KEPT = "grants"
_MAX_KEPT = 20_000


def as_grant(row: models.Grant) -> GrantRecord:
    """Turn a row into a record."""
    values = {name: getattr(row, name) for name in GrantRecord.__dataclass_fields__}
    values["permitted_uses"] = tuple(row.permitted_uses)
    values["territories"] = tuple(row.territories)
    values["contract"] = Contract.from_json(row.contract)
    return GrantRecord(**values)


def grants_by_id(session: Session, grant_ids: Collection[int]) -> dict[int, GrantRecord]:
    """Return the grants with these ids."""
    kept: dict[int, GrantRecord] = session.info.setdefault(_KEPT, {})
    missing = [grant_id for grant_id in grant_ids if grant_id not in kept]
    found = {grant_id: kept[grant_id] for grant_id in grant_ids if grant_id in kept}
    if missing:
        rows = session.scalars(select(models.Grant).where(models.Grant.id.in_(missing)))
        fresh = {row.id: as_grant(row) for row in rows}
        if len(kept) + len(fresh) > _MAX_KEPT:
            kept.clear()
        kept |= fresh
        found |= fresh
    return found
