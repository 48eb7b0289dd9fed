"""The command that says who has what share in a model: attribution. It parses, calls and prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.errors import ConfigError
from db.terminal import json_option, note, project_option, say, say_field, say_json, say_table

if TYPE_CHECKING:
    from db.project import Project

_STDOUT = Path("-")
_LABEL_WIDTH = 11


@click.command()
@click.argument("model_name", metavar="MODEL")
@click.option(
    "--csv",
    "statement",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write the royalty statement to this file instead (- for stdout).",
)
@click.option(
    "--clip",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Estimate instead which training clips this film is like. Experimental.",
)
@json_option
@project_option
def attribution(
    model_name: str, statement: Path | None, clip: Path | None, *, as_json: bool, project_dir: Path
) -> None:
    """Say whose footage a model consumed, and what share of all it consumed that was.

    The shares come from the exposure table of the model's run: how often each clip was in a batch. They say what was
    consumed, not what it changed in the weights. With --clip the shares are an estimate by likeness of pictures, which
    proves nothing.

    Example: cleartitle attribution spring-1a2b3c4d --csv statement.csv
    """
    from db.project import open_project
    from training.screening.royalty_statement import print_royalty_statement, write_royalty_statement
    from training.screening.shares import METHOD, attribute_model

    if clip is not None:
        if statement is not None:
            raise ConfigError("an estimate for one clip is no royalty statement", hint="leave out --csv")
        _print_estimate(open_project(project_dir), model_name, clip, as_json=as_json)
        return
    found = attribute_model(open_project(project_dir), model_name)
    if statement == _STDOUT:
        with click.open_file("-", "w", encoding="utf-8") as file:
            print_royalty_statement(file, found)
        return
    if statement is not None:
        write_royalty_statement(statement, found)
        note(f"royalty statement: {statement}")
    if as_json:
        say_json(found.as_json())
        return
    say(f"{found.model_name}: {found.num_reads:,} readings of clips, from snapshot {found.snapshot_name}")
    say_table(
        ("rights holder", "licence", "clips>", "readings>", "share>"),
        [
            (
                share.rights_holder,
                share.license_expression,
                f"{share.num_clips:,}",
                f"{share.num_reads:,}",
                f"{share.share:.2%}",
            )
            for share in found.shares
        ],
    )
    say()
    say_field(
        "method", f"{METHOD}: times a clip was in a batch, of all places in all batches", width=_LABEL_WIDTH
    )
    say_field("run", found.run_id, width=_LABEL_WIDTH)
    say_field(
        "never read", f"{found.num_unread} of {found.num_clips} clips of the snapshot", width=_LABEL_WIDTH
    )
    say_field("not said", "what each clip changed in the weights", width=_LABEL_WIDTH)


def _print_estimate(project: Project, model_name: str, clip: Path, *, as_json: bool) -> None:
    from training.screening.nearest import METHOD, attribute_clip

    found = attribute_clip(project, model_name, clip)
    if as_json:
        say_json(found.as_json())
        return
    say(f"{clip.name}: like these clips that {found.model_name} was trained on")
    say_table(
        ("clip", "rights holder", "licence", "likeness>", "share>", "readings>"),
        [
            (
                near.clip_id,
                near.rights_holder,
                near.license_expression,
                f"{near.likeness:.3f}",
                f"{near.share:.1%}",
                f"{near.num_reads:,}",
            )
            for near in found.nearest
        ],
    )
    if not found.nearest:
        say("no picture of the clip has texture enough to be compared")
    say()
    say_field(
        "method", f"{METHOD}, experimental: an estimate by likeness, no proof of cause", width=_LABEL_WIDTH
    )
    say_field("compared", f"{found.num_clips} clips; {found.num_left_out} could not be", width=_LABEL_WIDTH)
