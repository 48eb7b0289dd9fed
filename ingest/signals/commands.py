"""The commands about rights signals: signals read, capture, protocols. They parse, call and print."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from db.errors import AnsweredUndecided
from db.terminal import heading, json_option, note, progress, project_option, say, say_json, say_table

if TYPE_CHECKING:
    from db.vocabularies import SignalAction, SignalValue
    from ingest.signals.record import Signal


@click.group()
def signals() -> None:
    """Read what files and saved sites say about AI and data mining.

    Example: cleartitle signals read footage/clip.mp4
    """


@signals.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def read(files: tuple[Path, ...], *, as_json: bool) -> None:
    """Print what files, and the .xmp files beside them, say of themselves.

    Content Credentials are not read here; `verify` reads them. Nothing is recorded, and no answer is a permission.
    Exit 3 if a file cannot be opened.

    Example: cleartitle signals read footage/clip.mp4 --json
    """
    from ingest.errors import MediaError
    from ingest.signals.intake import read_file_signals

    unread = 0
    for path in files:
        try:
            found = read_file_signals(path)
        except MediaError as exc:
            note(f"error: {exc}")
            unread += 1
            continue
        _print_found("path", str(path), found, as_json=as_json)
    if unread:
        raise AnsweredUndecided(f"{unread} files could not be opened")


@signals.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--agent",
    default="cleartitle",
    show_default=True,
    help="The name by which robots.txt addresses your crawler.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be recorded, and record nothing.")
@json_option
@project_option
def capture(folder: Path, agent: str, *, dry_run: bool, as_json: bool, project_dir: Path) -> None:
    """Record what a site says of every address in a folder of saved responses.

    The folder holds captures.jsonl and the bodies it names; nothing is fetched.

    Example: cleartitle signals capture captures/2026-11-20
    """
    from db.project import open_project
    from ingest.signals.captures import read_captures
    from ingest.signals.recording import record_site_signals
    from ingest.signals.sites import signals_for

    project = open_project(project_dir)
    captures = read_captures(folder)
    found: dict[str, Sequence[Signal]] = {}
    with progress("reading", len(captures.by_url)) as advance:
        for url in captures:
            # What was read stays in the folder; kept here, it would grow with the number of addresses.
            read_now = signals_for(url, captures, product_token=agent)
            found[url] = [dataclasses.replace(signal, raw=b"") for signal in read_now]
            advance(1)
    num_new = 0 if dry_run else record_site_signals(project, found)
    for url, said in found.items():
        _print_found("url", url, said, as_json=as_json)
    counted = "nothing recorded (dry run)" if dry_run else f"{num_new} signals recorded"
    note(f"{len(found)} addresses, {sum(map(len, found.values()))} signals; {counted}")


@signals.command()
@json_option
def protocols(*, as_json: bool) -> None:
    """Print the protocol list: what is read, where, and what is known and not read.

    Example: cleartitle signals protocols
    """
    from ingest.signals.protocols import protocol_list

    listed = protocol_list()
    if as_json:
        for name, protocol in listed.protocols.items():
            say_json({"kind": "protocol", "list_version": listed.version, "name": name, "title": protocol.title,
                      "version": protocol.version, "carriers": list(protocol.carriers),
                      "speaks_of": [action.value for action in protocol.speaks_of],
                      "says": {text: _plain(reading) for text, reading in protocol.statements.items()}})  # fmt: skip
        for unread in listed.not_read:
            say_json(
                {"kind": "not_read", "list_version": listed.version, "title": unread.title, "why": unread.why}
            )
        return
    say(f"protocol list {listed.version}")
    rows = [(name, each.version, ", ".join(each.carriers)) for name, each in listed.protocols.items()]
    say_table(["protocol", "version", "carriers"], rows)
    heading("Not read")
    for unread in listed.not_read:
        say(f"{unread.title}: {unread.why}")


def _print_found(kind: str, name: str, found: Sequence[Signal], *, as_json: bool) -> None:
    """Print the signals of one file or address, and what they say together."""
    from ingest.signals.combine import combine

    combined = _plain(combine(found))
    if as_json:
        say_json({kind: name, "signals": [_as_json(signal) for signal in found], "combined": combined})
        return
    heading(name)
    if not found:
        say("says nothing, which is not permission")
        return
    rows = [
        (each.protocol, each.carrier, each.validity.value, _summary(each.actions), each.detail)
        for each in found
    ]
    say_table(["protocol", "carrier", "validity", "says", "detail"], rows)
    say(f"together: {_summary(combine(found)) or 'nothing'}")


def _as_json(signal: Signal) -> dict[str, Any]:
    captured_at = None if signal.captured_at is None else signal.captured_at.isoformat()
    return signal.as_row() | {"captured_at": captured_at, "validity": signal.validity.value}


def _plain(actions: Mapping[SignalAction, SignalValue]) -> dict[str, str]:
    return {action.value: value.value for action, value in actions.items()}


def _summary(actions: Mapping[SignalAction, SignalValue]) -> str:
    """Return actions by value, the strictest first; unknown ones are not named."""
    order = ("deny", "conditional", "allow")
    by_value = {value: [action.value for action in actions if actions[action] == value] for value in order}
    return "; ".join(f"{value} {', '.join(names)}" for value, names in by_value.items() if names)
