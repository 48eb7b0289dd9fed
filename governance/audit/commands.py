"""The `audit` command: what is in the library, what ends soon, and what is wrong with it."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from db.clock import rfc3339, utc_now
from db.errors import AnsweredNo, ConfigError
from db.terminal import (
    clock_text,
    heading,
    json_option,
    note,
    project_option,
    say,
    say_field,
    say_json,
    say_table,
)
from governance.audit.conflict_command import conflicts

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from db.expiry import EndingRight
    from db.holdings import Holding
    from db.project import Project
    from governance.audit.audit import FindingSummary, LibraryAudit
    from governance.audit.coverage import Coverage
    from governance.audit.findings import Finding
    from governance.facts.matches import Comparison
    from governance.reports.report import AuditReport

_SHOWN_FINDINGS = 20
_REPORTED_FINDINGS = 100
"""The gravest, told one by one in a page; tables hold all."""
_SHOWN_ENDING = 30
_REPORTED_CONFLICTS = 5000

_report_file = click.Path(path_type=Path, dir_okay=False)


@click.group(invoke_without_command=True)
@click.option("--policy", "policy_name", help="Report under this policy (default: the one applied last).")
@click.option("--all", "show_all", is_flag=True, help="List every finding, the gravest first.")
@click.option(
    "--expiring",
    "horizon_days",
    type=click.IntRange(1, 36_500),
    default=90,
    show_default=True,
    metavar="DAYS",
    help="How far the calendar of what ends looks ahead.",
)
@click.option(
    "--report",
    "reports",
    type=_report_file,
    multiple=True,
    help="Also write a report to this .html, .xlsx, .csv, .sarif or .json file; may be given again.",
)
@click.option(
    "--export",
    "table",
    type=_report_file,
    help="Also write every clip with its decision to this .csv, .xlsx or .parquet file.",
)
@json_option
@project_option
@click.pass_context
def audit(
    context: click.Context,
    policy_name: str | None,
    *,
    show_all: bool,
    horizon_days: int,
    reports: tuple[Path, ...],
    table: Path | None,
    as_json: bool,
    project_dir: Path,
) -> None:
    """Report what the library holds, what ends soon, and every finding. Exit 1 if there are any.

    Example: cleartitle audit --expiring 90 --report audit.html --report findings.xlsx
    """
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    from db.project import open_project
    from db.statistics import refresh_statistics
    from governance.reports.files import AUDIT_SUFFIXES, check_suffix

    for path in reports:
        check_suffix(path, AUDIT_SUFFIXES)
    project = open_project(project_dir)
    with project.session() as session:
        refresh_statistics(session)
    with project.session() as session:
        total = _audit(
            project,
            session,
            policy_name,
            horizon_days,
            reports,
            table,
            limit=None if show_all else _SHOWN_FINDINGS,
            as_json=as_json,
        )
        # Looking for decisions that are out of date may have made rulings: an audit records nothing.
        session.rollback()
    if total:
        raise AnsweredNo(f"{total} findings")


def _refuse_options(context: click.Context) -> None:
    given = [
        name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if given:
        command = context.invoked_subcommand
        raise ConfigError(
            f"options before `{command}` would not count", hint=f"write them after `audit {command}`"
        )


def _audit(
    project: Project,
    session: Session,
    policy_name: str | None,
    horizon_days: int,
    reports: Sequence[Path],
    table: Path | None,
    *,
    limit: int | None,
    as_json: bool,
) -> int:
    """Print and write one audit; return the number of findings."""
    from db.audits import held_footage
    from db.decisions import decided_policies
    from governance.audit.audit import LibraryAudit
    from governance.audit.coverage import read_coverage
    from governance.decisions.clearance import present_comparison
    from governance.reports.calendar import with_lineage

    now, comparison = utc_now(), present_comparison(project)
    decided = decided_policies(session)
    if policy_name is not None and policy_name not in decided:
        raise ConfigError(
            f"nothing is decided under {policy_name!r}",
            hint=f"policies that were applied: {', '.join(decided) or 'none'}",
        )
    policy = policy_name or next(iter(decided), None)
    stale, omissions = _staleness(project, session, policy, comparison, now)
    library = LibraryAudit(
        session=session,
        policy_name=policy,
        comparison=comparison,
        now=now,
        horizon_days=horizon_days,
        stale=stale,
    )
    holdings = held_footage(session, policy or "")
    ending = with_lineage(project, session, library.ending())
    coverage = replace(read_coverage(session, comparison, project), omissions=omissions)
    summary = library.summary(_REPORTED_FINDINGS if reports else _SHOWN_FINDINGS)
    if table is not None:
        _export(session, policy, table)
    if as_json:
        _say_audit(policy, holdings, library.findings())
        _say_ending(ending, now)
        say_json({"kind": "coverage"} | coverage.as_json())
    else:
        _print_holdings(policy, holdings)
        _print_findings(summary, library, limit)
        _print_ending(ending, now, horizon_days)
        _print_coverage(coverage)
    if reports:
        report = _report(project, session, library, holdings, summary, ending, coverage)
        _write_reports(reports, report)
    return summary.total


def _staleness(
    project: Project, session: Session, policy_name: str | None, comparison: Comparison, now: dt.datetime
) -> tuple[Callable[[], Iterator[tuple[int, int]]], tuple[str, ...]]:
    """Return who tells which decisions are out of date, and what is left out where nobody can."""
    from governance.audit.audit import nothing_stale
    from governance.decisions.currency import stale_by_asset
    from governance.errors import PolicyError
    from governance.policy.files import find_policy

    if policy_name is None:
        return nothing_stale, ()
    try:
        policy = find_policy(policy_name, project.policies)
    except PolicyError as exc:
        return nothing_stale, (f"whether decisions are out of date, or their policy was edited since: {exc}",)
    return lambda: stale_by_asset(session, policy, comparison, as_of=now), ()


def _export(session: Session, policy: str | None, table: Path) -> None:
    from governance.audit.export import export_decisions

    if policy is None:
        raise ConfigError("nothing is decided yet", hint="run `cleartitle clear --policy NAME` first")
    note(f"{export_decisions(session, policy, table)} clips written to {table}")


def _report(
    project: Project,
    session: Session,
    library: LibraryAudit,
    holdings: Sequence[Holding],
    summary: FindingSummary,
    ending: Sequence[EndingRight],
    coverage: Coverage,
) -> AuditReport:
    from governance.audit.conflicts import find_conflicts
    from governance.audit.findings import gravest_first
    from governance.reports.report import AuditReport
    from governance.reports.thumbnails import thumbnails_of

    found = find_conflicts(session, library.comparison.detector)
    first = list(itertools.islice(found, _REPORTED_CONFLICTS))
    return AuditReport(
        project_name=project.root.name,
        made_at=library.now,
        policy=library.policy_name,
        holdings=holdings,
        summary=summary,
        findings=lambda: gravest_first(library.findings()),
        ending=ending,
        horizon_days=library.horizon_days,
        coverage=coverage,
        conflicts=first,
        num_conflicts=len(first) + sum(1 for _ in found),
        thumbnail=thumbnails_of(project, session, library.comparison).read,
    )


def _write_reports(paths: Sequence[Path], report: AuditReport) -> None:
    from governance.reports.files import placing, write_audit_report

    for path in paths:
        placed = placing(path)
        write_audit_report(path, report)
        note(placed)


def _say_audit(policy: str | None, holdings: Sequence[Holding], findings: Iterator[Finding]) -> None:
    for holding in holdings:
        say_json({"kind": "holding", "policy": policy} | vars(holding))
    for finding in findings:
        say_json({"kind": "finding"} | finding.as_json())


def _say_ending(ending: Sequence[EndingRight], now: dt.datetime) -> None:
    from governance.reports.calendar import ending_json

    for right in ending:
        say_json({"kind": "expiring"} | ending_json(right, now))


def _print_holdings(policy: str | None, holdings: Sequence[Holding]) -> None:
    from governance.reports.report import holder_of, license_of, outcome_of, totals

    heading(f"Library under {policy}" if policy else "Library (nothing decided yet)")
    for title, key in (("outcome", outcome_of), ("licence", license_of), ("rights holder", holder_of)):
        rows = [(what, clips, clock_text(s)) for what, (clips, s) in totals(holdings, key).items()]
        say_table((title, "clips>", "footage>"), rows)
        say()


def _print_findings(summary: FindingSummary, library: LibraryAudit, limit: int | None) -> None:
    from governance.audit.findings import gravest_first, kind_of

    heading(f"Findings: {summary.total}")
    if not summary.total:
        return
    rows = [(kind_of(code).severity.value, code, count) for code, count in summary.counts.items()]
    say_table(("severity", "finding", "count>"), rows)
    say()
    shown = gravest_first(library.findings()) if limit is None else iter(summary.first[:limit])
    for finding in shown:
        say(f"{finding.severity.value}: {finding.code}: {finding.subject}")
        say_field("", finding.message, width=4)
        say_field("    remedy", finding.remedy, width=12)
    if limit is not None and summary.total > limit:
        say(f"... and {summary.total - limit} more; --all lists them")


def _print_ending(ending: Sequence[EndingRight], now: dt.datetime, horizon_days: int) -> None:
    from governance.reports.calendar import days_left, rests_on

    heading(f"Ends within {horizon_days} days: {len(ending)}")
    rows = [
        (days_left(right, now), rfc3339(right.ends_at)[:10], right.kind.value, right.who, right.num_clips,
         clock_text(right.duration_seconds), rests_on(right))
        for right in ending[:_SHOWN_ENDING]
    ]  # fmt: skip
    if rows:
        say_table(("days>", "ends", "what", "whose", "clips>", "footage>", "snapshots and models"), rows)
    if len(ending) > len(rows):
        say(f"... and {len(ending) - len(rows)} more; --json or --report lists them")


def _print_coverage(coverage: Coverage) -> None:
    heading("Compared with")
    say(f"encoder: {coverage.comparison.encoder_name or 'none'}")
    say(f"library: {coverage.num_searched} of {coverage.num_assets} files are covered by the search")
    if coverage.comparison.detector_digest is not None:
        say_field("detector", f"{coverage.comparison.detector_digest[:16]}: {coverage.miss_rate()}")
    for name, count, seconds in coverage.reference_sets:
        say(f"reference set {name}: {count} files, {clock_text(seconds)}")
    heading("Not checked")
    for caveat in coverage.caveats():
        say_field("-", caveat, width=2)


audit.add_command(conflicts)
