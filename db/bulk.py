"""Appending many rows at once: a tenth of the cost of mapped objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

_MAX_KNOWN = 10_000


def insert_rows(
    session: Session,
    model: type[Any],
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    same: Mapping[str, Any],
) -> None:
    """Append `rows`, tuples in the order of `columns`; `same` gives the columns that are equal in all of them.

    Values become what the driver wants by the types of the table, each distinct one once. PostgreSQL gets them by
    COPY, SQLite by one prepared statement.
    """
    if not rows:
        return
    connection = session.connection()
    table = inspect(model).local_table
    names = [table.c[name].name for name in (*columns, *same)]
    bind = [_Bind(table.c[name], connection) for name in columns]
    constant = tuple(_Bind(table.c[name], connection)(value) for name, value in same.items())
    bound = ((*(convert(value) for convert, value in zip(bind, row, strict=True)), *constant) for row in rows)
    preparer = connection.dialect.identifier_preparer
    target = f"{preparer.format_table(table)} ({', '.join(map(preparer.quote, names))})"
    driver = connection.connection.driver_connection
    assert driver is not None, "the connection is open"
    if connection.dialect.name == "postgresql":
        with driver.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:
            for values in bound:
                copy.write_row(values)
    else:
        driver.executemany(f"INSERT INTO {target} VALUES ({', '.join('?' * len(names))})", bound)  # noqa: S608


class _Bind:
    """Turns the values of one column into those of the driver."""

    def __init__(self, column: Any, connection: Connection) -> None:
        self._process: Callable[[Any], Any] | None = column.type.dialect_impl(
            connection.dialect
        ).bind_processor(connection.dialect)
        self._known: dict[Any, Any] = {}

    def __call__(self, value: Any) -> Any:
        if self._process is None or value is None:
            return value
        key = tuple(value) if isinstance(value, list) else value
        found = self._known.get(key, self)
        if found is self:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            found = self._known[key] = self._process(list(key) if isinstance(key, tuple) else value)
        return found
