"""Many clips with one model: what a table or a command line asks for, all of it checked before the first is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from db.errors import ConfigError
from training.errors import PromptRefused
from training.generation.generator import Generator
from training.generation.permission import Permission, permission_for
from training.generation.prompt_table import PromptRow, refuse_rows, told_rows
from training.generation.request import MAX_SEED, ClipRequest


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


def orders_of(rows: Iterable[PromptRow], defaults: Defaults, *, table: Path | None = None) -> list[Order]:
    """Return the clips that `rows` ask for, in order: of each row as many as it counts, with seeds that go up by one.

    Raises `ConfigError`, naming the rows of `table`, where seeds become too large.
    """
    orders: list[Order] = []
    problems: list[tuple[int, str]] = []
    known = list(rows)
    for row in known:
        first = defaults.seed if row.seed is None else row.seed
        count = defaults.count if row.count is None else row.count
        size = defaults.size if row.size is None else row.size
        if first + count - 1 > MAX_SEED:
            problems.append((row.number, f"seeds go beyond {MAX_SEED}"))
            continue
        number = None if table is None else row.number
        orders += [
            Order(request=ClipRequest(prompt=row.prompt, seed=seed, height=size, width=size), row=number)
            for seed in range(first, first + count)
        ]
    if problems and table is None:
        raise ConfigError(problems[0][1])
    refuse_rows(table or Path(), problems, num_rows=len(known))
    return orders


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
