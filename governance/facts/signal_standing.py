"""What rights signals mean for a clip: the strictest word counts, and permission in a file clears nothing (pure)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from db.records import AssetEvidence, GrantRecord
from db.rights_records import SignalRecord
from db.vocabularies import SignalAction, SignalValidity, SignalValue, Use
from ingest.signals.protocols import protocol_list

NEVER_DAYS = 1_000_000

_STRICTNESS = (SignalValue.UNKNOWN, SignalValue.ALLOW, SignalValue.CONDITIONAL, SignalValue.DENY)
_TRAINING = (SignalAction.TRAIN_GEN, SignalAction.FINETUNE_GEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalStanding:
    """What all signals on a clip say together."""

    generative_training: SignalValue
    data_mining: SignalValue
    ai_input: SignalValue
    acquisition: SignalValue
    num_against: int
    """Signals that deny generative training, or put it under a condition, or could not be read."""
    overridden: bool
    """Every signal against training is the word of the rights holder whose newer, proven grant permits it."""
    protocols_against: tuple[str, ...]
    days_since_capture: int
    """Whole days since the oldest capture of the pages the footage came from; 1000000 if there is none."""


def is_examined(evidence: AssetEvidence) -> bool:
    """Return whether the file was read by the present list of protocols: an older one may not know what it says."""
    return protocol_list().version in evidence.signals_read_by


def standing_of(
    signals: Sequence[SignalRecord], grants: Sequence[GrantRecord], as_of: dt.datetime
) -> SignalStanding:
    """Combine `signals`; `grants` are those relied on."""
    against = [
        signal for signal in signals if _training(signal) in {SignalValue.DENY, SignalValue.CONDITIONAL}
    ]
    captured = [s.captured_at for s in signals if s.scope.startswith("url:") and s.captured_at is not None]
    return SignalStanding(
        generative_training=strictest(_training(signal) for signal in signals),
        data_mining=strictest(_value(signal, SignalAction.MINE) for signal in signals),
        ai_input=strictest(_value(signal, SignalAction.AI_INPUT) for signal in signals),
        acquisition=strictest(_value(signal, SignalAction.ACQUIRE) for signal in signals),
        num_against=len(against),
        overridden=bool(against) and all(_is_overridden(signal, grants) for signal in against),
        protocols_against=tuple(sorted({signal.protocol for signal in against})),
        days_since_capture=max(((as_of - time).days for time in captured), default=NEVER_DAYS),
    )


def strictest(values: Iterable[SignalValue]) -> SignalValue:
    """Return the strictest of what is said; `UNKNOWN` if nothing is."""
    return max(values, key=_STRICTNESS.index, default=SignalValue.UNKNOWN)


def _training(signal: SignalRecord) -> SignalValue:
    return strictest(_value(signal, action) for action in _TRAINING)


def _value(signal: SignalRecord, action: SignalAction) -> SignalValue:
    value = signal.actions.get(action, SignalValue.UNKNOWN)
    if signal.validity is SignalValidity.VALID:
        return value
    # Something was said that could not be read or vouched for: only a person can tell what.
    is_silent = value is SignalValue.UNKNOWN and bool(signal.actions)
    return value if value is SignalValue.DENY or is_silent else SignalValue.CONDITIONAL


def _is_overridden(signal: SignalRecord, grants: Sequence[GrantRecord]) -> bool:
    """Return whether the one who made the signal has permitted, with proof and later, what it reserves."""
    if not signal.declaring_party.strip() or not grants:
        return False
    return all(
        grant.rights_holder == signal.declaring_party
        and Use.AI_GENERATIVE_TRAINING.value in grant.permitted_uses
        and grant.evidence_sha256 is not None
        and (signal.captured_at is None or _is_later(grant, signal.captured_at))
        for grant in grants
    )


def _is_later(grant: GrantRecord, captured_at: dt.datetime) -> bool:
    """Return whether a grant is known to be later than a reservation; one without a date is not."""
    return grant.valid_from is not None and grant.valid_from >= captured_at
