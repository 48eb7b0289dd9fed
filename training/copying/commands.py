"""The command `training copying`. It parses, calls and prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.errors import AnsweredNo, AnsweredUndecided, ConfigError
from db.terminal import json_option, note, progress, project_option, say, say_json

if TYPE_CHECKING:
    from db.project import Project
    from training.copying.copying_test import CopyingTest


@click.command()
@click.argument("model")
@click.option(
    "--held-out",
    multiple=True,
    type=click.Path(path_type=Path),
    help="File or folder that it was not trained on, instead of what its snapshot holds out; may be repeated.",
)
@click.option(
    "--count",
    default=24,
    show_default=True,
    type=click.IntRange(5, 1000),
    help="Clips of each kind, at most.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**53 - 1), help="First seed.")
@click.option(
    "--accept", "reason", help="Instead: release the model without a test, for this reason, on record."
)
@json_option
@project_option
def copying(
    model: str,
    held_out: tuple[Path, ...],
    count: int,
    seed: int,
    reason: str | None,
    *,
    as_json: bool,
    project_dir: Path,
) -> None:
    """Test whether a model draws its training clips again.

    It does if what it draws lies nearer to them than footage that it was not trained on. The outcome is put on record;
    `generate --for commercial` refuses a model that failed once, and one that passed no test unless a person accepted
    that with --accept.
    Exit 0: it passed. 1: it failed. 3: it could not be tested, which is not a pass.

    Example: cleartitle training copying spring-1a2b3c4d --held-out held-out/
    """
    from db.project import open_project

    project = open_project(project_dir)
    if reason is not None:
        _accept(project, model, reason, held_out, as_json=as_json)
        return
    test = _test(project, model, held_out, count, seed)
    if as_json:
        say_json(test.as_json())
    else:
        _print(test)
    _answer(test)


def _test(project: Project, model: str, held_out: tuple[Path, ...], count: int, seed: int) -> CopyingTest:
    from ingest.encoders.compute import choose_compute
    from ingest.encoders.encoder import open_encoder
    from training.copying.copying_test import run_copying_test

    encoder = open_encoder(project.settings.encoder, choose_compute()).encoder
    with progress("comparing", None) as advance:
        return run_copying_test(
            project,
            model,
            held_out=held_out,
            num_clips=count,
            seed=seed,
            encoder=encoder,
            on_clip=advance,
        )


def _accept(project: Project, model: str, reason: str, held_out: tuple[Path, ...], *, as_json: bool) -> None:
    from training.copying.copying_test import find_model
    from training.copying.record import accept_untested

    if held_out:
        raise ConfigError("--accept stands in the place of a test: leave --held-out away")
    record = find_model(project, model)
    accept_untested(project, record, reason)
    if as_json:
        say_json({"kind": "copying-accepted", "model_name": record.name, "reason": reason})
        return
    say(f"model {record.name} may be released without a passed test: {reason}")


def _print(test: CopyingTest) -> None:
    found = test.statistic
    say(f"model {test.model_name}: {found.verdict.value}. {found.reason}")
    if found.p_value is not None:
        say(
            f"p {found.p_value:.3g}: {found.num_generated} generated clips against {found.num_held_out} held out, "
            f"of {test.num_held_out_files} files"
        )
        say(
            f"a generated clip is the nearer one with probability {found.probability_nearer:.2f}; median distances "
            f"{found.median_generated:.3f} and {found.median_held_out:.3f}"
        )
    if test.num_left_out:
        note(f"{test.num_left_out} clips are too plain to be compared and were left out")


def _answer(test: CopyingTest) -> None:
    from training.copying.statistic import CopyingVerdict

    if test.statistic.verdict is CopyingVerdict.FAILED:
        raise AnsweredNo("the model copies")
    if test.statistic.verdict is CopyingVerdict.NOT_TESTABLE:
        raise AnsweredUndecided("the model could not be tested")
