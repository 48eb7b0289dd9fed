"""Rights signals on record: what files and captured pages say of their own use."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.among import among
from db.clock import utc_now
from db.events import record_event
from db.newest import newest_rows
from db.plain_rows import plain_rows
from db.rights_models import RightsSignal, SignalReading
from db.rights_records import SignalRecord
from db.vocabularies import SignalAction, SignalValue

_CONTENT = (
    "protocol", "protocol_version", "carrier", "raw_sha256", "captured_at", "validity", "declaring_party", "actions",
    "detail",
)  # fmt: skip


def add_signals(session: Session, scope: str, signals: Sequence[Mapping[str, Any]]) -> int:
    """Record what was read in `scope` (columns of the table); return how many say something new."""
    known = {(row.protocol, row.carrier): row for row in _newest(session, [scope], None)}
    num_new = 0
    for signal in signals:
        columns = {name: signal[name] for name in _CONTENT}
        newest = known.get((columns["protocol"], columns["carrier"]))
        if newest is not None and all(getattr(newest, name) == columns[name] for name in _CONTENT):
            continue
        session.add(RightsSignal(scope=scope, **columns, recorded_at=utc_now()))
        num_new += 1
    if num_new:
        session.flush()
        record_event(session, "signals.recorded", scope, {"num_signals": num_new})
    return num_new


def add_reading(session: Session, asset_id: int, *, protocols_version: str, num_signals: int) -> None:
    """Record that a file was read for the signals of a list of protocols, unless that is on record already."""
    query = select(SignalReading.id).where(
        SignalReading.asset_id == asset_id, SignalReading.protocols_version == protocols_version
    )
    if session.scalar(query) is None:
        session.add(
            SignalReading(
                asset_id=asset_id,
                protocols_version=protocols_version,
                num_signals=num_signals,
                recorded_at=utc_now(),
            )
        )


def readings_of(
    session: Session, asset_ids: Sequence[int], *, known_on: dt.datetime | None = None
) -> dict[int, frozenset[str]]:
    """Return the versions of the protocol list by which each file was read; files that never were are left out."""
    query = select(SignalReading.asset_id, SignalReading.protocols_version).where(
        among(SignalReading.asset_id, asset_ids)
    )
    if known_on is not None:
        query = query.where(SignalReading.recorded_at <= known_on)
    versions: dict[int, frozenset[str]] = {}
    # Files are most often read by one version: they share its set.
    only: dict[str, frozenset[str]] = {}
    for asset_id, version in plain_rows(session, query):
        read = only.setdefault(version, frozenset({version}))
        versions[asset_id] = versions[asset_id] | read if asset_id in versions else read
    return versions


def signals_of(
    session: Session, scopes: Collection[str], *, known_on: dt.datetime | None = None
) -> dict[str, tuple[SignalRecord, ...]]:
    """Return by scope what is said there: the newest of each protocol and carrier."""
    found: dict[str, list[SignalRecord]] = defaultdict(list)
    for row in _newest(session, scopes, known_on):
        found[row.scope].append(_as_signal(row))
    return {scope: tuple(signals) for scope, signals in found.items()}


def _newest(session: Session, scopes: Collection[str], known_on: dt.datetime | None) -> list[RightsSignal]:
    where = RightsSignal.scope.in_(scopes)
    return newest_rows(session, RightsSignal, ("scope", "protocol", "carrier"), where, known_on)


def _as_signal(row: RightsSignal) -> SignalRecord:
    return SignalRecord(
        scope=row.scope,
        protocol=row.protocol,
        protocol_version=row.protocol_version,
        carrier=row.carrier,
        raw_sha256=row.raw_sha256,
        captured_at=row.captured_at,
        validity=row.validity,
        declaring_party=row.declaring_party,
        actions={SignalAction(name): SignalValue(value) for name, value in row.actions.items()},
        detail=row.detail,
        recorded_at=row.recorded_at,
    )
