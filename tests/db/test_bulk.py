from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db import models
from db.bulk import Rows, insert_repeating, writing_behind
from db.database import migrate, open_engine
from tests.db.records_maker import TIME, add_library_asset


@pytest.fixture
def committed(database_url: str) -> Iterator[Session]:
    """A session without an open transaction on a database with three assets."""
    migrate(database_url)
    engine = open_engine(database_url)
    with Session(engine) as session:
        for name in ("a", "b", "c"):
            add_library_asset(session, name)
        session.commit()
        yield session
        session.rollback()
    engine.dispose()


def _ids(session: Session) -> list[int]:
    return list(session.scalars(select(models.Asset.id).order_by(models.Asset.id)))


def _record(session: Session, rows: Rows) -> None:
    insert_repeating(session, models.AssetPath, "asset_id", ("path",), rows, same={"recorded_at": TIME})


def _recorded(session: Session) -> list[tuple[object, ...]]:
    columns = (models.AssetPath.asset_id, models.AssetPath.path, models.AssetPath.recorded_at)
    query = select(*columns).where(models.AssetPath.path.startswith("/new")).order_by(models.AssetPath.id)
    return [tuple(row) for row in session.execute(query)]


def test_rows_arrive_whole_whatever_they_share(committed: Session) -> None:
    a, b, c = _ids(committed)
    odd = """/new/it's 50 %, "quoted" {and} \\N"""
    _record(committed, [(a, ("/new/same",)), (b, (odd,)), (c, ("/new/same",))])
    assert _recorded(committed) == [(a, "/new/same", TIME), (b, odd, TIME), (c, "/new/same", TIME)]


def test_no_rows_are_no_rows(committed: Session) -> None:
    _record(committed, [])
    assert _recorded(committed) == []


def test_what_is_written_behind_is_there_at_the_end_and_in_order(committed: Session) -> None:
    assets = _ids(committed)
    with writing_behind(committed) as behind:
        for number, asset in enumerate(assets):
            behind.write(partial(_record, rows=[(asset, (f"/new/{number}",))]))
            assert _ids(behind.reading) == assets
        assert len(_recorded(behind.settle())) == len(assets)
    assert [path for _, path, _ in _recorded(committed)] == ["/new/0", "/new/1", "/new/2"]


def test_what_a_write_raises_is_not_lost(committed: Session) -> None:
    nobody = [(999_999, ("/new",))]  # no such asset
    with pytest.raises(IntegrityError), writing_behind(committed) as behind:
        behind.write(partial(_record, rows=nobody))
    committed.rollback()
    assert _recorded(committed) == []


def test_no_thread_outlives_a_block_that_fails(committed: Session) -> None:
    asset, *_ = _ids(committed)

    def write_and_fail() -> None:
        with writing_behind(committed) as behind:
            behind.write(partial(_record, rows=[(asset, ("/new",))]))
            raise LookupError("the reader failed")

    with pytest.raises(LookupError):
        write_and_fail()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("write-behind")]
    committed.rollback()
    assert _recorded(committed) == []
