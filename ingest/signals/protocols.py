"""The protocol list: what each protocol may say and what that means, read from `protocols.toml`. Pure.

Readers look statements up here and know no meanings themselves. What the list does not hold is not understood, and
what is not understood waits for a person.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any

from db.vocabularies import SignalAction, SignalValidity, SignalValue
from ingest.signals.combine import merged
from ingest.signals.record import Signal, Source, make_signal

Reading = Mapping[SignalAction, SignalValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """One protocol of the list."""

    name: str
    title: str
    version: str
    carriers: tuple[str, ...]
    speaks_of: tuple[SignalAction, ...]
    """What it could restrict, and what is conditional where it cannot be read."""
    statements: Mapping[str, Reading]
    """What each statement means, by its text in lower case."""

    def reading(self, statement: str) -> Reading | None:
        """Return what `statement` means; None if the list does not hold it."""
        return self.statements.get(statement.strip().lower())

    def subject(self, category: str) -> tuple[SignalAction, ...]:
        """Return the actions that statements `category=...` are about; none if there are no such statements."""
        start = f"{category.strip().lower()}="
        readings = (reading for text, reading in self.statements.items() if text.startswith(start))
        return tuple(merged(*readings))

    def conditional(self, actions: Sequence[SignalAction] = ()) -> Reading:
        """Return `conditional` for `actions`, or for all that it could restrict."""
        return dict.fromkeys(actions or self.speaks_of, SignalValue.CONDITIONAL)

    def signal(self, source: Source, actions: Reading, detail: str) -> Signal:
        """Return a signal that was read."""
        return make_signal(
            protocol=self.name, protocol_version=self.version, source=source, actions=actions, detail=detail
        )

    def unreadable(self, source: Source, why: str, *, known: Reading | None = None) -> Signal:
        """Return a signal that could not be read, at least not whole: of what is known, denials count."""
        return make_signal(
            protocol=self.name,
            protocol_version=self.version,
            source=source,
            actions=merged(self.conditional(), known or {}),
            detail=why,
            validity=SignalValidity.INVALID,
        )

    def unverifiable(self, source: Source, actions: Reading, why: str) -> Signal:
        """Return a signal that was read, but which nothing vouches for."""
        return make_signal(
            protocol=self.name,
            protocol_version=self.version,
            source=source,
            actions=merged(self.conditional(), actions),
            detail=why,
            validity=SignalValidity.UNVERIFIABLE,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRead:
    """A protocol that is known and not read."""

    title: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolList:
    """The list as shipped. Decisions name its version."""

    version: str
    protocols: Mapping[str, Protocol]
    phrases: tuple[str, ...]
    """Words about AI that make a rights field conditional."""
    skipped_tags: frozenset[str]
    """Container tags that are about the work or the tool, not about rights."""
    not_read: tuple[NotRead, ...]

    def __getitem__(self, name: str) -> Protocol:
        """Return the protocol called `name`."""
        return self.protocols[name]


@functools.cache
def protocol_list() -> ProtocolList:
    """Read the list that is shipped with this package."""
    text = resources.files("ingest.signals").joinpath("protocols.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    return ProtocolList(
        version=table["version"],
        protocols=MappingProxyType({name: _protocol(name, row) for name, row in table["protocols"].items()}),
        phrases=tuple(table["free_text"]["phrases"]),
        skipped_tags=frozenset(table["free_text"]["skipped_tags"]),
        not_read=tuple(NotRead(title=row["title"], why=row["why"]) for row in table["not_read"]),
    )


def _protocol(name: str, row: Mapping[str, Any]) -> Protocol:
    return Protocol(
        name=name,
        title=row["title"],
        version=row["version"],
        carriers=tuple(row["carriers"]),
        speaks_of=_actions(row["speaks_of"]),
        statements=MappingProxyType({text: _reading(values) for text, values in row["says"].items()}),
    )


def _reading(values: Mapping[str, Sequence[str]]) -> Reading:
    pairs = [(action, SignalValue(value)) for value, names in values.items() for action in _actions(names)]
    assert len({action for action, _ in pairs}) == len(pairs), "a statement gives an action two values"
    return MappingProxyType(dict(pairs))


def _actions(names: Sequence[str]) -> tuple[SignalAction, ...]:
    return tuple(SignalAction) if list(names) == ["all"] else tuple(SignalAction(name) for name in names)
