"""What an audit report says, whatever format it is written in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from db.clock import rfc3339
from db.expiry import EndingRight
from db.holdings import Holding
from governance.audit.audit import FindingSummary
from governance.audit.conflicts import Conflict
from governance.audit.coverage import Coverage
from governance.audit.findings import Finding, kind_of
from governance.reports.calendar import ending_json
from governance.reports.sources import SOURCES
from governance.version import VERSION

LEGAL_NOTE = (
    "This report states what is recorded and what was compared. It is not legal advice, and no finding does not mean "
    "that no right is infringed: have counsel check what you rely on."
)


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """One audit. Findings are asked for when they are written: there may be a million."""

    project_name: str
    made_at: dt.datetime
    policy: str | None
    holdings: Sequence[Holding]
    summary: FindingSummary
    findings: Callable[[], Iterator[Finding]]
    """Yields all findings, the gravest first; may be asked more than once."""
    ending: Sequence[EndingRight]
    horizon_days: int
    coverage: Coverage
    conflicts: Sequence[Conflict]
    """The first of them."""
    num_conflicts: int
    thumbnail: Callable[[str, float | None], str | None]
    """The data: URI of a picture of an asset at a second, its middle without one; `None` if there is none."""

    def head(self) -> dict[str, Any]:
        """Return everything but findings and conflicts as JSON values."""
        return {
            "format": "cleartitle.audit/1",
            "generator": f"cleartitle {VERSION}",
            "project": self.project_name,
            "made_at": rfc3339(self.made_at),
            "policy": self.policy,
            "num_findings": self.summary.total,
            "counts": [
                {"code": code, "severity": kind_of(code).severity.value, "count": count}
                for code, count in self.summary.counts.items()
            ],
            "holdings": [vars(holding) for holding in self.holdings],
            "expiry": [ending_json(right, self.made_at) for right in self.ending],
            "horizon_days": self.horizon_days,
            "coverage": self.coverage.as_json(),
            "num_conflicts": self.num_conflicts,
            "sources": dict(SOURCES),
            "note": LEGAL_NOTE,
        }


def totals(holdings: Sequence[Holding], key: Callable[[Holding], str]) -> Mapping[str, tuple[int, float]]:
    """Return clips and seconds by what `key` says of a holding, most seconds first."""
    sums: dict[str, tuple[int, float]] = {}
    for holding in holdings:
        clips, seconds = sums.get(key(holding), (0, 0.0))
        sums[key(holding)] = clips + holding.num_clips, seconds + holding.duration_seconds
    return dict(sorted(sums.items(), key=lambda item: (-item[1][1], item[0])))


def outcome_of(holding: Holding) -> str:
    """Return the outcome in words."""
    return holding.outcome.value if holding.outcome is not None else "not decided"


def license_of(holding: Holding) -> str:
    """Return the licence in words."""
    return holding.license_expression or "(none)"


def holder_of(holding: Holding) -> str:
    """Return the rights holder in words."""
    return holding.rights_holder or "(none)"
