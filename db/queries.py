"""Reading: what is recorded, as frozen records. Functions take a `Session`, load what they say, and never write."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import models
from db.among import among
from db.artefacts import own_outputs
from db.grant_rows import grants_by_id
from db.known import was_known
from db.matches import matches_of, reference_matches_of, reference_sets_of
from db.plain_rows import plain_rows
from db.records import AssetEvidence, AssetRecord, ClipRecord, GrantRecord, MatchRecord
from db.rights import statements_on
from db.rights_records import NO_STATEMENTS
from db.signals import readings_of
from db.sounds import sound_detectors
from db.vocabularies import CollectionKind

_PAGE = 2000

_ASSET_NAMES = tuple(AssetRecord.__dataclass_fields__)
_ASSET_COLUMNS = tuple(getattr(models.Asset, name) for name in _ASSET_NAMES)
_CLIP_COLUMNS = tuple(getattr(models.Clip, name) for name in ClipRecord._fields)

T = TypeVar("T")


def as_asset(row: models.Asset) -> AssetRecord:
    """Turn a row into a record."""
    names = AssetRecord.__dataclass_fields__
    return AssetRecord(**{name: getattr(row, name) for name in names})


def as_clip(row: models.Clip) -> ClipRecord:
    """Turn a row into a record."""
    return ClipRecord(*(getattr(row, name) for name in ClipRecord._fields))


def find_asset(session: Session, sha256: str) -> AssetRecord | None:
    """Return the asset with these bytes."""
    row = session.scalar(select(models.Asset).where(models.Asset.sha256 == sha256))
    return None if row is None else as_asset(row)


def get_asset(session: Session, asset_id: int) -> AssetRecord:
    """Return the asset with this id, which must exist."""
    return as_asset(session.scalars(select(models.Asset).where(models.Asset.id == asset_id)).one())


def assets_at(session: Session, path: str) -> list[tuple[int, int]]:
    """Return (id, size in bytes) of every asset that was seen at `path`, newest first."""
    query = (
        select(models.Asset.id, models.Asset.size_bytes)
        .join(models.AssetPath, models.AssetPath.asset_id == models.Asset.id)
        .where(models.AssetPath.path == path)
        .order_by(models.AssetPath.id.desc())
    )
    return [(row.id, row.size_bytes) for row in session.execute(query)]


def paths_named(session: Session, name: str) -> list[str]:
    """Return the recorded paths whose last part is `name`, newest first: looks at every path there is."""
    query = (
        select(models.AssetPath.path)
        .where(models.AssetPath.path.endswith(f"/{name}", autoescape=True))
        .group_by(models.AssetPath.path)
        .order_by(func.max(models.AssetPath.id).desc())
    )
    return list(session.scalars(query))


def clips_of_asset(session: Session, asset_id: int) -> tuple[ClipRecord, ...]:
    """Return an asset's clips in order of time."""
    return _clips_of(session, [asset_id]).get(asset_id, ())


def clips_by_prefix(session: Session, prefix: str, *, limit: int) -> list[ClipRecord]:
    """Return up to `limit` clips whose id begins with `prefix`."""
    query = select(models.Clip).where(models.Clip.clip_id.startswith(prefix, autoescape=True)).limit(limit)
    return [as_clip(row) for row in session.scalars(query)]


def encoder_columns(session: Session, digest: str) -> dict[str, str | int]:
    """Return what an encoder's identity is made of; the encoder is on record."""
    row = session.scalars(select(models.Encoder).where(models.Encoder.digest == digest)).one()
    return {
        "name": row.name,
        "weights_sha256": row.weights_sha256,
        "preprocessing": row.preprocessing,
        "dim": row.dim,
    }


def has_embedding(session: Session, asset_id: int, encoder_digest: str) -> bool:
    """Return whether the asset's vectors under this encoder are in the store."""
    query = (
        select(models.Embedding.id)
        .join(models.Encoder, models.Encoder.id == models.Embedding.encoder_id)
        .where(models.Embedding.asset_id == asset_id, models.Encoder.digest == encoder_digest)
    )
    return session.scalar(query) is not None


