"""What an audit asks of the library: by asset in pages, by clip in one stream, and in sums wherever a sum will do.

Nothing here loads rows as objects: a million clips are an ordinary library.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session, aliased

from db import models
from db.decisions import newest_decisions
from db.holdings import Holding
from db.queries import asset_paths
from db.rights_models import Filing, GrantScope, Title
from db.vocabularies import CollectionKind, Outcome

_PAGE = 5000
_CLIP_PAGE = 2000
_MAX_TITLE_DEPTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class EndingGrant:
    """A grant in force by claim that ends by a date, or has ended."""

    rights_holder: str
    valid_to: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedAsset:
    """What an audit must know of a library file."""

    id: int
    sha256: str
    size_bytes: int
    paths: tuple[str, ...]
    """Newest first."""
    has_grant: bool
    """A row of a rights table in force, or a grant of a catalogue at any level, speaks of the file."""
    is_searched: bool
    num_textured_rows: int
    num_undecided: int
    """Clips without a decision under the policy."""
    ending: tuple[EndingGrant, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptOutRuling:
    """A ruling that does not clear, and how much of the library it is the current word on."""

    id: int
    outcome: Outcome
    reasons: tuple[Mapping[str, str], ...]
    num_clips: int
    duration_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptOutClip:
    """A clip that its current decision does not clear."""

    clip_id: str
    asset_sha256: str
    path: str | None
    """Where its file was seen last."""
    start_seconds: float
    end_seconds: float
    ruling_id: int


def audited_assets(
    session: Session,
    *,
    policy_name: str | None,
    encoder_digest: str,
    detector_digest: str,
    ending_by: dt.datetime,
) -> Iterator[AuditedAsset]:
    """Yield every library asset in order of id, a page at a time. Without a policy nothing counts as undecided."""
    covered = _covered_titles(session)
    last_id = 0
    while page := _asset_page(session, last_id):
        first_id, last_id = page[0][0], page[-1][0]
        paths = _paths_between(session, first_id, last_id)
        unclaimed = _unclaimed(session, first_id, last_id)
        unclaimed -= _in_catalogue(session, first_id, last_id, covered) if unclaimed else set()
        searched = _searched(session, first_id, last_id, encoder_digest, detector_digest)
        textured = _textured(session, first_id, last_id, encoder_digest)
        undecided = {} if policy_name is None else _undecided(session, first_id, last_id, policy_name)
        ending = _ending(session, first_id, last_id, ending_by)
        for asset_id, sha256, size_bytes in page:
            yield AuditedAsset(
                id=asset_id,
                sha256=sha256,
                size_bytes=size_bytes,
                paths=tuple(paths.get(asset_id, ())),
                has_grant=asset_id not in unclaimed,
                is_searched=asset_id in searched,
                num_textured_rows=textured.get(asset_id, 0),
                num_undecided=undecided.get(asset_id, 0),
                ending=tuple(ending.get(asset_id, ())),
            )


def in_library(asset_id: Any) -> ColumnElement[bool]:
    """Return the condition that the asset with the id in a column belongs to the library."""
    return exists(
        select(models.Membership.id)
        .join(models.Collection, models.Collection.id == models.Membership.collection_id)
        .where(models.Membership.asset_id == asset_id, models.Collection.kind == CollectionKind.LIBRARY)
    )


def is_newest_claim() -> ColumnElement[bool]:
    """Return the condition that a row of `Claim` is the newest of its path."""
    later = aliased(models.Claim)
    return ~exists(
        select(later.id).where(later.asset_path_id == models.Claim.asset_path_id, later.id > models.Claim.id)
    )


def is_newest_scope() -> ColumnElement[bool]:
    """Return the condition that a row of `GrantScope` is in force."""
    return _is_in_force(GrantScope, ("scope", "start_seconds", "end_seconds", "grant_ref"))


def _is_in_force(table: Any, keys: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition that a row is the newest with its keys, and does not withdraw them."""
    later = aliased(table)
    same = [getattr(later, key).is_not_distinct_from(getattr(table, key)) for key in keys]
    in_force: ColumnElement[bool] = table.is_withdrawn.is_(False) & ~exists(
        select(later.id).where(*same, later.id > table.id)
    )
    return in_force


