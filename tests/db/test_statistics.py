from __future__ import annotations

from sqlalchemy import insert
from sqlalchemy.orm import Session

from db import models
from db.database import migrate, open_engine
from db.statistics import refresh_statistics
from db.vocabularies import CollectionKind
from tests.db.records_maker import TIME


def test_a_server_looks_at_tables_that_grew_and_at_no_others(database_url: str) -> None:
    migrate(database_url)
    engine = open_engine(database_url)
    rows = [
        {"name": f"set {number}", "kind": CollectionKind.REFERENCE, "recorded_at": TIME}
        for number in range(2_000)
    ]
    with Session(engine) as session, session.begin():
        session.execute(insert(models.Collection), rows)
    engine.dispose()  # a server counts what a connection wrote within a second, or at its end
    with Session(engine) as session:
        assert refresh_statistics(session) == (["collection"] if engine.name == "postgresql" else [])
        session.commit()
        assert refresh_statistics(session) == []
    engine.dispose()
