"""What was on record at a time: the one condition by which every question is put as known on a day."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import ColumnElement, true


def was_known(table: Any, known_on: dt.datetime | None) -> ColumnElement[bool]:
    """Return the condition that a row of `table` was recorded by `known_on`; `None`: everything on record."""
    if known_on is None:
        return true()
    was_recorded: ColumnElement[bool] = table.recorded_at <= known_on
    return was_recorded
