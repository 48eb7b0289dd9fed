"""Writing reports: the suffix of the file names the format, and the file appears whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from db.errors import ConfigError
from db.files import durable_file
from governance.audit.conflicts import Conflict
from governance.reports.documents import write_audit_json, write_conflicts_json
from governance.reports.pages import write_audit_page, write_conflicts_page
from governance.reports.report import AuditReport
from governance.reports.sarif import write_sarif
from governance.reports.tables import write_conflicts_csv, write_findings_csv, write_workbook

_AUDIT: dict[str, Callable[[Path, AuditReport], None]] = {
    ".html": write_audit_page,
    ".xlsx": write_workbook,
    ".csv": write_findings_csv,
    ".sarif": write_sarif,
    ".json": write_audit_json,
}
AUDIT_SUFFIXES = tuple(_AUDIT)
CONFLICT_SUFFIXES = (".html", ".csv", ".json")


def check_suffix(path: Path, suffixes: Sequence[str]) -> None:
    """Raise `ConfigError` if a report cannot be written in the format that `path` asks for."""
    if path.suffix.lower() not in suffixes:
        raise ConfigError(
            f"{path}: reports are written as {', '.join(suffixes)}", hint=f"name the file report{suffixes[0]}"
        )


def placing(path: Path) -> str:
    """Return the sentence that tells where a report went; ask before it is written, since it may replace another."""
    return f"report written to {path}" + (", in place of the file that was there" if path.exists() else "")


def write_audit_report(path: Path, report: AuditReport) -> None:
    """Write an audit report. Raises `ConfigError` for another suffix, or for more than a sheet holds."""
    check_suffix(path, AUDIT_SUFFIXES)
    with durable_file(path) as staged:
        _AUDIT[path.suffix.lower()](staged, report)


def write_conflict_report(
    path: Path,
    conflicts: Sequence[Conflict],
    *,
    title: str,
    made: str,
    thumbnail: Callable[[str, float | None], str | None],
) -> None:
    """Write the title conflicts of a library. Raises `ConfigError` for another suffix."""
    check_suffix(path, CONFLICT_SUFFIXES)
    suffix = path.suffix.lower()
    with durable_file(path) as staged:
        if suffix == ".html":
            write_conflicts_page(staged, conflicts, title=title, made=made, thumbnail=thumbnail)
        elif suffix == ".csv":
            write_conflicts_csv(staged, conflicts)
        else:
            write_conflicts_json(staged, conflicts)
