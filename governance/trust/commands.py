"""The `trust` commands: whose signatures and whose time stamps count in a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.terminal import heading, json_option, note, project_option, say, say_json, say_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from governance.trust.lists import Anchor, ListedRevocations, ListUpdate


@click.group()
def trust() -> None:
    """Show and update the certificates under which signatures and time stamps count.

    Example: cleartitle trust list
    """


@trust.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@json_option
@project_option
def update(files: tuple[Path, ...], *, as_json: bool, project_dir: Path) -> None:
    """Take over official C2PA trust lists, PEM or JSON, and say what they added and dropped.

    The lists are copied into the project's keys folder; the settings say whether they are used.

    Example: cleartitle trust update C2PA-TRUST-LIST.pem C2PA-TSA-TRUST-LIST.pem
    """
    from db.project import open_project
    from governance.trust.lists import update_lists

    for changed in update_lists(open_project(project_dir), files):
        if as_json:
            say_json(_update_json(changed))
        else:
            _print_update(changed)
        if not changed.is_configured:
            _note_setting(changed)


@trust.command("list")
@json_option
@project_option
def list_command(*, as_json: bool, project_dir: Path) -> None:
    """List the certificates that the project trusts, signers and time-stamp authorities apart, and revocation lists.

    Example: cleartitle trust list --json
    """
    from db.clock import rfc3339, utc_now
    from db.project import open_project
    from governance.trust.lists import list_anchors, list_revocations

    project, now, rows = open_project(project_dir), utc_now(), []
    for listed in list_anchors(project):
        is_expired = listed.anchor.expires_at < now
        if as_json:
            values = {"purpose": listed.purpose.value, "file": str(listed.file), "is_expired": is_expired}
            say_json(values | _anchor_json(listed.anchor))
        until = f"{listed.anchor.expires_at:%Y-%m-%d}{' (expired)' if is_expired else ''}"
        purpose = listed.purpose.replace("_", " ")
        rows.append((purpose, listed.anchor.subject, listed.anchor.sha256[:16], until, listed.file.name))
    for taken_back in list_revocations(project):
        is_expired = taken_back.good_until < now
        if as_json:
            say_json(_revocations_json(taken_back, is_expired=is_expired))
        until = f"{taken_back.good_until:%Y-%m-%d}{' (expired)' if is_expired else ''}"
        what = f"{taken_back.num_certificates:,} revoked"
        rows.append((what, taken_back.issuer, taken_back.sha256[:16], until, taken_back.file.name))
    if not as_json:
        say_table(("for", "subject", "sha256", "until", "file"), rows)
    if not any(row[0] == "time stamps" for row in rows):
        note(f"no time stamp counts: [trust] time_stamp_anchors names no file (today is {rfc3339(now)[:10]})")


def _print_update(changed: ListUpdate) -> None:
    heading(
        f"{changed.path.name}: {changed.num_anchors} certificates for {changed.purpose.replace('_', ' ')}"
    )
    if not changed.added and not changed.dropped:
        say("  nothing changed")
    rows = [("added", anchor) for anchor in changed.added] + [
        ("dropped", anchor) for anchor in changed.dropped
    ]
    if rows:
        say_table(
            ("", "subject", "sha256", "until"),
            [
                (what, anchor.subject, anchor.sha256[:16], f"{anchor.expires_at:%Y-%m-%d}")
                for what, anchor in rows
            ],
        )


def _note_setting(changed: ListUpdate) -> None:
    from governance.trust.lists import SETTINGS

    name = f"{changed.path.parent.name}/{changed.path.name}"
    note(f'not used yet: add "{name}" to {SETTINGS[changed.purpose]} in [trust] of cleartitle.toml')


def _update_json(changed: ListUpdate) -> dict[str, object]:
    return {
        "purpose": changed.purpose.value,
        "file": str(changed.path),
        "num_anchors": changed.num_anchors,
        "is_configured": changed.is_configured,
        "added": _anchors_json(changed.added),
        "dropped": _anchors_json(changed.dropped),
    }


def _revocations_json(listed: ListedRevocations, *, is_expired: bool) -> dict[str, object]:
    from db.clock import rfc3339

    return {
        "purpose": "revocations",
        "file": str(listed.file),
        "is_expired": is_expired,
        "subject": listed.issuer,
        "sha256": listed.sha256,
        "num_certificates": listed.num_certificates,
        "made_at": rfc3339(listed.made_at),
        "expires_at": rfc3339(listed.good_until),
    }


def _anchors_json(anchors: Sequence[Anchor]) -> list[dict[str, str]]:
    return [_anchor_json(anchor) for anchor in anchors]


def _anchor_json(anchor: Anchor) -> dict[str, str]:
    from db.clock import rfc3339

    return {
        "subject": anchor.subject,
        "sha256": anchor.sha256,
        "expires_at": rfc3339(anchor.expires_at),
    }
