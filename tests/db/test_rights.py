"""What is stated about an asset at every level, and what was known when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.orm import Session

from db import rights_models as models
from db.database import migrate, open_engine
from db.evidence import add_grant
from db.rights import asset_scope, path_scope, statements_on, title_scope, url_scope
from db.signals import add_signals, signals_of
from db.vocabularies import (
    Acquisition,
    PartyKind,
    Presence,
    ReleaseKind,
    RightsLayer,
    SignalAction,
    SignalValidity,
    SignalValue,
    Tri,
)

SHA = "a" * 64
MONDAY = dt.datetime(2026, 11, 16, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    migrate(database_url)
    engine = open_engine(database_url)
    with Session(engine) as session:
        yield session
    engine.dispose()


def source(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "table_path": "/c.xlsx",
        "table_sha256": "c" * 64,
        "sheet": "s",
        "row_number": 2,
        "is_withdrawn": False,
        "recorded_at": MONDAY,
    }
    return values | changes


def filing(title: str = "T", **changes: Any) -> models.Filing:
    values: dict[str, Any] = {
        "ref": "F1",
        "scope": asset_scope(SHA),
        "title_ref": title,
        "acquisition": Acquisition.LICENSED_DIRECT,
        "source_url": "",
        "restrictions": [],
    }
    return models.Filing(**values | source() | changes)


def title(ref: str, parent: str = "", **changes: Any) -> models.Title:
    return models.Title(ref=ref, name=ref, parent_ref=parent, **source(**changes))


def release(subject: str = "P1", **changes: Any) -> models.Release:
    values: dict[str, Any] = {
        "ref": f"R-{subject}",
        "kind": ReleaseKind.PERSON,
        "subject": subject,
        "scope": "",
        "permitted_uses": [],
        "covers_training": Tri.YES,
        "covers_replica": Tri.NO,
        "is_replica_described": Tri.NO,
        "has_guardian": Tri.NO,
        "representation": "",
        "territories": [],
    }
    return models.Release(**values | source() | changes)


def appearance(scope: str, subject: str = "P1", **changes: Any) -> models.Appearance:
    values: dict[str, Any] = {
        "ref": "A1",
        "scope": scope,
        "layer": RightsLayer.PERSONS,
        "presence": Presence.PRESENT,
        "subject": subject,
        "stated_by": "",
    }
    return models.Appearance(**values | source() | changes)


def grant(session: Session, number: int, **changes: Any) -> int:
    columns: dict[str, Any] = {
        "title": "",
        "rights_holder": "H",
        "license_expression": "CC0-1.0",
        "permitted_uses": [],
        "territories": [],
        "attribution": "",
        "source": "",
        "contract": changes,
        "table_sha256": "c" * 64,
        "row_number": 2,
    }
    return add_grant(session, digest=f"{number:064x}", columns=columns)


def stated(session: Session, *, known_on: dt.datetime | None = None, paths: tuple[str, ...] = ()) -> Any:
    session.flush()
    return statements_on(session, {1: SHA}, {1: paths}, known_on=known_on).get(1)


def test_an_asset_of_which_nobody_speaks_has_no_statements(session: Session) -> None:
    session.add(filing(scope=asset_scope("b" * 64)))
    assert stated(session) is None


def test_grants_come_down_from_titles_and_their_parents(session: Session) -> None:
    session.add_all([filing("EPISODE"), title("EPISODE", "SERIES"), title("SERIES")])
    for number, scope in enumerate((title_scope("SERIES"), title_scope("EPISODE"), path_scope("/a.mp4")), 1):
        session.add(
            models.GrantScope(
                scope=scope, grant_ref=f"G{number}", grant_id=grant(session, number), **source()
            )
        )
    found = stated(session, paths=("/a.mp4",))
    assert found.titles == ("EPISODE", "SERIES")
    assert {scoped.grant_ref for scoped in found.grants} == {"G1", "G2", "G3"}
    assert not found.has_broken_titles


@pytest.mark.parametrize("parents", [{"T": "T"}, {"T": "U", "U": "T"}, {"T": "GONE"}, {}])
def test_a_title_that_is_missing_or_its_own_ancestor_is_broken(
    session: Session, parents: dict[str, str]
) -> None:
    session.add(filing("T"))
    session.add_all(title(ref, parent) for ref, parent in parents.items())
    assert stated(session).has_broken_titles


def test_the_newest_row_counts_and_a_withdrawn_one_ends_it(session: Session) -> None:
    session.add_all([filing("OLD"), title("OLD"), title("NEW")])
    session.flush()
    session.add(filing("NEW", recorded_at=MONDAY + DAY))
    assert stated(session).titles == ("NEW",)
    assert stated(session, known_on=MONDAY).titles == ("OLD",)
    session.add(filing("NEW", recorded_at=MONDAY + 2 * DAY, is_withdrawn=True))
    assert stated(session) is None
    assert stated(session, known_on=MONDAY + DAY).titles == ("NEW",)
    assert stated(session, known_on=MONDAY - DAY) is None


def test_releases_follow_the_subjects_that_appear(session: Session) -> None:
    session.add_all([appearance(asset_scope(SHA)), release("P1"), release("P2")])
    found = stated(session)
    assert [item.ref for item in found.releases] == ["R-P1"]


def test_a_release_that_changed_hands_no_longer_speaks_of_the_first(session: Session) -> None:
    session.add_all([appearance(asset_scope(SHA)), release("P1")])
    session.flush()
    session.add(release("P2", ref="R-P1", recorded_at=MONDAY + DAY))
    found = stated(session)
    assert not [item for item in found.releases if item.subject == "P1"]


def test_persons_and_upstream_grants_are_read_along(session: Session) -> None:
    session.add(
        models.Party(
            ref="P1",
            kind=PartyKind.PERSON,
            name="A person",
            is_minor=Tri.YES,
            is_deceased=Tri.NO,
            identifiers={},
            **source(),
        )
    )
    session.add(appearance(asset_scope(SHA)))
    mine, above = grant(session, 1, upstream_ref="G2"), grant(session, 2)
    session.add(models.GrantScope(scope=asset_scope(SHA), grant_ref="G1", grant_id=mine, **source()))
    session.add(models.GrantScope(scope="title:X", grant_ref="G2", grant_id=above, **source()))
    found = stated(session)
    assert found.parties["P1"].is_minor is Tri.YES
    assert found.upstream["G2"].grant.id == above


def signal(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "protocol": "plus",
        "protocol_version": "1",
        "carrier": "sidecar",
        "raw_sha256": "f" * 64,
        "captured_at": None,
        "validity": SignalValidity.VALID,
        "declaring_party": "",
        "actions": {"train_gen": "deny"},
        "detail": "",
    }
    return values | changes


def test_signals_of_the_file_and_of_the_page_it_came_from(session: Session) -> None:
    session.add(filing("", source_url="https://example.org/film"))
    assert add_signals(session, asset_scope(SHA), [signal()]) == 1
    assert add_signals(session, url_scope("https://example.org/film"), [signal(protocol="robots")]) == 1
    found = stated(session)
    assert {item.protocol for item in found.signals} == {"plus", "robots"}
    assert found.signals[0].actions == {SignalAction.TRAIN_GEN: SignalValue.DENY}


def test_the_same_signal_again_is_nothing_new(session: Session) -> None:
    assert add_signals(session, asset_scope(SHA), [signal()]) == 1
    assert add_signals(session, asset_scope(SHA), [signal()]) == 0
    assert add_signals(session, asset_scope(SHA), [signal(actions={"train_gen": "allow"})]) == 1
    (newest,) = signals_of(session, [asset_scope(SHA)])[asset_scope(SHA)]
    assert newest.actions == {SignalAction.TRAIN_GEN: SignalValue.ALLOW}
