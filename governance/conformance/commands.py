"""The `conformance` command: a thin layer over `governance.conformance.examination`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click

from db.errors import AnsweredNo, AnsweredUndecided, RefusedError, UndecidedError
from db.terminal import (
    heading,
    json_option,
    note,
    progress,
    project_option,
    safe_text,
    say,
    say_json,
    say_table,
)

if TYPE_CHECKING:
    from governance.conformance.examination import Examination
    from governance.conformance.rubric import ManifestSignals, RubricReport
    from governance.conformance.statement import Finding
    from governance.trust.anchors import TrustAnchors

_Undecided: TypeAlias = UndecidedError | OSError
_RUBRICS = ("conformance", "integrity", "signals")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--rubric",
    "chosen",
    type=click.Choice([*_RUBRICS, "all"]),
    default="conformance",
    show_default=True,
    help="Which rubric of the C2PA conformance programme to go through.",
)
@click.option(
    "--trust",
    "trust_files",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="PEM file of root certificates to trust instead of the project's; may be repeated.",
)
@json_option
@project_option
def conformance(
    files: tuple[Path, ...], chosen: str, trust_files: tuple[Path, ...], *, as_json: bool, project_dir: Path
) -> None:
    """Hold files against the C2PA conformance programme, statement by statement.

    For any C2PA file, whoever made it: programme 0.2 for specification 2.4. Whether a file may be believed is another
    question, which `verify` answers. Exit 0: every statement holds. 1: one does not, or the credentials cannot be read.
    3: a file has none.

    Example: cleartitle conformance outputs/*.mp4
    """
    rubrics = _RUBRICS if chosen == "all" else (chosen,)
    trust = _anchors(trust_files, project_dir)
    if not trust.pem and "integrity" in rubrics:
        note("no trust anchors: nobody is trusted; give a PEM file of root certificates with --trust")
    results = []
    with progress("examining", len(files)) as advance:
        for file in files:
            results.append(_examine(file, trust, rubrics))
            advance(1)
    for file, result in zip(files, results, strict=True):
        if isinstance(result, Exception):
            _say_problem(file, result, as_json=as_json)
        else:
            _say_examination(file, result, as_json=as_json)
    _answer(results)


def _examine(
    file: Path, trust: TrustAnchors, rubrics: Sequence[str]
) -> Examination | RefusedError | _Undecided:
    """Return what the rubrics say, or the error that kept them from saying anything."""
    from governance.conformance.examination import examine

    try:
        return examine(file, trust, rubrics)
    except (RefusedError, UndecidedError, OSError) as exc:
        return exc


def _answer(results: Sequence[Examination | RefusedError | _Undecided]) -> None:
    if any(isinstance(result, RefusedError) for result in results):
        raise AnsweredNo("credentials cannot be read")
    if any(not isinstance(result, Exception) and result.has_failed for result in results):
        raise AnsweredNo("a statement does not hold")
    if any(isinstance(result, Exception) for result in results):
        raise AnsweredUndecided("a file has no credentials or cannot be read")


def _anchors(trust_files: Sequence[Path], project_dir: Path) -> TrustAnchors:
    """Return the anchors given, or the project's. Without any, nobody is trusted, which most statements allow."""
    from db.project import CONFIG_NAME
    from governance.conformance.reading import NO_ANCHORS
    from governance.trust.given import given_trust

    if not trust_files and not (project_dir / CONFIG_NAME).exists():
        return NO_ANCHORS
    return given_trust(project_dir, trust_files)


def _say_problem(file: Path, problem: Exception, *, as_json: bool) -> None:
    if as_json:
        say_json({"file": safe_text(str(file)), "problem": safe_text(str(problem))})
    else:
        heading(str(file))
        say(str(problem))


def _say_examination(file: Path, examination: Examination, *, as_json: bool) -> None:
    if as_json:
        say_json({"file": safe_text(str(file)), **examination.as_json()})
        return
    heading(str(file))
    for report in examination.reports:
        _say_report(report)
    for number, found in enumerate(examination.signals):
        _say_signals(found, is_active=number == 0)


def _say_report(report: RubricReport) -> None:
    rubric = report.rubric
    say(f"{rubric.name} rubric {rubric.edition}: {report.num_held}/{len(report.findings)} statements hold")
    rows = [
        (finding.outcome.value, finding.statement.id.removeprefix("validation:"), _why(finding))
        for finding in report.findings
    ]
    say_table(["", "statement", "why"], rows)


def _why(finding: Finding) -> str:
    """What is wrong and where that is required, or else what holds."""
    statement = finding.statement
    return statement.requirement if finding.holds else f"{finding.why} ({statement.source})"


def _say_signals(found: ManifestSignals, *, is_active: bool) -> None:
    say(f"signals of {'the file' if is_active else 'an ingredient'} ({found.manifest_label})")
    if found.signals:
        say_table(["signal", "contains"], [(signal.id, signal.meaning) for signal in found.signals])
    else:
        say("none")
