"""Findings, and the registry of their codes: how grave each is, what it is called, what it means, what settles it.

The registry is `findings.toml`. A code that a policy of your own uses need not be in it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from typing import Any


class Severity(StrEnum):
    """How grave a finding is, the gravest first; `findings.toml` says when which is given."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"

    @property
    def rank(self) -> int:
        """Place in the order of gravity, 0 for the gravest."""
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingKind:
    """What a finding code stands for."""

    code: str
    severity: Severity
    title: str
    means: str
    remedy: str
    """What settles it, unless the finding itself says more."""
    is_registered: bool = True
    """False for a code that only a policy of your own uses."""


@functools.cache
def registered_kinds() -> Mapping[str, FindingKind]:
    """Return every registered code with what it stands for, in order of the table."""
    text = resources.files("governance.audit").joinpath("findings.toml").read_text(encoding="utf-8")
    return {
        code: FindingKind(
            code=code,
            severity=Severity(entry["severity"]),
            title=entry["title"],
            means=entry["means"],
            remedy=entry["remedy"],
        )
        for code, entry in tomllib.loads(text).items()
    }


@functools.cache
def kind_of(code: str) -> FindingKind:
    """Return what a code stands for; one that is not registered is of medium severity, as whatever holds a clip."""
    return registered_kinds().get(code) or FindingKind(
        code=code,
        severity=Severity.MEDIUM,
        title=code,
        means="A rule of the policy in use gives this code; the finding says why.",
        remedy="The finding says what would settle it.",
        is_registered=False,
    )


def gravity(code: str) -> tuple[int, str]:
    """Return a sort key of codes: the gravest first, then by name."""
    return kind_of(code).severity.rank, code


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, in one place."""

    code: str
    subject: str
    """The place in words."""
    message: str
    remedy: str
    path: str | None = None
    """The file it is about, as the database writes paths; `None` if it is about no single file."""
    asset_sha256: str | None = None
    clip_id: str | None = None
    start_seconds: float | None = None
    """With `end_seconds`, exclusive: the stretch of the file; `None`: all of it."""
    end_seconds: float | None = None

    @property
    def severity(self) -> Severity:
        """How grave it is, as the registry has it."""
        return kind_of(self.code).severity

    def as_json(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        values: dict[str, Any] = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return values | {"severity": self.severity.value}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Finding:
        """Read what `as_json` wrote."""
        return cls(**{name: values[name] for name in cls.__dataclass_fields__})


def gravest_first(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield findings by severity, those of one severity in the order they came. Memory stays bounded: disk does it."""
    with contextlib.ExitStack() as stack:
        spools = {
            # Paths may hold lone surrogates; JSON escapes them.
            severity: stack.enter_context(tempfile.TemporaryFile("w+", encoding="ascii"))
            for severity in Severity
        }
        for finding in findings:
            spools[finding.severity].write(json.dumps(finding.as_json()) + "\n")
        for spool in spools.values():
            spool.seek(0)
            yield from (Finding.from_json(json.loads(line)) for line in spool)
