"""Reading: what is recorded, as frozen records. Functions take a `Session`, load what they say, and never write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import models
from db.contracts import Contract
from db.matches import matches_of, reference_sets_of
from db.records import AssetEvidence, AssetRecord, ClipRecord, GrantRecord, MatchRecord
from db.sounds import sound_detectors
from db.vocabularies import CollectionKind

_PAGE = 500

T = TypeVar("T")


def as_asset(row: models.Asset) -> AssetRecord:
    """Turn a row into a record."""
    names = AssetRecord.__dataclass_fields__
    return AssetRecord(**{name: getattr(row, name) for name in names})


def as_clip(row: models.Clip) -> ClipRecord:
    """Turn a row into a record."""
    return ClipRecord(**{name: getattr(row, name) for name in ClipRecord.__dataclass_fields__})


def as_grant(row: models.Grant) -> GrantRecord:
    """Turn a row into a record."""
    values = {name: getattr(row, name) for name in GrantRecord.__dataclass_fields__}
    values["permitted_uses"] = tuple(row.permitted_uses)
    values["territories"] = tuple(row.territories)
    values["contract"] = Contract.from_json(row.contract)
    return GrantRecord(**values)


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


def num_unsearched_reference_assets(session: Session, encoder_digest: str, detector_digest: str) -> int:
    """Count reference assets that the near-duplicate search does not cover yet."""
    searched = (
        select(models.Search.asset_id)
        .join(models.Encoder, models.Encoder.id == models.Search.encoder_id)
        .where(models.Encoder.digest == encoder_digest, models.Search.detector_digest == detector_digest)
    )
    query = (
        select(func.count(func.distinct(models.Membership.asset_id)))
        .join(models.Collection, models.Collection.id == models.Membership.collection_id)
        .where(
            models.Collection.kind == CollectionKind.REFERENCE,
            models.Membership.asset_id.not_in(searched),
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
        .where(models.AssetPath.asset_id.in_(asset_ids))
        .order_by(models.AssetPath.id.desc())
    )
    return _grouped(session.execute(query))


def claims_in_force(session: Session, asset_ids: Sequence[int]) -> dict[int, tuple[GrantRecord, ...]]:
    """Return the grants in force of each asset: the newest claim of each of its paths, each grant once."""
    newest = (
        select(func.max(models.Claim.id).label("claim_id"), models.AssetPath.asset_id)
        .join(models.AssetPath, models.AssetPath.id == models.Claim.asset_path_id)
        .where(models.AssetPath.asset_id.in_(asset_ids))
        .group_by(models.AssetPath.asset_id, models.Claim.asset_path_id)
        .subquery()
    )
    query = (
        select(newest.c.asset_id, models.Grant)
        .join(models.Claim, models.Claim.id == newest.c.claim_id)
        .join(models.Grant, models.Grant.id == models.Claim.grant_id)
        .order_by(newest.c.claim_id.desc())
    )
    grants: dict[int, dict[int, GrantRecord]] = defaultdict(dict)
    for asset_id, row in session.execute(query):
        grants[asset_id].setdefault(row.id, as_grant(row))
    return {asset_id: tuple(found.values()) for asset_id, found in grants.items()}


def library_evidence(session: Session, encoder_digest: str, detector_digest: str) -> Iterator[AssetEvidence]:
    """Yield the evidence on every library asset, page by page: memory is bounded by the page."""
    last_id = 0
    while True:
        query = (
            select(models.Asset)
            .join(models.Membership, models.Membership.asset_id == models.Asset.id)
            .join(models.Collection, models.Collection.id == models.Membership.collection_id)
            .where(models.Collection.kind == CollectionKind.LIBRARY, models.Asset.id > last_id)
            .order_by(models.Asset.id)
            .limit(_PAGE)
        )
        assets = [as_asset(row) for row in session.scalars(query).unique()]
        if not assets:
            return
        yield from evidence_on(session, assets, encoder_digest, detector_digest)
        last_id = assets[-1].id


def evidence_on(
    session: Session, assets: Sequence[AssetRecord], encoder_digest: str, detector_digest: str
) -> list[AssetEvidence]:
    """Return the evidence on these assets, in their order."""
    ids = [asset.id for asset in assets]
    matches = matches_of(session, ids, detector_digest)
    others = sorted({match.other_id for records in matches.values() for match in records})
    behind = matches_of(session, others, detector_digest)
    claims, other_claims = claims_in_force(session, ids), claims_in_force(session, others)
    paths, exact, clips = asset_paths(session, ids), reference_sets_of(session, ids), _clips_of(session, ids)
    searched = searched_among(session, ids, encoder_digest, detector_digest)
    textured = _textured_rows(session, ids, encoder_digest)
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
        )
        for asset in assets
    ]


def _reference_matches(
    matches: Sequence[MatchRecord], behind: Mapping[int, Sequence[MatchRecord]]
) -> dict[int, tuple[MatchRecord, ...]]:
    return {
        match.other_id: tuple(far for far in behind.get(match.other_id, ()) if far.other_collections)
        for match in matches
    }


def searched_among(
    session: Session, asset_ids: Sequence[int], encoder_digest: str, detector_digest: str
) -> set[int]:
    """Return those of `asset_ids` whose search with this encoder and detector is on record."""
    query = (
        select(models.Search.asset_id)
        .join(models.Encoder, models.Encoder.id == models.Search.encoder_id)
        .where(
            models.Search.asset_id.in_(asset_ids),
            models.Encoder.digest == encoder_digest,
            models.Search.detector_digest == detector_digest,
        )
    )
    return set(session.scalars(query))


def _clips_of(session: Session, asset_ids: Sequence[int]) -> dict[int, tuple[ClipRecord, ...]]:
    query = (
        select(models.Clip)
        .where(models.Clip.asset_id.in_(asset_ids))
        .order_by(models.Clip.asset_id, models.Clip.start_pts)
    )
    return _grouped((row.asset_id, as_clip(row)) for row in session.scalars(query))


def _textured_rows(session: Session, asset_ids: Sequence[int], encoder_digest: str) -> dict[int, int]:
    query = (
        select(models.Embedding.asset_id, models.Embedding.num_textured_rows)
        .join(models.Encoder, models.Encoder.id == models.Embedding.encoder_id)
        .where(models.Embedding.asset_id.in_(asset_ids), models.Encoder.digest == encoder_digest)
    )
    return dict(session.execute(query).all())


def _grouped(pairs: Iterable[tuple[int, T]]) -> dict[int, tuple[T, ...]]:
    groups: dict[int, list[T]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return {key: tuple(values) for key, values in groups.items()}


def latest_comparison(session: Session) -> tuple[str, str, str] | None:
    """Return (encoder digest, encoder name, detector digest) of the newest search of pictures, if there was one."""
    query = (
        select(models.Encoder.digest, models.Encoder.name, models.Search.detector_digest)
        .join(models.Search, models.Search.encoder_id == models.Encoder.id)
        .where(models.Search.detector_digest.not_in(sound_detectors()))
        .order_by(models.Search.id.desc())
        .limit(1)
    )
    found = session.execute(query).one_or_none()
    return None if found is None else (found[0], found[1], found[2])
