"""The command that generates clips. It parses, calls and prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.errors import AnsweredNo, AnsweredUndecided, ConfigError
from db.terminal import json_option, note, progress, project_option, say, say_json

if TYPE_CHECKING:
    from db.project import Project
    from training.generation.batch import Order
    from training.generation.generator import Generator
    from training.generation.permission import Permission
    from training.generation.prompt_table import PromptRow
    from training.generation.request import SourceUse
    from training.generation.source import Source


@click.command()
@click.option("--model", "model_name", required=True, help="Name of a trained model.")
@click.option("--prompt", "prompts", multiple=True, help="What to show; may be repeated.")
@click.option(
    "--prompts",
    "table",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Table of prompts: .csv or .jsonl (prompt, seed, count, size, seconds), .txt, or - (a prompt a line).",
)
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
    "--seconds",
    type=click.FloatRange(0, 60, min_open=True),
    help="Whole multiples of what the model draws at once (default: that).",
)
@click.option(
    "--quote-prompt",
    "is_prompt_quoted",
    is_flag=True,
    help="Put the text of the prompt into the credentials, for all to read, not its digest alone.",
)
@click.option("--loop", "is_loop", is_flag=True, help="After the last frame comes the first.")
@click.option(
    "--first-frame",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Begin with this picture; held for a person unless it is footage of the snapshot.",
)
@click.option(
    "--continue",
    "continued",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Go on from this clip of the same model.",
)
@click.option(
    "--vary",
    "varied",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Depart from this clip of the same model; --count says how often.",
)
@click.option(
    "--strength",
    type=click.IntRange(1, 100),
    help="With --vary: how much is drawn anew, in percent. [default: 50]",
)
@click.option(
    "--for",
    "release",
    type=click.Choice(["commercial"]),
    help="Refuse a model that is for research only, or not tested for copying.",
)
@json_option
@project_option
def generate(
    model_name: str,
    prompts: tuple[str, ...],
    table: Path | None,
    count: int,
    seed: int,
    output: Path | None,
    size: int,
    seconds: float | None,
    first_frame: Path | None,
    continued: Path | None,
    varied: Path | None,
    strength: int | None,
    release: str | None,
    *,
    is_loop: bool,
    is_prompt_quoted: bool,
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
    from training.generation.batch import Defaults, orders_of, permissions_for
    from training.generation.generator import open_generator, require_commercial_release
    from training.generation.request import check_drawable, check_size
    from training.generation.source import open_source

    rows = _rows(prompts, table)
    check_size(size)
    named = _named_source(first_frame, continued, varied)
    if strength is not None and varied is None:
        raise ConfigError("--strength is for --vary CLIP")
    project = open_project(project_dir)
    generator = open_generator(project, model_name)
    if generator.identity.time_stamp is None:
        note("no time-stamp authority is configured: credentials end with the certificate (docs/signing.md)")
    if release is not None:
        require_commercial_release(project, generator)
    source = None if named is None else open_source(generator, *named)
    defaults = Defaults(
        seed=seed,
        count=count,
        size=size,
        seconds=seconds,
        is_loop=is_loop,
        is_prompt_quoted=is_prompt_quoted,
        source=source,
        strength_percent=None if varied is None else strength or 50,
    )
    segment_frames = generator.trained.config.num_frames
    orders = orders_of(rows, defaults, segment_frames=segment_frames, table=table)
    for order in orders:
        check_drawable(generator, order.request)
    _say_not_examined(permissions_for(generator, orders))
    folder = output or project.outputs
    with progress("generating", len(orders)) as advance:
        answers = []
        for order in orders:
            answers.append(_publish(project, generator, order, folder, source, as_json=as_json))
            advance(1)
    _answer(answers)


def _rows(prompts: tuple[str, ...], table: Path | None) -> tuple[PromptRow, ...]:
    """Return what is asked for, by options or by a table. Raises `ConfigError` if it is neither or both."""
    from training.generation.prompt_table import PromptRow, read_prompts
    from training.generation.request import check_prompt

    if bool(prompts) == (table is not None):
        raise ConfigError("what is to be shown?", hint="give --prompt TEXT, or --prompts FILE, and not both")
    if table is not None:
        return read_prompts(table)
    return tuple(
        PromptRow(number=number, prompt=check_prompt(prompt)) for number, prompt in enumerate(prompts, 1)
    )


def _named_source(
    first_frame: Path | None, continued: Path | None, varied: Path | None
) -> tuple[SourceUse, Path] | None:
    """Return what clips are to be made from, if anything. Raises `ConfigError` for more than one."""
    from training.generation.request import SourceUse

    named = (
        (SourceUse.FIRST_FRAME, first_frame),
        (SourceUse.CONTINUED, continued),
        (SourceUse.VARIED, varied),
    )
    given = [(use, path) for use, path in named if path is not None]
    if len(given) > 1:
        raise ConfigError("a clip is made from one source", hint="--first-frame, --continue or --vary")
    return given[0] if given else None


def _say_not_examined(permissions: Sequence[Permission]) -> None:
    """Say once what grants ask of the pictures that nobody looks for."""
    sentences = dict.fromkeys(sentence for found in permissions for sentence in found.not_examined)
    for sentence in sentences:
        note(f"not examined: {sentence}")


def _publish(
    project: Project,
    generator: Generator,
    order: Order,
    folder: Path,
    source: Source | None,
    *,
    as_json: bool,
) -> str:
    """Make one clip, say what became of it, and return that in a word."""
    from training.errors import ReplicationRefused
    from training.generation.holding import HeldClip
    from training.generation.publish import publish_clip

    name = order.request.file_name
    try:
        made = publish_clip(project, generator, order.request, folder=folder, source=source)
    except ReplicationRefused as exc:
        _say(order, "refused", as_json=as_json, text=f"{name}: refused. {exc.sentence}", reason=exc.sentence)
        return "refused"
    if isinstance(made, HeldClip):
        _say(order, "held", as_json=as_json, text=f"{name}: held. {made.reason}", reason=made.reason)
        return "held"
    text = f"{made.path}" if made.is_new else f"{made.path} (was there already)"
    facts = {"path": str(made.path), "urn": made.urn, "is_new": made.is_new}
    facts |= {"unknown_words": list(made.unknown_words), "not_examined": list(made.not_examined)}
    _say(order, "written", as_json=as_json, text=text, **facts)
    if made.unknown_words and not as_json:
        note(f"words the model has never met, ignored: {', '.join(made.unknown_words)}")
    return "written"


def _say(order: Order, outcome: str, *, as_json: bool, text: str, **facts: object) -> None:
    if as_json:
        row = {} if order.row is None else {"row": order.row}
        request = order.request
        say_json({"outcome": outcome, **row, "prompt": request.prompt, "seed": request.seed, **facts})
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
