"""The `training` commands: what a run proves. They parse, call and print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.errors import AnsweredNo, AnsweredUndecided
from db.terminal import json_option, progress, project_option, say, say_json, say_table
from training.adapters.commands import base
from training.copying.commands import copying
from training.forgetting.commands import affected, forget

if TYPE_CHECKING:
    from db.project import Project
    from training.proof.evidence import RunEvidence
    from training.proof.findings import ProofFinding


@click.group()
def training() -> None:
    """Check what a training run proves, and put base models on record.

    Example: cleartitle training verify spring-1a2b3c4d
    """


training.add_command(affected)
training.add_command(base)
training.add_command(copying)
training.add_command(forget)


@training.command()
@click.argument("run")
@click.option(
    "--replay",
    "num_segments",
    default=1,
    show_default=True,
    type=click.IntRange(0, 10_000),
    help="Segments between checkpoints to train again, chosen at random.",
)
@click.option(
    "--seed", type=int, help="Choose the segments by this number, so that the choice can be repeated."
)
@json_option
@project_option
def verify(run: str, num_segments: int, seed: int | None, *, as_json: bool, project_dir: Path) -> None:
    """Check a run, or a model's run: signatures and roots, order and clearance, and a replay of some of it.

    Exit 0: everything that was checked holds. 1: something does not. 3: something could not be checked.

    Example: cleartitle training verify spring-1a2b3c4d --replay 2
    """
    from db.project import open_project
    from training.proof.audit import NOT_CHECKED
    from training.proof.evidence import find_run

    project = open_project(project_dir)
    evidence = find_run(project, run)
    findings = _check(project, evidence, num_segments, seed)
    if as_json:
        for finding in findings:
            say_json({"kind": "finding", **vars(finding)})
        say_json({"kind": "not_checked", "run_id": evidence.run_id, "what": list(NOT_CHECKED)})
    else:
        _print(evidence, findings)
    _answer(findings)


def _check(project: Project, run: RunEvidence, num_segments: int, seed: int | None) -> list[ProofFinding]:
    from training.proof.audit import record_findings
    from training.proof.findings import Level, Standing, not_checked
    from training.proof.replay import choose_segments, replay, segments_of

    findings = list(record_findings(project, run))
    if any(finding.standing is Standing.FAILS for finding in findings):
        return [*findings, not_checked(Level.L2, "replay", "the record itself does not hold")]
    segments = segments_of(run)
    chosen = choose_segments(segments, num_segments, seed)
    if not chosen:
        reason = "no checkpoints are left" if num_segments else "--replay 0"
        return [*findings, not_checked(Level.L2, "replay", reason)]
    with progress("replaying", sum(segment.end - segment.start for segment in chosen)) as advance:
        findings += [replay(project, run, segment, on_step=advance) for segment in chosen]
    return findings


def _print(run: RunEvidence, findings: list[ProofFinding]) -> None:
    from training.proof.audit import NOT_CHECKED

    name = "not finished" if run.model is None else f"model {run.model.name}"
    say(f"{run.run_id}, {name}, snapshot {run.snapshot_name}")
    rows = [(item.level.value, item.code, item.standing.value, item.detail) for item in findings]
    say_table(("level", "check", "", "detail"), rows)
    say("The record is tamper-evident, not tamper-proof. Not checked:")
    for what in NOT_CHECKED:
        say(f"  {what}")


def _answer(findings: list[ProofFinding]) -> None:
    from training.proof.findings import Standing

    standings = {finding.standing for finding in findings}
    if Standing.FAILS in standings:
        raise AnsweredNo("the run does not prove what it should")
    if Standing.NOT_CHECKED in standings:
        raise AnsweredUndecided("something could not be checked")
