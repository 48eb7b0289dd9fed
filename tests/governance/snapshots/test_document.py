"""A snapshot document that was altered anywhere contradicts itself."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from db.canonical import digest_of, sha256_hex
from db.grants import grant_content
from db.records import AssetRecord, DecisionRecord, RulingRecord
from db.vocabularies import Outcome
from governance.errors import SnapshotError
from governance.snapshots.document import build_document, check_document, decision_digest
from tests.governance.evidence_maker import NOW, asset, clip, grant

POLICY_TEXT = "a policy"
POLICY = {"name": "p", "version": "1", "digest": sha256_hex(POLICY_TEXT.encode()), "text": POLICY_TEXT}


def decided(number: int, *, expires_at: dt.datetime | None = None) -> tuple[DecisionRecord, AssetRecord]:
    """A cleared clip of five seconds."""
    given = grant(license_expression="CC0-1.0" if number % 2 else "CC-BY-4.0", valid_to=expires_at)
    given = dataclasses.replace(given, digest=digest_of(grant_content(given)))
    ruling = RulingRecord(
        id=1,
        policy_name="p",
        policy_version="1",
        policy_digest=POLICY["digest"],
        basis_digest="f" * 64,
        facts={},
        outcome=Outcome.CLEARED,
        reasons=({"rule": "ok"},),
    )
    decision = DecisionRecord(
        clip=clip(number * 5.0, number * 5.0 + 5.0, number=number),
        asset_sha256="a" * 64,
        ruling=ruling,
        grant=given,
        as_of=NOW,
        expires_at=expires_at,
        recorded_at=NOW,
    )
    return decision, asset()


def document(*numbers: int) -> dict[str, Any]:
    """A document of these clips."""
    return build_document(
        name="s",
        purpose="commercial",
        policy=POLICY,
        decisions=[decided(number) for number in numbers],
        comparison={},
        sealed_at=NOW,
    )


def test_an_untouched_document_holds() -> None:
    check_document(document(1, 2, 3))


def test_the_order_of_decisions_does_not_matter() -> None:
    assert document(1, 2, 3)["merkle_root"] == document(3, 1, 2)["merkle_root"]


def test_the_root_does_not_depend_on_when_a_decision_was_taken() -> None:
    decision, _ = decided(1)
    later = dataclasses.replace(
        decision, as_of=NOW + dt.timedelta(days=3), recorded_at=NOW + dt.timedelta(days=3)
    )
    assert decision_digest(decision) == decision_digest(later)


def test_shares_add_up() -> None:
    shares = document(1, 2, 3)["licenses"]
    assert [(share["license_expression"], share["num_clips"]) for share in shares] == [
        ("CC0-1.0", 2),
        ("CC-BY-4.0", 1),
    ]


def test_a_snapshot_expires_with_the_first_of_its_grants() -> None:
    """The expiry used to be taken as stated: a document without one was good for ever."""
    ends = NOW + dt.timedelta(days=365)
    found = build_document(
        name="s",
        purpose="commercial",
        policy=POLICY,
        decisions=[decided(1, expires_at=ends), decided(2)],
        comparison={},
        sealed_at=NOW,
    )
    check_document(found)
    with pytest.raises(SnapshotError, match="expire"):
        check_document(found | {"expires_at": None})


def test_an_empty_snapshot_is_refused() -> None:
    with pytest.raises(SnapshotError, match="nothing to seal"):
        document()


def _first_grant(found: dict[str, Any]) -> dict[str, Any]:
    grants: dict[str, dict[str, Any]] = found["grants"]
    return next(iter(grants.values()))


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a span": lambda d: d["leaves"][0].update(end_pts=99999),
    "a leaf removed": lambda d: d["leaves"].pop(),
    "leaves swapped": lambda d: d["leaves"].reverse(),
    "a holder": lambda d: _first_grant(d).update(rights_holder="Somebody else"),
    "a grant removed": lambda d: d["grants"].pop(next(iter(d["grants"]))),
    "the policy": lambda d: d["policy"].update(text="another policy"),
    "the policy and its digest": lambda d: d["policy"].update(text="x", digest=sha256_hex(b"x")),
    "a total": lambda d: d["totals"].update(duration_seconds=1e6),
    "a share": lambda d: d["licenses"][0].update(num_clips=7),
    "a grant that no clip relies on": lambda d: d["grants"].update(
        {digest_of({"valid_to": None}): {"valid_to": None}}
    ),
    "the expiry": lambda d: d.update(expires_at="2099-01-01T00:00:00Z"),
    "the root": lambda d: d.update(merkle_root="0" * 64),
    "the format": lambda d: d.update(format="cleartitle.snapshot/2"),
    "all leaves": lambda d: d.update(leaves=[]),
    "leaves of another type": lambda d: d.update(leaves=7),
    "no policy": lambda d: d.pop("policy"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_every_edit_is_noticed(edit: Callable[[dict[str, Any]], object]) -> None:
    altered = copy.deepcopy(document(1, 2, 3))
    edit(altered)
    with pytest.raises(SnapshotError):
        check_document(altered)
