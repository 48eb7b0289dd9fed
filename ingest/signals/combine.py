"""Combining signals: the most restrictive one counts. Pure.

The rule, per action: deny > conditional > allow > unknown.

- A signal that says nothing of an action, or says `unknown`, does not count: an allow beside it stays an allow.
- No signal at all is `unknown`, which is not permission. An allow is no permission either: only a grant is.
- Where a signal could not be read (`invalid`) or what vouches for it not be checked (`unverifiable`), its denials
  count, and whatever else it says is conditional: something was said that a person has to look at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from db.vocabularies import SignalAction, SignalValidity, SignalValue
from ingest.signals.record import Signal

_RANK = {SignalValue.UNKNOWN: 0, SignalValue.ALLOW: 1, SignalValue.CONDITIONAL: 2, SignalValue.DENY: 3}


def most_restrictive(values: Iterable[SignalValue]) -> SignalValue:
    """Return the most restrictive of `values`; `unknown` if there are none."""
    return max(values, key=_RANK.__getitem__, default=SignalValue.UNKNOWN)


def merged(*readings: Mapping[SignalAction, SignalValue]) -> dict[SignalAction, SignalValue]:
    """Return the most restrictive value of each action that any of `readings` speaks of."""
    actions = {action for reading in readings for action in reading}
    return {
        action: most_restrictive(reading[action] for reading in readings if action in reading)
        for action in SignalAction
        if action in actions
    }


def combine(signals: Iterable[Signal]) -> dict[SignalAction, SignalValue]:
    """Return what `signals` together say of every action."""
    silence = dict.fromkeys(SignalAction, SignalValue.UNKNOWN)
    return merged(silence, *(_counted(signal) for signal in signals))


def _counted(signal: Signal) -> Mapping[SignalAction, SignalValue]:
    if signal.validity is SignalValidity.VALID:
        return signal.actions
    return merged(signal.actions, dict.fromkeys(signal.actions, SignalValue.CONDITIONAL))
