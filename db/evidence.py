"""Writing evidence: functions that append rows and report whether anything was new.

Each takes a `Session` and never commits; each is idempotent, so that a killed command can simply run again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import models
from db.clock import utc_now
from db.errors import ConfigError
from db.events import record_event
from db.vocabularies import CollectionKind

LIBRARY = "library"

_NAME_CHARACTERS = 128


@dataclass(frozen=True, kw_only=True)
class NewClip:
    """A span to be recorded, end exclusive."""

    clip_id: str
    start_pts: int
    end_pts: int
    start_seconds: float
    end_seconds: float
    num_textured_samples: int


def ensure_collection(session: Session, name: str, kind: CollectionKind) -> int:
    """Return the id of the collection `name`, creating it where needed.

    Raises `ConfigError` if the name is taken by a collection of the other kind, empty, too long or unprintable.
    """
    if not name.strip() or len(name) > _NAME_CHARACTERS or not name.isprintable():
        raise ConfigError(
            f"collection name {name[:40]!r}: expected 1 to {_NAME_CHARACTERS} printable characters"
        )
    if (name == LIBRARY) is not (kind is CollectionKind.LIBRARY):
        raise ConfigError(
            f"{name!r} is reserved for the library itself; give the {kind.value} set another name"
        )
    row = session.scalar(select(models.Collection).where(models.Collection.name == name))
    if row is None:
        row = models.Collection(name=name, kind=kind, recorded_at=utc_now())
        session.add(row)
        session.flush()
        record_event(session, "collection.created", name, {"kind": kind.value})
    if row.kind is not kind:
        raise ConfigError(f"{name!r} is the name of a {row.kind.value} collection, not of a {kind.value} one")
    return row.id


def add_asset(session: Session, *, columns: Mapping[str, Any], clips: Iterable[NewClip]) -> int:
    """Record a new asset with its clips and return its id. `columns` are those of the asset table."""
    now = utc_now()
    asset = models.Asset(**columns, recorded_at=now)
    session.add(asset)
    session.flush()
    session.add_all(models.Clip(asset_id=asset.id, recorded_at=now, **vars(clip)) for clip in clips)
    record_event(session, "asset.ingested", asset.sha256, {"size_bytes": asset.size_bytes})
    return asset.id


def add_path(session: Session, asset_id: int, path: str) -> int:
    """Record that an asset lies at `path`; return the row's id."""
    query = select(models.AssetPath.id).where(
        models.AssetPath.asset_id == asset_id, models.AssetPath.path == path
    )
    found = session.scalar(query)
    if found is not None:
        return found
    row = models.AssetPath(asset_id=asset_id, path=path, recorded_at=utc_now())
    session.add(row)
    session.flush()
    return row.id


def add_membership(session: Session, collection_id: int, asset_id: int) -> bool:
    """Put an asset into a collection; return whether it was not there before."""
    query = select(models.Membership.id).where(
        models.Membership.collection_id == collection_id, models.Membership.asset_id == asset_id
    )
    if session.scalar(query) is not None:
        return False
    session.add(models.Membership(collection_id=collection_id, asset_id=asset_id, recorded_at=utc_now()))
    record_event(session, "asset.filed", str(asset_id), {"collection_id": collection_id})
    return True


def reject_file(session: Session, *, collection_id: int, path: str, code: str, detail: str) -> bool:
    """Record that a file offered for a collection did not become an asset; return whether that was not known yet."""
    where = (
        models.RejectedFile.collection_id == collection_id,
        models.RejectedFile.path == path,
        models.RejectedFile.code == code,
        models.RejectedFile.detail == detail,
    )
    if session.scalar(select(models.RejectedFile.id).where(*where)) is not None:
        return False
    session.add(
        models.RejectedFile(
            collection_id=collection_id, path=path, code=code, detail=detail, recorded_at=utc_now()
        )
    )
    record_event(session, "file.rejected", path, {"code": code, "detail": detail})
    return True


def add_rights_table(
    session: Session, *, path: str, sha256: str, num_accepted: int, num_rejected: int
) -> bool:
    """Record the import of a rights table; return False if it was the table in force at that path already."""
    newest = session.scalar(
        select(models.RightsTable)
        .where(models.RightsTable.path == path)
        .order_by(models.RightsTable.id.desc())
        .limit(1)
    )
    counts = (sha256, num_accepted, num_rejected)
    if newest is not None and (newest.sha256, newest.num_accepted, newest.num_rejected) == counts:
        return False
    session.add(
        models.RightsTable(
            path=path,
            sha256=sha256,
            num_accepted=num_accepted,
            num_rejected=num_rejected,
            recorded_at=utc_now(),
        )
    )
    payload = {"sha256": sha256, "num_accepted": num_accepted, "num_rejected": num_rejected}
    record_event(session, "rights_table.imported", path, payload)
    return True


def reject_row(
    session: Session,
    *,
    table_path: str,
    table_sha256: str,
    row_number: int,
    code: str,
    reason: str,
    sheet: str = "",
) -> bool:
    """Record that a row of a rights table was not accepted; return whether that was not known yet."""
    where = (
        models.RejectedRow.table_sha256 == table_sha256,
        models.RejectedRow.sheet == sheet,
        models.RejectedRow.row_number == row_number,
        models.RejectedRow.code == code,
        models.RejectedRow.reason == reason,
    )
    if session.scalar(select(models.RejectedRow.id).where(*where)) is not None:
        return False
    session.add(
        models.RejectedRow(
            table_path=table_path,
            table_sha256=table_sha256,
            sheet=sheet,
            row_number=row_number,
            code=code,
            reason=reason,
            recorded_at=utc_now(),
        )
    )
    payload = {"row": row_number, "code": code, "reason": reason} | ({"sheet": sheet} if sheet else {})
    record_event(session, "row.rejected", table_sha256, payload)
    return True


