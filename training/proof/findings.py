"""What an audit of a run found."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Level(enum.StrEnum):
    """How deep a check goes."""

    L0 = "L0"
    """Signatures and roots."""
    L1 = "L1"
    """Order and clearance."""
    L2 = "L2"
    """Replay."""
    L3 = "L3"
    """Statistics of the weights: supporting evidence, no proof."""


class Standing(enum.StrEnum):
    """What a check showed."""

    HOLDS = "holds"
    FAILS = "fails"
    NOT_CHECKED = "not checked"
    SUPPORTS = "supports"
    """Evidence that agrees with the record, and proves nothing."""
    SAYS_NOTHING = "says nothing"
    """Evidence that was looked for, and agrees with everything."""
    DOUBT = "in doubt"
    """Evidence that does not agree with the record, and does not refute it."""


@dataclass(frozen=True, kw_only=True)
class ProofFinding:
    """The outcome of one check. `code` is dotted and stable."""

    level: Level
    code: str
    standing: Standing
    detail: str


def holds(level: Level, code: str, detail: str) -> ProofFinding:
    """Return that a check went well."""
    return ProofFinding(level=level, code=code, standing=Standing.HOLDS, detail=detail)


def fails(level: Level, code: str, detail: str) -> ProofFinding:
    """Return that a check showed something wrong."""
    return ProofFinding(level=level, code=code, standing=Standing.FAILS, detail=detail)


def not_checked(level: Level, code: str, detail: str) -> ProofFinding:
    """Return that something could not be checked, and why."""
    return ProofFinding(level=level, code=code, standing=Standing.NOT_CHECKED, detail=detail)
