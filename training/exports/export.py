"""Exporting a snapshot: its cleared seconds, and nothing else of the footage, as files that others train on.

Every byte is read through the gate (`training.gate`) under a permit of its own. The folder appears whole or not at all;
that it left is on record before it appears.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db import queries
from db.canonical import digest_of
from db.clock import utc_now
from db.errors import ConfigError, RefusedError
from db.events import record_event
from db.files import staged_folder, sync_folder, write_durably
from db.project import Project
from governance.errors import SnapshotError
from governance.signing.keys import load_permit_key, load_permit_public_key
from governance.snapshots.permits import EXPORT, RunPermit, issue_permit
from governance.snapshots.snapshot import Snapshot, find_record, open_snapshot, verified_document
from governance.version import VERSION
from ingest.media.digests import file_digest
from training.exports.card import card_text
from training.exports.lossless import can_be_lossless, write_span
from training.exports.parquet import PARQUET
from training.exports.sample import SPLITS, SealedLeaves
from training.exports.shards import ShardedSplit, ShardFormat
from training.exports.webdataset import WEBDATASET
from training.gate import ClearedFootage

FORMATS: Mapping[str, ShardFormat] = {format_.name: format_ for format_ in (WEBDATASET, PARQUET)}
MAX_SHARD_BYTES = 1 << 30
CARD_NAME = "README.md"
SUMS_NAME = "SHA256SUMS"


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written."""

    folder: Path
    snapshot: str
    merkle_root: str
    num_samples: Mapping[str, int]
    """By split."""
    files: Mapping[str, str]
    """SHA-256 by path in the folder."""
    size_bytes: int


def export_snapshot(
    project: Project,
    name: str,
    folder: Path,
    format_: ShardFormat,
    *,
    max_shard_bytes: int = MAX_SHARD_BYTES,
    on_clip: Callable[[int], None],
) -> Exported:
    """Write the snapshot `name` into the new `folder`; `on_clip` gets 1 for each clip.

    A shard is at most `max_shard_bytes` large, or one sample.

    Raises `ConfigError` if `folder` is there already or there is no such snapshot, `SnapshotError` or
    `VerificationError` if the snapshot may not be used, `NotCleared` if footage is not what was sealed, `RefusedError`
    if a file's pixel format cannot be written without loss, `MediaError` if a clip cannot be decoded.
    """
    _require_new(folder)
    snapshot = open_snapshot(project, name, now=utc_now())
    document = verified_document(project, find_record(project, name))
    _require_lossless(project, snapshot)
    settings = {"export": format_.name, "max_shard_bytes": max_shard_bytes}
    permit = _permit(project, snapshot, settings)
    footage = ClearedFootage(
        snapshot, permit, config_digest=digest_of(settings), public_key=load_permit_public_key(project.keys)
    )
    with contextlib.closing(footage), staged_folder(folder) as staged:
        splits = {split: ShardedSplit(staged, split, format_, max_bytes=max_shard_bytes) for split in SPLITS}
        with contextlib.ExitStack() as open_shards:
            for writer in splits.values():
                open_shards.callback(writer.finish_shard)
            _write_clips(footage, SealedLeaves(document), splits, staged, on_clip)
        num_samples = {split: writer.num_samples for split, writer in splits.items()}
        for writer in splits.values():
            writer.close()
        _write_papers(snapshot, document, staged, format_.name, num_samples)
        exported = _sums(staged, folder, snapshot, num_samples)
        # What was recalled or ran out while it was written does not leave.
        open_snapshot(project, name, now=utc_now())
        _require_new(folder)
        _record(project, exported, permit, format_.name)
    return exported


def _require_new(folder: Path) -> None:
    if folder.exists() or folder.is_symlink():
        raise ConfigError(f"{folder} is there already", hint="name a folder that is not there yet")


def _require_lossless(project: Project, snapshot: Snapshot) -> None:
    """Refuse before anything is written what could not be written without loss."""
    with project.session() as session:
        for sha256, path in snapshot.sources.items():
            asset = queries.find_asset(session, sha256)
            if asset is None or not can_be_lossless(asset.pixel_format):
                found = "not known" if asset is None else asset.pixel_format
                raise RefusedError(
                    f"{path}: its pixel format is {found}, which cannot be written without loss"
                )


def _permit(project: Project, snapshot: Snapshot, settings: Mapping[str, Any]) -> RunPermit:
    return issue_permit(
        snapshot,
        config_digest=digest_of(dict(settings)),
        code_version=VERSION,
        now=utc_now(),
        key=load_permit_key(project.keys),
        purpose=EXPORT,
    )


def _write_clips(
    footage: ClearedFootage,
    sealed: SealedLeaves,
    splits: Mapping[str, ShardedSplit],
    staged: Path,
    on_clip: Callable[[int], None],
) -> None:
    path = staged / ".clip.mp4"
    for span in footage.spans:
        source, name = footage.open_source(span)
        sample = sealed.sample(span, write_span(source, path, span, name=str(name)))
        splits[sample.split].add(sample)
        path.unlink()
        on_clip(1)


def _write_papers(
    snapshot: Snapshot,
    document: Mapping[str, Any],
    staged: Path,
    format_name: str,
    num_samples: Mapping[str, int],
) -> None:
    """Lay the signed document, its credentials and a card beside the shards."""
    card = card_text(document, format_name=format_name, num_samples=num_samples)
    write_durably(staged / CARD_NAME, card.encode())
    for path in (snapshot.document_path, snapshot.sidecar_path):
        try:
            write_durably(staged / path.name, path.read_bytes())
        except FileNotFoundError as exc:
            raise SnapshotError(f"snapshot {snapshot.name}: {path} is gone") from exc


def _sums(staged: Path, folder: Path, snapshot: Snapshot, num_samples: Mapping[str, int]) -> Exported:
    """Write the digests of all files, as `sha256sum` reads them."""
    paths = sorted(path for path in staged.rglob("*") if path.is_file())
    digests = {path.relative_to(staged).as_posix(): file_digest(path) for path in paths}
    lines = [f"{digest.sha256}  {name}\n" for name, digest in digests.items()]
    write_durably(staged / SUMS_NAME, "".join(lines).encode())
    for inner in {path.parent for path in paths}:
        sync_folder(inner)
    return Exported(
        folder=folder,
        snapshot=snapshot.name,
        merkle_root=snapshot.merkle_root,
        num_samples=num_samples,
        files={name: digest.sha256 for name, digest in digests.items()},
        size_bytes=sum(digest.size_bytes for digest in digests.values()),
    )


def _record(project: Project, exported: Exported, permit: RunPermit, format_name: str) -> None:
    payload = {
        "merkle_root": exported.merkle_root,
        "format": format_name,
        "permit": permit.document(),
        "num_samples": dict(exported.num_samples),
        "files": digest_of(dict(exported.files)),
    }
    with project.session() as session:
        record_event(session, "snapshot.exported", exported.snapshot, payload)
