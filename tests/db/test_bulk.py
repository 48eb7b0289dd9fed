from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import models
from db.bulk import Rows, insert_repeating
from tests.db.records_maker import TIME


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
