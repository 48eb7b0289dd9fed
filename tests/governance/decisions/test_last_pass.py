"""What the record of a pass over the library says of the evidence that it was made on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from db.evidence import ensure_collection
from db.vocabularies import CollectionKind
from governance.bootstrap import bootstrap
from governance.decisions import clearance
from governance.decisions.clearance import Decided, clear_library, present_comparison
from governance.decisions.last_pass import is_as_it_was
from governance.policy.files import find_policy
from ingest.signals.protocols import protocol_list
from tests.governance.evidence_maker import NOW


def test_what_is_recorded_during_a_pass_is_no_part_of_what_it_decided_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The marks were taken at the end, so that an audit called decisions current that had not seen the newest rows."""
    project = bootstrap(tmp_path / "project").project
    policy, comparison = find_policy("commercial-training"), present_comparison(project)

    def is_current() -> bool:
        with project.session() as session:
            return is_as_it_was(session, policy, comparison, NOW)

    def pages_while_others_write(session: Session, *_: object, **__: object) -> Iterator[list[Decided]]:
        ensure_collection(session, "late", CollectionKind.REFERENCE)
        yield []

    clear_library(project, policy, comparison, as_of=NOW, on_progress=lambda _n: None)
    assert is_current()
    monkeypatch.setattr(clearance, "decided_pages", pages_while_others_write)
    clear_library(project, policy, comparison, as_of=NOW, on_progress=lambda _n: None)
    assert not is_current()


def test_a_new_list_of_protocols_asks_for_a_new_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = bootstrap(tmp_path / "project").project
    policy, comparison = find_policy("commercial-training"), present_comparison(project)
    clear_library(project, policy, comparison, as_of=NOW, on_progress=lambda _n: None)
    newer = dataclasses.replace(protocol_list(), version="2999.1")
    with project.session() as session:
        assert is_as_it_was(session, policy, comparison, NOW)
        monkeypatch.setattr("governance.decisions.last_pass.protocol_list", lambda: newer)
        assert not is_as_it_was(session, policy, comparison, NOW)
