"""A permit is for one snapshot, one policy, one configuration, and a time."""

from __future__ import annotations

import dataclasses
import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from db.errors import RefusedError
from governance.snapshots.permits import RunPermit, check_permit, issue_permit, read_permit

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
KEY = ed25519.Ed25519PrivateKey.generate()


def snapshot(**changes: Any) -> Any:
    """The part of a snapshot that a permit speaks of."""
    values = {"merkle_root": "a" * 64, "policy_digest": "b" * 64, "purpose": "commercial", "expires_at": None}
    return SimpleNamespace(**values | changes)


def permit(**changes: Any) -> RunPermit:
    """A good permit, then altered."""
    issued = issue_permit(snapshot(), config_digest="c" * 64, code_version="1", now=NOW, key=KEY)
    return dataclasses.replace(issued, **changes)


def check(issued: RunPermit, *, at: Any = None, config: str = "c" * 64, now: dt.datetime = NOW) -> None:
    """Check against the snapshot it was issued for, unless told otherwise."""
    check_permit(issued, at or snapshot(), config, now, KEY.public_key())


def test_an_issued_permit_holds() -> None:
    check(permit())


def test_a_permit_survives_its_document() -> None:
    issued = permit()
    assert read_permit(issued.document()) == issued


@pytest.mark.parametrize(
    "changes",
    [
        {"snapshot_root": "d" * 64},
        {"config_digest": "d" * 64},
        {"not_after": NOW + dt.timedelta(days=400)},
        {"purpose": "research"},
        {"signature": "00" * 64},
        {"signature": "not hex"},
        {"signature": ""},
    ],
)
def test_an_altered_permit_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match="signature"):
        check(permit(**changes))


def test_a_permit_for_another_snapshot_is_refused() -> None:
    with pytest.raises(RefusedError, match="snapshot root"):
        check(permit(), at=snapshot(merkle_root="e" * 64))


def test_a_permit_for_another_policy_is_refused() -> None:
    with pytest.raises(RefusedError, match="policy digest"):
        check(permit(), at=snapshot(policy_digest="e" * 64))


def test_a_permit_for_another_configuration_is_refused() -> None:
    with pytest.raises(RefusedError, match="configuration"):
        check(permit(), config="e" * 64)


@pytest.mark.parametrize("offset", [dt.timedelta(seconds=-1), dt.timedelta(days=7)])
def test_a_permit_outside_its_time_is_refused(offset: dt.timedelta) -> None:
    with pytest.raises(RefusedError, match="valid from"):
        check(permit(), now=NOW + offset)


def test_a_permit_never_outlives_its_snapshot() -> None:
    until = NOW + dt.timedelta(hours=1)
    issued = issue_permit(
        snapshot(expires_at=until), config_digest="c" * 64, code_version="1", now=NOW, key=KEY
    )
    assert issued.not_after == until


@pytest.mark.parametrize("document", [{}, {"permit_id": "x"}, permit().document() | {"extra": 1}])
def test_a_malformed_document_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match="malformed"):
        read_permit(document)
