"""What competing claims rest on: copies between files, who claims each file since when, and with which document.

Everything is read in streams or in pages of assets; no pair of assets is looked at that no match joins.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from db import models
from db.audits import in_library, is_newest_claim, is_newest_scope
from db.grant_rows import as_grant
from db.matches import library_members
from db.newest import newest_rows
from db.queries import asset_paths
from db.records import GrantRecord
from db.rights import asset_scope, path_scope, statements_on
from db.rights_models import Document, GrantScope
from db.vocabularies import COPY_TIERS, CollectionKind, MatchKind

_PAGE = 500
_STREAM = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyEdge:
    """One copied span of pictures; the asset with the lower id stands first."""

    asset_id: int
    other_id: int
    start_seconds: float
    end_seconds: float
    other_start_seconds: float
    other_end_seconds: float
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A grant by which somebody claims a file, and since when that is on record."""

    grant: GrantRecord
    recorded_at: dt.datetime
    is_of_file: bool
    """The claim speaks of this file, and not of a title above it."""
    path: str | None
    """The path that it hangs on; `None` if it speaks of the bytes, or of a title, wherever they lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A file and everybody who claims it, or wants it kept out."""

    asset_id: int
    sha256: str
    paths: tuple[str, ...]
    duration_seconds: float
    is_in_library: bool
    claims: tuple[Claimed, ...]
    reference_sets: tuple[tuple[str, dt.datetime], ...]
    """Name of the set, and since when the file is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedDocument:
    """What is on record of a document that proves a grant."""

    kind: str
    received_at: dt.datetime | None
    received_from: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacedClaim:
    """A claim that took the place of another holder's, stated by another table than the one that made that claim."""

    asset_id: int
    earlier: GrantRecord
    earlier_recorded_at: dt.datetime
    earlier_table: str
    path: str
    later_grant_id: int


def copy_edges(session: Session, detector_digest: str) -> Iterator[CopyEdge]:
    """Yield the copies of pictures that a detector found, those of one pair of assets one after another."""
    match = models.Match
    query = (
        select(
            match.asset_id,
            match.other_id,
            match.start_seconds,
            match.end_seconds,
            match.other_start_seconds,
            match.other_end_seconds,
            match.score,
        )
        .where(
            match.detector_digest == detector_digest,
            match.kind == MatchKind.PICTURE,
            match.tier.in_(COPY_TIERS),
        )
        .order_by(match.asset_id, match.other_id, match.start_seconds, match.id)
    )
    for row in session.execute(query, execution_options={"yield_per": _STREAM}):
        yield CopyEdge(
            asset_id=row[0],
            other_id=row[1],
            start_seconds=row[2],
            end_seconds=row[3],
            other_start_seconds=row[4],
            other_end_seconds=row[5],
            score=row[6],
        )


def blocked_library_assets(session: Session) -> list[int]:
    """Return the assets that are in the library and, byte for byte, in a reference set."""
    query = (
        select(models.Membership.asset_id)
        .join(models.Collection, models.Collection.id == models.Membership.collection_id)
        .where(models.Collection.kind == CollectionKind.REFERENCE, in_library(models.Membership.asset_id))
        .distinct()
        .order_by(models.Membership.asset_id)
    )
    return list(session.scalars(query))


def assets_of_several_holders(session: Session) -> list[int]:
    """Return the library assets of which several holders may claim the very same bytes.

    Those that rights tables give to different holders, and those of which both a table and a catalogue speak.
    """
    by_tables = (
        select(models.AssetPath.asset_id)
        .join(models.Claim, models.Claim.asset_path_id == models.AssetPath.id)
        .join(models.Grant, models.Grant.id == models.Claim.grant_id)
        .where(is_newest_claim(), in_library(models.AssetPath.asset_id))
        .group_by(models.AssetPath.asset_id)
        .having(func.count(func.distinct(models.Grant.rights_holder)) > 1)
    )
    by_bytes = (
        select(models.Asset.id)
        .join(GrantScope, GrantScope.scope == "asset:" + models.Asset.sha256)
        .where(is_newest_scope(), in_library(models.Asset.id))
    )
    by_path = (
        select(models.AssetPath.asset_id)
        .join(GrantScope, GrantScope.scope == "path:" + models.AssetPath.path)
        .where(is_newest_scope(), in_library(models.AssetPath.asset_id))
    )
    return sorted({*session.scalars(by_tables), *session.scalars(by_bytes), *session.scalars(by_path)})


def replaced_claims(session: Session) -> Iterator[ReplacedClaim]:
    """Yield the claims in force that took another holder's place without his own table having withdrawn it."""
    later = aliased(models.Claim)
    later_grant = aliased(models.Grant)
    newer = aliased(models.Claim)
    query = (
        select(models.AssetPath.asset_id, models.AssetPath.path, models.Grant, models.Claim, later.grant_id)
        .join(models.Claim, models.Claim.asset_path_id == models.AssetPath.id)
        .join(later, later.supersedes_id == models.Claim.id)
        .join(models.Grant, models.Grant.id == models.Claim.grant_id)
        .join(later_grant, later_grant.id == later.grant_id)
        .where(
            later.table_path != models.Claim.table_path,
            later_grant.rights_holder != models.Grant.rights_holder,
            ~exists(select(newer.id).where(newer.asset_path_id == later.asset_path_id, newer.id > later.id)),
            in_library(models.AssetPath.asset_id),
        )
        .order_by(models.AssetPath.asset_id, models.Claim.id)
    )
    for asset_id, path, grant, claim, later_id in session.execute(query):
        assert later_id is not None, "a claim whose grant was read has one"
        yield ReplacedClaim(
            asset_id=asset_id,
            earlier=as_grant(grant),
            earlier_recorded_at=claim.recorded_at,
            earlier_table=claim.table_path,
            path=path,
            later_grant_id=later_id,
        )


