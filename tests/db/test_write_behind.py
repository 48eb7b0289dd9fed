from __future__ import annotations

import threading
from functools import partial

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db import models
from db.write_behind import writing_behind
from tests.db.records_maker import TIME


def _ids(session: Session) -> list[int]:
    return list(session.scalars(select(models.Asset.id).order_by(models.Asset.id)))


def _record(session: Session, asset_id: int, path: str) -> None:
    row = {"asset_id": asset_id, "path": path, "recorded_at": TIME}
    session.connection().execute(insert(models.AssetPath), row)


def _recorded(session: Session) -> list[str]:
    paths = select(models.AssetPath.path).where(models.AssetPath.path.startswith("/new"))
    return list(session.scalars(paths.order_by(models.AssetPath.id)))


def test_what_is_written_behind_is_there_at_the_end_and_in_order(committed: Session) -> None:
    assets = _ids(committed)
    with writing_behind(committed) as behind:
        for number, asset in enumerate(assets):
            behind.write(partial(_record, asset_id=asset, path=f"/new/{number}"))
            assert _ids(behind.reading) == assets
        assert len(_recorded(behind.settle())) == len(assets)
    assert _recorded(committed) == ["/new/0", "/new/1", "/new/2"]


def test_what_a_write_raises_is_not_lost(committed: Session) -> None:
    with pytest.raises(IntegrityError), writing_behind(committed) as behind:
        behind.write(partial(_record, asset_id=999_999, path="/new"))
    committed.rollback()
    assert _recorded(committed) == []


def test_no_thread_outlives_a_block_that_fails(committed: Session) -> None:
    asset, *_ = _ids(committed)

    def write_and_fail() -> None:
        with writing_behind(committed) as behind:
            behind.write(partial(_record, asset_id=asset, path="/new"))
            raise LookupError("the reader failed")

    with pytest.raises(LookupError):
        write_and_fail()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("write-behind")]
    committed.rollback()
    assert _recorded(committed) == []
