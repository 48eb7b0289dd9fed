"""The commands that begin and decide: init, clear. They parse, call and print."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from db.clock import rfc3339, utc_now
from db.terminal import clock_text, json_option, note, progress, project_option, say, say_json, say_table


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


_TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@click.command()
@click.option("--policy", "policy_name", required=True, help="Name of a policy, or the path of its file.")
@click.option(
    "--overlay", "overlays", multiple=True, help="Name of an overlay to combine it with; may be repeated."
)
@click.option("--as-of", type=_TIME, help="Decide as of this UTC time.")
@click.option("--known-on", type=_TIME, help="On what was on record at this UTC time; records nothing.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and record nothing.")
@json_option
@project_option
def clear(
    policy_name: str,
    overlays: tuple[str, ...],
    as_of: dt.datetime | None,
    known_on: dt.datetime | None,
    *,
    dry_run: bool,
    as_json: bool,
    project_dir: Path,
) -> None:
    """Decide every clip of the library: cleared, excluded or hold, each with its reasons.

    Example: cleartitle clear --policy commercial-training --overlay talent-consent-required
    """
    from db.holdings import num_library_clips
    from db.project import open_project
    from governance.decisions.clearance import clear_library, comparison_known_on, survey_library
    from governance.policy.files import find_policy

    project = open_project(project_dir)
    policy = find_policy("+".join((policy_name, *sorted(set(overlays)))), project.policies)
    moment = utc_now() if as_of is None else as_of.replace(tzinfo=dt.UTC)
    known = None if known_on is None else known_on.replace(tzinfo=dt.UTC)
    comparison = comparison_known_on(project, known)
    with project.session() as session:
        num_clips = num_library_clips(session)
    with progress("deciding", num_clips) as advance:
        if dry_run or known is not None:
            report = survey_library(
                project, policy, comparison, as_of=moment, known_on=known, on_progress=advance
            )
        else:
            report = clear_library(project, policy, comparison, as_of=moment, on_progress=advance)
    is_recorded = known is None and not dry_run
    outcomes = {
        outcome.value: {"num_clips": count, "duration_seconds": round(report.seconds[outcome], 3)}
        for outcome, count in sorted(report.num_clips.items())
    }
    if as_json:
        facts = {"policy": policy.name, "policy_digest": policy.digest, "as_of": rfc3339(moment)}
        known_text = None if known is None else rfc3339(known)
        say_json(
            facts
            | {"outcomes": outcomes, "codes": dict(report.codes), "num_changed": report.num_changed}
            | {"known_on": known_text, "is_recorded": is_recorded}
        )
        return
    rows = [(name, v["num_clips"], clock_text(v["duration_seconds"])) for name, v in outcomes.items()]
    say_table((f"{policy.name} {policy.version}", "clips>", "footage>"), rows)
    if report.codes:
        counted = sorted(report.codes.items(), key=lambda item: (-item[1], item[0]))
        say_table(("reasons against", "clips>"), counted)
    if is_recorded:
        say(f"{report.num_changed} decisions changed")
    else:
        say(f"{report.num_changed} decisions differ from those on record; nothing was recorded")
