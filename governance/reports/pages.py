"""Reports for people: one HTML page without scripts or outside links, light and dark, that prints on A4.

Whatever others wrote is escaped, and control and bidirectional characters in it are made visible.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.clock import rfc3339
from db.expiry import EndingRight
from db.holdings import Holding
from db.terminal import clock_text, safe_text
from db.vocabularies import Outcome
from governance.audit.conflicts import Conflict
from governance.audit.findings import Finding, Severity, kind_of
from governance.reports import charts
from governance.reports.calendar import days_left, rests_on, step_of
from governance.reports.charts import Bar, Mark
from governance.reports.report import (
    LEGAL_NOTE,
    AuditReport,
    holder_of,
    license_of,
    outcome_of,
    totals,
)
from governance.reports.sources import SOURCES, number_of
from governance.version import VERSION

if TYPE_CHECKING:
    from jinja2 import Environment

_SHOWN_BARS = 12
_SHOWN_ENDING = 200
_SHOWN_CONFLICTS = 20
_CONFLICT_PAGE = 500
_MOMENTS = 3
_HOUR = 3600.0


def write_audit_page(staged: Path, report: AuditReport) -> None:
    """Write an audit as a page: sums, charts, the gravest findings with pictures, and where each number comes from."""
    page = _environment().get_template("audit.html").render(
        title=f"Rights audit of {report.project_name}",
        report=report,
        made=_day_text(report),
        figures=_figures(report),
        charts=_charts(report),
        holdings=_holding_tables(report.holdings),
        groups=_groups(report),
        codes=[(kind_of(code), count) for code, count in report.summary.counts.items()],
        ending=_ending_rows(report),
        num_ending=len(report.ending),
        conflicts=[_conflict(item, report.thumbnail) for item in report.conflicts[:_SHOWN_CONFLICTS]],
        **_common(),
    )  # fmt: skip
    staged.write_text(page, encoding="utf-8")


def write_conflicts_page(
    staged: Path,
    conflicts: Sequence[Conflict],
    *,
    title: str,
    made: str,
    thumbnail: Callable[[str, float | None], str | None],
) -> None:
    """Write title conflicts as a page, each with both sides; the first five hundred."""
    page = _environment().get_template("conflicts.html").render(
        title=title,
        made=made,
        num_conflicts=len(conflicts),
        conflicts=[_conflict(item, thumbnail) for item in conflicts[:_CONFLICT_PAGE]],
        **_common(),
    )  # fmt: skip
    staged.write_text(page, encoding="utf-8")


def _common() -> dict[str, Any]:
    return {
        "version": VERSION,
        "note": LEGAL_NOTE,
        "sources": list(SOURCES.values()),
        "number_of": number_of,
        "kind_of": kind_of,
    }


@functools.cache
def _environment() -> Environment:
    """Return the templates. What is printed is first made visible, and then escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def visible(value: Any) -> Any:
        return safe_text(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        loader=PackageLoader("governance", "reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"clock": clock_text, "hours": hours_text, "time": rfc3339, "day": _day}
    return environment


def _day(time: Any) -> str:
    return rfc3339(time)[:10]


def _day_text(report: AuditReport) -> str:
    return report.made_at.strftime("%-d %B %Y, %H:%M UTC")


def hours_text(seconds: float) -> str:
    """Return footage time as reports give it: `12.4 h`, below an hour `31 min 4 s`, below a minute `3.4 s`."""
    if seconds >= _HOUR:
        return f"{seconds / _HOUR:,.1f} h"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _figures(report: AuditReport) -> list[tuple[str, str, str, str]]:
    """Return the key figures: number, what it is, more about it, and the key of its source."""
    by_outcome = totals(report.holdings, outcome_of)
    clips = sum(count for count, _ in by_outcome.values())
    seconds = sum(duration for _, duration in by_outcome.values())
    cleared_clips, cleared = by_outcome.get(Outcome.CLEARED.value, (0, 0.0))
    share = f"{cleared / seconds:.0%} of {hours_text(seconds)}" if seconds else "of nothing"
    grave = sum(
        count
        for code, count in report.summary.counts.items()
        if kind_of(code).severity in {Severity.CRITICAL, Severity.HIGH}
    )
    soon = len(report.ending)
    coverage = report.coverage
    return [
        (hours_text(cleared), "cleared", f"{share}; {cleared_clips:,} of {clips:,} clips", "holdings"),
        (f"{report.summary.total:,}", "findings", f"{grave:,} critical or high", "counts"),
        (f"{report.num_conflicts:,}", "title conflicts", "two sides that cannot both be right", "conflicts"),
        (f"{soon:,}", f"rights ending in {report.horizon_days} days", "see the calendar", "expiry"),
        (
            f"{coverage.num_searched:,}",
            "files searched for copies",
            f"of {coverage.num_assets:,} in the library",
            "coverage",
        ),
    ]


def _groups(report: AuditReport) -> list[dict[str, Any]]:
    """Return the gravest findings, those that say the same of several places as one."""
    alike: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in report.summary.first:
        alike.setdefault((finding.code, finding.message, finding.remedy), []).append(finding)
    return [
        {
            "kind": kind_of(code),
            "message": message,
            "remedy": remedy,
            "places": [_place(finding, report) for finding in findings],
        }
        for (code, message, remedy), findings in alike.items()
    ]


def _place(finding: Finding, report: AuditReport) -> dict[str, Any]:
    start, end = finding.start_seconds, finding.end_seconds
    is_clip = start is not None and end is not None
    is_there = finding.asset_sha256 is not None and finding.code not in {"source.missing", "source.changed"}
    return {
        "name": Path(finding.path).name if finding.path else finding.subject,
        "where": finding.path or "",
        "span": f"{clock_text(start or 0.0)} to {clock_text(end or 0.0)}" if is_clip else "",
        "clip_id": finding.clip_id or "",
        "picture": report.thumbnail(finding.asset_sha256 or "", start) if is_there else None,
    }


def _charts(report: AuditReport) -> dict[str, Any]:
    from markupsafe import Markup

    severities = dict.fromkeys(Severity, 0)
    for code, count in report.summary.counts.items():
        severities[kind_of(code).severity] += count
    drawn = {
        "outcome": charts.bars(
            _bars(totals(report.holdings, outcome_of), styled=True), title="Hours by outcome"
        ),
        "licence": charts.bars(_bars(totals(report.holdings, license_of)), title="Hours by licence"),
        "holder": charts.bars(_bars(totals(report.holdings, holder_of)), title="Hours by rights holder"),
        "severity": charts.bars(
            [
                Bar(label=severity.value, value=count, text=f"{count:,}", style=severity.value)
                for severity, count in severities.items()
            ],
            title="Findings by severity",
        ),
        "expiry": charts.timeline(
            [_mark(right, report) for right in report.ending],
            begin=report.made_at.date(),
            days=report.horizon_days,
            title="What ends, by day",
        ),
    }
    # The charts escape what they print themselves.
    return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704


def _mark(right: EndingRight, report: AuditReport) -> Mark:
    days = (right.ends_at - report.made_at).total_seconds() / 86_400
    label = f"{right.kind.value} of {right.who}, {right.what}, ends {rfc3339(right.ends_at)}: {right.num_clips} clips"
    return Mark(day=days, weight=right.num_clips, style=f"kind-{right.kind.value}", label=label)


def _bars(sums: Mapping[str, tuple[int, float]], *, styled: bool = False) -> list[Bar]:
    """Return the largest sums as bars, and the rest as one."""
    shown = list(sums.items())[:_SHOWN_BARS]
    rest = [value for name, value in sums.items() if name not in dict(shown)]
    if rest:
        more = sum(count for count, _ in rest), sum(seconds for _, seconds in rest)
        shown.append((f"{len(rest)} others", more))
    return [
        Bar(
            label=name,
            value=seconds,
            text=hours_text(seconds),
            style=name.replace(" ", "-") if styled else "plain",
        )
        for name, (_, seconds) in shown
    ]


def _holding_tables(holdings: Sequence[Holding]) -> list[tuple[str, list[tuple[str, int, float]]]]:
    keys = (("Outcome", outcome_of), ("Licence", license_of), ("Rights holder", holder_of))
    return [
        (
            name,
            [(what, clips, seconds) for what, (clips, seconds) in list(totals(holdings, key).items())[:100]],
        )
        for name, key in keys
    ]


def _ending_rows(report: AuditReport) -> list[dict[str, Any]]:
    return [
        {
            "step": step_of(right, report.made_at),
            "right": right,
            "days_left": days_left(right, report.made_at),
            "rests_on": rests_on(right),
        }
        for right in report.ending[:_SHOWN_ENDING]
    ]


def _conflict(conflict: Conflict, thumbnail: Callable[[str, float | None], str | None]) -> dict[str, Any]:
    span = conflict.shared[0]
    sides = (
        (conflict.one, span.start_seconds, span.end_seconds),
        (conflict.other, span.other_start_seconds, span.other_end_seconds),
    )
    return {
        "conflict": conflict,
        "kind": kind_of(conflict.code),
        "documents": [(d, d.named(conflict.dispute)) for d in conflict.documents],
        "sides": [
            {
                "side": side,
                "start": start,
                "end": end,
                "is_earlier": conflict.earlier is side,
                "pictures": _pictures(side.asset_sha256, start, end, thumbnail),
            }
            for side, start, end in sides
        ],
    }


def _pictures(
    sha256: str, start: float, end: float, thumbnail: Callable[[str, float | None], str | None]
) -> list[tuple[str, float]]:
    moments = [start + (end - start) * (number + 0.5) / _MOMENTS for number in range(_MOMENTS)]
    found = ((thumbnail(sha256, seconds), seconds) for seconds in moments)
    return [(uri, seconds) for uri, seconds in found if uri is not None]
