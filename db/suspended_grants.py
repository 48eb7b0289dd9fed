"""Grants whose rows are no longer understood: what they permit is withdrawn, what they prohibit stays."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import models, rights_models
from db.canonical import digest_of
from db.grant_rows import as_grant
from db.grants import grant_content
from db.records import GrantRecord
from db.rights_evidence import (
    Recorded,
    StatementSource,
    ensure_grants,
    is_unread,
    record_statements,
)
from db.stated_grants import is_in_force
from db.statements import BATCH_ROWS, SHAPES, StatementKind

NOT_UNDERSTOOD = "LicenseRef-row-not-understood"
"""Stands where a licence would permit something by itself."""


def suspend_unread(session: Session, source: StatementSource, table_paths: Collection[str]) -> Recorded:
    """Record, for each prohibiting grant that `note_unread` named, one that prohibits the same and permits nothing.

    Only grants that `table_paths` stated. A correction that is understood replaces it like any other row.
    """
    total = Recorded()
    scope = rights_models.GrantScope
    query = (
        select(scope, models.Grant)
        .join(models.Grant, models.Grant.id == scope.grant_id)
        .where(
            scope.table_path.in_(table_paths),
            models.Grant.contract["prohibited_uses"].as_string().is_not(None),
            is_unread(StatementKind.GRANT_SCOPE, scope.grant_ref),
            *is_in_force(scope),
        )
        .order_by(scope.id)
        .limit(BATCH_ROWS)
    )
    last_id, end_id = 0, session.scalar(select(func.max(scope.id))) or 0
    while page := session.execute(query.where(scope.id > last_id, scope.id <= end_id)).all():
        grants = {row.GrantScope.id: _suspended(as_grant(row.Grant)) for row in page}
        digests = {scope_id: digest_of(grant_content(grant)) for scope_id, grant in grants.items()}
        columns = {digests[scope_id]: _columns(grant, source) for scope_id, grant in grants.items()}
        ids = ensure_grants(session, columns)
        rows = [_row(row.GrantScope, ids[digests[row.GrantScope.id]]) for row in page]
        total += record_statements(session, StatementKind.GRANT_SCOPE, rows, source)
        last_id = page[-1].GrantScope.id
    return total


def _suspended(grant: GrantRecord) -> GrantRecord:
    return replace(grant, permitted_uses=(), license_expression=NOT_UNDERSTOOD)


def _columns(grant: GrantRecord, source: StatementSource) -> dict[str, Any]:
    columns = {
        name: getattr(grant, name)
        for name in GrantRecord.__dataclass_fields__
        if name not in {"id", "digest"}
    }
    return columns | {
        "permitted_uses": [],
        "territories": list(grant.territories),
        "contract": grant.contract.as_json(),
        "table_sha256": source.table_sha256,
        "sheet": source.sheet,
        "recorded_at": source.recorded_at,
    }


def _row(scope: rights_models.GrantScope, grant_id: int) -> dict[str, Any]:
    keys = SHAPES[StatementKind.GRANT_SCOPE].keys
    return {name: getattr(scope, name) for name in keys} | {
        "grant_id": grant_id,
        "row_number": scope.row_number,
    }