def _asset_page(session: Session, last_id: int) -> list[tuple[int, str, int]]:
    query = (
        select(models.Asset.id, models.Asset.sha256, models.Asset.size_bytes)
        .where(models.Asset.id > last_id, in_library(models.Asset.id))
        .order_by(models.Asset.id)
        .limit(_PAGE)
    )
    return [(row[0], row[1], row[2]) for row in session.execute(query)]


def _paths_between(session: Session, first_id: int, last_id: int) -> dict[int, list[str]]:
    query = (
        select(models.AssetPath.asset_id, models.AssetPath.path)
        .where(models.AssetPath.asset_id.between(first_id, last_id))
        .order_by(models.AssetPath.id.desc())
    )
    paths: dict[int, list[str]] = defaultdict(list)
    for asset_id, path in session.execute(query):
        paths[asset_id].append(path)
    return paths


def _unclaimed(session: Session, first_id: int, last_id: int) -> set[int]:
    """Return the library assets for which no row of a rights table is in force."""
    claimed = (
        select(models.Claim.id)
        .join(models.AssetPath, models.AssetPath.id == models.Claim.asset_path_id)
        .where(
            models.AssetPath.asset_id == models.Asset.id,
            models.Claim.grant_id.is_not(None),
            is_newest_claim(),
        )
    )
    query = select(models.Asset.id).where(models.Asset.id.between(first_id, last_id), ~exists(claimed))
    return set(session.scalars(query))


def _covered_titles(session: Session) -> frozenset[str]:
    """Return the refs of titles that a grant of a catalogue speaks of, at their own level or at one above."""
    granted = {
        scope.removeprefix("title:")
        for scope in session.scalars(
            select(GrantScope.scope).where(GrantScope.scope.startswith("title:"), is_newest_scope())
        )
    }
    return frozenset(with_descendants(session, granted)) if granted else frozenset()


def with_descendants(session: Session, refs: Iterable[str]) -> set[str]:
    """Return title refs and those of all titles below them."""
    below: dict[str, list[str]] = defaultdict(list)
    query = select(Title.ref, Title.parent_ref).where(_is_in_force(Title, ("ref",)))
    for ref, parent in session.execute(query):
        below[parent].append(ref)
    found = set(refs)
    fresh = found
    for _ in range(_MAX_TITLE_DEPTH):
        fresh = {child for ref in fresh for child in below.get(ref, ())} - found
        if not fresh:
            break
        found |= fresh
    return found


def _in_catalogue(session: Session, first_id: int, last_id: int, covered: frozenset[str]) -> set[int]:
    """Return the assets that a grant of a catalogue speaks of."""
    found: set[int] = set()
    for table, condition in (
        (GrantScope, is_newest_scope()),
        (Filing, _is_in_force(Filing, ("ref", "scope"))),
    ):
        what = table.grant_ref if table is GrantScope else Filing.title_ref
        by_bytes = (
            select(models.Asset.id, what)
            .join(table, table.scope == "asset:" + models.Asset.sha256)
            .where(models.Asset.id.between(first_id, last_id), condition)
        )
        by_path = (
            select(models.AssetPath.asset_id, what)
            .join(table, table.scope == "path:" + models.AssetPath.path)
            .where(models.AssetPath.asset_id.between(first_id, last_id), condition)
        )
        for asset_id, ref in itertools.chain(session.execute(by_bytes), session.execute(by_path)):
            if table is GrantScope or ref in covered:
                found.add(asset_id)
    return found


def _searched(
    session: Session, first_id: int, last_id: int, encoder_digest: str, detector_digest: str
) -> set[int]:
    query = (
        select(models.Search.asset_id)
        .join(models.Encoder, models.Encoder.id == models.Search.encoder_id)
        .where(
            models.Search.asset_id.between(first_id, last_id),
            models.Encoder.digest == encoder_digest,
            models.Search.detector_digest == detector_digest,
        )
    )
    return set(session.scalars(query))


