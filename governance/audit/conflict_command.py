"""The `audit conflicts` command: who claims the same footage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.clock import rfc3339, utc_now
from db.errors import AnsweredNo
from db.terminal import clock_text, heading, json_option, note, project_option, say, say_field, say_json

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from db.project import Project
    from governance.audit.conflicts import Conflict
    from governance.facts.matches import Comparison

_SHOWN_CONFLICTS = 20


@click.command()
@click.option("--all", "show_all", is_flag=True, help="List every conflict, not just the first twenty.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write a report to this .html, .csv or .json file, with pictures in .html.",
)
@json_option
@project_option
def conflicts(*, show_all: bool, report: Path | None, as_json: bool, project_dir: Path) -> None:
    """List who claims the same footage, who is evidenced earlier, and what would settle it. Exit 1 if anyone does.

    Example: cleartitle audit conflicts --report conflicts.html
    """
    from db.project import open_project
    from governance.audit.conflicts import find_conflicts
    from governance.decisions.clearance import present_comparison
    from governance.reports.files import CONFLICT_SUFFIXES, check_suffix

    if report is not None:
        check_suffix(report, CONFLICT_SUFFIXES)
    project = open_project(project_dir)
    comparison = present_comparison(project)
    with project.session() as session:
        found = list(find_conflicts(session, comparison.detector))
        if report is not None:
            _write_conflicts(project, session, comparison, found, report)
    if as_json:
        for conflict in found:
            say_json(conflict.as_json())
    else:
        _print_conflicts(found, None if show_all else _SHOWN_CONFLICTS)
    if found:
        raise AnsweredNo(f"{len(found)} title conflicts")


def _write_conflicts(
    project: Project, session: Session, comparison: Comparison, found: Sequence[Conflict], path: Path
) -> None:
    from governance.reports.files import placing, write_conflict_report
    from governance.reports.thumbnails import thumbnails_of

    placed = placing(path)
    write_conflict_report(
        path,
        found,
        title=f"Title conflicts in {project.root.name}",
        made=utc_now().strftime("%-d %B %Y, %H:%M UTC"),
        thumbnail=thumbnails_of(project, session, comparison).read,
    )
    note(placed)


def _print_conflicts(found: Sequence[Conflict], limit: int | None) -> None:
    from governance.audit.findings import kind_of

    heading(f"Title conflicts: {len(found)}")
    for conflict in found[:limit]:
        kind = kind_of(conflict.code)
        say(f"{kind.severity.value}: {conflict.code}: {kind.title}, {clock_text(conflict.seconds)}")
        for side in (conflict.one, conflict.other):
            _print_side(conflict, side is conflict.one)
        if conflict.through is not None:
            say_field("    through", conflict.through, width=16)
        say_field("    settles it", conflict.documents[0].named(conflict.dispute), width=16)
        say_field("", conflict.documents[0].reason, width=16)
        say()
    if limit is not None and len(found) > limit:
        say(f"... and {len(found) - limit} more; --all lists them")


def _print_side(conflict: Conflict, is_one: bool) -> None:
    side, span = conflict.one if is_one else conflict.other, conflict.shared[0]
    start, end = (
        (span.start_seconds, span.end_seconds)
        if is_one
        else (span.other_start_seconds, span.other_end_seconds)
    )
    more = f" and {len(conflict.shared) - 1} more" if len(conflict.shared) > 1 else ""
    first = "; evidenced earlier" if conflict.earlier is side else ""
    where = side.path or side.asset_sha256[:16]
    say_field("    side", f"{side.name}: {clock_text(start)} to {clock_text(end)}{more} of {where}", width=16)
    say_field("", f"since {rfc3339(side.evidenced_at)}: {side.evidenced_by}{first}", width=16)
    for proof in side.proofs:
        document = proof.document_sha256[:16] if proof.document_sha256 else "none"
        text = (
            f"{proof.license_expression}, grant {proof.grant_digest[:16]}, {proof.row}, document {document}"
        )
        say_field("", text, width=16)
