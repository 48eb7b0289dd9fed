"""Reading matches: which seconds of which assets are copies of each other, as each side sees it."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, select, union
from sqlalchemy.orm import Session

from db import models
from db.among import among
from db.known import was_known
from db.records import MatchRecord
from db.sounds import newest_sound_detector
from db.vocabularies import CollectionKind, MatchKind


def matches_of(
    session: Session,
    asset_ids: Sequence[int],
    detector_digest: str,
    *,
    known_on: dt.datetime | None = None,
) -> dict[int, tuple[MatchRecord, ...]]:
    """Return each asset's matches as that asset sees them, strongest first.

    These are what this detector found in the pictures, and what the newest detector of sound found. Matches of other
    detectors are history. Those of another encoder are returned: an encoder only nominates, the detector's comparison
    of the pictures decided.
    """
    touching = among(models.Match.asset_id, asset_ids) | among(models.Match.other_id, asset_ids)
    return _seen_by(session, asset_ids, touching, detector_digest, known_on)


def reference_matches_of(
    session: Session,
    asset_ids: Sequence[int],
    detector_digest: str,
    *,
    known_on: dt.datetime | None = None,
) -> dict[int, tuple[MatchRecord, ...]]:
    """Return what each asset shares with reference footage, as `matches_of` does.

    A logo that opens a hundred thousand films matches all of them: what matters of it is asked for alone.
    """
    # Joined from the side of the few matches: what is asked of a page does not grow with the reference sets.
    touching = models.Match.id.in_(
        union(
            _with_reference(models.Match.asset_id, models.Match.other_id, asset_ids, known_on),
            _with_reference(models.Match.other_id, models.Match.asset_id, asset_ids, known_on),
        )
    )
    return _seen_by(session, asset_ids, touching, detector_digest, known_on)


def _with_reference(
    this: Any, that: Any, asset_ids: Sequence[int], known_on: dt.datetime | None
) -> Select[int]:
    """Return the query for the ids of matches of `asset_ids` on one side with reference footage on the other."""
    return (
        select(models.Match.id)
        .join(models.Membership, models.Membership.asset_id == that)
        .join(models.Collection, models.Collection.id == models.Membership.collection_id)
        .where(
            among(this, asset_ids),
            models.Collection.kind == CollectionKind.REFERENCE,
            was_known(models.Membership, known_on),
        )
    )


def picture_matches(session: Session, detector_digest: str) -> Iterator[tuple[int, int]]:
    """Yield each pair of assets (ids, the lower first) between which this detector found a match of pictures.

    Every tier counts: footage that may be the same, or shows the same scene, is no independent footage.
    """
    query = (
        select(models.Match.asset_id, models.Match.other_id)
        .where(models.Match.detector_digest == detector_digest, models.Match.kind == MatchKind.PICTURE)
        .distinct()
    )
    yield from ((asset_id, other_id) for asset_id, other_id in session.execute(query))


def _seen_by(
    session: Session,
    asset_ids: Sequence[int],
    touching: ColumnElement[bool],
    detector_digest: str,
    known_on: dt.datetime | None,
) -> dict[int, tuple[MatchRecord, ...]]:
    if not asset_ids:
        return {}
    query = (
        select(models.Match)
        .where(
            touching,
            models.Match.detector_digest.in_([detector_digest, newest_sound_detector(known_on=known_on)]),
            was_known(models.Match, known_on),
        )
        .order_by(models.Match.score.desc(), models.Match.id)
    )
    rows = list(session.scalars(query))
    everyone = sorted({row.asset_id for row in rows} | {row.other_id for row in rows})
    sets = reference_sets_of(session, everyone, known_on=known_on)
    library = library_members(session, everyone, known_on=known_on)
    wanted = set(asset_ids)
    found: dict[int, list[MatchRecord]] = defaultdict(list)
    for row in rows:
        for record in _both_views(row, sets, library):
            if record.asset_id in wanted:
                found[record.asset_id].append(record)
    return {asset_id: tuple(records) for asset_id, records in found.items()}


def _both_views(
    row: models.Match, sets: Mapping[int, tuple[str, ...]], library: set[int]
) -> Iterator[MatchRecord]:
    near = (row.start_seconds, row.end_seconds)
    far = (row.other_start_seconds, row.other_end_seconds)
    for this, this_span, that, that_span in (
        (row.asset_id, near, row.other_id, far),
        (row.other_id, far, row.asset_id, near),
    ):
        yield MatchRecord(
            asset_id=this,
            other_id=that,
            start_seconds=this_span[0],
            end_seconds=this_span[1],
            other_start_seconds=that_span[0],
            other_end_seconds=that_span[1],
            score=row.score,
            num_votes=row.num_votes,
            other_collections=sets.get(that, ()),
            is_other_in_library=that in library,
            kind=row.kind,
            tier=row.tier,
            speed=row.speed if this == row.asset_id else 1 / row.speed,
            is_mirrored=row.is_mirrored,
            evidence=row.evidence,
        )


def reference_sets_of(
    session: Session, asset_ids: Sequence[int], *, known_on: dt.datetime | None = None
) -> dict[int, tuple[str, ...]]:
    """Return the names of the reference sets that hold each asset."""
    query = (
        select(models.Membership.asset_id, models.Collection.name)
        .join(models.Collection, models.Collection.id == models.Membership.collection_id)
        .where(
            among(models.Membership.asset_id, asset_ids),
            models.Collection.kind == CollectionKind.REFERENCE,
            was_known(models.Membership, known_on),
        )
        .order_by(models.Collection.name)
    )
    sets: dict[int, list[str]] = defaultdict(list)
    for asset_id, name in session.execute(query):
        sets[asset_id].append(name)
    return {asset_id: tuple(names) for asset_id, names in sets.items()}


def library_members(
    session: Session, asset_ids: Sequence[int], *, known_on: dt.datetime | None = None
) -> set[int]:
    """Return those of `asset_ids` that are in the library."""
    query = (
        select(models.Membership.asset_id)
        .join(models.Collection, models.Collection.id == models.Membership.collection_id)
        .where(
            among(models.Membership.asset_id, asset_ids),
            models.Collection.kind == CollectionKind.LIBRARY,
            was_known(models.Membership, known_on),
        )
    )
    return set(session.scalars(query))
