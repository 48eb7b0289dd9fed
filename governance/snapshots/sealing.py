"""Sealing: the cleared clips of a library become a signed snapshot.

Every decision is taken anew from today's facts before it is sealed; if one differs from what is on record, sealing
is refused, so that nothing is ever sealed on yesterday's rights.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db import artefacts, queries
from db.canonical import canonical_json, sha256_hex
from db.clock import utc_now
from db.decisions import current_decisions
from db.errors import ConfigError, RefusedError
from db.files import staged_folder, sync_folder, write_durably
from db.matches import picture_matches
from db.project import Project
from db.records import AssetRecord, DecisionRecord, SnapshotRecord
from db.vocabularies import CollectionKind, Outcome
from governance.credentials.engine import sign_sidecar
from governance.decisions.clearance import num_stale_clips
from governance.facts.matches import Comparison
from governance.manifests.manifest import SNAPSHOT_MEDIA_TYPE, snapshot_manifest
from governance.manifests.statements import LicenseShare, SnapshotStatement
from governance.policy.policy import Policy
from governance.signing.signers import load_project_identity, load_project_trust
from governance.snapshots.document import build_document, check_document, states_promotable
from governance.snapshots.held_out import DEFAULT_SHARE, MAX_SHARE, groups_of
from governance.snapshots.snapshot import (
    DOCUMENT_NAME,
    SIDECAR_NAME,
    snapshot_folder,
    snapshot_urn,
    verified_document,
)
from governance.version import VERSION

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Sealed:
    """The result of sealing."""

    record: SnapshotRecord
    is_new: bool
    """False: a snapshot of this name with the same root was there already."""
    document_path: Path


def seal_snapshot(
    project: Project,
    name: str,
    policy: Policy,
    comparison: Comparison,
    *,
    held_out_share: float = DEFAULT_SHARE,
    only: Collection[str] | None = None,
) -> Sealed:
    """Freeze the clips that `policy` clears today, or `only` those of these clip ids that it clears.

    Sealing the same library again gives the same root.

    `held_out_share` of the sources, 0 to 0.5, are held out of training.

    Raises `ConfigError` for a bad name or share, or decisions that are missing or out of date, `SnapshotError` if
    nothing is cleared, `RefusedError` if the name is taken by another snapshot, or by one whose files do not verify.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"snapshot name {name!r}: expected letters, digits, '.', '_' or '-', at most 64")
    if not 0 <= held_out_share <= MAX_SHARE:
        raise ConfigError(f"held-out share {held_out_share}: expected 0 to {MAX_SHARE}")
    now = utc_now()
    if stale := num_stale_clips(project, policy, comparison, as_of=now):
        raise ConfigError(
            f"{stale} clips have no decision under {policy.name}, or one that today's facts no longer support",
            hint=f"run `cleartitle clear --policy {policy.name}` first",
        )
    cleared = [
        (decision, asset)
        for decision, asset in _cleared(project, policy.name)
        if only is None or decision.clip.clip_id in only
    ]
    document = build_document(
        name=name,
        purpose=policy.purpose,
        policy={"name": policy.name, "version": policy.version, "digest": policy.digest, "text": policy.text},
        decisions=cleared,
        comparison=_comparison_statement(project, comparison),
        sealed_at=now,
        is_promotable=policy.is_promotable,
        joined=_joined(project, comparison, {asset.id: asset.sha256 for _, asset in cleared}),
        held_out_share=held_out_share,
    )
    check_document(document)
    return _write(project, name, document)


def _cleared(project: Project, policy_name: str) -> list[tuple[DecisionRecord, AssetRecord]]:
    assets: dict[str, AssetRecord] = {}
    cleared = []
    with project.session() as session:
        for decision in current_decisions(session, policy_name):
            if decision.ruling.outcome is not Outcome.CLEARED:
                continue
            asset = assets.get(decision.asset_sha256) or queries.find_asset(session, decision.asset_sha256)
            assert asset is not None, "a decision's clip belongs to an asset"
            assets[decision.asset_sha256] = asset
            cleared.append((decision, asset))
    return cleared


