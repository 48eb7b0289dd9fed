"""Reports for spreadsheets: findings as CSV, and a workbook of findings, holdings, calendar and coverage."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from db.clock import rfc3339
from db.errors import ConfigError
from governance.audit.conflicts import Conflict
from governance.audit.findings import Finding, kind_of
from governance.reports.calendar import days_left, rests_on
from governance.reports.cells import cell
from governance.reports.report import LEGAL_NOTE, AuditReport
from governance.reports.sources import SOURCES

MAX_SHEET_ROWS = 1_048_575
FINDING_COLUMNS = (
    "severity", "code", "title", "subject", "file", "clip", "start_seconds", "end_seconds", "message", "remedy",
)  # fmt: skip
CONFLICT_COLUMNS = (
    "conflict", "code", "seconds", "side", "against", "file", "start_seconds", "end_seconds", "earlier_evidenced",
    "evidenced_at", "evidenced_by", "licence", "grant_sha256", "document_sha256", "row", "cheapest_document", "reason",
)  # fmt: skip


def write_findings_csv(staged: Path, report: AuditReport) -> None:
    """Write the findings, one a row."""
    _write_csv(staged, FINDING_COLUMNS, map(_finding_row, report.findings()))


def write_conflicts_csv(staged: Path, conflicts: Iterable[Conflict]) -> None:
    """Write the conflicts, one row for each side."""
    _write_csv(staged, CONFLICT_COLUMNS, (row for item in conflicts for row in _conflict_rows(item)))


def _write_csv(staged: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    # The byte order mark is what makes spreadsheets read UTF-8 as such.
    with staged.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([cell(value) for value in row] for row in rows)


def write_workbook(staged: Path, report: AuditReport) -> None:
    """Write a workbook row by row. Raises `ConfigError` if the findings do not fit into one sheet."""
    from openpyxl import Workbook
    from openpyxl.utils import get_column_letter

    if report.summary.total > MAX_SHEET_ROWS:
        raise ConfigError(
            f"{report.summary.total} findings do not fit into one sheet",
            hint="report to .csv or .json instead",
        )
    book = Workbook(write_only=True)
    for name, columns, rows in _sheets(report):
        sheet = book.create_sheet(name)
        sheet.freeze_panes = "A2"
        for number, width in enumerate(_WIDTHS.get(name, ()), start=1):
            sheet.column_dimensions[get_column_letter(number)].width = width
        sheet.append(list(columns))
        for row in rows:
            sheet.append([cell(value) for value in row])
    book.save(staged)


_WIDTHS = {
    "findings": (10, 28, 30, 60, 50, 18, 13, 13, 70, 70),
    "summary": (30, 90),
    "codes": (10, 28, 34, 10, 80),
    "holdings": (14, 30, 34, 10, 14),
    "expiry": (12, 22, 10, 30, 30, 10, 14, 40, 66),
    "conflicts": (18, 24, 10, 30, 30, 50, 13, 13, 10, 22, 26, 20, 66, 66, 40, 60, 60),
}


def _sheets(report: AuditReport) -> Iterator[tuple[str, Sequence[str], Iterable[Sequence[Any]]]]:
    yield "summary", ("what", "value"), _summary_rows(report)
    counted = (
        (kind_of(code).severity.value, code, kind_of(code).title, count, kind_of(code).means)
        for code, count in report.summary.counts.items()
    )
    yield "codes", ("severity", "code", "title", "count", "means"), counted
    yield "findings", FINDING_COLUMNS, map(_finding_row, report.findings())
    held = (
        (h.outcome.value if h.outcome else "not decided", h.license_expression, h.rights_holder, h.num_clips,
         round(h.duration_seconds, 3))
        for h in report.holdings
    )  # fmt: skip
    yield "holdings", ("outcome", "licence", "rights_holder", "clips", "seconds"), held
    columns = (
        "what",
        "ends_at",
        "days_left",
        "who",
        "terms",
        "clips",
        "seconds",
        "snapshots_and_models",
        "ref",
    )
    yield "expiry", columns, _expiry_rows(report)
    yield "conflicts", CONFLICT_COLUMNS, (row for item in report.conflicts for row in _conflict_rows(item))


def _summary_rows(report: AuditReport) -> Iterator[tuple[str, Any]]:
    coverage = report.coverage
    yield "library", report.project_name
    yield "made at", rfc3339(report.made_at)
    yield "policy", report.policy or "nothing decided yet"
    yield "findings", report.summary.total
    yield "title conflicts", report.num_conflicts
    yield "encoder", coverage.comparison.encoder_name or "none"
    yield "detector", coverage.comparison.detector_digest or "none"
    yield "missed copies", coverage.miss_rate()
    yield "files covered by the search", f"{coverage.num_searched} of {coverage.num_assets}"
    for name, count, seconds in coverage.reference_sets:
        yield f"reference set {name}", f"{count} files, {seconds:.1f} seconds"
    for caveat in coverage.caveats():
        yield "not checked", caveat
    for text in SOURCES.values():
        yield "source", text
    yield "note", LEGAL_NOTE


def _finding_row(finding: Finding) -> tuple[Any, ...]:
    return (
        finding.severity.value,
        finding.code,
        kind_of(finding.code).title,
        finding.subject,
        finding.path,
        finding.clip_id,
        None if finding.start_seconds is None else round(finding.start_seconds, 3),
        None if finding.end_seconds is None else round(finding.end_seconds, 3),
        finding.message,
        finding.remedy,
    )


def _expiry_rows(report: AuditReport) -> Iterator[tuple[Any, ...]]:
    for right in report.ending:
        yield (
            right.kind.value,
            rfc3339(right.ends_at),
            days_left(right, report.made_at),
            right.who,
            right.what,
            right.num_clips,
            round(right.duration_seconds, 3),
            rests_on(right),
            right.ref,
        )


def _conflict_rows(conflict: Conflict) -> Iterator[tuple[Any, ...]]:
    first = conflict.shared[0]
    last = conflict.shared[-1]
    cheapest = conflict.documents[0]
    spans = (
        (conflict.one, conflict.other, first.start_seconds, last.end_seconds),
        (conflict.other, conflict.one, first.other_start_seconds, last.other_end_seconds),
    )
    for side, against, start, end in spans:
        yield (
            conflict.id,
            conflict.code,
            round(conflict.seconds, 3),
            side.name,
            against.name,
            side.path,
            round(start, 3),
            round(end, 3),
            "yes" if conflict.earlier is side else "no",
            rfc3339(side.evidenced_at),
            side.evidenced_by,
            ", ".join(sorted({proof.license_expression for proof in side.proofs})),
            ", ".join(proof.grant_digest for proof in side.proofs),
            ", ".join(proof.document_sha256 for proof in side.proofs if proof.document_sha256),
            ", ".join(proof.row for proof in side.proofs),
            cheapest.named(conflict.dispute),
            cheapest.reason,
        )
