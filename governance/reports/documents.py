"""Reports for programs: one JSON document, written finding by finding."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from governance.audit.conflicts import Conflict
from governance.reports.report import LEGAL_NOTE, AuditReport
from governance.reports.sources import SOURCES


def write_audit_json(staged: Path, report: AuditReport) -> None:
    """Write the whole audit as one JSON object."""
    head = report.head() | {"conflicts": [conflict.as_json() for conflict in report.conflicts]}
    _write(staged, head, "findings", (finding.as_json() for finding in report.findings()))


def write_conflicts_json(staged: Path, conflicts: Iterable[Conflict]) -> None:
    """Write the conflicts as one JSON object."""
    head = {"format": "cleartitle.conflicts/1", "sources": dict(SOURCES), "note": LEGAL_NOTE}
    _write(staged, head, "conflicts", (conflict.as_json() for conflict in conflicts))


def _write(staged: Path, head: dict[str, Any], name: str, items: Iterable[dict[str, Any]]) -> None:
    with staged.open("w", encoding="ascii") as file:
        file.write(f'{json.dumps(head, sort_keys=True)[:-1]}, "{name}": [')
        for number, item in enumerate(items):
            file.write(("," if number else "") + "\n" + json.dumps(item, sort_keys=True))
        file.write("\n]}\n")