def add_grant(session: Session, *, digest: str, columns: Mapping[str, Any]) -> int:
    """Record a grant by its content digest; the same content is the same grant. Returns its id."""
    found = session.scalar(select(models.Grant.id).where(models.Grant.digest == digest))
    if found is not None:
        return found
    row = models.Grant(**{"contract": {}, "sheet": ""} | dict(columns), digest=digest, recorded_at=utc_now())
    session.add(row)
    session.flush()
    record_event(session, "grant.recorded", digest, {"license_expression": row.license_expression})
    return row.id


def add_claim(session: Session, *, asset_path_id: int, table_path: str, grant_id: int | None) -> bool:
    """Claim a grant for the asset at a path, or withdraw the claim; return whether that changed what is in force."""
    newest = _newest_claim(session, asset_path_id)
    if newest is not None and newest.grant_id == grant_id:
        return False
    session.add(
        models.Claim(
            asset_path_id=asset_path_id,
            table_path=table_path,
            grant_id=grant_id,
            supersedes_id=None if newest is None else newest.id,
            recorded_at=utc_now(),
        )
    )
    kind = (
        "claim.withdrawn" if grant_id is None else "claim.recorded" if newest is None else "claim.superseded"
    )
    record_event(session, kind, str(asset_path_id), {"grant_id": grant_id})
    return True


def drop_claim(session: Session, *, asset_path_id: int, table_path: str) -> bool:
    """Withdraw the claim at a path if the table that made it speaks of the path no more; return whether it did.

    What another table claims stays.
    """
    newest = _newest_claim(session, asset_path_id)
    if newest is None or newest.grant_id is None or newest.table_path != table_path:
        return False
    return add_claim(session, asset_path_id=asset_path_id, table_path=table_path, grant_id=None)


def _newest_claim(session: Session, asset_path_id: int) -> models.Claim | None:
    return session.scalar(
        select(models.Claim)
        .where(models.Claim.asset_path_id == asset_path_id)
        .order_by(models.Claim.id.desc())
        .limit(1)
    )


def ensure_encoder(session: Session, *, digest: str, columns: Mapping[str, Any]) -> int:
    """Record an encoder by its identity and return its id."""
    found = session.scalar(select(models.Encoder.id).where(models.Encoder.digest == digest))
    if found is not None:
        return found
    row = models.Encoder(digest=digest, **columns, recorded_at=utc_now())
    session.add(row)
    session.flush()
    record_event(session, "encoder.registered", digest, {"name": row.name})
    return row.id


def add_embedding(
    session: Session, *, asset_id: int, encoder_id: int, num_rows: int, num_textured_rows: int
) -> None:
    """Record that the vectors of an asset lie in the store."""
    query = select(models.Embedding.id).where(
        models.Embedding.asset_id == asset_id, models.Embedding.encoder_id == encoder_id
    )
    if session.scalar(query) is None:
        session.add(
            models.Embedding(
                asset_id=asset_id,
                encoder_id=encoder_id,
                num_rows=num_rows,
                num_textured_rows=num_textured_rows,
                recorded_at=utc_now(),
            )
        )


_MATCH_KEYS = (
    "asset_id",
    "other_id",
    "detector_digest",
    "start_seconds",
    "end_seconds",
    "other_start_seconds",
    "other_end_seconds",
)


def add_matches(session: Session, matches: Sequence[Mapping[str, Any]]) -> int:
    """Record matches (columns of the match table, lower asset id first); return how many were new.

    The same seconds found with another encoder are the same match: the detector's pictures decided, not the encoder.
    """
    num_new = 0
    for columns in matches:
        where = [getattr(models.Match, key) == columns[key] for key in _MATCH_KEYS]
        if session.scalar(select(models.Match.id).where(*where)) is None:
            session.add(models.Match(**columns, recorded_at=utc_now()))
            session.flush()
            num_new += 1
    return num_new


def add_search(
    session: Session, *, asset_ids: Sequence[int], encoder_id: int, detector_digest: str, num_others: int
) -> None:
    """Record that assets were searched against everything embedded so far."""
    now = utc_now()
    session.add_all(
        models.Search(
            asset_id=asset_id,
            encoder_id=encoder_id,
            detector_digest=detector_digest,
            num_others=num_others,
            recorded_at=now,
        )
        for asset_id in asset_ids
    )
    record_event(
        session, "search.done", detector_digest, {"num_assets": len(asset_ids), "num_others": num_others}
    )


def add_detector(session: Session, *, digest: str, name: str, document: Mapping[str, Any]) -> None:
    """Record a detector by its identity, once."""
    if session.scalar(select(models.Detector.id).where(models.Detector.digest == digest)) is None:
        row = models.Detector(digest=digest, name=name, document=dict(document), recorded_at=utc_now())
        session.add(row)
        session.flush()
        record_event(session, "detector.registered", digest, {"name": name})


def add_sound_print(
    session: Session, *, asset_id: int, engine_digest: str, num_items: int, code: str, detail: str
) -> None:
    """Record that the sound of an asset was fingerprinted, or why it could not be; a newer answer replaces none."""
    query = select(models.SoundPrint.id).where(
        models.SoundPrint.asset_id == asset_id, models.SoundPrint.engine_digest == engine_digest
    )
    if session.scalar(query) is None:
        session.add(
            models.SoundPrint(
                asset_id=asset_id,
                engine_digest=engine_digest,
                num_items=num_items,
                code=code,
                detail=detail,
                recorded_at=utc_now(),
            )
        )