def embedded_assets(session: Session, encoder_digest: str) -> dict[str, int]:
    """Return sha256 -> id of every asset embedded with this encoder, in order of id."""
    query = (
        select(models.Asset.sha256, models.Asset.id)
        .join(models.Embedding, models.Embedding.asset_id == models.Asset.id)
        .join(models.Encoder, models.Encoder.id == models.Embedding.encoder_id)
        .where(models.Encoder.digest == encoder_digest)
        .order_by(models.Asset.id)
    )
    return {row.sha256: row.id for row in session.execute(query)}


def searched_assets(session: Session, encoder_digest: str, detector_digest: str) -> set[int]:
    """Return ids of the assets whose search with this encoder and detector is on record."""
    query = (
        select(models.Search.asset_id)
        .join(models.Encoder, models.Encoder.id == models.Search.encoder_id)
        .where(models.Encoder.digest == encoder_digest, models.Search.detector_digest == detector_digest)
    )
    return set(session.scalars(query))


def num_unsearched_reference_assets(
    session: Session, encoder_digest: str, detector_digest: str, *, known_on: dt.datetime | None = None
) -> int:
    """Count reference assets that the near-duplicate search does not cover yet."""
    searched = (
        select(models.Search.asset_id)
        .join(models.Encoder, models.Encoder.id == models.Search.encoder_id)
        .where(
            models.Encoder.digest == encoder_digest,
            models.Search.detector_digest == detector_digest,
            was_known(models.Search, known_on),
        )
    )
    query = (
        select(func.count(func.distinct(models.Membership.asset_id)))
        .join(models.Collection, models.Collection.id == models.Membership.collection_id)
        .where(
            models.Collection.kind == CollectionKind.REFERENCE,
            models.Membership.asset_id.not_in(searched),
            was_known(models.Membership, known_on),
        )
    )
    return session.scalar(query) or 0


def collection_sizes(session: Session) -> list[tuple[str, CollectionKind, int, float]]:
    """Return (name, kind, number of assets, seconds) of every collection."""
    query = (
        select(
            models.Collection.name,
            models.Collection.kind,
            func.count(models.Membership.id),
            func.coalesce(func.sum(models.Asset.duration_seconds), 0.0),
        )
        .outerjoin(models.Membership, models.Membership.collection_id == models.Collection.id)
        .outerjoin(models.Asset, models.Asset.id == models.Membership.asset_id)
        .group_by(models.Collection.id, models.Collection.name, models.Collection.kind)
        .order_by(models.Collection.name)
    )
    return [(name, kind, count, seconds) for name, kind, count, seconds in session.execute(query)]


