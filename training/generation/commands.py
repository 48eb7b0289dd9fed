"""The command that generates clips. It parses, calls and prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.errors import AnsweredNo, AnsweredUndecided
from db.terminal import json_option, note, progress, project_option, say, say_json

if TYPE_CHECKING:
    from db.project import Project
    from training.generation.generator import Generator
    from training.generation.permission import Permission
    from training.generation.request import ClipRequest


@click.command()
@click.option("--model", "model_name", required=True, help="Name of a trained model.")
@click.option("--prompt", "prompts", required=True, multiple=True, help="What to show; may be repeated.")
@click.option(
    "--count", default=1, show_default=True, type=click.IntRange(1, 10_000), help="Clips for each prompt."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**53 - 1), help="First seed.")
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), help="Folder (default: outputs/)."
)
@click.option(
    "--size", default=256, show_default=True, type=click.IntRange(16, 2048), help="Pixels each side; even."
)
@click.option(
    "--for",
    "release",
    type=click.Choice(["commercial"]),
    help="Refuse a model that is for research only.",
)
@json_option
@project_option
def generate(
    model_name: str,
    prompts: tuple[str, ...],
    count: int,
    seed: int,
    output: Path | None,
    size: int,
    release: str | None,
    *,
    as_json: bool,
    project_dir: Path,
) -> None:
    """Write MP4 clips, each screened, with its embedded Content Credentials, and verified before it appears.

    A clip that shows training or reference footage again is refused, one that may do so or cannot be compared is held
    for `cleartitle outputs`. A prompt that asks for what a grant of the training footage forbids is refused before
    anything is drawn. Run again, it keeps the clips that are there: after an interruption it goes on.
    Exit 0: every clip was written. 1: some were refused. 3: some are held.

    Example: cleartitle generate --model spring-1a2b3c4d --prompt "skyscrapers at night" --count 3
    """
    from db.project import open_project
    from training.generation.generator import open_generator, require_commercial_release
    from training.generation.permission import permission_for
    from training.generation.request import ClipRequest, check_prompt

    project = open_project(project_dir)
    wanted = [check_prompt(prompt) for prompt in prompts]
    generator = open_generator(project, model_name)
    if generator.identity.time_stamp is None:
        note("no time-stamp authority is configured: credentials end with the certificate (docs/signing.md)")
    if release is not None:
        require_commercial_release(project, generator)
    requests = [
        ClipRequest(prompt=prompt, seed=number, height=size, width=size)
        for prompt in wanted
        for number in range(seed, seed + count)
    ]
    permissions = [permission_for(generator, prompt) for prompt in wanted]
    _say_not_examined(permissions)
    folder = output or project.outputs
    with progress("generating", len(requests)) as advance:
        answers = []
        for request in requests:
            answers.append(_publish(project, generator, request, folder, as_json=as_json))
            advance(1)
    _answer(answers)


def _say_not_examined(permissions: Sequence[Permission]) -> None:
    """Say once what grants ask of the pictures that nobody looks for."""
    sentences = dict.fromkeys(sentence for found in permissions for sentence in found.not_examined)
    for sentence in sentences:
        note(f"not examined: {sentence}")


def _publish(
    project: Project, generator: Generator, request: ClipRequest, folder: Path, *, as_json: bool
) -> str:
    """Make one clip, say what became of it, and return that in a word."""
    from training.errors import ReplicationRefused
    from training.generation.holding import HeldClip
    from training.generation.publish import publish_clip

    name = request.file_name
    try:
        made = publish_clip(project, generator, request, folder=folder)
    except ReplicationRefused as exc:
        _say(
            request, "refused", as_json=as_json, text=f"{name}: refused. {exc.sentence}", reason=exc.sentence
        )
        return "refused"
    if isinstance(made, HeldClip):
        _say(request, "held", as_json=as_json, text=f"{name}: held. {made.reason}", reason=made.reason)
        return "held"
    text = f"{made.path}" if made.is_new else f"{made.path} (was there already)"
    facts = {"path": str(made.path), "urn": made.urn, "is_new": made.is_new}
    facts |= {"unknown_words": list(made.unknown_words), "not_examined": list(made.not_examined)}
    _say(request, "written", as_json=as_json, text=text, **facts)
    if made.unknown_words and not as_json:
        note(f"words the model has never met, ignored: {', '.join(made.unknown_words)}")
    return "written"


def _say(request: ClipRequest, outcome: str, *, as_json: bool, text: str, **facts: object) -> None:
    if as_json:
        say_json({"outcome": outcome, "prompt": request.prompt, "seed": request.seed, **facts})
    else:
        say(text)


def _answer(answers: Sequence[str]) -> None:
    num_refused, num_held = answers.count("refused"), answers.count("held")
    if num_refused:
        note(f"{num_refused} of {len(answers)} clips show other footage again; try other seeds or prompts")
    if num_held:
        note(f"{num_held} of {len(answers)} clips wait for a person: cleartitle outputs list")
    if num_refused:
        raise AnsweredNo("clips were refused")
    if num_held:
        raise AnsweredUndecided("clips are held")
