"""The `training` commands: what a run proves. They parse, call and print."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from db.errors import AnsweredNo, AnsweredUndecided, ConfigError
from db.terminal import json_option, progress, project_option, say, say_field, say_json, say_table
from training.adapters.commands import base
from training.copying.commands import copying
from training.forgetting.commands import affected, forget
from training.papers.commands import sign_model

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
training.add_command(sign_model)


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
@click.option(
    "--membership",
    "asks_membership",
    is_flag=True,
    help="Also ask the weights which clips look read to them: supporting evidence, no proof.",
)
@click.option(
    "--file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="With --membership: file or folder that the run is said not to have used; may be repeated.",
)
@json_option
@project_option
def verify(
    run: str,
    num_segments: int,
    seed: int | None,
    files: tuple[Path, ...],
    *,
    asks_membership: bool,
    as_json: bool,
    project_dir: Path,
) -> None:
    """Check a run, or a model's run: signatures and roots, order and clearance, and a replay of some of it.

    Exit 0: everything that was checked holds. 1: something does not. 3: something could not be checked, or evidence
    leaves it in doubt.

    Example: cleartitle training verify spring-1a2b3c4d --replay 2
    """
    from db.project import open_project
    from training.proof.audit import NOT_CHECKED
    from training.proof.evidence import find_run

    if files and not asks_membership:
        raise ConfigError("--file is for --membership", hint="give --membership as well")
    project = open_project(project_dir)
    evidence = find_run(project, run)
    findings = _check(project, evidence, num_segments, seed)
    if asks_membership:
        findings += _ask_membership(project, evidence, findings, files)
    if as_json:
        for finding in findings:
            say_json({"kind": "finding", **vars(finding)})
        for claim in _claims(evidence, findings):
            say_json({"kind": "claim", **claim})
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


def _ask_membership(
    project: Project, run: RunEvidence, findings: list[ProofFinding], files: tuple[Path, ...]
) -> list[ProofFinding]:
    from training.proof.findings import Level, Standing, not_checked
    from training.proof.supporting import membership_findings

    if any(finding.standing is Standing.FAILS for finding in findings):
        return [not_checked(Level.L3, "membership.held_out", "the record itself does not hold")]
    with progress("comparing", None) as advance:
        return list(membership_findings(project, run, files, on_clip=advance))


def _print(run: RunEvidence, findings: list[ProofFinding]) -> None:
    from training.proof.audit import NOT_CHECKED

    name = "not finished" if run.model is None else f"model {run.model.name}"
    say(f"{run.run_id}, {name}, snapshot {run.snapshot_name}")
    rows = [(item.level.value, item.code, item.standing.value, item.detail) for item in findings]
    say_table(("level", "check", "", "detail"), rows)
    if claims := _claims(run, findings):
        say("Said by the runner, and not to be checked afterwards:")
    for claim in claims:
        say_field(f"  from step {claim['from_step']}", f"network {claim['network']}", width=22)
    say("The record is tamper-evident, not tamper-proof. Not checked:")
    for what in NOT_CHECKED:
        say(f"  {what}")


def _claims(run: RunEvidence, findings: list[ProofFinding]) -> list[Mapping[str, Any]]:
    """Return what only the runner can know; nothing, if the record that says it does not hold."""
    from training.proof.findings import Level, Standing
    from training.proof.ledger import networks_stated

    is_broken = any(item.level is Level.L0 and item.standing is Standing.FAILS for item in findings)
    return [] if is_broken or not run.ledger.exists() else networks_stated(run.ledger)


def _answer(findings: list[ProofFinding]) -> None:
    from training.proof.findings import Standing

    standings = {finding.standing for finding in findings}
    if Standing.FAILS in standings:
        raise AnsweredNo("the run does not prove what it should")
    if Standing.DOUBT in standings:
        raise AnsweredUndecided("evidence does not agree with the record")
    if Standing.NOT_CHECKED in standings:
        raise AnsweredUndecided("something could not be checked")
