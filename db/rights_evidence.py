"""Recording what catalogues state, a batch at a time: a correction is a new row, what is unchanged is left alone.

Memory is bounded by the batch. What a statement is, and how they are told apart: `db.statements`. A whole import is
one transaction, begun by `begin_import`, which keeps other imports waiting until it ends; nothing here commits.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import Session, aliased
from sqlalchemy.schema import CreateTable, DropTable

from db import models
from db.events import record_event
from db.statements import SHAPES, Shape, StatementKind, in_batches
from db.vocabularies import Presence

_LOCK_KEY = 0x636C7469  # any number that is ours alone among the advisory locks of a PostgreSQL database
_CACHE_KIB = 65_536
"""For SQLite: of a million rows the indexes do not fit into its usual 2 MiB, and each insertion would read the disk."""


@dataclass(frozen=True, kw_only=True)
class StatementSource:
    """Who states something, and when we learn of it."""

    table_path: str
    table_sha256: str
    sheet: str
    recorded_at: dt.datetime


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What became of statements."""

    num_new: int = 0
    num_changed: int = 0
    """Another row of the same key was there, with other content or withdrawn."""
    num_same: int = 0

    def __add__(self, other: Recorded) -> Recorded:
        return Recorded(
            num_new=self.num_new + other.num_new,
            num_changed=self.num_changed + other.num_changed,
            num_same=self.num_same + other.num_same,
        )


_TEMPORARY = MetaData()
_SEEN = Table(
    "statement_seen",
    _TEMPORARY,
    Column("kind", String(32), primary_key=True),
    Column("row_id", Integer, primary_key=True, autoincrement=False),
    prefixes=["TEMPORARY"],
)
_BEFORE = Table(
    "statement_before",
    _TEMPORARY,
    Column("kind", String(32), primary_key=True),
    Column("last_id", Integer),
    prefixes=["TEMPORARY"],
)
_UNREAD = Table(
    "statement_unread",
    _TEMPORARY,
    Column("kind", String(32), primary_key=True),
    Column("ref", Text, primary_key=True),
    prefixes=["TEMPORARY"],
)


def begin_import(session: Session) -> None:
    """Begin a transaction that records statements; another one that does so waits until this one ends."""
    if session.get_bind().dialect.name == "sqlite":
        # The driver would begin at the first INSERT, and then refuse if somebody wrote since our first SELECT.
        session.connection().exec_driver_sql("BEGIN IMMEDIATE")
        session.connection().exec_driver_sql(f"PRAGMA cache_size=-{_CACHE_KIB}")
    else:
        session.execute(select(func.pg_advisory_xact_lock(_LOCK_KEY)))
    end_import(session)
    for table in _TEMPORARY.sorted_tables:
        session.execute(CreateTable(table))
    for kind, shape in SHAPES.items():
        last_id = session.scalar(select(func.max(shape.model.id))) or 0
        session.execute(insert(_BEFORE).values(kind=kind.value, last_id=last_id))


def end_import(session: Session) -> None:
    """Drop what `begin_import` made; a rollback does so too."""
    for table in _TEMPORARY.sorted_tables:
        session.execute(DropTable(table, if_exists=True))


def record_statements(
    session: Session, kind: StatementKind, rows: Iterable[Mapping[str, Any]], source: StatementSource
) -> Recorded:
    """Append the rows that say something new. Each maps the columns of its table, keys and `row_number` included.

    A key that comes twice with different content leaves two rows, of which the later counts.
    """
    total = Recorded()
    for batch in in_batches(rows):
        total += _record_batch(session, kind, batch, source)
    return total


