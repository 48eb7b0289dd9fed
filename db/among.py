"""Asking for many rows by id: pages of neighbouring ids are a range, and need no thousand parameters."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement


def among(column: Any, ids: Collection[int]) -> ColumnElement[bool]:
    """Return the condition that `column` is one of `ids`.

    A library is read in order of id, so that most pages have no gaps. PostgreSQL plans a list of a thousand
    parameters anew each time, which took longer than reading the rows.
    """
    distinct = set(ids)
    if len(distinct) > 1 and max(distinct) - min(distinct) + 1 == len(distinct):
        found: ColumnElement[bool] = column.between(min(distinct), max(distinct))
    else:
        found = column.in_(sorted(distinct))
    return found