def holders_by_asset(
    session: Session, asset_ids: Collection[int]
) -> Iterator[tuple[int, frozenset[str], bool]]:
    """Yield (asset id, who claims it at any level, whether it is reference footage) for each of `asset_ids`."""
    for standing in standings(session, asset_ids):
        holders = frozenset(claim.grant.rights_holder for claim in standing.claims)
        yield (
            standing.asset_id,
            holders if standing.is_in_library else frozenset(),
            bool(standing.reference_sets),
        )


def standings(session: Session, asset_ids: Collection[int]) -> Iterator[Standing]:
    """Yield where each asset stands, in order of id, read a page at a time."""
    ids = iter(sorted(asset_ids))
    while page := list(itertools.islice(ids, _PAGE)):
        yield from _standings(session, page)


def _standings(session: Session, page: Sequence[int]) -> Iterator[Standing]:
    query = select(models.Asset.id, models.Asset.sha256, models.Asset.duration_seconds).where(
        models.Asset.id.in_(page)
    )
    assets = {row[0]: (row[1], row[2]) for row in session.execute(query)}
    paths, library = asset_paths(session, page), library_members(session, page)
    tables = _table_claims(session, page)
    stated = statements_on(session, {id_: asset[0] for id_, asset in assets.items()}, paths)
    since = _scopes_since(session, {g.grant_ref for rights in stated.values() for g in rights.grants})
    sets = _reference_sets(session, page)
    for asset_id in sorted(assets):
        sha256, seconds = assets[asset_id]
        own = {asset_scope(sha256), *map(path_scope, paths.get(asset_id, ()))}
        scoped = [
            Claimed(
                grant=item.grant,
                recorded_at=since[item.grant_ref, item.scope],
                is_of_file=item.scope in own,
                path=item.scope.removeprefix("path:") if item.scope.startswith("path:") else None,
            )
            for item in (stated[asset_id].grants if asset_id in stated else ())
        ]
        yield Standing(
            asset_id=asset_id,
            sha256=sha256,
            paths=paths.get(asset_id, ()),
            duration_seconds=seconds,
            is_in_library=asset_id in library,
            claims=(*tables.get(asset_id, ()), *scoped),
            reference_sets=tuple(sets.get(asset_id, ())),
        )


def _table_claims(session: Session, page: Sequence[int]) -> dict[int, list[Claimed]]:
    """Return the claims of rights tables in force by asset, each grant once, with the day it was claimed first."""
    first = (
        select(
            models.AssetPath.asset_id,
            models.Claim.grant_id,
            func.min(models.Claim.recorded_at).label("since"),
        )
        .join(models.Claim, models.Claim.asset_path_id == models.AssetPath.id)
        .where(models.AssetPath.asset_id.in_(page), models.Claim.grant_id.is_not(None))
        .group_by(models.AssetPath.asset_id, models.Claim.grant_id)
    )
    since = {(row[0], row[1]): row[2] for row in session.execute(first)}
    query = (
        select(models.AssetPath.asset_id, models.AssetPath.path, models.Grant)
        .join(models.Claim, models.Claim.asset_path_id == models.AssetPath.id)
        .join(models.Grant, models.Grant.id == models.Claim.grant_id)
        .where(models.AssetPath.asset_id.in_(page), is_newest_claim())
        .order_by(models.AssetPath.asset_id, models.Grant.id)
    )
    claims: dict[int, dict[int, Claimed]] = defaultdict(dict)
    for asset_id, path, grant in session.execute(query):
        claims[asset_id][grant.id] = Claimed(
            grant=as_grant(grant), recorded_at=since[asset_id, grant.id], is_of_file=True, path=path
        )
    return {asset_id: list(found.values()) for asset_id, found in claims.items()}


def _scopes_since(session: Session, refs: Collection[str]) -> dict[tuple[str, str], dt.datetime]:
    """Return since when a catalogue gives a grant for a scope."""
    query = (
        select(GrantScope.grant_ref, GrantScope.scope, func.min(GrantScope.recorded_at))
        .where(GrantScope.grant_ref.in_(refs))
        .group_by(GrantScope.grant_ref, GrantScope.scope)
    )
    return {(row[0], row[1]): row[2] for row in session.execute(query)}


def _reference_sets(session: Session, page: Sequence[int]) -> dict[int, list[tuple[str, dt.datetime]]]:
    query = (
        select(models.Membership.asset_id, models.Collection.name, models.Membership.recorded_at)
        .join(models.Collection, models.Collection.id == models.Membership.collection_id)
        .where(models.Membership.asset_id.in_(page), models.Collection.kind == CollectionKind.REFERENCE)
        .order_by(models.Collection.name)
    )
    sets: dict[int, list[tuple[str, dt.datetime]]] = defaultdict(list)
    for asset_id, name, recorded_at in session.execute(query):
        sets[asset_id].append((name, recorded_at))
    return sets


def received_documents(session: Session, digests: Collection[str]) -> dict[str, ReceivedDocument]:
    """Return what is on record of documents by their digest: the newest word on each."""
    rows = newest_rows(session, Document, ("sha256",), Document.sha256.in_(digests), None)
    return {
        row.sha256: ReceivedDocument(
            kind=row.kind, received_at=row.received_at, received_from=row.received_from
        )
        for row in rows
    }
