"""Alembic environment: the URL comes from `db.database.alembic_config`, never from a file."""

from __future__ import annotations

from alembic import context

from db.database import open_engine
from db.models import Base


def _run() -> None:
    engine = open_engine(context.config.attributes["url"])
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=connection.dialect.name == "sqlite",
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    engine.dispose()


_run()
