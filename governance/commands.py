"""The commands that decide and report: init, clear, audit, why. They parse, call and print."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from db.clock import rfc3339, utc_now
from db.errors import AnsweredNo, ConfigError
from db.terminal import (
    clock_text,
    heading,
    json_option,
    note,
    progress,
    project_option,
    say,
    say_field,
    say_json,
    say_table,
)
from db.vocabularies import MatchKind

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from db.holdings import Holding
    from db.records import DecisionRecord, MatchRecord
    from governance.audit import Finding
    from governance.explain import Explanation

_SHOWN_FINDINGS = 20
_SAME_SPEED = 0.01


@click.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@project_option
def init(folder: Path | None, project_dir: Path) -> None:
    """Create a project folder, or migrate the one that is there: settings, database, store, development keys.

    DIR is the folder; without it, the one that --project names.

    Example: cleartitle init library
    """
    from governance.bootstrap import bootstrap

    done = bootstrap(folder or project_dir)
    say(f"{'created' if done.is_new else 'up to date'}: {done.project.root}")
    if done.made_keys:
        note("keys/ holds DEVELOPMENT signing keys: clips signed with them prove nothing to anyone but you")


@click.command()
@click.option("--policy", "policy_name", required=True, help="Name of a policy, or the path of its file.")
@click.option(
    "--as-of", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="Decide as of this UTC time."
)
@json_option
@project_option
def clear(policy_name: str, as_of: dt.datetime | None, *, as_json: bool, project_dir: Path) -> None:
    """Decide every clip of the library: cleared, excluded or hold, each with its reasons.

    Example: cleartitle clear --policy commercial-training --as-of 2027-01-01
    """
    from db.project import open_project
    from governance.clearance import clear_library, present_comparison
    from governance.policy_files import find_policy

    project = open_project(project_dir)
    policy = find_policy(policy_name, project.policies)
    moment = utc_now() if as_of is None else as_of.replace(tzinfo=dt.UTC)
    comparison = present_comparison(project)
    with progress("deciding", None) as advance:
        report = clear_library(project, policy, comparison, as_of=moment, on_progress=advance)
    outcomes = {
        outcome.value: {"num_clips": count, "duration_seconds": round(report.seconds[outcome], 3)}
        for outcome, count in sorted(report.num_clips.items())
    }
    if as_json:
        facts = {"policy": policy.name, "policy_digest": policy.digest, "as_of": rfc3339(moment)}
        say_json(
            facts | {"outcomes": outcomes, "codes": dict(report.codes), "num_changed": report.num_changed}
        )
        return
    rows = [(name, v["num_clips"], clock_text(v["duration_seconds"])) for name, v in outcomes.items()]
    say_table((f"{policy.name} {policy.version}", "clips>", "footage>"), rows)
    if report.codes:
        say_table(("reasons against", "clips>"), report.codes.most_common())
    say(f"{report.num_changed} decisions changed")


@click.command()
@click.option("--policy", "policy_name", help="Report under this policy (default: the one applied last).")
@click.option("--all", "show_all", is_flag=True, help="List every finding, not just the first of each kind.")
@click.option(
    "--export",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write every clip with its decision to this .csv, .xlsx or .parquet file.",
)
@json_option
@project_option
def audit(
    policy_name: str | None, *, show_all: bool, table: Path | None, as_json: bool, project_dir: Path
) -> None:
    """Report hours and clips by outcome, licence and rights holder, and every finding. Exit 1 if there are any.

    Example: cleartitle audit --export clips.xlsx
    """
    from db.decisions import decided_policies
    from db.holdings import list_holdings
    from db.project import open_project
    from governance.audit import list_findings, read_coverage
    from governance.clearance import present_comparison

    project = open_project(project_dir)
    comparison = present_comparison(project)
    with project.session() as session:
        policy = policy_name or next(iter(decided_policies(session)), None)
        holdings = list_holdings(session, policy or "")
        findings = list(list_findings(session, policy, comparison, now=utc_now()))
        coverage = read_coverage(session, comparison, project)
        if table is not None:
            _export(session, policy, table)
    if as_json:
        _audit_json(policy, holdings, findings, coverage)
    else:
        _print_holdings(policy, holdings)
        _print_findings(findings, None if show_all else _SHOWN_FINDINGS)
        _print_coverage(coverage)
    if findings:
        raise AnsweredNo(f"{len(findings)} findings")


def _export(session: Session, policy: str | None, table: Path) -> None:
    from governance.export import export_decisions

    if policy is None:
        raise ConfigError("nothing is decided yet", hint="run `cleartitle clear --policy NAME` first")
    note(f"{export_decisions(session, policy, table)} clips written to {table}")


def _audit_json(policy: str | None, holdings: list[Holding], findings: list[Finding], coverage: Any) -> None:
    for holding in holdings:
        say_json({"kind": "holding", "policy": policy} | vars(holding))
    for finding in findings:
        say_json({"kind": "finding"} | vars(finding))
    sets = [{"name": name, "num_assets": n, "duration_seconds": s} for name, n, s in coverage.reference_sets]
    not_checked = list(coverage.caveats())
    say_json(
        {
            "kind": "coverage",
            "reference_sets": sets,
            "not_checked": not_checked,
            "miss_rate": coverage.miss_rate(),
            "measurement": coverage.measurement,
        }
        | vars(coverage.comparison)
    )


def _print_holdings(policy: str | None, holdings: list[Holding]) -> None:
    heading(f"Library under {policy}" if policy else "Library (nothing decided yet)")
    _print_totals("outcome", [(h.outcome.value if h.outcome else "not decided", h) for h in holdings])
    _print_totals("licence", [(h.license_expression or "(none)", h) for h in holdings])
    _print_totals("rights holder", [(h.rights_holder or "(none)", h) for h in holdings])


def _print_totals(title: str, holdings: list[tuple[str, Holding]]) -> None:
    totals: dict[str, tuple[int, float]] = {}
    for name, holding in holdings:
        clips, seconds = totals.get(name, (0, 0.0))
        totals[name] = (clips + holding.num_clips, seconds + holding.duration_seconds)
    rows = [(name, clips, clock_text(seconds)) for name, (clips, seconds) in sorted(totals.items())]
    say_table((title, "clips>", "footage>"), rows)
    say()


def _print_findings(findings: list[Finding], limit: int | None) -> None:
    from governance.audit import count_by_code

    heading(f"Findings: {len(findings)}")
    if findings:
        say_table(("finding", "count>"), list(count_by_code(findings).items()))
        say()
    for finding in findings[:limit]:
        say(f"{finding.code}: {finding.subject}")
        say_field("", finding.message, width=4)
        say_field("    remedy", finding.remedy, width=12)
    if limit is not None and len(findings) > limit:
        say(f"... and {len(findings) - limit} more; --all lists them")


def _print_coverage(coverage: Any) -> None:
    heading("Compared with")
    say(f"encoder: {coverage.comparison.encoder_name or 'none'}")
    if coverage.comparison.detector_digest is not None:
        say_field("detector", f"{coverage.comparison.detector_digest[:16]}: {coverage.miss_rate()}")
    for name, count, seconds in coverage.reference_sets:
        say(f"reference set {name}: {count} files, {clock_text(seconds)}")
    heading("Not checked")
    for caveat in coverage.caveats():
        say(f"- {caveat}")


@click.command()
@click.argument("clip")
@click.option("--at", "at_seconds", type=float, help="With a file: the clip at this second.")
@json_option
@project_option
def why(clip: str, at_seconds: float | None, *, as_json: bool, project_dir: Path) -> None:
    """Say why a clip is in or out: outcome, rule, facts, evidence, matched seconds, and what would change it.

    CLIP is a clip id, or the start of one, or the path of an ingested file.

    Example: cleartitle why footage/holiday.mp4 --at 3
    """
    from db.project import open_project
    from governance.clearance import present_comparison
    from governance.explain import explain_clip, find_clips

    project = open_project(project_dir)
    comparison = present_comparison(project)
    with project.session() as session:
        found = find_clips(session, clip, at_seconds)
        explanations = [explain_clip(session, item, comparison) for item in found]
    if as_json:
        for explanation in explanations:
            say_json(explanation.as_json())
        return
    if len(explanations) > 1:
        _print_overview(explanations)
    _print_explanation(_most_telling(explanations))


def _most_telling(explanations: list[Explanation]) -> Explanation:
    for explanation in explanations:
        if any(decision.ruling.outcome.value != "cleared" for decision in explanation.current[:1]):
            return explanation
    return explanations[0]


def _print_overview(explanations: list[Explanation]) -> None:
    rows = []
    for explanation in explanations:
        clip, current = explanation.clip, explanation.current
        outcome = current[0].ruling.outcome.value if current else "not decided"
        codes = ", ".join(reason["code"] for reason in current[0].ruling.reasons) if current else ""
        rows.append(
            (clip.clip_id, clock_text(clip.start_seconds), clock_text(clip.end_seconds), outcome, codes)
        )
    say_table(("clip", "from>", "to>", "outcome", "reasons"), rows)


def _print_explanation(explanation: Explanation) -> None:
    clip, evidence = explanation.clip, explanation.evidence
    heading(f"clip {clip.clip_id}: {clock_text(clip.start_seconds)} to {clock_text(clip.end_seconds)}")
    say(f"file      {evidence.paths[0] if evidence.paths else '(no path)'}")
    say(f"sha256    {evidence.asset.sha256}")
    for decision in explanation.current:
        _print_decision(decision)
    if not explanation.current:
        say_field("outcome", "not decided: run `cleartitle clear --policy NAME`")
    heading("Rights")
    for grant in evidence.claims:
        say_field("grant", f"{grant.license_expression} from {grant.rights_holder or '(holder not stated)'}")
        say_field("title", grant.title)
        until = "no end stated" if grant.valid_to is None else f"until {rfc3339(grant.valid_to)}"
        say_field("terms", f"uses {', '.join(grant.permitted_uses) or 'not stated'}; {until}")
        say_field("row", f"{grant.row_number} of rights table {grant.table_sha256}")
        say_field("evidence", grant.evidence_sha256 or "none")
    if not evidence.claims:
        say("no rights row speaks of this file")
    _print_matches(explanation)


def _print_decision(decision: DecisionRecord) -> None:
    ruling = decision.ruling
    say_field("outcome", f"{ruling.outcome.value} under {ruling.policy_name} {ruling.policy_version}")
    say_field("decided", f"{rfc3339(decision.recorded_at)}, as of {rfc3339(decision.as_of)}")
    for reason in ruling.reasons:
        say_field("rule", f"{reason['rule']} ({reason['code']}): {reason['because']}")
        if reason["remedy"]:
            say_field("remedy", reason["remedy"])
    if decision.expires_at is not None:
        say_field("expires", rfc3339(decision.expires_at))
    for group in ("grant", "matches"):
        facts = ", ".join(f"{name}={_fact(value)}" for name, value in ruling.facts[group].items())
        say_field("facts", f"{group}: {facts}")


def _fact(value: Any) -> str:
    if isinstance(value, list):
        return "[" + " ".join(map(str, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _how(match: MatchRecord) -> str:
    """Say how a match was established, and what was done to the footage."""
    words = [match.tier.value if match.kind is MatchKind.PICTURE else "sound"]
    words += ["mirrored"] if match.is_mirrored else []
    words += [f"{match.speed:.2f}x"] if abs(match.speed - 1) > _SAME_SPEED else []
    return ", ".join(words)


def _print_matches(explanation: Explanation) -> None:
    from governance.clearance import is_compared

    heading("Copies found")
    comparison = explanation.comparison
    if not is_compared(explanation.clip, explanation.evidence, comparison):
        say("not compared: the near-duplicate search does not cover this clip, or could find nothing in it")
    rows = [
        (
            f"{clock_text(item.match.start_seconds)} - {clock_text(item.match.end_seconds)}",
            f"{clock_text(item.match.other_start_seconds)} - {clock_text(item.match.other_end_seconds)}",
            f"{item.match.score:.2f}",
            _how(item.match),
            item.role,
            item.other_path,
        )
        for item in explanation.matches
    ]
    if rows:
        say_table(("here", "there", "score>", "how sure", "role", "other side"), rows)
    for name in explanation.evidence.exact_reference_sets:
        say(f"the very same bytes are in reference set {name}")
    if not rows and not explanation.evidence.exact_reference_sets:
        say("none")
    say(f"compared with encoder {comparison.encoder_name}, detector {comparison.detector[:16]}")
