"""The migrations give exactly the schema of the models, on SQLite and PostgreSQL."""

from __future__ import annotations

import pytest
from alembic import command
from sqlalchemy import inspect

from db.base import Base
from db.database import alembic_config, check_schema, migrate, open_engine
from db.errors import ConfigError, UndecidedError


def test_migrated_schema_is_the_models_schema(database_url: str) -> None:
    migrate(database_url)
    command.check(alembic_config(database_url))
    engine = open_engine(database_url)
    check_schema(engine)
    assert set(Base.metadata.tables) <= set(inspect(engine).get_table_names())
    engine.dispose()


def test_migrating_twice_changes_nothing(database_url: str) -> None:
    migrate(database_url)
    migrate(database_url)
    engine = open_engine(database_url)
    check_schema(engine)
    engine.dispose()


def test_downgrade_removes_every_table(database_url: str) -> None:
    migrate(database_url)
    command.downgrade(alembic_config(database_url), "base")
    engine = open_engine(database_url)
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    engine.dispose()


def test_empty_database_is_undecided_and_says_what_to_run(database_url: str) -> None:
    engine = open_engine(database_url)
    with pytest.raises(UndecidedError, match="schema is empty") as caught:
        check_schema(engine)
    assert "cleartitle init" in str(caught.value.hint)
    engine.dispose()


@pytest.mark.parametrize("url", ["mysql://localhost/x", "not a url"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        open_engine(url)
