"""Recording statements: what is new, what is the same, what is withdrawn, and who waits for whom."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.orm import Session

from db.events import list_events
from db.rights_evidence import (
    Recorded,
    StatementSource,
    begin_import,
    end_import,
    ensure_grants,
    note_unread,
    record_import,
    record_statements,
    reject_rows,
    withdraw_missing,
)
from db.stated_grants import grants_in_force
from db.statements import (
    BATCH_ROWS,
    StatementKind,
    all_in_force,
    count_stated,
    in_batches,
    links_in_force,
    statements_in_force,
    versions_of,
)
from db.suspended_grants import suspend_unread
from tests.db.records_maker import TIME, digest, grant_columns

SOURCE = StatementSource(table_path="/a.xlsx", table_sha256=digest("a"), sheet="titles", recorded_at=TIME)
TITLE, FILING, GRANT = StatementKind.TITLE, StatementKind.FILING, StatementKind.GRANT_SCOPE


def title(ref: str, name: str = "A film", parent: str = "") -> dict[str, Any]:
    return {"ref": ref, "name": name, "parent_ref": parent, "row_number": 2}


def filing(ref: str, scope: str, start: float | None = None, **changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "ref": ref,
        "scope": scope,
        "start_seconds": start,
        "end_seconds": None,
        "title_ref": "",
        "acquisition": "library",
        "source_url": "",
        "restrictions": [],
        "embargo_until": None,
        "row_number": 2,
    }
    return row | changes


def record(
    session: Session, kind: StatementKind, rows: Iterable[dict[str, Any]], source: StatementSource = SOURCE
) -> tuple[Recorded, int]:
    """One import: what was recorded and how many were withdrawn."""
    begin_import(session)
    recorded = record_statements(session, kind, rows, source)
    num_withdrawn = withdraw_missing(session, kind, source, [source.table_path])
    end_import(session)
    session.commit()
    return recorded, num_withdrawn


def test_batches_hold_everything_in_order() -> None:
    assert list(in_batches(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(in_batches([], 2)) == []


def test_statements_are_new_then_the_same_then_corrected(session: Session) -> None:
    rows = [title("T-1"), title("T-2")]
    assert record(session, TITLE, rows) == (Recorded(num_new=2), 0)
    assert record(session, TITLE, rows) == (Recorded(num_same=2), 0)
    rows[1]["name"] = "Another film"
    assert record(session, TITLE, rows) == (Recorded(num_changed=1, num_same=1), 0)
    assert [row["name"] for row in statements_in_force(session, TITLE, ["T-2"])["T-2"]] == ["Another film"]


def test_where_a_row_stands_is_no_content(session: Session) -> None:
    record(session, TITLE, [title("T-1")])
    moved = title("T-1") | {"row_number": 9}
    assert record(session, TITLE, [moved], replace(SOURCE, sheet="Werke", table_sha256=digest("b"))) == (
        Recorded(num_same=1),
        0,
    )


def test_what_is_missing_is_withdrawn_once_and_comes_back_as_a_row(session: Session) -> None:
    record(session, TITLE, [title("T-1"), title("T-2")])
    assert record(session, TITLE, [title("T-1")]) == (Recorded(num_same=1), 1)
    assert record(session, TITLE, [title("T-1")]) == (Recorded(num_same=1), 0)
    assert statements_in_force(session, TITLE, ["T-2"]) == {}
    assert record(session, TITLE, [title("T-1"), title("T-2")]) == (Recorded(num_changed=1, num_same=1), 0)
    states = [(version.is_withdrawn, version.is_in_force) for version in versions_of(session, "T-2")]
    assert states == [(False, True), (True, False), (False, False)]


def test_what_another_table_states_is_not_withdrawn(session: Session) -> None:
    record(session, TITLE, [title("T-1")])
    other = replace(SOURCE, table_path="/b.xlsx")
    assert record(session, TITLE, [title("T-2")], other) == (Recorded(num_new=1), 0)
    assert count_stated(session, TITLE, "/a.xlsx") == count_stated(session, TITLE, "/b.xlsx") == 1
    assert statements_in_force(session, TITLE, ["T-1", "T-2"], except_paths=["/b.xlsx"]).keys() == {"T-1"}


def test_open_spans_are_told_from_spans(session: Session) -> None:
    rows = [filing("F", "path:/a"), filing("F", "path:/a", 1.5), filing("F", "path:/b")]
    assert record(session, FILING, rows) == (Recorded(num_new=3), 0)
    assert record(session, FILING, rows[1:]) == (Recorded(num_same=2), 1)
    assert record(session, FILING, rows) == (Recorded(num_changed=1, num_same=2), 0)


def test_a_key_that_comes_twice_leaves_the_later(session: Session) -> None:
    rows = [title("T-1", "First"), title("T-1", "Second"), title("T-1", "Second")]
    assert record(session, TITLE, rows)[0] == Recorded(num_new=1, num_changed=1, num_same=1)
    assert [row["name"] for row in statements_in_force(session, TITLE, ["T-1"])["T-1"]] == ["Second"]


def test_more_rows_than_a_batch(session: Session) -> None:
    rows = [title(f"T-{number}") for number in range(2 * BATCH_ROWS + 1)]
    assert record(session, TITLE, iter(rows)) == (Recorded(num_new=len(rows)), 0)
    assert record(session, TITLE, iter(rows[1:])) == (Recorded(num_same=len(rows) - 1), 1)


def test_times_lists_and_vocabularies_compare_as_what_they_are(session: Session) -> None:
    row = filing("F", "path:/a", restrictions=["sports", "news"], embargo_until=TIME)
    record(session, FILING, [row])
    berlin = dt.timezone(dt.timedelta(hours=1))
    same = row | {"embargo_until": TIME.astimezone(berlin)}
    assert record(session, FILING, [same])[0] == Recorded(num_same=1)
    assert record(session, FILING, [row | {"restrictions": ["sports"]}])[0] == Recorded(num_changed=1)
    assert record(session, FILING, [row | {"acquisition": "crawled"}])[0] == Recorded(num_changed=1)


@pytest.mark.parametrize(("unread", "num_withdrawn"), [(["F-1"], 2), ([""], 1), (["F-9"], 3), ([], 3)])
def test_what_forbids_stays_while_its_row_is_not_understood(
    session: Session, unread: list[str], num_withdrawn: int
) -> None:
    rows = [
        filing("F-1", "path:/a", restrictions=["editorial_only"]),
        filing("F-2", "path:/b", embargo_until=TIME),
        filing("F-3", "path:/c"),
    ]
    record(session, FILING, rows)
    begin_import(session)
    note_unread(session, FILING, unread)
    assert withdraw_missing(session, FILING, SOURCE, ["/a.xlsx"]) == num_withdrawn


def test_a_grant_that_is_not_understood_prohibits_and_permits_no_more(session: Session) -> None:
    more = {"sheet": "", "recorded_at": TIME, "contract": {}}
    ban = more | {"contract": {"prohibited_uses": ["cawg.ai_training"]}}
    grants = {
        digest("both"): grant_columns("B", **ban, permitted_uses=["cawg.data_mining"]),
        digest("open"): grant_columns("C", **more),
    }
    ids = ensure_grants(session, grants)
    assert ensure_grants(session, grants) == ids
    session.commit()
    span = {"start_seconds": None, "end_seconds": None, "row_number": 2}
    record(session, GRANT, [{"grant_ref": d, "scope": "title:T", "grant_id": ids[d], **span} for d in grants])
    for expected in (Recorded(num_changed=1), Recorded(num_same=1)):
        begin_import(session)
        note_unread(session, GRANT, list(grants))
        assert suspend_unread(session, SOURCE, ["/a.xlsx"]) == expected
        withdraw_missing(session, GRANT, SOURCE, ["/a.xlsx"])
        session.commit()
        [stated] = grants_in_force(session)
        assert stated.grant_ref == digest("both")
        assert stated.grant.permitted_uses == ()
        assert stated.grant.license_expression == "LicenseRef-row-not-understood"
        assert stated.grant.contract.prohibited_uses == ("cawg.ai_training",)
        session.commit()


def test_links_leave_out_what_the_catalogue_itself_stated(session: Session) -> None:
    record(session, TITLE, [title("T-1"), title("T-2", parent="T-1")])
    assert links_in_force(session, TITLE, ["T-1", "T-2", "T-3"], except_paths=[]) == {"T-1": "", "T-2": "T-1"}
    assert links_in_force(session, TITLE, ["T-1"], except_paths=["/a.xlsx"]) == {}


def test_everything_in_force_comes_in_order_of_code_points(session: Session) -> None:
    record(session, TITLE, [title(ref) for ref in ("b", "A", "a", "ä", "B", "_")])
    assert [row["ref"] for row in all_in_force(session, TITLE)] == ["A", "B", "_", "a", "b", "ä"]


def test_versions_are_those_known_on_a_day(session: Session) -> None:
    later = replace(SOURCE, recorded_at=TIME + dt.timedelta(days=30))
    record(session, TITLE, [title("T-1", "First")])
    record(session, TITLE, [title("T-1", "Second")], later)
    [known] = versions_of(session, "T-1", known_on=TIME + dt.timedelta(days=1))
    assert (known.values["name"], known.is_in_force) == ("First", True)
    assert [version.values["name"] for version in versions_of(session, "T-1")] == ["Second", "First"]


def test_rejected_rows_are_recorded_once(session: Session) -> None:
    rows = [("grants", 2, "rights.bad_date", "soon"), ("grants", 3, "rights.bad_date", "soon")]
    assert reject_rows(session, SOURCE, [*rows, rows[0]]) == 2
    assert reject_rows(session, SOURCE, rows) == 0
    assert reject_rows(session, replace(SOURCE, table_sha256=digest("b")), rows) == 2


def test_an_import_that_changed_nothing_leaves_no_event(session: Session) -> None:
    counts = {"num_accepted": 2, "num_rejected": 0}
    assert record_import(session, SOURCE, **counts, changes={"titles": {"num_new": 2}})
    assert not record_import(session, SOURCE, **counts, changes={})
    assert record_import(session, replace(SOURCE, table_sha256=digest("b")), **counts, changes={})
    events = list_events(session, kind="catalogue.imported")
    assert [event.payload["changes"] for event in events] == [{"titles": {"num_new": 2}}, {}]


def test_a_second_import_waits_for_the_first(session: Session) -> None:
    """Both would read the same newest rows and record the same correction twice."""
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    begin_import(session)
    engine = session.get_bind().engine
    with Session(engine) as other:
        if engine.dialect.name == "sqlite":
            other.connection().exec_driver_sql("PRAGMA busy_timeout=0")
        else:
            other.execute(text("SET LOCAL lock_timeout = '1ms'"))
        with pytest.raises(DBAPIError):
            begin_import(other)
    session.commit()
    with Session(engine) as other:
        begin_import(other)
