"""Reports for CI: SARIF 2.1.0 (OASIS Standard, 27 March 2020), written result by result.

A SARIF region counts lines or bytes; footage has seconds, so these stand among the properties of a location.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from db.canonical import digest_of
from db.clock import rfc3339
from db.files import path_of
from db.terminal import safe_text
from governance.audit.findings import Finding, FindingKind, Severity, kind_of, registered_kinds
from governance.reports.report import AuditReport
from governance.version import VERSION

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFO: "note",
}


def write_sarif(staged: Path, report: AuditReport) -> None:
    """Write one run with its rules and results."""
    kinds = {**registered_kinds(), **{code: kind_of(code) for code in report.summary.counts}}
    places = {code: number for number, code in enumerate(kinds)}
    run = _run(report, [_rule(kind) for kind in kinds.values()])
    # The results come last, so that the rest of the document can be closed behind them.
    head = json.dumps({"$schema": SCHEMA, "version": "2.1.0"})[:-1]
    with staged.open("w", encoding="ascii") as file:
        file.write(f'{head}, "runs": [{json.dumps(run)[:-1]}, "results": [')
        for number, finding in enumerate(report.findings()):
            file.write(("," if number else "") + "\n" + json.dumps(_result(finding, places[finding.code])))
        file.write("\n]}]}\n")


def _run(report: AuditReport, rules: list[dict[str, Any]]) -> dict[str, Any]:
    driver = {
        "name": "cleartitle",
        "version": VERSION,
        "semanticVersion": VERSION,
        "rules": rules,
    }
    about = {"policy": report.policy, "coverage": report.coverage.as_json()}
    return {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": True, "endTimeUtc": rfc3339(report.made_at)}],
        "automationDetails": {"id": f"cleartitle audit/{rfc3339(report.made_at)}"},
        "columnKind": "unicodeCodePoints",
        "properties": about,
    }


def _rule(kind: FindingKind) -> dict[str, Any]:
    return {
        "id": kind.code,
        "name": "".join(word.capitalize() for word in kind.code.replace("_", ".").split(".")),
        "shortDescription": {"text": safe_text(kind.title)},
        "fullDescription": {"text": safe_text(kind.means)},
        "help": {"text": safe_text(kind.remedy)},
        "defaultConfiguration": {"level": _LEVELS[kind.severity]},
        "properties": {"severity": kind.severity.value},
    }


def _result(finding: Finding, place: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": place,
        "level": _LEVELS[finding.severity],
        "message": {
            "text": safe_text(f"{finding.subject}: {finding.message} To settle it: {finding.remedy}")
        },
        "partialFingerprints": {"cleartitle/v1": digest_of([finding.code, _ascii(finding.subject)])},
        "properties": {"severity": finding.severity.value},
    }
    if locations := list(_locations(finding)):
        result["locations"] = locations
    return result


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode("ascii")


def _locations(finding: Finding) -> Iterator[dict[str, Any]]:
    if finding.path is None:
        return
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": {"uri": path_of(finding.path).absolute().as_uri()}}
    }
    seconds = {
        name: value
        for name, value in (("startSeconds", finding.start_seconds), ("endSeconds", finding.end_seconds))
        if value is not None
    }
    if seconds:
        location["properties"] = seconds
    if finding.clip_id is not None:
        location["logicalLocations"] = [{"name": finding.clip_id, "kind": "clip"}]
    yield location
