"""The commands of the review desk: serve, list, verdicts, password, and those of `verdict_commands`."""

from __future__ import annotations

from pathlib import Path

import click

from db.terminal import clock_text, json_option, note, project_option, say, say_json, say_table
from governance.review.desk_options import CLIP_KEY, REVIEW_ID, open_desk, policy_option, reviewer_options
from governance.review.verdict_commands import apply, confirm, decide, withdraw

_STATES = ("open", "second", "sample", "held")


@click.group()
def review() -> None:
    """Settle what is held: approve, exclude, waive, and confirm what others said.

    Example: cleartitle review serve --policy commercial-training
    """


@review.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port (default: any that is free).")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Ask for this password as well; needed on addresses that others can reach.",
)
@click.option("--no-browser", is_flag=True, help="Only print the link.")
@reviewer_options
def serve(
    host: str,
    port: int,
    password_file: Path | None,
    *,
    no_browser: bool,
    policy_name: str | None,
    reviewer: str | None,
    project_dir: Path,
) -> None:
    """Open the review desk in a browser, for one person, until Ctrl-C.

    Example: cleartitle review serve --policy commercial-training --reviewer Ann
    """
    from db.files import hidden_folder
    from governance.review.passwords import read_password
    from governance.review.server import Address, serve

    desk = open_desk(project_dir, policy_name, reviewer)
    password = None if password_file is None else read_password(password_file)
    address = Address(host=host, port=port, password=password)
    if not address.is_loopback:
        note("warning: others can reach this desk, and what it sends is not encrypted: use a trusted network")
    note(f"{desk.reviewer.name} reviews {desk.reviewer.policy_name}; Ctrl-C closes the desk")
    with hidden_folder(desk.project.store) as folder:
        serve(desk, address, on_ready=lambda link: _announce(link, None if no_browser else folder))
    note("the desk is closed")


def _announce(link: str, folder: Path | None) -> None:
    """Print the link, and open it by way of a file of ours: what a program is called with, everybody can read."""
    import webbrowser

    say(link)
    if folder is None:
        return
    page = folder / "open.html"
    page.touch(mode=0o600)
    page.write_text(f'<meta http-equiv="refresh" content="0; url={link}">\n', encoding="ascii")
    webbrowser.open(page.as_uri())


@review.command("list")
@click.option("--state", type=click.Choice(_STATES), default="open", show_default=True, help="Which clips.")
@click.option("--code", default="", help="Only clips held for this reason.")
@click.option("--holder", default="", help="Only clips under a grant of this rights holder.")
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="At most so many."
)
@click.option("--after", default=0, type=CLIP_KEY, help="Go on behind this key of the last page.")
@policy_option
@json_option
@project_option
def list_queue(
    state: str,
    code: str,
    holder: str,
    limit: int,
    after: int,
    *,
    policy_name: str | None,
    as_json: bool,
    project_dir: Path,
) -> None:
    """List the clips that wait for a reviewer, a page at a time.

    Example: cleartitle review list --state second --json
    """
    from db.review_queue import QueueFilter, QueueState
    from governance.review.telling import entry_json

    desk = open_desk(project_dir, policy_name, None)
    filters = QueueFilter(state=QueueState(state), code=code, holder=holder)
    view = desk.queue(filters, after=after, limit=limit)
    rows = []
    for item in view.page.items:
        path = view.paths.get(item.clip.asset_id, ("(no path)",))[0]
        word = view.said.get(item.clip.clip_id)
        told = "" if word is None else f"{word.review.verdict.value} ({word.standing.value})"
        codes = [reason["code"] for reason in item.ruling.reasons]
        clip = item.clip
        if as_json:
            say_json(
                {
                    "key": clip.id,
                    "clip_id": clip.clip_id,
                    "path": path,
                    "start_seconds": clip.start_seconds,
                    "end_seconds": clip.end_seconds,
                    "outcome": item.ruling.outcome.value,
                    "codes": codes,
                    "rights_holder": item.rights_holder,
                    "evidence_digest": item.evidence_digest,
                    "said": None if word is None else entry_json(word),
                }
            )
        span = f"{clock_text(clip.start_seconds)} - {clock_text(clip.end_seconds)}"
        rows.append((clip.clip_id, Path(path).name, span, ", ".join(codes), item.rights_holder or "", told))
    if as_json:
        return
    say_table(("clip", "file", "seconds", "held because", "holder", "said"), rows)
    counts = view.counts
    say(
        f"{counts.num_open} to decide, {counts.num_second} wait for a second person, "
        f"{counts.num_samples} drawn for another look, {counts.held.num_clips} held"
    )
    if view.page.has_more:
        say(f"more: --after {view.page.items[-1].clip.id}")


@review.command()
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="At most so many."
)
@click.option("--before", type=REVIEW_ID, help="Only verdicts older than this one.")
@policy_option
@json_option
@project_option
def verdicts(
    limit: int, before: int | None, *, policy_name: str | None, as_json: bool, project_dir: Path
) -> None:
    """List what reviewers said, newest first, and where each word stands.

    Example: cleartitle review verdicts --limit 10
    """
    from db.clock import rfc3339
    from governance.review.telling import entry_json, said

    desk = open_desk(project_dir, policy_name, None)
    entries = desk.history(before=before, limit=limit)
    if as_json:
        for entry in entries:
            say_json(entry_json(entry))
        return
    rows = [
        (
            entry.review.id,
            rfc3339(entry.review.recorded_at),
            entry.review.reviewer,
            said(entry.review),
            entry.review.scope,
            entry.standing.value,
        )
        for entry in entries
    ]
    say_table(("no.>", "when", "who", "said", "of", "stands"), rows)


@review.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def password(file: Path) -> None:
    """Ask for a password and write what `review serve --password-file` needs of it to FILE.

    Example: cleartitle review password desk.password
    """
    from governance.review.passwords import write_password

    write_password(file, click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    say(f"written to {file}")


for _command in (decide, confirm, withdraw, apply):
    review.add_command(_command)
