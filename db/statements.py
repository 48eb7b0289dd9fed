"""What catalogues state: the tables of statements by kind, and reading what is in force and what ever was.

A *statement* is a row of one of these tables, told apart by its *key*; the newest row of a key counts, a withdrawn
one that nothing is stated.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import models, rights_models
from db.clock import rfc3339
from db.grant_rows import as_grant
from db.grants import grant_content
from db.rights_records import Source

BATCH_ROWS = 2000
SOURCE_COLUMNS = ("table_path", "table_sha256", "sheet", "row_number", "is_withdrawn", "recorded_at")

T = TypeVar("T")


class StatementKind(StrEnum):
    """What may be stated, by the name of its table."""

    PARTY = "party"
    DOCUMENT = "document"
    AGREEMENT = "agreement"
    TITLE = "title"
    FILING = "filing"
    GRANT_SCOPE = "grant_scope"
    RELEASE = "release"
    APPEARANCE = "appearance"


@dataclass(frozen=True)
class Shape:
    """A table of statements: the column that names its rows, those that tell rows apart, and the rest."""

    model: Any
    ref: str
    keys: tuple[str, ...]

    @property
    def table(self) -> Any:
        """The table itself."""
        return self.model.__table__

    @cached_property
    def content(self) -> tuple[str, ...]:
        """Every column that says something, keys aside."""
        names = (column.name for column in self.model.__table__.columns)
        return tuple(name for name in names if name not in {"id", *self.keys, *SOURCE_COLUMNS})


_SPAN = ("start_seconds", "end_seconds")
SHAPES: dict[StatementKind, Shape] = {
    StatementKind.PARTY: Shape(rights_models.Party, "ref", ("ref",)),
    StatementKind.DOCUMENT: Shape(rights_models.Document, "sha256", ("sha256",)),
    StatementKind.AGREEMENT: Shape(rights_models.Agreement, "ref", ("ref",)),
    StatementKind.TITLE: Shape(rights_models.Title, "ref", ("ref",)),
    StatementKind.FILING: Shape(rights_models.Filing, "ref", ("ref", "scope", *_SPAN)),
    StatementKind.GRANT_SCOPE: Shape(rights_models.GrantScope, "grant_ref", ("grant_ref", "scope", *_SPAN)),
    StatementKind.RELEASE: Shape(rights_models.Release, "ref", ("ref",)),
    StatementKind.APPEARANCE: Shape(rights_models.Appearance, "ref", ("ref", "scope")),
}


def in_batches(items: Iterable[T], size: int = BATCH_ROWS) -> Iterator[list[T]]:
    """Yield `items` in lists of at most `size`."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch


def count_stated(session: Session, kind: StatementKind, table_path: str) -> int:
    """Return how many rows of a kind that `table_path` stated are in force."""
    table = SHAPES[kind].table
    newest = select(func.max(table.c.id)).group_by(*(table.c[name] for name in SHAPES[kind].keys))
    where = (table.c.id.in_(newest), table.c.table_path == table_path, table.c.is_withdrawn.is_(False))
    return session.scalar(select(func.count()).select_from(table).where(*where)) or 0


def has_stated(session: Session, kind: StatementKind, table_path: str) -> bool:
    """Return whether `table_path` ever stated a row of a kind, in force or not."""
    table = SHAPES[kind].table
    return session.scalar(select(table.c.id).where(table.c.table_path == table_path).limit(1)) is not None


def statements_in_force(
    session: Session, kind: StatementKind, refs: Collection[str], *, except_paths: Collection[str] = ()
) -> dict[str, list[dict[str, Any]]]:
    """Return by ref what is stated of each, as columns by name; refs that nothing is stated of are left out.

    What `except_paths` stated is left out as well.
    """
    shape = SHAPES[kind]
    table = shape.table
    found: dict[str, list[dict[str, Any]]] = {}
    for batch in in_batches(sorted(set(refs) - {""})):
        newest = select(func.max(table.c.id)).where(table.c[shape.ref].in_(batch))
        newest = newest.group_by(*(table.c[name] for name in shape.keys))
        query = select(table).where(table.c.id.in_(newest), table.c.is_withdrawn.is_(False))
        if except_paths:
            query = query.where(table.c.table_path.not_in(except_paths))
        for row in session.execute(query.order_by(table.c.id)).mappings():
            found.setdefault(row[shape.ref], []).append(dict(row))
    return found


