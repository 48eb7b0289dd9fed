"""Files whose rows are no longer understood: which title they belong to is not known, and what else was said stays."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from db import rights_models
from db.rights_evidence import Recorded, StatementSource, is_unread, record_statements
from db.statements import BATCH_ROWS, SHAPES, StatementKind

NOT_UNDERSTOOD = "row not understood\x7f"
"""A title that nobody can record, since a control character in a cell is rejected: what is filed under it is held."""


def suspend_unread_filings(
    session: Session, source: StatementSource, table_paths: Collection[str]
) -> Recorded:
    """Record each filing that `note_unread` named anew, under a title that is not on record.

    Only filings that `table_paths` stated. Taking the row away would take the film's prohibitions off the file,
    keeping it would keep the film's permissions. A correction that is understood replaces it like any other row.
    """
    total = Recorded()
    filing = rights_models.Filing
    shape = SHAPES[StatementKind.FILING]
    later = aliased(filing)
    same_key = (getattr(later, name).is_not_distinct_from(getattr(filing, name)) for name in shape.keys)
    query = (
        select(filing)
        .where(
            filing.table_path.in_(table_paths),
            is_unread(StatementKind.FILING, filing.ref),
            filing.is_withdrawn.is_(False),
            ~exists().where(later.id > filing.id, *same_key),
        )
        .order_by(filing.id)
        .limit(BATCH_ROWS)
    )
    last_id, end_id = 0, session.scalar(select(func.max(filing.id))) or 0
    while page := session.scalars(query.where(filing.id > last_id, filing.id <= end_id)).all():
        rows = [
            {name: getattr(row, name) for name in (*shape.keys, *shape.content)}
            | {"title_ref": NOT_UNDERSTOOD, "row_number": row.row_number}
            for row in page
        ]
        total += record_statements(session, StatementKind.FILING, rows, source)
        last_id = page[-1].id
    return total
