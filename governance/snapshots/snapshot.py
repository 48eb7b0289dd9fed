"""Opening a sealed snapshot: the only way to a `Snapshot`, and the gate through which training gets its clips.

The steps of `open_snapshot`, repeated in the code:
 1. the snapshot is on record and has not been recalled;
 2. its document has the recorded digest;
 3. its credentials are Trusted and state the recorded root;
 4. the document agrees with itself (leaves and Merkle root, grants, policy text, totals, expiry) and with its record;
 5. it has not expired;
 6. every asset it names has a place on disk (its bytes are checked on every read, not here).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

from db import artefacts, queries
from db.canonical import sha256_hex
from db.clock import rfc3339
from db.errors import ConfigError
from db.files import path_of
from db.project import Project
from db.records import SnapshotRecord
from governance.credentials.engine import read_store
from governance.credentials.store import assertion_data
from governance.errors import SnapshotError, VerificationError
from governance.manifests.manifest import SNAPSHOT_LABEL, SNAPSHOT_MEDIA_TYPE
from governance.signing.signers import load_project_trust
from governance.snapshots.document import (
    check_document,
    held_out_leaves,
    license_of,
    states_promotable,
    training_leaves,
)
from governance.snapshots.output_clauses import OutputClause, stated_clauses

DOCUMENT_NAME = "snapshot.json"
SIDECAR_NAME = "snapshot.json.c2pa"

_OPENED = object()


@dataclass(frozen=True, kw_only=True)
class ClearedSpan:
    """One cleared clip of a snapshot."""

    clip_id: str
    asset_sha256: str
    start_pts: int
    end_pts: int
    time_base: Fraction
    duration_seconds: float
    caption: str
    grant_digest: str
    license_expression: str


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A snapshot that was opened and found good. Only `open_snapshot` makes one."""

    name: str
    urn: str
    merkle_root: str
    policy_name: str
    policy_digest: str
    purpose: str
    is_promotable: bool
    """What is made with it may become a commercial release."""
    expires_at: dt.datetime | None
    clips: tuple[ClearedSpan, ...]
    """What a run may train on."""
    held_out: tuple[ClearedSpan, ...] = ()
    """What no run trains on: whole sources, kept to measure models with."""
    sources: Mapping[str, Path]
    """Where the footage lies, by asset digest."""
    output_clauses: tuple[OutputClause, ...]
    """What its grants forbid, or ask of, the clips of a model."""
    document_path: Path
    sidecar_path: Path
    _seal: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse snapshots that were not opened."""
        if self._seal is not _OPENED:
            raise TypeError("a Snapshot is made by open_snapshot alone")


def snapshot_urn(merkle_root: str) -> str:
    """Return the name of a snapshot by what is in it."""
    return f"urn:cleartitle:snapshot:{merkle_root}"


def snapshot_folder(project: Project, name: str) -> Path:
    """Return where a snapshot's document and sidecar lie."""
    return project.snapshots / name


def open_snapshot(project: Project, name: str, *, now: dt.datetime) -> Snapshot:
    """Open a sealed snapshot for training, as the steps of the module say.

    Raises `ConfigError` if there is no snapshot of that name, `SnapshotError` or `VerificationError` naming the
    step that fails.
    """
    record = find_record(project, name)
    if record.recall_reason is not None:  # 1
        raise SnapshotError(f"snapshot {name} was recalled: {record.recall_reason}")
    document = verified_document(project, record)  # 2, 3, 4
    expires_at = stated_expiry(document)
    if expires_at is not None and now >= expires_at:  # 5
        raise SnapshotError(
            f"snapshot {name} expired at {rfc3339(expires_at)}",
            hint="clear again and seal a new snapshot from what is still licensed",
        )
    folder = snapshot_folder(project, name)
    return Snapshot(
        name=name,
        urn=snapshot_urn(record.merkle_root),
        merkle_root=record.merkle_root,
        policy_name=document["policy"]["name"],
        policy_digest=document["policy"]["digest"],
        purpose=document["purpose"],
        is_promotable=states_promotable(document),
        expires_at=expires_at,
        clips=stated_spans(document),
        held_out=held_out_spans(document),
        sources=MappingProxyType(_locate(project, document)),  # 6
        output_clauses=stated_clauses(document),
        document_path=folder / DOCUMENT_NAME,
        sidecar_path=folder / SIDECAR_NAME,
        _seal=_OPENED,
    )


def find_record(project: Project, name: str) -> SnapshotRecord:
    """Return a snapshot's record. Raises `ConfigError` with the names that exist."""
    with project.session() as session:
        record = artefacts.find_snapshot(session, name)
        if record is not None:
            return record
        names = ", ".join(known.name for known in artefacts.list_snapshots(session)) or "none"
    raise ConfigError(f"no snapshot is called {name!r}; sealed so far: {names}")