def _record_batch(
    session: Session, kind: StatementKind, batch: Sequence[Mapping[str, Any]], source: StatementSource
) -> Recorded:
    shape = SHAPES[kind]
    newest = _newest(session, shape, batch)
    fresh: list[dict[str, Any]] = []
    seen: set[int] = set()
    num_new = num_changed = 0
    for row in batch:
        key = tuple(row[name] for name in shape.keys)
        old = newest.get(key)
        if old is not None and not old["is_withdrawn"] and _is_same(shape, row, old):
            if "id" in old:
                seen.add(old["id"])
            continue
        num_new += old is None
        num_changed += old is not None
        newest[key] = {**row, "is_withdrawn": False}
        fresh.append({**row, **_source_columns(source)})
    if fresh:
        session.execute(insert(shape.table), fresh)
    _note_seen(session, kind, seen)
    num_same = len(batch) - num_new - num_changed
    return Recorded(num_new=num_new, num_changed=num_changed, num_same=num_same)


def _is_same(shape: Shape, row: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    return all(row[name] == old[name] for name in shape.content)


def _source_columns(source: StatementSource) -> dict[str, Any]:
    return {**vars(source), "is_withdrawn": False}


def _newest(
    session: Session, shape: Shape, batch: Sequence[Mapping[str, Any]]
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return the newest row of each key in `batch` that has one."""
    table = shape.table
    refs = {row[shape.ref] for row in batch}
    where = [table.c[shape.ref].in_(refs)]
    if "scope" in shape.keys:
        # One of the two lists may use an index, or SQLite tries every scope with every ref. It is the scopes', since
        # a ref may hold for a library of files.
        scopes = {row["scope"] for row in batch}
        where = [table.c.scope.in_(scopes), func.coalesce(table.c[shape.ref], "").in_(refs)]
    newest = select(func.max(table.c.id)).where(*where).group_by(*(table.c[name] for name in shape.keys))
    rows = session.execute(select(table).where(table.c.id.in_(newest))).mappings()
    return {tuple(row[name] for name in shape.keys): dict(row) for row in rows}


def _note_seen(session: Session, kind: StatementKind, seen: set[int]) -> None:
    if not seen:
        return
    known = set(
        session.scalars(select(_SEEN.c.row_id).where(_SEEN.c.kind == kind.value, _SEEN.c.row_id.in_(seen)))
    )
    fresh = [{"kind": kind.value, "row_id": row_id} for row_id in seen - known]
    if fresh:
        session.execute(insert(_SEEN), fresh)


def note_unread(session: Session, kind: StatementKind, refs: Iterable[str]) -> None:
    """Note rows that are in the catalogue but were not understood: what they forbade before stays forbidden.

    The empty ref stands for a row whose name could not be read either, which may be any.
    """
    for batch in in_batches(refs):
        names = set(batch)
        known = set(
            session.scalars(
                select(_UNREAD.c.ref).where(_UNREAD.c.kind == kind.value, _UNREAD.c.ref.in_(names))
            )
        )
        fresh = [{"kind": kind.value, "ref": ref} for ref in names - known]
        if fresh:
            session.execute(insert(_UNREAD), fresh)


def is_unread(kind: StatementKind, ref: Any) -> Any:
    """Return the condition that `note_unread` named the row called `ref`."""
    return exists().where(_UNREAD.c.kind == kind.value, or_(_UNREAD.c.ref == ref, _UNREAD.c.ref == ""))


def withdraw_missing(
    session: Session, kind: StatementKind, source: StatementSource, table_paths: Collection[str]
) -> int:
    """Withdraw what `table_paths` stated and was not recorded again since `begin_import`; return how many rows.

    Kept is what warns in rows that `note_unread` named (a person is seen, an embargo): that is lifted by a row that
    is understood, or by one that is gone, and not by a slip of the pen. For grants see `db.suspended_grants`.
    """
    shape = SHAPES[kind]
    table = shape.table
    later = aliased(shape.model)
    is_seen = exists().where(_SEEN.c.kind == kind.value, _SEEN.c.row_id == table.c.id)
    same_key = (getattr(later, name).is_not_distinct_from(table.c[name]) for name in shape.keys)
    last_id = select(_BEFORE.c.last_id).where(_BEFORE.c.kind == kind.value).scalar_subquery()
    missing = [
        table.c.table_path.in_(table_paths),
        table.c.is_withdrawn.is_(False),
        table.c.id <= last_id,
        ~is_seen,
        ~exists().where(later.id > table.c.id, *same_key),
    ]
    restricts = _restricts(kind, table)
    if restricts is not None:
        missing.append(~and_(restricts, is_unread(kind, table.c[shape.ref])))
    names = (*shape.keys, *shape.content)
    gone = select(
        *(table.c[name] for name in (*names, "sheet", "row_number")),
        literal(source.table_path),
        literal(source.table_sha256),
        literal(True),
        literal(source.recorded_at, table.c.recorded_at.type),
    ).where(*missing)
    columns = [*names, "sheet", "row_number", "table_path", "table_sha256", "is_withdrawn", "recorded_at"]
    before = session.scalar(select(func.max(table.c.id))) or 0
    session.execute(insert(table).from_select(columns, gone.order_by(table.c.id)))
    return session.scalar(select(func.count()).select_from(table).where(table.c.id > before)) or 0


def _restricts(kind: StatementKind, table: Any) -> Any:
    """Return the condition that a row warns of something; `None` if rows of this kind never do."""
    if kind is StatementKind.FILING:
        return or_(table.c.embargo_until.is_not(None), table.c.restrictions.cast(Text) != "[]")
    if kind is StatementKind.APPEARANCE:
        return table.c.presence == Presence.PRESENT
    return None


def ensure_grants(session: Session, grants: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Record grants (columns by the digest of their content) that are not on record; return all their ids."""
    ids: dict[str, int] = {}
    for batch in in_batches(sorted(grants)):
        query = select(models.Grant.digest, models.Grant.id).where(models.Grant.digest.in_(batch))
        known = {row[0]: row[1] for row in session.execute(query)}
        fresh = [{**grants[digest], "digest": digest} for digest in batch if digest not in known]
        if fresh:
            session.execute(insert(models.Grant), fresh)
            known = {row[0]: row[1] for row in session.execute(query)}
        ids |= known
    return ids


def reject_rows(session: Session, source: StatementSource, rows: Iterable[tuple[str, int, str, str]]) -> int:
    """Record rejected rows (sheet, row number, code, reason) of a table; return how many were not known yet."""
    num_new = 0
    table = models.RejectedRow.__table__
    for batch in in_batches(rows):
        where = (
            table.c.table_sha256 == source.table_sha256,
            table.c.row_number.in_({row[1] for row in batch}),
        )
        columns = (table.c.sheet, table.c.row_number, table.c.code, table.c.reason)
        known = {tuple(row) for row in session.execute(select(*columns).where(*where))}
        fresh = [
            {
                "table_path": source.table_path,
                "table_sha256": source.table_sha256,
                "sheet": sheet,
                "row_number": row_number,
                "code": code,
                "reason": reason,
                "recorded_at": source.recorded_at,
            }
            for sheet, row_number, code, reason in dict.fromkeys(batch)
            if (sheet, row_number, code, reason) not in known
        ]
        if fresh:
            session.execute(insert(models.RejectedRow), fresh)
        num_new += len(fresh)
    return num_new


def record_import(
    session: Session,
    source: StatementSource,
    *,
    num_accepted: int,
    num_rejected: int,
    changes: Mapping[str, Any],
) -> bool:
    """Record that a catalogue was imported, with what changed; return False if it was in force and changed nothing."""
    newest = session.scalar(
        select(models.RightsTable)
        .where(models.RightsTable.path == source.table_path)
        .order_by(models.RightsTable.id.desc())
        .limit(1)
    )
    counts = (source.table_sha256, num_accepted, num_rejected)
    is_known = newest is not None and (newest.sha256, newest.num_accepted, newest.num_rejected) == counts
    if is_known and not changes:
        return False
    row = models.RightsTable(
        path=source.table_path,
        sha256=source.table_sha256,
        num_accepted=num_accepted,
        num_rejected=num_rejected,
        recorded_at=source.recorded_at,
    )
    session.add(row)
    payload = {"sha256": source.table_sha256, "num_accepted": num_accepted, "num_rejected": num_rejected}
    record_event(session, "catalogue.imported", source.table_path, {**payload, "changes": dict(changes)})
    return True
