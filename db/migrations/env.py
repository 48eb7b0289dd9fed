"""Alembic environment: the URL comes from `db.database.alembic_config`, never from a file."""

from __future__ import annotations

from alembic import context

from db import models, output_models, rights_models
from db.base import Base
from db.database import open_engine

_WITH_TABLES = (models, output_models, rights_models)
"""Imported so that their tables are known."""


def _run() -> None:
    engine = open_engine(context.config.attributes["url"])
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=connection.dialect.name == "sqlite",
            # SQLite can undo DDL; Alembic assumes that it cannot and would leave half a schema to a kill.
            transactional_ddl=True,
        )
        if connection.dialect.name == "sqlite":
            # The driver begins transactions before INSERT and the like only. Another `init` waits here.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    engine.dispose()


_run()