def verified_document(project: Project, record: SnapshotRecord) -> dict[str, Any]:
    """Return a snapshot's document after digest, credentials and consistency have been checked (steps 2 to 4).

    Raises `SnapshotError` or `VerificationError`.
    """
    folder = snapshot_folder(project, record.name)
    path, sidecar = folder / DOCUMENT_NAME, folder / SIDECAR_NAME
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise SnapshotError(f"snapshot {record.name}: its document cannot be read: {exc}") from exc
    if sha256_hex(content) != record.document_sha256:  # 2
        raise SnapshotError(f"snapshot {record.name}: {path} is not the document that was sealed")
    try:
        store = read_store(path, load_project_trust(project), media_type=SNAPSHOT_MEDIA_TYPE, sidecar=sidecar)
    except OSError as exc:
        raise SnapshotError(f"snapshot {record.name}: its credentials cannot be read: {exc}") from exc
    store.require_sound(str(path))  # 3
    stated = assertion_data(store.active, SNAPSHOT_LABEL) or {}
    if stated.get("merkleRoot") != record.merkle_root:
        raise VerificationError(f"snapshot {record.name}: its credentials state another Merkle root")
    document: dict[str, Any] = json.loads(content)
    check_document(document)  # 4
    _check_record(record, document)
    return document


def stated_expiry(document: Mapping[str, Any]) -> dt.datetime | None:
    """Return when a snapshot document that was checked says that it expires."""
    text = document["expires_at"]
    return None if text is None else dt.datetime.fromisoformat(text)


def _check_record(record: SnapshotRecord, document: Mapping[str, Any]) -> None:
    """Step 4: the signed document is the truth, and a record that differs from it was altered."""
    policy, totals = document["policy"], document["totals"]
    for what, recorded, stated in (
        ("name", record.name, document["name"]),
        ("Merkle root", record.merkle_root, document["merkle_root"]),
        ("policy", record.policy_name, policy["name"]),
        ("policy digest", record.policy_digest, policy["digest"]),
        ("expiry", record.expires_at, stated_expiry(document)),
        ("number of clips", record.num_clips, totals["num_clips"]),
        ("number of assets", record.num_assets, totals["num_assets"]),
        ("duration", record.duration_seconds, totals["duration_seconds"]),
        # Records from before it was recorded do not say.
        ("commercial use", record.is_promotable in {None, states_promotable(document)}, True),
    ):
        if recorded != stated:
            raise SnapshotError(
                f"snapshot {record.name}: its record was altered: {what} is {recorded}, sealed was {stated}"
            )


def stated_spans(document: Mapping[str, Any]) -> tuple[ClearedSpan, ...]:
    """Return the clips of a snapshot document that was verified, those that a run may train on."""
    return tuple(_span(leaf, document["grants"]) for leaf in training_leaves(document))


def held_out_spans(document: Mapping[str, Any]) -> tuple[ClearedSpan, ...]:
    """Return the clips of a snapshot document that was verified, those that no run trains on."""
    return tuple(_span(leaf, document["grants"]) for leaf in held_out_leaves(document))


def _span(leaf: Mapping[str, Any], grants: Mapping[str, Mapping[str, Any]]) -> ClearedSpan:
    grant = grants[leaf["grant"]]
    return ClearedSpan(
        clip_id=leaf["clip_id"],
        asset_sha256=leaf["asset_sha256"],
        start_pts=leaf["start_pts"],
        end_pts=leaf["end_pts"],
        time_base=Fraction(leaf["time_base"]),
        duration_seconds=leaf["duration_seconds"],
        caption=grant["title"],
        grant_digest=leaf["grant"],
        license_expression=license_of(leaf, grants),
    )


def _locate(project: Project, document: Mapping[str, Any]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    with project.session() as session:
        for sha256 in sorted({leaf["asset_sha256"] for leaf in document["leaves"]}):
            asset = queries.find_asset(session, sha256)
            paths = queries.asset_paths(session, [asset.id])[asset.id] if asset is not None else ()
            size_bytes = 0 if asset is None else asset.size_bytes
            # A file of another size is another file, however it is called.
            existing = [p for p in map(path_of, paths) if p.is_file() and p.stat().st_size == size_bytes]
            if not existing:
                where = paths[0] if paths else "no recorded path"
                raise SnapshotError(
                    f"snapshot {document['name']}: asset {sha256[:16]} is missing or changed ({where})",
                    hint="put the footage back, or ingest it where it lies now",
                )
            found[sha256] = existing[0]
    return found
