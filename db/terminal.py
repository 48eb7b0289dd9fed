"""What people see: tables, progress bars, safe text, and the options that every command shares.

stdout carries the result, stderr everything else. Bars are drawn on a terminal only.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

_WIDTH = 100
_BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}

F = TypeVar("F", bound=Callable[..., Any])


def project_option(command: F) -> F:
    """Add `--project DIR`; the command receives it as `project_dir`."""
    return click.option(
        "--project",
        "project_dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(),
        envvar="CLEARTITLE_PROJECT",
        show_default="current folder",
        help="Project folder (environment: CLEARTITLE_PROJECT).",
    )(command)


def json_option(command: F) -> F:
    """Add `--json`; the command receives it as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object per line instead of text.")(
        command
    )


def safe_text(text: str) -> str:
    """Make foreign text harmless on a terminal: control and direction-changing characters become escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_safe_character(character) for character in text)


def _safe_character(character: str) -> str:
    is_control = unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    if is_control or unicodedata.bidirectional(character) in _BIDI:
        return character.encode("unicode_escape", "surrogatepass").decode("ascii")
    return character


def say(text: str = "") -> None:
    """Print one line of the result, made safe."""
    click.echo(safe_text(text))


def say_field(label: str, text: str, *, width: int = 10) -> None:
    """Print a labelled text, made safe and wrapped to 100 columns with the text in a column of its own."""
    import textwrap

    lines = textwrap.wrap(
        safe_text(text), _WIDTH - width, break_long_words=False, break_on_hyphens=False
    ) or [""]
    for number, line in enumerate(lines):
        click.echo(f"{label if number == 0 else '':<{width}}{line}")


def note(text: str) -> None:
    """Print one line beside the result (stderr), made safe."""
    click.echo(safe_text(text), err=True)


def heading(text: str) -> None:
    """Print a section heading: bold on a terminal."""
    click.echo()
    click.secho(safe_text(text), bold=True)


def say_json(value: Any) -> None:
    """Print one JSON object on one line; non-ASCII is escaped, so it is safe on any terminal."""
    click.echo(json.dumps(value, sort_keys=True))


def say_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table of at most 100 columns; a column whose name ends in `>` is aligned to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        table.add_column(name.rstrip(">"), justify="right" if name.endswith(">") else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(safe_text(str(cell))) for cell in row))
    width = min(_WIDTH, Console().width) if sys.stdout.isatty() else _WIDTH
    Console(width=width, highlight=False, soft_wrap=False).print(table)


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Draw a bar with time left on stderr, on a terminal only; yields `advance(number_of_units)`."""
    if not sys.stderr.isatty():
        yield lambda _units: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(safe_text(label), total=total)
        yield lambda units: bar.advance(task, units)


def clock_text(seconds: float) -> str:
    """Return `seconds` as people read footage times: `1:02:03.4`, `2:03.4` or `3.4 s`."""
    tenths = round(seconds * 10)  # before they are divided, or 119.97 would be 1:60.0
    if tenths < 600:
        return f"{tenths / 10:.1f} s"
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    rest = f"{tenths / 10:04.1f}"
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}"
