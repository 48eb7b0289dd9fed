"""Sound on record: which assets were fingerprinted, and which detector found what their sound shares."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, ScalarSelect, Select, select
from sqlalchemy.orm import Session

from db import models
from db.known import was_known
from db.vocabularies import MatchKind


@dataclass(frozen=True, kw_only=True)
class SoundRecord:
    """The answer on the sound of an asset."""

    num_items: int
    code: str
    """Why it cannot be compared; empty if it can."""
    detail: str


def sound_of(session: Session, asset_id: int, engine_digest: str) -> SoundRecord | None:
    """Return what this engine made of an asset's sound; None: it was not asked yet."""
    return sounds_of(session, [asset_id], engine_digest).get(asset_id)


def sounds_of(session: Session, asset_ids: Sequence[int], engine_digest: str) -> dict[int, SoundRecord]:
    """Return what this engine made of the sound of each asset that it was asked about."""
    query = select(models.SoundPrint).where(
        models.SoundPrint.asset_id.in_(asset_ids), models.SoundPrint.engine_digest == engine_digest
    )
    return {
        row.asset_id: SoundRecord(num_items=row.num_items, code=row.code, detail=row.detail)
        for row in session.scalars(query)
    }


def sounding_assets(session: Session, engine_digest: str) -> dict[str, int]:
    """Return sha256 -> id of every asset whose sound can be compared, in order of id."""
    query = (
        select(models.Asset.sha256, models.Asset.id)
        .join(models.SoundPrint, models.SoundPrint.asset_id == models.Asset.id)
        .where(models.SoundPrint.engine_digest == engine_digest, models.SoundPrint.code == "")
        .order_by(models.Asset.id)
    )
    return {row.sha256: row.id for row in session.execute(query)}


def sound_detectors() -> Select[str]:
    """Select the digests of all detectors of sound: those whose document is of that kind."""
    return select(models.Detector.digest).where(_is_of_sound())


def newest_sound_detector(*, known_on: dt.datetime | None = None) -> ScalarSelect[str]:
    """Select the digest of the detector of sound that was registered last, or last by `known_on`."""
    newest = (
        select(models.Detector.digest)
        .where(_is_of_sound(), was_known(models.Detector, known_on))
        .order_by(models.Detector.id.desc())
        .limit(1)
    )
    return newest.scalar_subquery()


def _is_of_sound() -> ColumnElement[bool]:
    is_of_sound: ColumnElement[bool] = models.Detector.document["kind"].as_string() == MatchKind.SOUND.value
    return is_of_sound
