"""Events: who did what when, each with a digest that follows from it."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from db.canonical import digest_of
from db.clock import rfc3339
from db.events import current_actor, list_events, record_event


def test_an_event_carries_the_digest_of_what_it_says(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARTITLE_ACTOR", "rights desk")
    record_event(session, "snapshot.sealed", "spring", {"num_clips": 3})
    (event,) = list_events(session)
    assert (event.kind, event.subject, event.actor) == ("snapshot.sealed", "spring", "rights desk")
    said = {"kind": event.kind, "subject": event.subject, "payload": event.payload, "actor": event.actor}
    assert event.digest == digest_of(said | {"at": rfc3339(event.recorded_at)})


def test_events_come_oldest_first_and_by_kind_or_subject(session: Session) -> None:
    for kind, subject in (("b.done", "x"), ("a.done", "y"), ("b.done", "y")):
        record_event(session, kind, subject, {})
    assert [(e.kind, e.subject) for e in list_events(session)] == [
        ("b.done", "x"),
        ("a.done", "y"),
        ("b.done", "y"),
    ]
    assert [e.subject for e in list_events(session, kind="b.done")] == ["x", "y"]
    assert [e.kind for e in list_events(session, subject="y")] == ["a.done", "b.done"]
    assert [e.id for e in list_events(session, kind="a.done", subject="x")] == []


def test_who_acts_is_named_even_without_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLEARTITLE_ACTOR", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 4_000_000)
    assert current_actor() == "uid 4000000"
