"""The commands for clips that wait for a person. They parse, call and print."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from db.errors import AnsweredUndecided, ConfigError
from db.terminal import json_option, project_option, say, say_field, say_json

if TYPE_CHECKING:
    from training.generation.holding import HeldClip

_reason_option = click.option("--reason", required=True, help="Why, for the record.")


@click.group()
def outputs() -> None:
    """Look at the generated clips that are held, and let them through or turn them down.

    Example: cleartitle outputs list
    """


@outputs.command("list")
@json_option
@project_option
def list_(*, as_json: bool, project_dir: Path) -> None:
    """List the clips that wait, with the reason and where to look at them.

    A folder that cannot be read is named with what is wrong with it; the answer is then 3, and the others are listed.

    Example: cleartitle outputs list
    """
    from db.project import open_project
    from training.generation.holding import each_held

    num_clips = num_damaged = 0
    for name, found in each_held(open_project(project_dir)):
        if isinstance(found, ConfigError):
            num_damaged += 1
            _say_damaged(name, found, as_json=as_json)
        else:
            num_clips += 1
            _say_held(found, as_json=as_json)
    if num_damaged:
        raise AnsweredUndecided(f"{num_damaged} held clips cannot be read")
    if not num_clips and not as_json:
        say("no clip is held")


def _say_held(clip: HeldClip, *, as_json: bool) -> None:
    if as_json:
        facts = {
            "name": clip.name,
            "clip": str(clip.clip),
            "model": clip.model_name,
            "reason": clip.reason,
        }
        say_json(facts | {"held_at": clip.document["held_at"], "screen": clip.document["screen"]})
        return
    say(clip.name)
    say_field("  reason", clip.reason, width=10)
    say_field("  look at", str(clip.clip), width=10)
    for near in clip.document["screen"].get("nearest", ()):
        say_field("  near", _told(near), width=10)


def _say_damaged(name: str, error: ConfigError, *, as_json: bool) -> None:
    if as_json:
        say_json({"name": name, "error": str(error), "hint": error.hint})
        return
    say(name)
    say_field("  damaged", str(error), width=10)
    if error.hint:
        say_field("  try", error.hint, width=10)


@outputs.command()
@click.argument("name")
@_reason_option
@json_option
@project_option
def approve(name: str, reason: str, *, as_json: bool, project_dir: Path) -> None:
    """Sign a held clip: its credentials then say that a person validated it.

    Example: cleartitle outputs approve the-sea-1a2b3c4d-0 --reason "looked at both: another wave"
    """
    from db.project import open_project
    from training.generation.generator import open_generator
    from training.generation.holding import find_held, let_through

    _check_reason(reason)
    project = open_project(project_dir)
    held = find_held(project, name)
    path = let_through(project, open_generator(project, held.model_name), held, reason)
    if as_json:
        say_json({"outcome": "written", "name": name, "path": str(path)})
    else:
        say(f"{path}")


@outputs.command()
@click.argument("name")
@_reason_option
@json_option
@project_option
def refuse(name: str, reason: str, *, as_json: bool, project_dir: Path) -> None:
    """Remove a held clip.

    Example: cleartitle outputs refuse the-sea-1a2b3c4d-0 --reason "this is the opening shot of sea.mp4"
    """
    from db.project import open_project
    from training.generation.holding import find_held, turn_down

    _check_reason(reason)
    project = open_project(project_dir)
    turn_down(project, find_held(project, name), reason)
    if as_json:
        say_json({"outcome": "removed", "name": name})
    else:
        say(f"{name} was removed")


def _told(near: Mapping[str, Any]) -> str:
    return (
        f"likest {near['kind']} footage: {near['name']}, second {near['other_seconds']:.1f}, like second "
        f"{near['seconds']:.1f} of the clip; likeness {near['likeness']:.2f}"
    )


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise ConfigError("the reason is empty", hint="say in a few words what you saw")
