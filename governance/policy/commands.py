"""The `policy` commands: list, show, explain, diff, test, facts."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.clock import utc_now
from db.errors import AnsweredNo
from db.terminal import (
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

if TYPE_CHECKING:
    from governance.policy.files import PolicyFile
    from governance.policy.policy import Policy

_AS_OF = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@click.group()
def policy() -> None:
    """List, read, compare and test policies.

    Example: cleartitle policy test commercial-training
    """


@policy.command(name="list")
@json_option
@project_option
def list_(*, as_json: bool, project_dir: Path) -> None:
    """List the project's policies and the shipped ones; of two with one name the first counts.

    Example: cleartitle policy list
    """
    from governance.policy.files import list_policy_files

    rows = []
    for file in list_policy_files(project_dir / "policies"):
        loaded = file.load()
        origin = "shipped" if file.is_shipped else "project"
        kind = "overlay" if loaded.is_overlay else "policy"
        rows.append((loaded.name, loaded.version, kind, origin, loaded.digest, loaded.title))
    if as_json:
        for row in rows:
            say_json(dict(zip(("name", "version", "kind", "origin", "digest", "title"), row, strict=True)))
        return
    say_table(
        ("policy", "version", "kind", "from", "digest", "title"),
        [(n, v, k, o, d[:12], t) for n, v, k, o, d, t in rows],
    )


@policy.command()
@click.argument("name")
@json_option
@project_option
def show(name: str, *, as_json: bool, project_dir: Path) -> None:
    """Show the rules of a policy in words: what excludes, what holds, what clears.

    Example: cleartitle policy show commercial-training
    """
    from governance.policy.files import find_policy
    from governance.policy.reports import print_head

    found = find_policy(name, project_dir / "policies")
    if as_json:
        for rule in found.rules:
            effect_and_words = {"effect": rule.effect.value, "because": rule.because, "remedy": rule.remedy}
            say_json(
                {"policy": found.name, "rule": rule.id, "code": rule.code, "when": rule.when.source}
                | effect_and_words
            )
        return
    print_head(found)
    for effect in ("exclude", "hold", "clear"):
        heading(f"{effect}:")
        for rule in found.rules:
            if rule.effect == effect:
                say_field(f"  {rule.code}", rule.because, width=max(34, len(rule.code) + 4))


@policy.command()
@click.argument("name")
@click.option("--clip", help="Show what each rule makes of this clip: a clip id, or the path of a file.")
@click.option("--at", "at_seconds", type=float, help="With a file: the clip at this second.")
@json_option
@project_option
def explain(
    name: str, clip: str | None, at_seconds: float | None, *, as_json: bool, project_dir: Path
) -> None:
    """Read a policy aloud: what it asks for, in which order, what each rule does, and what it makes of a clip.

    NAME may be a combination, such as commercial-training+talent-consent-required.

    Example: cleartitle policy explain research-only --clip footage/holiday.mp4 --at 3
    """
    from governance.policy.files import find_policy
    from governance.policy.reports import explanation_lines, print_explanation

    found = find_policy(name, project_dir / "policies")
    if clip is not None:
        _explain_clip(found, clip, at_seconds, as_json=as_json, project_dir=project_dir)
        return
    if not as_json:
        print_explanation(found)
        return
    for line in explanation_lines(found):
        say_json(line)


def _explain_clip(
    found: Policy, text: str, at_seconds: float | None, *, as_json: bool, project_dir: Path
) -> None:
    from db.project import open_project
    from db.queries import evidence_on, get_asset
    from governance.decisions.clearance import present_comparison
    from governance.decisions.explanation import find_clips
    from governance.policy.diff import Judge
    from governance.policy.explain import trace
    from governance.policy.reports import print_trace, trace_lines

    project = open_project(project_dir)
    comparison = present_comparison(project)
    judge = Judge(found, comparison, utc_now())
    with project.session() as session:
        for clip in find_clips(session, text, at_seconds):
            asset = get_asset(session, clip.asset_id)
            (evidence,) = evidence_on(session, [asset], comparison.encoder, comparison.detector)
            judged = judge.judge(clip, evidence)
            traced = trace(found, judged.alternative.facts)
            if not as_json:
                print_trace(found, clip, traced, judged.position)
                say()
                continue
            for line in trace_lines(found, clip, traced, judged.position):
                say_json(line)


@policy.command()
@click.argument("before")
@click.argument("after")
@click.option("--as-of", type=_AS_OF, help="Compare as of this UTC time.")
@json_option
@project_option
def diff(before: str, after: str, as_of: dt.datetime | None, *, as_json: bool, project_dir: Path) -> None:
    """Say what AFTER would gain and lose of what BEFORE clears: footage, clips and holders, by reason.

    Both are put to today's facts of the library; nothing is recorded. Exit 0 whatever the difference is.

    Example: cleartitle policy diff commercial-training commercial-training+talent-consent-required
    """
    from db.project import open_project
    from db.statistics import refresh_statistics
    from governance.decisions.clearance import present_comparison
    from governance.policy.diff import Judge, diff_policies, library_clips
    from governance.policy.files import find_policy
    from governance.policy.reports import diff_lines, print_diff

    project = open_project(project_dir)
    with project.session() as session:
        refresh_statistics(session)
    moment = utc_now() if as_of is None else as_of.replace(tzinfo=dt.UTC)
    comparison = present_comparison(project)
    judges = [Judge(find_policy(name, project.policies), comparison, moment) for name in (before, after)]
    with progress("comparing", None) as advance, project.session() as session:
        found = diff_policies(library_clips(session, comparison, on_progress=advance), *judges)
    if not as_json:
        print_diff(found)
        return
    for line in diff_lines(found):
        say_json(line)


@policy.command()
@click.argument("name", required=False)
@json_option
@project_option
def test(name: str | None, *, as_json: bool, project_dir: Path) -> None:
    """Run the test cases beside a policy, or those of all policies. Exit 1 if one fails or a rule has none.

    Example: cleartitle policy test commercial-training
    """
    from governance.policy.files import find_policy_file, list_policy_files

    folder = project_dir / "policies"
    files = [find_policy_file(name, folder)] if name else list(list_policy_files(folder))
    num_failed = sum(not _test_one(file, as_json=as_json) for file in files)
    if num_failed:
        raise AnsweredNo("a policy did not pass its test cases")


def _test_one(file: PolicyFile, *, as_json: bool) -> bool:
    """Print the result of every case of one policy; return whether all passed and every rule has one."""
    from governance.policy.cases import run_policy_tests, untested_rules

    results = run_policy_tests(file)
    untested = untested_rules(file.load(), results)
    for result in results:
        got = {"outcome": result.decision.outcome.value, "codes": list(result.codes)}
        if as_json:
            say_json({"policy": file.name, "case": result.name, "is_passed": result.is_passed, **got})
        elif not result.is_passed:
            wanted = f"{result.expected_outcome.value} ({result.expected_code})"
            say(f"failed: {result.name}: expected {wanted}, got {got['outcome']} ({', '.join(result.codes)})")
    for rule in untested:
        note(f"{file.name}: no test case expects rule {rule}")
    num_passed = sum(result.is_passed for result in results)
    if not as_json:
        say(f"{file.name}: {num_passed} of {len(results)} cases passed")
    return num_passed == len(results) and not untested


@policy.command()
@json_option
def facts(*, as_json: bool) -> None:
    """List the facts that conditions may use, what they mean, and the values that they can have.

    Example: cleartitle policy facts
    """
    from governance.facts.facts import fact_types, fact_words

    words = fact_words()
    rows = [(name, fact.kind, list(fact.values), words[name]) for name, fact in fact_types().items()]
    if as_json:
        for name, kind, values, means in rows:
            say_json({"fact": name, "type": kind, "values": values, "means": means})
        return
    say_table(
        ("fact", "type", "meaning"),
        [
            (name, kind, f"{means} One of: {', '.join(values)}." if values else means)
            for name, kind, values, means in rows
        ],
    )
