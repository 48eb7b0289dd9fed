"""Write docs/cli.md from the commands themselves; `make docs` runs it, a test compares the result with the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from cleartitle import main

_TARGET = Path(__file__).resolve().parent.parent / "docs" / "cli.md"

_INTRODUCTION = """\
# Command reference

Written by `make docs` from the commands' own help.

Exit codes: 0 yes; 1 a definite no (finding, failed verification, refusal); 2 usage or configuration; 3 could not decide
(unreadable media, no manifest, missing database or dependency); 70 our bug; 130 interrupted; 141 closed pipe.
`ingest` takes in what is good and then answers 3 if files were rejected, else 2 if rows of the rights table were.

The project folder is the current one, `--project DIR`, or CLEARTITLE_PROJECT. CLEARTITLE_DATABASE_URL overrides the
database of `cleartitle.toml`; CLEARTITLE_ACTOR names who acts in the event log. With `--json` a command prints one JSON
object per line on stdout. Messages and progress bars go to stderr; bars and colours appear on a terminal only.
"""


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command with its full name, in the order of the help."""
    yield from _walk("cleartitle", main)


def _walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None, "a listed command exists"
            yield from _walk(f"{name} {child}", found)


def render() -> str:
    """Return the whole reference."""
    parts = [_INTRODUCTION]
    for name, command in commands():
        context = click.Context(command, info_name=name, max_content_width=100, terminal_width=100)
        parts.append(f"## {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    _TARGET.write_text(render(), encoding="utf-8")
