"""The command `why`: everything that one clip's outcome rests on, and what would change it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from db.clock import rfc3339, utc_now
from db.errors import ConfigError
from db.terminal import (
    clock_text,
    heading,
    json_option,
    project_option,
    say,
    say_field,
    say_json,
    say_table,
)
from db.vocabularies import MatchKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from db.project import Project
    from db.records import AssetEvidence, DecisionRecord, MatchRecord
    from db.rights_records import RightsStatements
    from governance.decisions.explanation import Explanation
    from governance.facts.matches import Comparison

_SAME_SPEED = 0.01
_QUIET_GROUPS = {"layers", "signals", "footage"}
_TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@click.command()
@click.argument("clip")
@click.option("--at", "at_seconds", type=float, help="With a file: the clip at this second.")
@click.option("--policy", "policy_name", help="Under this policy only; decided anew from today's facts.")
@click.option("--as-of", type=_TIME, help="With --policy: as of this UTC time.")
@click.option("--known-on", type=_TIME, help="With --policy: on what was on record at this UTC time.")
@json_option
@project_option
def why(
    clip: str,
    at_seconds: float | None,
    policy_name: str | None,
    as_of: dt.datetime | None,
    known_on: dt.datetime | None,
    *,
    as_json: bool,
    project_dir: Path,
) -> None:
    """Say why a clip is in or out: outcome, rule, facts, evidence, matched seconds, and what would change it.

    CLIP is a clip id, or the start of one, or the path of an ingested file. With --policy the question is put anew,
    at any time and on what was known at any time; nothing is recorded.

    Example: cleartitle why footage/holiday.mp4 --at 3
    """
    from db.project import open_project
    from governance.decisions.clearance import comparison_known_on
    from governance.decisions.explanation import explain_clip, find_clips
    from governance.decisions.explanation_json import explanation_json

    if policy_name is None and (as_of or known_on):
        raise ConfigError("--as-of and --known-on put a question anew; say under which --policy")
    project = open_project(project_dir)
    moment, known = _utc(as_of) or utc_now(), _utc(known_on)
    comparison = comparison_known_on(project, known)
    if policy_name is not None:
        explanations = _asked_anew(project, clip, at_seconds, policy_name, comparison, moment, known)
    else:
        with project.session() as session:
            found = find_clips(session, clip, at_seconds)
            explanations = [explain_clip(session, item, comparison) for item in found]
    if as_json:
        for explanation in explanations:
            say_json(explanation_json(explanation))
        return
    if len(explanations) > 1:
        _print_overview(explanations)
    _print_explanation(_most_telling(explanations))


def _utc(time: dt.datetime | None) -> dt.datetime | None:
    return None if time is None else time.replace(tzinfo=dt.UTC)


def _asked_anew(
    project: Project,
    clip: str,
    at_seconds: float | None,
    policy_name: str,
    comparison: Comparison,
    as_of: dt.datetime,
    known_on: dt.datetime | None,
) -> list[Explanation]:
    from governance.decisions.explanation import explain_anew, find_clips
    from governance.policy.files import find_policy

    policy = find_policy(policy_name, project.policies)
    with project.session() as session:
        found = find_clips(session, clip, at_seconds)
        explanations = [
            explain_anew(session, item, comparison, policy, as_of=as_of, known_on=known_on) for item in found
        ]
        session.rollback()
    return explanations


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
    catalogued = [scoped.grant for scoped in evidence.rights.grants]
    for grant in (*evidence.claims, *catalogued):
        say_field("grant", f"{grant.license_expression} from {grant.rights_holder or '(holder not stated)'}")
        say_field("title", grant.title)
        until = "no end stated" if grant.valid_to is None else f"until {rfc3339(grant.valid_to)}"
        say_field("terms", f"uses {', '.join(grant.permitted_uses) or 'not stated'}; {until}")
        where = f"sheet {grant.sheet} of catalogue" if grant.sheet else "rights table"
        say_field("row", f"{grant.row_number} of {where} {grant.table_sha256}")
        for name, value in grant.contract.as_json().items():
            say_field("contract", f"{name}: {_fact(value)}")
        say_field("evidence", grant.evidence_sha256 or "none")
    if not evidence.claims and not catalogued:
        say("no rights row speaks of this file")
    _print_statements(evidence.rights, clip.start_seconds, clip.end_seconds)
    _print_signals(evidence)
    _print_reviews(explanation.reviews)
    _print_matches(explanation)


def _print_statements(rights: RightsStatements, start_seconds: float, end_seconds: float) -> None:
    for ref in rights.titles:
        say_field("of title", ref)
    for filing in rights.filings:
        restricted = f"; {', '.join(filing.restrictions)}" if filing.restrictions else ""
        say_field("acquired", f"{filing.acquisition.value}{restricted}")
    present = [item for item in rights.appearances if item.span.touches(start_seconds, end_seconds)]
    for item in present:
        who = item.subject or "not identified"
        what = f"{who}, {item.presence.value}" if item.presence.value != "none_present" else "none present"
        say_field(item.layer.value, f"{what}; stated by {item.stated_by or 'nobody named'}")
        for release in rights.releases:
            if release.subject == item.subject:
                until = "no end" if release.valid_to is None else f"until {rfc3339(release.valid_to)}"
                proof = release.document_sha256 or "no document"
                say_field("release", f"{release.ref} ({release.kind.value}), {until}, {proof}")
    if not present:
        say_field("appears", "nobody has said who or what (`cleartitle catalogue add appearances`)")


def _print_signals(evidence: AssetEvidence) -> None:
    from governance.facts.signal_standing import is_examined

    signals = evidence.rights.signals
    for signal in signals:
        values = ", ".join(f"{action.value} {value.value}" for action, value in signal.actions.items())
        say_field(signal.protocol, f"{values or signal.validity.value} ({signal.carrier}): {signal.detail}")
    if not is_examined(evidence):
        is_outdated = bool(evidence.signals_read_by)
        read = "read by an older list of protocols" if is_outdated else "not read"
        say_field("signals", f"{read}: ingest the file again")
    elif not signals:
        say_field("signals", "the file says nothing of its own use")


def _print_reviews(reviews: Sequence[Any]) -> None:
    if not reviews:
        return
    heading("Reviewers said")
    for review in reviews:
        until = "" if review.expires_at is None else f", until {rfc3339(review.expires_at)}"
        kind = "confirmed" if review.confirms_id is not None else review.verdict.value
        say_field(f"#{review.id}", f"{kind} by {review.reviewer}{until}: {review.reason}")


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
    for group, values in _telling(ruling.facts).items():
        facts = ", ".join(f"{name}={_fact(value)}" for name, value in values.items())
        say_field("facts", f"{group}: {facts}")


def _telling(facts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the facts by group; of what is stated about footage only those that somebody stated, to fit a screen."""
    from governance.facts.facts import Facts

    silent = Facts().as_cel()
    groups = {group: dict(values) for group, values in facts.items() if isinstance(values, dict)}
    for group in _QUIET_GROUPS & groups.keys():
        groups[group] = {n: value for n, value in groups[group].items() if value != silent[group].get(n)}
    return {group: values for group, values in groups.items() if values}


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
    from governance.facts.matches import is_compared

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
