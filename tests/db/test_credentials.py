"""The registry's rows: found by essence, by mark, by fingerprint, each clip once."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.credentials import (
    NewCredential,
    add_credential,
    find_by_essence,
    find_by_mark,
    find_credential,
    read_prints,
)
from db.events import list_events
from tests.db.outputs_maker import add_model, add_output
from tests.db.records_maker import digest


def new_credential(name: str, **changes: Any) -> NewCredential:
    facts: dict[str, Any] = {
        "manifest_label": f"urn:c2pa:{name}",
        "store_sha256": digest(f"store {name}"),
        "essence_sha256": digest(f"essence {name}"),
        "mark_id": None,
        "screen": None,
        "prints": (),
    }
    return NewCredential(**facts | changes)


def register(session: Session, name: str, model_id: int, **changes: Any) -> None:
    add_credential(session, add_output(session, model_id, name), name, new_credential(name, **changes))


def test_a_clip_is_found_by_what_it_was_given(session: Session) -> None:
    model_id = add_model(session)
    register(session, "a", model_id, mark_id="00000000000000ff", screen={"outcome": "passed"})
    register(session, "b", model_id, prints=(b"\x01" * 32, b"\x02" * 32))
    found = find_by_mark(session, "00000000000000ff")
    assert found is not None
    assert (found.clip_urn, found.clip_sha256, found.model_name) == ("a", digest("a"), "model")
    assert found.screen == {"outcome": "passed"}
    assert find_by_essence(session, digest("essence a")) == found
    [page] = read_prints(session)
    assert [stored.bits for stored in page] == [b"\x01" * 32, b"\x02" * 32]
    other = find_credential(session, page[0].credential_id)
    assert other is not None
    assert (other.clip_urn, other.screen) == ("b", None)
    assert find_by_mark(session, "0" * 16) is None
    event, _ = list_events(session, kind="clip.registered")
    assert event.subject == "a"


def test_of_clips_with_the_same_pictures_the_newest_is_named(session: Session) -> None:
    model_id = add_model(session)
    for name in ("old", "new"):
        register(session, name, model_id, essence_sha256=digest("same"))
    found = find_by_essence(session, digest("same"))
    assert found is not None
    assert found.clip_urn == "new"


def test_a_mark_is_given_once(session: Session) -> None:
    model_id = add_model(session)
    register(session, "a", model_id, mark_id="1" * 16)
    with pytest.raises(IntegrityError):
        register(session, "b", model_id, mark_id="1" * 16)


def test_prints_come_in_pages(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.credentials._PAGE_PRINTS", 2)
    register(session, "a", add_model(session), prints=tuple(bytes([n]) * 32 for n in range(5)))
    assert [len(page) for page in read_prints(session)] == [2, 2, 1]