def asset_paths(session: Session) -> Iterator[str]:
    """Yield every path at which an asset was seen, page by page."""
    last_id = 0
    while True:
        query = select(models.AssetPath.id, models.AssetPath.path).where(models.AssetPath.id > last_id)
        page = session.execute(query.order_by(models.AssetPath.id).limit(BATCH_ROWS)).all()
        if not page:
            return
        yield from (row.path for row in page)
        last_id = page[-1].id


def links_in_force(
    session: Session, kind: StatementKind, refs: Collection[str], *, except_paths: Collection[str]
) -> dict[str, str]:
    """Return what each ref rests on ('' for nothing), of those in force that none of `except_paths` stated.

    Agreements rest on what they amend, titles on their parents, grants on their upstream grants.
    """
    stated = statements_in_force(session, kind, refs, except_paths=except_paths)
    newest = {ref: found[-1] for ref, found in stated.items()}
    if kind is not StatementKind.GRANT_SCOPE:
        column = {StatementKind.AGREEMENT: "amends_ref", StatementKind.TITLE: "parent_ref"}[kind]
        return {ref: row[column] for ref, row in newest.items()}
    upstream: dict[int, str] = {}
    for batch in in_batches({row["grant_id"] for row in newest.values()}):
        query = select(models.Grant.id, models.Grant.contract).where(models.Grant.id.in_(batch))
        upstream |= {row.id: row.contract.get("upstream_ref", "") for row in session.execute(query)}
    return {ref: upstream[row["grant_id"]] for ref, row in newest.items()}


@dataclass(frozen=True, kw_only=True)
class StatementVersion:
    """One row that was ever stated under a ref."""

    kind: StatementKind
    values: Mapping[str, Any]
    """JSON values by column; of a grant its terms as well."""
    source: Source
    recorded_at: dt.datetime
    is_withdrawn: bool
    is_in_force: bool
    """The newest of its key, and not withdrawn."""


def versions_of(
    session: Session, ref: str, *, known_on: dt.datetime | None = None
) -> Iterator[StatementVersion]:
    """Yield everything stated under `ref`, kind by kind, newest first; later than `known_on` nothing is known."""
    for kind, shape in SHAPES.items():
        query = select(shape.table).where(shape.table.c[shape.ref] == ref)
        if known_on is not None:
            query = query.where(shape.table.c.recorded_at <= known_on)
        seen: set[tuple[Any, ...]] = set()
        for row in session.execute(query.order_by(shape.table.c.id.desc())).mappings():
            key = tuple(row[name] for name in shape.keys)
            yield _version(session, kind, dict(row), is_newest=key not in seen)
            seen.add(key)


def _version(
    session: Session, kind: StatementKind, row: Mapping[str, Any], *, is_newest: bool
) -> StatementVersion:
    shape = SHAPES[kind]
    values = {name: _json_value(row[name]) for name in (*shape.keys, *shape.content) if name != "grant_id"}
    if kind is StatementKind.GRANT_SCOPE:
        grant = session.scalars(select(models.Grant).where(models.Grant.id == row["grant_id"])).one()
        values |= {"grant": {**grant_content(as_grant(grant)), "digest": grant.digest}}
    return StatementVersion(
        kind=kind,
        values=values,
        source=Source(**{name: row[name] for name in ("table_path", "table_sha256", "sheet", "row_number")}),
        recorded_at=row["recorded_at"],
        is_withdrawn=row["is_withdrawn"],
        is_in_force=is_newest and not row["is_withdrawn"],
    )


def _json_value(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return rfc3339(value)
    return value.value if isinstance(value, StrEnum) else value


def all_in_force(session: Session, kind: StatementKind) -> Iterator[dict[str, Any]]:
    """Yield everything of a kind that is in force, columns by name, in order of its keys by code point."""
    shape = SHAPES[kind]
    newest = select(func.max(shape.table.c.id)).group_by(*(shape.table.c[name] for name in shape.keys))
    query = select(shape.table).where(shape.table.c.id.in_(newest), shape.table.c.is_withdrawn.is_(False))
    order = [by_code_point(session, shape.table.c[name]) for name in shape.keys if name not in _SPAN]
    query = query.order_by(*order, shape.table.c.id).execution_options(yield_per=BATCH_ROWS)
    for row in session.execute(query).mappings():
        yield dict(row)


def by_code_point(session: Session, column: Any) -> Any:
    """Return a text column to order by that sorts alike on every database."""
    return column.collate("C") if session.get_bind().dialect.name == "postgresql" else column
