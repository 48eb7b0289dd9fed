"""Statements of rights as the database hands them over, for tests that need no database."""

from __future__ import annotations

import datetime as dt
from typing import Any

from db.contracts import WHOLE, Contract, Span
from db.records import GrantRecord
from db.rights_records import (
    AppearanceRecord,
    PartyRecord,
    ReleaseRecord,
    RightsStatements,
    ScopedGrant,
    SignalRecord,
    Source,
)
from db.vocabularies import (
    PartyKind,
    Presence,
    ReleaseKind,
    RightsLayer,
    SignalAction,
    SignalValidity,
    SignalValue,
    Tri,
)
from tests.governance.evidence_maker import NOW, asset, grant

SOURCE = Source(table_path="/catalogue.xlsx", table_sha256="c" * 64, sheet="grants", row_number=2)
ASSET = f"asset:{asset().sha256}"


def contract_grant(number: int = 1, holder: str = "Holder", **changes: Any) -> GrantRecord:
    """A contract for generative training everywhere, with its document; `contract` holds the rest."""
    values: dict[str, Any] = {
        "id": number,
        "digest": f"{number:064x}",
        "license_expression": "LicenseRef-Contract",
        "permitted_uses": ("cawg.ai_generative_training",),
        "territories": ("WORLD",),
        "evidence_sha256": "e" * 64,
        "contract": Contract(),
    }
    return grant(holder, **values | changes)


def scoped(given: GrantRecord, scope: str = ASSET, span: Span = WHOLE, ref: str = "") -> ScopedGrant:
    """A grant of a catalogue for a scope."""
    return ScopedGrant(scope=scope, span=span, grant_ref=ref or f"G{given.id}", grant=given, source=SOURCE)


def rights(*grants: ScopedGrant, titles: tuple[str, ...] = (), **changes: Any) -> RightsStatements:
    """Statements about one asset."""
    scopes = (ASSET, "path:/footage/a.mp4", *(f"title:{ref}" for ref in titles))
    return RightsStatements(scopes=scopes, titles=titles, grants=grants, **changes)


def appearance(
    layer: RightsLayer = RightsLayer.PERSONS,
    presence: Presence = Presence.PRESENT,
    subject: str = "P1",
    **changes: Any,
) -> AppearanceRecord:
    """Somebody says what is seen in the asset."""
    values: dict[str, Any] = {
        "ref": f"A-{layer}-{subject}",
        "scope": ASSET,
        "span": WHOLE,
        "stated_by": "clearance",
    }
    return AppearanceRecord(
        layer=layer, presence=presence, subject=subject, source=SOURCE, **values | changes
    )


def release(subject: str = "P1", kind: ReleaseKind = ReleaseKind.PERSON, **changes: Any) -> ReleaseRecord:
    """A release for training, everywhere, for ever, with its document."""
    values: dict[str, Any] = {
        "ref": f"R-{kind}-{subject}",
        "scope": "",
        "span": WHOLE,
        "permitted_uses": (),
        "covers_training": Tri.YES,
        "covers_replica": Tri.UNKNOWN,
        "is_replica_described": Tri.UNKNOWN,
        "has_guardian": Tri.UNKNOWN,
        "representation": "",
        "territories": (),
        "valid_from": None,
        "valid_to": None,
        "document_sha256": "d" * 64,
    }
    return ReleaseRecord(kind=kind, subject=subject, source=SOURCE, **values | changes)


def party(ref: str = "P1", **changes: Any) -> PartyRecord:
    """A person of age."""
    values: dict[str, Any] = {
        "kind": PartyKind.PERSON,
        "name": ref,
        "is_minor": Tri.NO,
        "is_deceased": Tri.NO,
        "verified_at": NOW - dt.timedelta(days=10),
    }
    return PartyRecord(ref=ref, **values | changes)


def signal(value: SignalValue = SignalValue.DENY, **changes: Any) -> SignalRecord:
    """What the file says of training generative models."""
    values: dict[str, Any] = {
        "scope": ASSET,
        "protocol": "plus.data_mining",
        "protocol_version": "1",
        "carrier": "sidecar",
        "raw_sha256": "f" * 64,
        "captured_at": NOW - dt.timedelta(days=30),
        "validity": SignalValidity.VALID,
        "declaring_party": "",
        "actions": {SignalAction.TRAIN_GEN: value},
        "detail": "",
        "recorded_at": NOW,
    }
    return SignalRecord(**values | changes)
