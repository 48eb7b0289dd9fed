"""Many clips with one model: what a table or a command line asks for, all of it checked before the first is drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from db.errors import ConfigError
from training.errors import PromptRefused
from training.generation.generator import Generator
from training.generation.permission import Permission, permission_for
from training.generation.prompt_table import PromptRow, refuse_rows, told_rows
from training.generation.request import MAX_SEED, ClipRequest, SourceUse, frames_in
from training.generation.source import Source


@dataclass(frozen=True, kw_only=True)
class Order:
    """One clip to be made, and the row that asks for it."""

    request: ClipRequest
    row: int | None = None
    """Of the table of prompts; `None`: the command line asks."""


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What holds where a row says nothing."""

    seed: int
    count: int
    size: int
    seconds: float | None = None
    """`None`: what the model draws at once."""
    is_loop: bool = False
    is_prompt_quoted: bool = False
    source: Source | None = None
    strength_percent: int | None = None


def orders_of(
    rows: Iterable[PromptRow], defaults: Defaults, *, segment_frames: int, table: Path | None = None
) -> list[Order]:
    """Return the clips that `rows` ask for, in order: of each row as many as it counts, with seeds that go up by one.

    `segment_frames`: how many frames the model draws at once. Raises `ConfigError`, naming the rows of `table`, where
    seeds become too large, a duration is none that the model can draw, or what is asked for does not go together.
    """
    is_joined = defaults.is_loop or (
        defaults.source is not None and defaults.source.use is SourceUse.CONTINUED
    )
    if is_joined and segment_frames < 2:
        raise ConfigError("a model that draws single frames cannot go on or go round")
    orders: list[Order] = []
    problems: list[tuple[int, str]] = []
    known = list(rows)
    for row in known:
        try:
            requests = _requests(row, defaults, segment_frames)
        except ConfigError as exc:
            problems.append((row.number, str(exc)))
            continue
        orders += [Order(request=made, row=None if table is None else row.number) for made in requests]
    if problems and table is None:
        raise ConfigError(problems[0][1])
    refuse_rows(table or Path(), problems, num_rows=len(known))
    return orders


def _requests(row: PromptRow, defaults: Defaults, segment_frames: int) -> list[ClipRequest]:
    """Return the clips of one row. Raises `ConfigError`."""
    first = defaults.seed if row.seed is None else row.seed
    count = defaults.count if row.count is None else row.count
    size = defaults.size if row.size is None else row.size
    seconds = defaults.seconds if row.seconds is None else row.seconds
    source = defaults.source
    if first + count - 1 > MAX_SEED:
        raise ConfigError(f"seeds go beyond {MAX_SEED}")
    request = ClipRequest(
        prompt=row.prompt,
        seed=first,
        height=size,
        width=size,
        num_frames=None if seconds is None else frames_in(seconds, segment_frames),
        is_loop=defaults.is_loop,
        is_prompt_quoted=defaults.is_prompt_quoted,
        source_use=None if source is None else source.use,
        source_sha256=None if source is None else source.sha256,
        source_media_type=None if source is None else source.media_type,
        strength_percent=defaults.strength_percent,
    )
    return [dataclasses.replace(request, seed=seed) for seed in range(first, first + count)]


def permissions_for(generator: Generator, orders: Sequence[Order]) -> list[Permission]:
    """Read every prompt, once, for what the grants of the model forbid.

    Raises `PromptRefused`, naming the rows, if one asks for it.
    """
    permissions: list[Permission] = []
    refused: list[tuple[int, str]] = []
    for prompt, row in {order.request.prompt: order.row for order in reversed(orders)}.items():
        try:
            permissions.append(permission_for(generator, prompt))
        except PromptRefused as exc:
            if row is None:
                raise
            refused.append((row, str(exc)))
    if refused:
        raise PromptRefused(
            f"{len(refused)} prompts are refused. {told_rows(sorted(refused))}",
            hint="take these rows out; nothing was drawn",
        )
    return permissions