def asset_paths(session: Session, asset_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return the recorded paths of each asset, newest first."""
    query = (
        select(models.AssetPath.asset_id, models.AssetPath.path)
        .where(among(models.AssetPath.asset_id, asset_ids))
        .order_by(models.AssetPath.id.desc())
    )
    return _grouped(plain_rows(session, query))


def claims_in_force(
    session: Session, asset_ids: Sequence[int], *, known_on: dt.datetime | None = None
) -> dict[int, tuple[GrantRecord, ...]]:
    """Return the grants in force of each asset: the newest claim of each of its paths, each grant once."""
    newest = (
        select(func.max(models.Claim.id).label("claim_id"), models.AssetPath.asset_id)
        .join(models.AssetPath, models.AssetPath.id == models.Claim.asset_path_id)
        .where(among(models.AssetPath.asset_id, asset_ids), was_known(models.Claim, known_on))
        .group_by(models.AssetPath.asset_id, models.Claim.asset_path_id)
        .subquery()
    )
    query = (
        select(newest.c.asset_id, models.Claim.grant_id)
        .join(models.Claim, models.Claim.id == newest.c.claim_id)
        .where(models.Claim.grant_id.is_not(None))
        .order_by(newest.c.claim_id.desc())
    )
    claimed: dict[int, dict[int, None]] = defaultdict(dict)
    for asset_id, grant_id in plain_rows(session, query):
        claimed[asset_id][grant_id] = None
    grants = grants_by_id(session, {grant_id for found in claimed.values() for grant_id in found})
    return {asset_id: tuple(grants[grant_id] for grant_id in found) for asset_id, found in claimed.items()}


def library_evidence(
    session: Session, encoder_digest: str, detector_digest: str, *, known_on: dt.datetime | None = None
) -> Iterator[AssetEvidence]:
    """Yield the evidence on every library asset: memory is bounded by a page of them."""
    for page in library_pages(session, encoder_digest, detector_digest, known_on=known_on):
        yield from page


def library_pages(
    session: Session, encoder_digest: str, detector_digest: str, *, known_on: dt.datetime | None = None
) -> Iterator[list[AssetEvidence]]:
    """Yield the evidence on the library assets in order of id, some hundred at a time."""
    library = session.scalar(
        select(models.Collection.id).where(models.Collection.kind == CollectionKind.LIBRARY)
    )
    last_id = 0
    while True:
        # By the columns that both indexes are sorted on: a page costs what it holds, not what is before it.
        query = (
            select(*_ASSET_COLUMNS)
            .join(models.Membership, models.Membership.asset_id == models.Asset.id)
            .where(
                models.Membership.collection_id == library,
                models.Membership.asset_id > last_id,
                models.Asset.id > last_id,
                was_known(models.Membership, known_on),
            )
            .order_by(models.Membership.asset_id)
            .limit(_PAGE)
        )
        assets = [
            AssetRecord(**dict(zip(_ASSET_NAMES, row, strict=True))) for row in plain_rows(session, query)
        ]
        if not assets:
            return
        yield evidence_on(session, assets, encoder_digest, detector_digest, known_on=known_on)
        last_id = assets[-1].id


def evidence_on(
    session: Session,
    assets: Sequence[AssetRecord],
    encoder_digest: str,
    detector_digest: str,
    *,
    known_on: dt.datetime | None = None,
) -> list[AssetEvidence]:
    """Return the evidence on these assets, in their order.

    `known_on`: what was recorded later is not known yet; `None`: everything on record.
    """
    ids = [asset.id for asset in assets]
    matches = matches_of(session, ids, detector_digest, known_on=known_on)
    others = sorted({match.other_id for records in matches.values() for match in records})
    behind = reference_matches_of(session, others, detector_digest, known_on=known_on)
    paths = asset_paths(session, ids)
    rights = statements_on(session, {a.id: a.sha256 for a in assets}, paths, known_on=known_on)
    claims = claims_in_force(session, ids, known_on=known_on)
    other_claims = _all_claims(session, others, known_on)
    exact, clips = reference_sets_of(session, ids, known_on=known_on), _clips_of(session, ids)
    searched = searched_among(session, ids, encoder_digest, detector_digest, known_on=known_on)
    textured = _textured_rows(session, ids, encoder_digest, known_on)
    readings = readings_of(session, ids, known_on=known_on)
    made_here = own_outputs(session, ids, known_on=known_on)
    return [
        AssetEvidence(
            asset=asset,
            paths=paths.get(asset.id, ()),
            clips=clips.get(asset.id, ()),
            claims=claims.get(asset.id, ()),
            matches=matches.get(asset.id, ()),
            reference_matches=_reference_matches(matches.get(asset.id, ()), behind),
            other_claims={m.other_id: other_claims.get(m.other_id, ()) for m in matches.get(asset.id, ())},
            exact_reference_sets=exact.get(asset.id, ()),
            is_searched=asset.id in searched,
            num_textured_rows=textured.get(asset.id, 0),
            rights=rights.get(asset.id, NO_STATEMENTS),
            signals_read_by=readings.get(asset.id, frozenset()),
            is_own_output=asset.id in made_here,
            has_research_ancestor=not made_here.get(asset.id, True),
        )
        for asset in assets
    ]


def _all_claims(
    session: Session, asset_ids: Sequence[int], known_on: dt.datetime | None
) -> dict[int, tuple[GrantRecord, ...]]:
    """Return every grant that speaks of each asset: of rights tables and catalogues, at any level."""
    if not asset_ids:
        return {}
    claims = claims_in_force(session, asset_ids, known_on=known_on)
    query = select(models.Asset.id, models.Asset.sha256).where(among(models.Asset.id, asset_ids))
    digests = {row.id: row.sha256 for row in session.execute(query)}
    stated = statements_on(session, digests, asset_paths(session, asset_ids), known_on=known_on)
    found = {}
    for asset_id in asset_ids:
        scoped = stated[asset_id].grants if asset_id in stated else ()
        grants = (*claims.get(asset_id, ()), *(item.grant for item in scoped))
        found[asset_id] = tuple({grant.id: grant for grant in grants}.values())
    return found


def _reference_matches(
    matches: Sequence[MatchRecord], behind: Mapping[int, Sequence[MatchRecord]]
) -> dict[int, tuple[MatchRecord, ...]]:
    return {
        match.other_id: tuple(far for far in behind.get(match.other_id, ()) if far.other_collections)
        for match in matches
    }


def searched_among(
    session: Session,
    asset_ids: Sequence[int],
    encoder_digest: str,
    detector_digest: str,
    *,
    known_on: dt.datetime | None = None,
) -> set[int]:
    """Return those of `asset_ids` whose search with this encoder and detector is on record."""
    query = (
        select(models.Search.asset_id)
        .join(models.Encoder, models.Encoder.id == models.Search.encoder_id)
        .where(
            among(models.Search.asset_id, asset_ids),
            models.Encoder.digest == encoder_digest,
            models.Search.detector_digest == detector_digest,
            was_known(models.Search, known_on),
        )
    )
    return set(session.scalars(query))


def _clips_of(session: Session, asset_ids: Sequence[int]) -> dict[int, tuple[ClipRecord, ...]]:
    query = (
        select(*_CLIP_COLUMNS)
        .where(among(models.Clip.asset_id, asset_ids))
        .order_by(models.Clip.asset_id, models.Clip.start_pts)
    )
    groups: dict[int, list[ClipRecord]] = defaultdict(list)
    for clip in map(ClipRecord._make, plain_rows(session, query)):
        groups[clip.asset_id].append(clip)
    return {asset_id: tuple(clips) for asset_id, clips in groups.items()}


def _textured_rows(
    session: Session, asset_ids: Sequence[int], encoder_digest: str, known_on: dt.datetime | None
) -> dict[int, int]:
    query = (
        select(models.Embedding.asset_id, models.Embedding.num_textured_rows)
        .join(models.Encoder, models.Encoder.id == models.Embedding.encoder_id)
        .where(
            among(models.Embedding.asset_id, asset_ids),
            models.Encoder.digest == encoder_digest,
            was_known(models.Embedding, known_on),
        )
    )
    return dict(tuple(row) for row in plain_rows(session, query))


def _grouped(pairs: Iterable[tuple[int, T]]) -> dict[int, tuple[T, ...]]:
    groups: dict[int, list[T]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return {key: tuple(values) for key, values in groups.items()}


def latest_comparison(
    session: Session, *, known_on: dt.datetime | None = None
) -> tuple[str, str, str] | None:
    """Return (encoder digest, encoder name, detector digest) of the newest search of pictures, if there was one."""
    query = (
        select(models.Encoder.digest, models.Encoder.name, models.Search.detector_digest)
        .join(models.Search, models.Search.encoder_id == models.Encoder.id)
        .where(models.Search.detector_digest.not_in(sound_detectors()), was_known(models.Search, known_on))
        .order_by(models.Search.id.desc())
        .limit(1)
    )
    found = session.execute(query).one_or_none()
    return None if found is None else (found[0], found[1], found[2])
