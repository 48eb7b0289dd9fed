"""Opening and migrating the database: SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.engine.url import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from db.errors import ConfigError, UndecidedError

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"


def open_engine(url: str | URL) -> Engine:
    """Return an engine for `url`. SQLite gets foreign keys, a write-ahead log and full syncing (evidence).

    Raises `ConfigError` for a URL that is malformed or of another kind of database.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as exc:
        raise ConfigError(f"database URL is malformed: {exc}") from exc
    if parsed.get_backend_name() == "postgresql":
        return create_engine(parsed.set(drivername="postgresql+psycopg"))
    if parsed.get_backend_name() != "sqlite":
        raise ConfigError(
            f"database URL names {parsed.get_backend_name()!r}; sqlite and postgresql are supported"
        )
    # A file needs no pool: each session opens it and closes it, so that nothing is left open.
    engine = create_engine(parsed, poolclass=NullPool)
    event.listen(engine, "connect", _set_sqlite_pragmas)
    return engine


def _set_sqlite_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA busy_timeout=30000")


def alembic_config(url: str | URL) -> Config:
    """Return the Alembic configuration for the shipped migrations and `url`."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["url"] = url
    return config


def migrate(url: str | URL) -> None:
    """Bring the database at `url` to the newest schema, creating it where needed."""
    from alembic import command

    try:
        command.upgrade(alembic_config(url), "head")
    except (OperationalError, DBAPIError) as exc:
        raise UndecidedError(f"database cannot be migrated: {exc.orig}") from exc


def _advice(dialect: str) -> str:
    if dialect == "sqlite":  # which says "disk I/O error" when there is no room for its log
        return (
            "the project folder must be writable and the disk must have room; then run the same command again"
        )
    return "check [database] url in cleartitle.toml, or CLEARTITLE_DATABASE_URL"


def check_schema(engine: Engine) -> None:
    """Refuse a database that is missing, unreachable, or not at the schema this version was built for."""
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    newest = ScriptDirectory(str(_MIGRATIONS)).get_current_head()
    try:
        with engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
    except (OperationalError, DBAPIError) as exc:
        raise UndecidedError(
            f"database cannot be opened: {exc.orig}", hint=_advice(engine.dialect.name)
        ) from exc
    if found != newest:
        raise UndecidedError(
            f"database schema is {found or 'empty'}, this version needs {newest}",
            hint="run `cleartitle init` in the project folder: it migrates and keeps what is there",
        )
