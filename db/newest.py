"""The newest row of a subject: the one reading rule of append-only evidence."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

T = TypeVar("T")


def newest_rows(
    session: Session, model: type[T], keys: Sequence[str], where: Any, known_on: dt.datetime | None
) -> list[T]:
    """Return, in order of id, the newest row of each value of `keys` among those that match, unless withdrawn.

    `known_on`: rows recorded later are not known yet; `None`: every row on record.
    """
    table: Any = model
    query = select(func.max(table.id)).where(where).group_by(*(getattr(table, key) for key in keys))
    if known_on is not None:
        query = query.where(table.recorded_at <= known_on)
    rows = session.scalars(select(model).where(table.id.in_(query)).order_by(table.id)).all()
    return [row for row in rows if not getattr(row, "is_withdrawn", False)]
