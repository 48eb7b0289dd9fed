"""What the library holds, counted by the database: clips and seconds by outcome, licence and rights holder."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import Session

from db import models
from db.known import was_known
from db.rights_models import Appearance, Filing, GrantScope, Release
from db.vocabularies import CollectionKind, Outcome


@dataclass(frozen=True, kw_only=True)
class Holding:
    """Clips that share outcome, licence and rights holder. `None`: not decided, no licence, no holder."""

    outcome: Outcome | None
    license_expression: str | None
    rights_holder: str | None
    num_clips: int
    duration_seconds: float


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """A file or a row of a rights table that was offered and not accepted."""

    subject: str
    code: str
    detail: str


def rejected_files(session: Session) -> Iterator[Rejection]:
    """Yield files that were offered and are no asset to this day, newest reason of each path only."""
    newest = select(func.max(models.RejectedFile.id)).group_by(models.RejectedFile.path)
    query = (
        select(models.RejectedFile)
        .outerjoin(models.AssetPath, models.AssetPath.path == models.RejectedFile.path)
        .where(models.RejectedFile.id.in_(newest), models.AssetPath.id.is_(None))
        .order_by(models.RejectedFile.path)
    )
    for row in session.scalars(query).yield_per(1000):
        yield Rejection(subject=row.path, code=row.code, detail=row.detail)


def rejected_rows(session: Session) -> Iterator[Rejection]:
    """Yield the rejected rows of the rights tables in force, each with its newest reason, unless recorded since.

    A row whose file was not on record is recorded by the same catalogue once the file is.
    """
    row = models.RejectedRow
    newest = select(func.max(models.RightsTable.id)).group_by(models.RightsTable.path)
    in_force = select(models.RightsTable.sha256).where(models.RightsTable.id.in_(newest))
    reasons = select(func.max(row.id)).group_by(row.table_sha256, row.sheet, row.row_number, row.code)
    query = (
        select(row)
        .where(row.table_sha256.in_(in_force), row.id.in_(reasons), ~_is_recorded_since())
        .order_by(row.table_path, row.sheet, row.row_number)
    )
    for found in session.scalars(query).yield_per(1000):
        sheet = f", sheet {found.sheet}" if found.sheet else ""
        subject = f"{found.table_path}{sheet}, row {found.row_number}"
        yield Rejection(subject=subject, code=found.code, detail=found.reason)


def _is_recorded_since() -> ColumnElement[bool]:
    row = models.RejectedRow
    return or_(
        *(
            exists(
                select(table.id).where(
                    table.table_sha256 == row.table_sha256,
                    table.sheet == row.sheet,
                    table.row_number == row.row_number,
                    table.recorded_at > row.recorded_at,
                )
            )
            for table in (Filing, GrantScope, Release, Appearance)
        )
    )


def rejected_reference_files(session: Session, *, known_on: dt.datetime | None = None) -> list[str]:
    """Return the paths of files that were offered for a reference set and are no asset to this day, or to that one."""
    taken_in = (models.AssetPath.path == models.RejectedFile.path) & was_known(models.AssetPath, known_on)
    query = (
        select(models.RejectedFile.path)
        .join(models.Collection, models.Collection.id == models.RejectedFile.collection_id)
        .outerjoin(models.AssetPath, taken_in)
        .where(
            models.Collection.kind == CollectionKind.REFERENCE,
            models.AssetPath.id.is_(None),
            was_known(models.RejectedFile, known_on),
        )
        .order_by(models.RejectedFile.path)
        .distinct()
    )
    return list(session.scalars(query))


def empty_reference_sets(session: Session, *, known_on: dt.datetime | None = None) -> list[str]:
    """Return the names of the reference sets that hold nothing, because none of their footage could be read."""
    holds = (models.Membership.collection_id == models.Collection.id) & was_known(models.Membership, known_on)
    query = (
        select(models.Collection.name)
        .outerjoin(models.Membership, holds)
        .where(
            models.Collection.kind == CollectionKind.REFERENCE,
            models.Membership.id.is_(None),
            was_known(models.Collection, known_on),
        )
        .order_by(models.Collection.name)
    )
    return list(session.scalars(query))


def reference_texture(session: Session, encoder_digest: str) -> list[tuple[int, str, int]]:
    """Return (asset id, sha256, sampled frames with texture) of every reference asset that the encoder embedded."""
    query = (
        select(models.Asset.id, models.Asset.sha256, models.Embedding.num_textured_rows)
        .join(models.Embedding, models.Embedding.asset_id == models.Asset.id)
        .join(models.Encoder, models.Encoder.id == models.Embedding.encoder_id)
        .join(models.Membership, models.Membership.asset_id == models.Asset.id)
        .join(models.Collection, models.Collection.id == models.Membership.collection_id)
        .where(models.Collection.kind == CollectionKind.REFERENCE, models.Encoder.digest == encoder_digest)
        .distinct()
        .order_by(models.Asset.id)
    )
    return [(row[0], row[1], row[2]) for row in session.execute(query)]


def num_library_clips(session: Session) -> int:
    """Count the clips of the library."""
    query = (
        select(func.count(models.Clip.id))
        .join(models.Membership, models.Membership.asset_id == models.Clip.asset_id)
        .join(models.Collection, models.Collection.id == models.Membership.collection_id)
        .where(models.Collection.kind == CollectionKind.LIBRARY)
    )
    return session.scalar(query) or 0