def _joined(project: Project, comparison: Comparison, sealed: Mapping[int, str]) -> list[list[str]]:
    """Return the groups of sealed assets that matches join, directly or through footage that is not sealed."""
    with project.session() as session:
        groups = groups_of(picture_matches(session, comparison.detector))
    named = (sorted(sealed[asset_id] for asset_id in group if asset_id in sealed) for group in groups)
    return sorted(group for group in named if len(group) > 1)


def _comparison_statement(project: Project, comparison: Comparison) -> dict[str, Any]:
    with project.session() as session:
        sets = [
            {"name": name, "num_assets": count, "duration_seconds": round(seconds, 3)}
            for name, kind, count, seconds in queries.collection_sizes(session)
            if kind is CollectionKind.REFERENCE
        ]
    return {
        "encoder": comparison.encoder_digest,
        "encoder_name": comparison.encoder_name,
        "detector": comparison.detector_digest,
        "covers_reference_sets": comparison.is_reference_covered,
        "reference_sets": sets,
    }


def _write(project: Project, name: str, document: dict[str, Any]) -> Sealed:
    with project.session() as session:
        known = artefacts.find_snapshot(session, name)
    path = snapshot_folder(project, name) / DOCUMENT_NAME
    if known is not None:
        if known.merkle_root != document["merkle_root"] or known.recall_reason is not None:
            raise RefusedError(
                f"snapshot {name} exists with root {known.merkle_root[:16]}; a sealed snapshot never changes",
                hint="seal under another name",
            )
        # "already sealed" is said of a document that is still there and whole.
        verified_document(project, known)
        return Sealed(known, is_new=False, document_path=path)
    content = canonical_json(document)
    with staged_folder(snapshot_folder(project, name)) as folder:
        write_durably(folder / DOCUMENT_NAME, content)
        _sign(project, document, sha256_hex(content), folder)
        sync_folder(folder)
    return Sealed(_record(project, name, document, sha256_hex(content)), is_new=True, document_path=path)


def _sign(project: Project, document: dict[str, Any], document_sha256: str, folder: Path) -> None:
    statement = _statement(document, document_sha256)
    sign_sidecar(
        snapshot_manifest(statement, generator_version=VERSION),
        folder / DOCUMENT_NAME,
        folder / SIDECAR_NAME,
        media_type=SNAPSHOT_MEDIA_TYPE,
        identity=load_project_identity(project),
        trust=load_project_trust(project),
    )


def _statement(document: dict[str, Any], document_sha256: str) -> SnapshotStatement:
    return SnapshotStatement(
        name=document["name"],
        snapshot_urn=snapshot_urn(document["merkle_root"]),
        merkle_root=document["merkle_root"],
        policy_name=document["policy"]["name"],
        policy_version=document["policy"]["version"],
        policy_digest=document["policy"]["digest"],
        purpose=document["purpose"],
        sealed_at=_time(document["sealed_at"]),
        expires_at=None if document["expires_at"] is None else _time(document["expires_at"]),
        licenses=_shares(document["licenses"]),
        document_sha256=document_sha256,
        is_promotable=states_promotable(document),
        **document["totals"],
    )


def _shares(shares: Sequence[dict[str, Any]]) -> tuple[LicenseShare, ...]:
    return tuple(LicenseShare(**share) for share in shares)


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def _record(project: Project, name: str, document: dict[str, Any], document_sha256: str) -> SnapshotRecord:
    columns = {
        "name": name,
        "merkle_root": document["merkle_root"],
        "policy_name": document["policy"]["name"],
        "policy_digest": document["policy"]["digest"],
        "document_sha256": document_sha256,
        "sealed_at": _time(document["sealed_at"]),
        "expires_at": None if document["expires_at"] is None else _time(document["expires_at"]),
        "is_promotable": states_promotable(document),
        **document["totals"],
    }
    with project.session() as session:
        artefacts.add_snapshot(session, columns)
        session.flush()
        record = artefacts.find_snapshot(session, name)
    assert record is not None, "the row was just written"
    return record
