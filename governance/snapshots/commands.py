"""The `snapshot` commands: seal, list, show, verify, recall."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from db.clock import rfc3339, utc_now
from db.errors import RefusedError
from db.terminal import clock_text, json_option, note, progress, project_option, say, say_json, say_table
from governance.snapshots.held_out import DEFAULT_SHARE, MAX_SHARE

if TYPE_CHECKING:
    from db.records import SnapshotRecord


@click.group()
def snapshot() -> None:
    """Freeze the cleared clips into a signed dataset.

    Example: cleartitle snapshot seal spring --policy commercial-training
    """


@snapshot.command()
@click.argument("name")
@click.option("--policy", "policy_name", required=True, help="Policy whose cleared clips are sealed.")
@click.option(
    "--held-out",
    "held_out_share",
    type=click.FloatRange(0, MAX_SHARE),
    default=DEFAULT_SHARE,
    show_default=True,
    help="Share of the sources that no run trains on, chosen by digest.",
)
@json_option
@project_option
def seal(name: str, policy_name: str, held_out_share: float, *, as_json: bool, project_dir: Path) -> None:
    """Freeze the clips that a policy clears, and sign the result.

    Whole sources are held out of training, to measure models with. Sealing again gives the same Merkle root; a sealed
    snapshot never changes.

    Example: cleartitle snapshot seal spring --policy commercial-training
    """
    from db.project import open_project
    from governance.decisions.clearance import present_comparison
    from governance.policy.files import find_policy
    from governance.snapshots.document import held_out_leaves, held_out_line
    from governance.snapshots.sealing import seal_snapshot
    from governance.snapshots.snapshot import verified_document
    from governance.verification.verdict import RESEARCH_ONLY

    project = open_project(project_dir)
    policy = find_policy(policy_name, project.policies)
    sealed = seal_snapshot(project, name, policy, present_comparison(project), held_out_share=held_out_share)
    document = verified_document(project, sealed.record)
    if as_json:
        facts = _facts(sealed.record) | {"is_new": sealed.is_new, "document": str(sealed.document_path)}
        say_json(facts | {"num_clips_held_out": len(held_out_leaves(document))})
        return
    say(f"{'sealed' if sealed.is_new else 'already sealed'}: {_line(sealed.record)}")
    say(f"Merkle root {sealed.record.merkle_root}")
    say(f"document    {sealed.document_path}")
    say(f"held out    {held_out_line(document)}")
    if not policy.is_promotable:
        note(f"{RESEARCH_ONLY}: its models and their clips say so too")


@snapshot.command(name="list")
@json_option
@project_option
def list_(*, as_json: bool, project_dir: Path) -> None:
    """List the sealed snapshots.

    Example: cleartitle snapshot list
    """
    from db.artefacts import list_snapshots
    from db.project import open_project

    with open_project(project_dir).session() as session:
        records = list_snapshots(session)
    if as_json:
        for record in records:
            say_json(_facts(record))
        return
    rows = [
        (r.name, r.merkle_root[:16], r.num_clips, clock_text(r.duration_seconds), r.policy_name, _status(r))
        for r in records
    ]
    say_table(("snapshot", "Merkle root", "clips>", "footage>", "policy", "status"), rows)


@snapshot.command()
@click.argument("name")
@json_option
@project_option
def show(name: str, *, as_json: bool, project_dir: Path) -> None:
    """Show a snapshot's clips with their licences, and which of them are held out of training.

    Example: cleartitle snapshot show spring
    """
    from db.project import open_project
    from governance.snapshots.document import held_out_line
    from governance.snapshots.held_out import is_held_out
    from governance.snapshots.snapshot import find_record, verified_document

    project = open_project(project_dir)
    record = find_record(project, name)
    document = verified_document(project, record)
    if as_json:
        say_json(document)
        return
    say(_line(record))
    say(f"held out of training: {held_out_line(document)}")
    rows = [
        (
            leaf["clip_id"],
            "held out" if is_held_out(leaf) else "training",
            clock_text(leaf["duration_seconds"]),
            document["grants"][leaf["grant"]]["license_expression"],
            document["grants"][leaf["grant"]]["rights_holder"],
            document["grants"][leaf["grant"]]["title"],
        )
        for leaf in document["leaves"]
    ]
    say_table(("clip", "part", "length>", "licence", "rights holder", "title"), rows)


@snapshot.command(name="verify")
@click.argument("name")
@click.option("--media", is_flag=True, help="Also hash every sealed file again.")
@json_option
@project_option
def verify_snapshot(name: str, *, media: bool, as_json: bool, project_dir: Path) -> None:
    """Check a snapshot as training does: signature, Merkle root, policy, expiry, recall, and that its footage is there.

    Example: cleartitle snapshot verify spring --media
    """
    from db.project import open_project
    from governance.snapshots.snapshot import open_snapshot

    opened = open_snapshot(open_project(project_dir), name, now=utc_now())
    if media:
        _hash_again(opened.sources)
    num_held_out = len(opened.held_out)
    num_clips = len(opened.clips) + num_held_out
    if as_json:
        facts = {"name": name, "merkle_root": opened.merkle_root, "num_clips": num_clips}
        say_json(facts | {"num_clips_held_out": num_held_out, "is_media_checked": media})
        return
    held_out = f" ({num_held_out} held out)" if num_held_out else ""
    say(f"snapshot {name} verifies: {num_clips} clips{held_out}, Merkle root {opened.merkle_root}")
    if not media:
        note("not checked: the bytes of the footage (--media hashes every file again)")


def _hash_again(sources: Any) -> None:
    from ingest.media.digests import file_digest

    with progress("hashing footage", len(sources)) as advance:
        for sha256, path in sources.items():
            found = file_digest(path).sha256
            if found != sha256:
                raise RefusedError(f"{path}: sha256 is {found[:16]}, sealed is {sha256[:16]}")
            advance(1)


@snapshot.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why; it is shown to whoever tries to use the snapshot.")
@click.option("--dry-run", is_flag=True, help="Say what would be withdrawn, change nothing.")
@json_option
@project_option
def recall(name: str, reason: str, *, dry_run: bool, as_json: bool, project_dir: Path) -> None:
    """Withdraw a snapshot for good: nothing trains on it, nothing is generated with models made from it.

    Example: cleartitle snapshot recall spring --reason "licence of Example Films withdrawn"
    """
    from db.artefacts import list_models, recall_snapshot
    from db.project import open_project
    from governance.snapshots.snapshot import find_record

    project = open_project(project_dir)
    record = find_record(project, name)
    with project.session() as session:
        affected = [model.name for model in list_models(session) if model.snapshot_name == name]
        if record.recall_reason is None and not dry_run:
            recall_snapshot(session, record.id, name, reason)
    if as_json:
        is_new = record.recall_reason is None
        say_json({"name": name, "is_new": is_new, "is_dry_run": dry_run, "affected_models": affected})
        return
    if record.recall_reason is not None:
        say(f"snapshot {name} was recalled already: {record.recall_reason}")
        return
    say(
        f"snapshot {name} {'would be' if dry_run else 'is'} recalled; models affected: {', '.join(affected) or 'none'}"
    )
    note("clips generated before stay as they are: their credentials tell the truth about the past")


def _facts(record: SnapshotRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "merkle_root": record.merkle_root,
        "policy_name": record.policy_name,
        "policy_digest": record.policy_digest,
        "document_sha256": record.document_sha256,
        "num_clips": record.num_clips,
        "num_assets": record.num_assets,
        "duration_seconds": record.duration_seconds,
        "sealed_at": rfc3339(record.sealed_at),
        "expires_at": None if record.expires_at is None else rfc3339(record.expires_at),
        "status": _status(record),
    }


def _line(record: SnapshotRecord) -> str:
    return (
        f"snapshot {record.name}: {record.num_clips} clips of {record.num_assets} files, "
        f"{clock_text(record.duration_seconds)}, policy {record.policy_name}, {_status(record)}"
    )


def _status(record: SnapshotRecord) -> str:
    if record.recall_reason is not None:
        return "recalled"
    if record.expires_at is None:
        return "no expiry"
    return f"{'expired' if record.expires_at <= utc_now() else 'until'} {rfc3339(record.expires_at)}"
