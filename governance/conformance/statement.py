"""Statements of a rubric: what each requires, and what became of it on one manifest."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from db.terminal import safe_text
from governance.conformance.crjson import CrManifest, MalformedValueError

_MAX_NAMED = 5
_MAX_CHARACTERS = 80


class StatementOutcome(enum.Enum):
    """What became of a statement."""

    PASSED = "passed"
    FAILED = "failed"
    WARNED = "warned"
    """Allowed, but advised against."""
    NOT_APPLICABLE = "not applicable"
    """Nothing in the manifest is of the kind that the statement speaks of. It holds."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """How many things a rule looked at, and what is wrong with them."""

    num_subjects: int
    violations: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A statement with what became of it; the reason is safe to print."""

    statement: Statement
    outcome: StatementOutcome
    why: str

    @property
    def holds(self) -> bool:
        """Whether the rubric counts the statement as satisfied."""
        return self.outcome in {StatementOutcome.PASSED, StatementOutcome.NOT_APPLICABLE}


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement of a rubric."""

    id: str
    """As the rubric names it."""
    source: str
    """Where the requirement comes from: a section of the specification, or the conformance programme."""
    requirement: str
    """In our words."""
    rule: Callable[[CrManifest], Check]
    is_advice: bool
    """Not to follow it is a warning, not a failure."""

    def evaluate(self, manifest: CrManifest) -> Finding:
        """Decide the statement for a manifest. What cannot be read as what it should be does not satisfy it."""
        try:
            check = self.rule(manifest)
        except MalformedValueError as exc:
            return Finding(statement=self, outcome=StatementOutcome.FAILED, why=safe_text(str(exc)))
        if check.violations:
            outcome = StatementOutcome.WARNED if self.is_advice else StatementOutcome.FAILED
            return Finding(statement=self, outcome=outcome, why=_named(check.violations))
        if check.num_subjects == 0:
            return Finding(statement=self, outcome=StatementOutcome.NOT_APPLICABLE, why="nothing of the kind")
        return Finding(statement=self, outcome=StatementOutcome.PASSED, why="")


def statement(
    statement_id: str, source: str, requirement: str, *, is_advice: bool = False
) -> Callable[[Callable[[CrManifest], Check]], Statement]:
    """Make a statement of a rule: a function that looks at a manifest and says what is wrong."""

    def _make(rule: Callable[[CrManifest], Check]) -> Statement:
        return Statement(
            id=statement_id, source=source, requirement=requirement, rule=rule, is_advice=is_advice
        )

    return _make


def check_each(subjects: Iterable[Any], violation: Callable[[Any], str | None]) -> Check:
    """Look at each of `subjects`; `violation` says what is wrong with one, `None` if nothing."""
    found = tuple(subjects)
    wrong = (violation(subject) for subject in found)
    return Check(num_subjects=len(found), violations=tuple(reason for reason in wrong if reason is not None))


def _named(violations: tuple[str, ...]) -> str:
    named = ", ".join(_shortened(safe_text(violation)) for violation in violations[:_MAX_NAMED])
    rest = len(violations) - _MAX_NAMED
    return f"{named} and {rest} more" if rest > 0 else named


def _shortened(name: str) -> str:
    return name if len(name) <= _MAX_CHARACTERS else f"{name[:_MAX_CHARACTERS]}..."
