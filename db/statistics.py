"""What a database server knows of its tables, on which it plans its queries."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

_GROWN = text("""
    SELECT relname FROM pg_stat_user_tables
    WHERE schemaname = current_schema() AND current_setting('transaction_read_only') = 'off'
        AND n_mod_since_analyze > 1000 + n_live_tup / 10
    ORDER BY relname
""")
"""Tables that the server's own housekeeping would look at within the next minutes."""


def refresh_statistics(session: Session) -> list[str]:
    """Have PostgreSQL look at tables that changed much since it last did, and return their names; SQLite needs none.

    Before a pass over a library that was just loaded or decided, in a transaction of its own: planned on the statistics
    of an empty database, an audit of a million clips took twice its time.
    """
    connection = session.connection()
    if connection.dialect.name != "postgresql":
        return []
    grown = list(connection.scalars(_GROWN))
    quote = connection.dialect.identifier_preparer.quote
    for name in grown:
        connection.execute(text(f"ANALYZE {quote(name)}"))
    return grown
