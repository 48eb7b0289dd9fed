"""A signal: what one place says, in a protocol's own words and in ours. Pure."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from db.vocabularies import SignalAction, SignalValidity, SignalValue
from ingest.signals.text import printable

MAX_EXCERPT_BYTES = 64 << 10
"""How much of the raw bytes a signal keeps; the digest is of all of them."""

_MAX_NAME = 200
_MAX_DETAIL = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a statement was read, and its bytes as found."""

    carrier: str
    raw: bytes = field(repr=False)
    captured_at: dt.datetime | None = None
    """When a server sent it, aware; None for what a file says of itself."""
    declaring_party: str = "not stated"
    """Who says so, as far as the carrier tells. A claim, not an identity."""

    def narrowed(self, carrier: str, raw: bytes) -> Source:
        """Return the part of this source that carries one statement."""
        return Source(
            carrier=carrier, raw=raw, captured_at=self.captured_at, declaring_party=self.declaring_party
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A machine-readable reservation or permission, normalised by the protocol list."""

    protocol: str
    """Its name in the protocol list."""
    protocol_version: str
    carrier: str
    raw: bytes = field(repr=False)
    """At most `MAX_EXCERPT_BYTES` from the start of what was read."""
    raw_sha256: str
    """Digest of everything that was read, not of the excerpt."""
    captured_at: dt.datetime | None
    validity: SignalValidity
    declaring_party: str
    actions: Mapping[SignalAction, SignalValue]
    """Only the actions it speaks of; about others it says nothing."""
    detail: str
    """What was read, or why it could not be, in plain words."""

    def as_row(self) -> dict[str, Any]:
        """Return what is recorded of it: everything but the excerpt."""
        return {
            "protocol": self.protocol,
            "protocol_version": self.protocol_version,
            "carrier": self.carrier,
            "raw_sha256": self.raw_sha256,
            "captured_at": self.captured_at,
            "validity": self.validity,
            "declaring_party": self.declaring_party,
            "actions": {action.value: self.actions[action].value for action in sorted(self.actions)},
            "detail": self.detail,
        }


def make_signal(
    *,
    protocol: str,
    protocol_version: str,
    source: Source,
    actions: Mapping[SignalAction, SignalValue],
    detail: str,
    validity: SignalValidity = SignalValidity.VALID,
) -> Signal:
    """Return the signal that `source` carries, with a bounded excerpt and the digest of all its bytes."""
    return Signal(
        protocol=protocol,
        protocol_version=protocol_version,
        carrier=printable(source.carrier[:_MAX_NAME]),
        raw=source.raw[:MAX_EXCERPT_BYTES],
        raw_sha256=hashlib.sha256(source.raw).hexdigest(),
        captured_at=source.captured_at,
        validity=validity,
        declaring_party=printable(source.declaring_party[:_MAX_NAME]),
        actions=dict(actions),
        detail=printable(detail if len(detail) <= _MAX_DETAIL else f"{detail[: _MAX_DETAIL - 1]}…"),
    )


def numbered(signals: Iterable[Signal]) -> list[Signal]:
    """Return `signals` with a number at carriers that a protocol uses twice.

    The newest row of a carrier counts, so that two statements under one name would hide each other on record.
    """
    seen: Counter[tuple[str, str]] = Counter()
    named = []
    for signal in signals:
        seen[signal.protocol, signal.carrier] += 1
        number = seen[signal.protocol, signal.carrier]
        carrier = signal.carrier if number == 1 else f"{signal.carrier} ({number})"
        named.append(dataclasses.replace(signal, carrier=carrier))
    return named
