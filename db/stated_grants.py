"""Grants as catalogues state them: which are in force for what, and which contradict each other."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Text, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from db import models, rights_models
from db.contracts import Span
from db.grant_rows import as_grant
from db.records import GrantRecord
from db.statements import BATCH_ROWS, SHAPES, StatementKind, by_code_point, in_batches

_MAX_RIVALS = 100_000


def grant_digests(session: Session, grant_ids: Iterable[int]) -> dict[int, str]:
    """Return the digests of these grants, by id."""
    digests: dict[int, str] = {}
    for batch in in_batches(set(grant_ids)):
        query = select(models.Grant.id, models.Grant.digest).where(models.Grant.id.in_(batch))
        digests |= {row[0]: row[1] for row in session.execute(query)}
    return digests


@dataclass(frozen=True, kw_only=True)
class RivalGrants:
    """Two grants for one scope, of which one prohibits something and the other permits something."""

    scope: str
    grant_ref: str
    prohibited_uses: tuple[str, ...]
    places: tuple[str, ...]
    times: tuple[dt.datetime | None, dt.datetime | None]
    other_ref: str
    permitted_uses: tuple[str, ...]
    other_places: tuple[str, ...]
    other_times: tuple[dt.datetime | None, dt.datetime | None]


def rival_grants(session: Session, table_path: str) -> Iterator[RivalGrants]:
    """Yield pairs in force of which `table_path` stated one, the prohibiting one first, at most 100,000 of them.

    Only grants for the very same scope whose seconds overlap are compared, not those of a title with those of its
    files.
    """
    one, other = aliased(rights_models.GrantScope), aliased(rights_models.GrantScope)
    forbids, permits = aliased(models.Grant), aliased(models.Grant)
    query = (
        select(one.scope, one.grant_ref, forbids, other.grant_ref.label("other_ref"), permits)
        .join(forbids, forbids.id == one.grant_id)
        .join(other, (other.scope == one.scope) & (other.grant_ref != one.grant_ref))
        .join(permits, permits.id == other.grant_id)
        .where(
            forbids.contract["prohibited_uses"].as_string().is_not(None),
            permits.permitted_uses.cast(Text) != "[]",
            or_(one.table_path == table_path, other.table_path == table_path),
            or_(
                one.end_seconds.is_(None),
                other.start_seconds.is_(None),
                other.start_seconds < one.end_seconds,
            ),
            or_(
                other.end_seconds.is_(None),
                one.start_seconds.is_(None),
                one.start_seconds < other.end_seconds,
            ),
            *is_in_force(one),
            *is_in_force(other),
        )
        .order_by(one.id, other.id)
        .limit(_MAX_RIVALS)
    )
    for scope, grant_ref, forbid, other_ref, permit in session.execute(
        query.execution_options(yield_per=500)
    ):
        yield RivalGrants(
            scope=scope,
            grant_ref=grant_ref,
            prohibited_uses=tuple(forbid.contract["prohibited_uses"]),
            places=tuple(forbid.territories),
            times=(forbid.valid_from, forbid.valid_to),
            other_ref=other_ref,
            permitted_uses=tuple(permit.permitted_uses),
            other_places=tuple(permit.territories),
            other_times=(permit.valid_from, permit.valid_to),
        )


def is_in_force(row: Any) -> tuple[Any, ...]:
    """Return the conditions that a row of grant_scope is not withdrawn and none of its key is newer."""
    later = aliased(rights_models.GrantScope)
    same_key = (
        getattr(later, name).is_not_distinct_from(getattr(row, name))
        for name in SHAPES[StatementKind.GRANT_SCOPE].keys
    )
    return row.is_withdrawn.is_(False), ~exists().where(later.id > row.id, *same_key)


@dataclass(frozen=True, kw_only=True)
class StatedScope:
    """What a grant holds for."""

    scope: str
    span: Span


@dataclass(frozen=True, kw_only=True)
class StatedGrant:
    """A grant in force with everything it holds for."""

    grant_ref: str
    grant: GrantRecord
    scopes: tuple[StatedScope, ...]


def grants_in_force(session: Session) -> Iterator[StatedGrant]:
    """Yield every grant in force in order of its name by code point; one that differs by title comes once only."""
    table = rights_models.GrantScope
    keys = [getattr(table, name) for name in SHAPES[StatementKind.GRANT_SCOPE].keys]
    newest = select(func.max(table.id)).group_by(*keys)
    query = (
        select(table.grant_ref, table.scope, table.start_seconds, table.end_seconds, models.Grant)
        .join(models.Grant, models.Grant.id == table.grant_id)
        .where(table.id.in_(newest), table.is_withdrawn.is_(False))
        .order_by(
            by_code_point(session, table.grant_ref), by_code_point(session, table.scope), table.start_seconds
        )
        .execution_options(yield_per=BATCH_ROWS)
    )
    for ref, rows in groupby(session.execute(query), key=lambda row: row.grant_ref):
        scopes = []
        first = None
        for _, scope, start, end, grant in rows:
            first = first or as_grant(grant)
            scopes.append(StatedScope(scope=scope, span=Span(start_seconds=start, end_seconds=end)))
        assert first is not None  # groupby makes no empty groups
        yield StatedGrant(grant_ref=ref, grant=first, scopes=tuple(scopes))
