"""Tables of prompts: CSV, JSON Lines, or text with a prompt on each line.

Columns are `prompt` and, where a row differs from what the command says, `seed`, `count`, `size` and `seconds`.
The whole table is checked before anything is made of it; every row that cannot be used is named by its number.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.errors import ConfigError
from training.generation.request import MAX_SEED, check_prompt, check_size

COLUMNS = ("prompt", "seed", "count", "size", "seconds")
MAX_COUNT = 10_000
MAX_SECONDS = 60
_DECIMAL = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")
_MAX_NAMED = 10
"""Bad rows that an error tells; the others are counted."""

RawRow = tuple[int, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class PromptRow:
    """One row of a table; `None` is for the command to say."""

    number: int
    """As an editor or a spreadsheet counts."""
    prompt: str
    seed: int | None = None
    count: int | None = None
    size: int | None = None
    seconds: float | None = None


def read_prompts(path: Path) -> tuple[PromptRow, ...]:
    """Read and check the whole table at `path`, told by its suffix; `-` is text on standard input.

    Raises `ConfigError` naming file and rows if it cannot be read, has no rows, or has rows that cannot be used.
    """
    suffix = ".txt" if str(path) == "-" else path.suffix.lower()
    reader = _READERS.get(suffix)
    if reader is None:
        known = ", ".join(sorted(_READERS))
        raise ConfigError(f"{path}: tables of prompts are told by their suffix", hint=f"known: {known}")
    rows: list[PromptRow] = []
    problems: list[tuple[int, str]] = []
    for number, cells in reader(path, _text(path)):
        try:
            rows.append(_checked(number, cells))
        except ConfigError as exc:
            problems.append((number, str(exc)))
    refuse_rows(path, problems, num_rows=len(rows) + len(problems))
    if not rows:
        raise ConfigError(f"{path}: has no prompts")
    return tuple(rows)


def refuse_rows(path: Path, problems: Sequence[tuple[int, str]], *, num_rows: int) -> None:
    """Raise `ConfigError` naming each bad row, if there is one."""
    if problems:
        raise ConfigError(
            f"{path}: {len(problems)} of {num_rows} rows cannot be used. {told_rows(problems)}",
            hint="correct these rows; nothing was drawn",
        )


def told_rows(problems: Sequence[tuple[int, str]]) -> str:
    """Return rows and what is wrong with them in one line, the first of them by number."""
    told = "; ".join(f"row {number}: {reason}" for number, reason in problems[:_MAX_NAMED])
    others = len(problems) - _MAX_NAMED
    return f"{told}; and {others} more" if others > 0 else told


def _text(path: Path) -> str:
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return data.decode("utf-8-sig")
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {exc.start})") from exc


def _text_rows(_path: Path, text: str) -> Iterator[RawRow]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield number, {"prompt": line}


def _csv_rows(path: Path, text: str) -> Iterator[RawRow]:
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        header = [name.strip().lower() for name in reader.fieldnames or ()]
        _check_columns(path, header)
        reader.fieldnames = header
        yield from ((number, row) for number, row in enumerate(reader, 2))
    except csv.Error as exc:
        raise ConfigError(f"{path}: cannot be read as CSV: {exc}") from exc


def _check_columns(path: Path, header: Sequence[str]) -> None:
    if "prompt" not in header:
        raise ConfigError(f"{path}: has no column 'prompt'", hint="row 1 names the columns")
    unknown = [name for name in header if name not in COLUMNS]
    if unknown or len(set(header)) < len(header):
        raise ConfigError(
            f"{path}: has columns that are unknown or twice there: {', '.join(unknown or header)}",
            hint=f"columns are {', '.join(COLUMNS)}",
        )


def _json_rows(_path: Path, text: str) -> Iterator[RawRow]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            yield number, row if isinstance(row, dict) else {_BROKEN: line}


_BROKEN = "\0broken"
_READERS: Mapping[str, Callable[[Path, str], Iterable[RawRow]]] = {
    ".csv": _csv_rows,
    ".jsonl": _json_rows,
    ".ndjson": _json_rows,
    ".txt": _text_rows,
}


def _checked(number: int, cells: Mapping[str, Any]) -> PromptRow:
    """Return one row. Raises `ConfigError`."""
    if _BROKEN in cells:
        raise ConfigError("is not a JSON object")
    # A csv row that is too long has the rest under `None`, one that is too short has `None` for what is missing.
    if None in cells or any(cells[name] is None for name in cells if name == "prompt"):
        raise ConfigError("has more or fewer cells than the header")
    unknown = sorted(name for name in cells if name not in COLUMNS)
    if unknown:
        raise ConfigError(f"has unknown columns: {', '.join(unknown)}")
    prompt = cells.get("prompt", "")
    if not isinstance(prompt, str):
        raise ConfigError("the prompt is not text")
    size = _number(cells, "size", 16, 2048)
    return PromptRow(
        number=number,
        prompt=check_prompt(prompt),
        seed=_number(cells, "seed", 0, MAX_SEED),
        count=_number(cells, "count", 1, MAX_COUNT),
        size=None if size is None else check_size(size),
        seconds=_seconds(cells),
    )


def _seconds(cells: Mapping[str, Any]) -> float | None:
    """Return a duration, `None` where nothing is stated. Raises `ConfigError`."""
    value = cells.get("seconds")
    if value is None or value == "":
        return None
    text = str(value).strip()
    if isinstance(value, bool) or _DECIMAL.fullmatch(text) is None or not 0 < float(text) <= MAX_SECONDS:
        raise ConfigError(f"seconds is {text[:40]!r}, expected a number up to {MAX_SECONDS}")
    return float(text)


def _number(cells: Mapping[str, Any], name: str, low: int, high: int) -> int | None:
    """Return a whole number, `None` where nothing is stated. Raises `ConfigError`."""
    value = cells.get(name)
    if value is None or value == "":
        return None
    text = str(value).strip()
    # `bool` is an `int`; int() reads underscores and digits of every script.
    is_whole = not isinstance(value, bool) and text.isascii() and text.isdigit()
    if not is_whole or not low <= int(text[:20]) <= high:
        raise ConfigError(f"{name} is {text[:40]!r}, expected a whole number from {low} to {high}")
    return int(text)
