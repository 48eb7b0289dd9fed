"""Migrated databases: an open transaction that is rolled back, and one with footage that others see too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from db.database import migrate, open_engine
from tests.db.records_maker import add_library_asset


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    """A session on a fresh, migrated database."""
    migrate(database_url)
    engine = open_engine(database_url)
    with Session(engine) as opened:
        yield opened
        opened.rollback()
    engine.dispose()


@pytest.fixture
def committed(database_url: str) -> Iterator[Session]:
    """A session without an open transaction on a database with three assets."""
    migrate(database_url)
    engine = open_engine(database_url)
    with Session(engine) as opened:
        for name in ("a", "b", "c"):
            add_library_asset(opened, name)
        opened.commit()
        yield opened
        opened.rollback()
    engine.dispose()
