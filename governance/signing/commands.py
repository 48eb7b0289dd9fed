"""The `publish` and `redact` commands: thin layers over `governance.signing.editing`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.terminal import json_option, note, project_option, say_field, say_json

if TYPE_CHECKING:
    from governance.signing.keys import SigningIdentity
    from governance.trust.anchors import TrustAnchors
    from governance.verification.records import SnapshotRecords
    from governance.verification.verdict import Verdict

_REASONS = ("personal", "invalid", "trade-secret", "confidential")
_file = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("file", type=_file)
@click.argument("out", type=_file)
@json_option
@project_option
def publish(file: Path, out: Path, *, as_json: bool, project_dir: Path) -> None:
    """Sign a copy of a clip as published, with its Content Credentials kept.

    The clip must verify, and so must the copy before it appears. An existing file is never overwritten.

    Example: cleartitle publish outputs/harbour.mp4 public/harbour.mp4
    """
    from governance.signing.editing import publish_signed

    identity, trust, records = _signer(project_dir)
    verdict = publish_signed(file, out, identity=identity, trust=trust, records=records)
    _report(verdict, identity, {"source": str(file)}, as_json=as_json)


@click.command()
@click.argument("file", type=_file)
@click.argument("out", type=_file)
@click.option(
    "--assertion", "labels", multiple=True, required=True, help="Label of what is to go; may be repeated."
)
@click.option(
    "--reason", type=click.Choice(_REASONS), default="personal", show_default=True, help="Why; it is signed."
)
@json_option
@project_option
def redact(
    file: Path, out: Path, labels: tuple[str, ...], reason: str, *, as_json: bool, project_dir: Path
) -> None:
    """Sign a copy of a clip without some of its assertions, and prove their bytes gone.

    That something was taken out, what it was called and why stays on record in the copy. What the way to the licences
    needs cannot go: the copy must verify before it appears.

    Example: cleartitle redact clip.mp4 public.mp4 --assertion cawg.metadata
    """
    from governance.signing.editing import redact as redact_clip

    identity, trust, records = _signer(project_dir)
    verdict = redact_clip(file, out, labels, identity=identity, trust=trust, records=records, reason=reason)
    redacted = list(dict.fromkeys(labels))
    facts: dict[str, str | list[str]] = {"source": str(file), "redacted": redacted, "reason": reason}
    _report(verdict, identity, facts, as_json=as_json)


def _signer(project_dir: Path) -> tuple[SigningIdentity, TrustAnchors, SnapshotRecords]:
    from db.project import open_project
    from governance.signing.signers import load_project_identity, load_project_trust
    from governance.verification.records import read_snapshot_records

    project = open_project(project_dir)
    return load_project_identity(project), load_project_trust(project), read_snapshot_records(project)


def _report(
    verdict: Verdict, identity: SigningIdentity, facts: Mapping[str, str | list[str]], *, as_json: bool
) -> None:
    signed_at = None if verdict.credentials is None else verdict.credentials.signed_at
    if as_json:
        say_json({**facts, "file": verdict.path, "outcome": verdict.outcome.value, "time_stamp": signed_at})
    else:
        for name, value in facts.items():
            say_field(name, value if isinstance(value, str) else ", ".join(value), width=14)
        say_field("written", verdict.path, width=14)
        say_field("verified", verdict.outcome.value, width=14)
        say_field("time stamp", signed_at or "none", width=14)
    if identity.time_stamp is None:
        note(
            "not time-stamped: the signature lasts as long as the certificate (see [signing] time_stamp_url)"
        )