def _textured(session: Session, first_id: int, last_id: int, encoder_digest: str) -> dict[int, int]:
    query = (
        select(models.Embedding.asset_id, models.Embedding.num_textured_rows)
        .join(models.Encoder, models.Encoder.id == models.Embedding.encoder_id)
        .where(models.Embedding.asset_id.between(first_id, last_id), models.Encoder.digest == encoder_digest)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def _undecided(session: Session, first_id: int, last_id: int, policy_name: str) -> dict[int, int]:
    decided = select(models.Decision.id).where(
        models.Decision.policy_name == policy_name, models.Decision.clip_id == models.Clip.id
    )
    query = (
        select(models.Clip.asset_id, func.count(models.Clip.id))
        .where(models.Clip.asset_id.between(first_id, last_id), ~exists(decided))
        .group_by(models.Clip.asset_id)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def _ending(
    session: Session, first_id: int, last_id: int, ending_by: dt.datetime
) -> dict[int, list[EndingGrant]]:
    query = (
        select(models.AssetPath.asset_id, models.Grant.rights_holder, models.Grant.valid_to)
        .join(models.Claim, models.Claim.asset_path_id == models.AssetPath.id)
        .join(models.Grant, models.Grant.id == models.Claim.grant_id)
        .where(
            models.AssetPath.asset_id.between(first_id, last_id),
            models.Grant.valid_to <= ending_by,
            is_newest_claim(),
        )
        .distinct()
        .order_by(models.AssetPath.asset_id, models.Grant.valid_to, models.Grant.rights_holder)
    )
    ending: dict[int, list[EndingGrant]] = defaultdict(list)
    for asset_id, holder, valid_to in session.execute(query):
        assert valid_to is not None, "an end that was compared is stated"
        ending[asset_id].append(EndingGrant(rights_holder=holder, valid_to=valid_to))
    return ending


def kept_out_rulings(session: Session, policy_name: str) -> list[KeptOutRuling]:
    """Return the rulings that keep clips out under the current decisions of a policy, with what they weigh."""
    seconds = func.sum(models.Clip.end_seconds - models.Clip.start_seconds)
    newest = newest_decisions(policy_name)
    sums = (
        select(models.Decision.ruling_id, func.count(models.Clip.id).label("clips"), seconds.label("seconds"))
        .join(newest, newest.c.id == models.Decision.id)
        .join(models.Clip, models.Clip.id == models.Decision.clip_id)
        .group_by(models.Decision.ruling_id)
        .subquery()
    )
    query = (
        select(models.Ruling.id, models.Ruling.outcome, models.Ruling.reasons, sums.c.clips, sums.c.seconds)
        .join(sums, sums.c.ruling_id == models.Ruling.id)
        .where(models.Ruling.outcome != Outcome.CLEARED)
        .order_by(models.Ruling.id)
    )
    return [
        KeptOutRuling(
            id=ruling_id,
            outcome=outcome,
            reasons=tuple(reasons),
            num_clips=num_clips,
            duration_seconds=float(duration),
        )
        for ruling_id, outcome, reasons, num_clips, duration in session.execute(query)
    ]


def kept_out_clips(
    session: Session, policy_name: str, ruling_ids: Sequence[int] | None = None, *, limit: int | None = None
) -> Iterator[KeptOutClip]:
    """Yield the clips that are kept out, in order of asset and start; only those with these rulings, if any are given.

    Memory is bounded by the page.
    """
    newest = newest_decisions(policy_name)
    query = (
        select(
            models.Clip.clip_id,
            models.Clip.asset_id,
            models.Asset.sha256,
            models.Clip.start_seconds,
            models.Clip.end_seconds,
            models.Decision.ruling_id,
        )
        .join(newest, newest.c.id == models.Decision.id)
        .join(models.Clip, models.Clip.id == models.Decision.clip_id)
        .join(models.Asset, models.Asset.id == models.Clip.asset_id)
        .join(models.Ruling, models.Ruling.id == models.Decision.ruling_id)
        .where(models.Ruling.outcome != Outcome.CLEARED)
        .order_by(models.Clip.asset_id, models.Clip.start_pts)
        .limit(limit)
    )
    if ruling_ids is not None:
        query = query.where(models.Decision.ruling_id.in_(ruling_ids))
    rows = iter(session.execute(query, execution_options={"yield_per": _CLIP_PAGE}))
    while page := list(itertools.islice(rows, _CLIP_PAGE)):
        paths = asset_paths(session, sorted({row.asset_id for row in page}))
        for clip_id, asset_id, sha256, start, end, ruling_id in page:
            yield KeptOutClip(
                clip_id=clip_id,
                asset_sha256=sha256,
                path=next(iter(paths.get(asset_id, ())), None),
                start_seconds=start,
                end_seconds=end,
                ruling_id=ruling_id,
            )


def ending_scopes(session: Session, ending_by: dt.datetime) -> Iterator[tuple[str, EndingGrant]]:
    """Yield (scope, grant) of the grants of catalogues in force on record that end by a date, or have ended."""
    query = (
        select(GrantScope.scope, models.Grant.rights_holder, models.Grant.valid_to)
        .join(models.Grant, models.Grant.id == GrantScope.grant_id)
        .where(models.Grant.valid_to <= ending_by, is_newest_scope())
        .distinct()
        .order_by(models.Grant.valid_to, GrantScope.scope, models.Grant.rights_holder)
    )
    for scope, holder, valid_to in session.execute(query, execution_options={"yield_per": _CLIP_PAGE}):
        assert valid_to is not None, "an end that was compared is stated"
        yield scope, EndingGrant(rights_holder=holder, valid_to=valid_to)


def num_searched(session: Session, encoder_digest: str, detector_digest: str) -> tuple[int, int]:
    """Return how many library assets the near-duplicate search covers, and how many there are."""
    everything = select(func.count(models.Asset.id)).where(in_library(models.Asset.id))
    covered = (
        select(models.Search.id)
        .join(models.Encoder, models.Encoder.id == models.Search.encoder_id)
        .where(
            models.Search.asset_id == models.Asset.id,
            models.Encoder.digest == encoder_digest,
            models.Search.detector_digest == detector_digest,
        )
    )
    return session.scalar(everything.where(exists(covered))) or 0, session.scalar(everything) or 0


def held_footage(session: Session, policy_name: str) -> list[Holding]:
    """Return the library under the current decisions of one policy; clips it never saw have outcome `None`.

    Summed by ruling and grant first, which are few; joining a list of the newest decisions to every clip instead has
    SQLite walk that list for each of them.
    """
    newest = newest_decisions(policy_name)
    members = (
        select(models.Membership.asset_id)
        .join(models.Collection, models.Collection.id == models.Membership.collection_id)
        .where(models.Collection.kind == CollectionKind.LIBRARY)
    )
    sums = (
        select(
            models.Decision.ruling_id,
            models.Decision.grant_id,
            func.count(models.Clip.id).label("clips"),
            func.sum(models.Clip.end_seconds - models.Clip.start_seconds).label("seconds"),
        )
        .select_from(models.Clip)
        .outerjoin(newest, newest.c.clip_id == models.Clip.id)
        .outerjoin(models.Decision, models.Decision.id == newest.c.id)
        .where(models.Clip.asset_id.in_(members))
        .group_by(models.Decision.ruling_id, models.Decision.grant_id)
        .subquery()
    )
    query = (
        select(
            models.Ruling.outcome,
            models.Grant.license_expression,
            models.Grant.rights_holder,
            func.sum(sums.c.clips),
            func.sum(sums.c.seconds),
        )
        .select_from(sums)
        .outerjoin(models.Ruling, models.Ruling.id == sums.c.ruling_id)
        .outerjoin(models.Grant, models.Grant.id == sums.c.grant_id)
        .group_by(models.Ruling.outcome, models.Grant.license_expression, models.Grant.rights_holder)
    )
    return [
        Holding(
            outcome=outcome,
            license_expression=expression,
            rights_holder=holder,
            num_clips=int(count),
            duration_seconds=float(seconds),
        )
        for outcome, expression, holder, count, seconds in session.execute(query)
    ]
