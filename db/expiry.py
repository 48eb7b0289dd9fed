"""What ends by a date, and which cleared clips, runs, snapshots and models rest on it.

A grant or a waiver is named by the decisions that rest on it. A release is not: it counts for the cleared clips of
whatever its subject is stated to appear in.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from db import models
from db.audits import in_library, is_newest_claim, is_newest_scope, with_descendants
from db.decisions import newest_decisions
from db.newest import newest_rows
from db.rights_models import Appearance, Filing, GrantScope, Release, Review
from db.vocabularies import Outcome, Verdict

_PAGE = 500


class RightKind(StrEnum):
    """What ends."""

    GRANT = "grant"
    RELEASE = "release"
    WAIVER = "waiver"
    SNAPSHOT = "snapshot"


@dataclass(frozen=True, kw_only=True)
class EndingRight:
    """Something that ends, and what rests on it today."""

    kind: RightKind
    ref: str
    """Digest of a grant, ref of a release, number of a review, name of a snapshot."""
    who: str
    """Holder, subject of the release, or reviewer."""
    what: str
    """Licence, kind of release, or the codes that are waived."""
    ends_at: dt.datetime
    num_clips: int
    """Clips that are cleared today and rest on it; of a snapshot, its clips."""
    duration_seconds: float
    runs: tuple[str, ...] = ()
    """Training runs that consumed such clips, or read the snapshot. Of a grant, its snapshots say it better."""
    snapshots: tuple[str, ...] = ()
    """Snapshots of those runs."""
    models: tuple[str, ...] = ()
    """Models that those runs made."""


@dataclass
class _Weight:
    num_clips: int = 0
    seconds: float = 0.0

    def add(self, num_clips: int, seconds: float) -> None:
        self.num_clips += num_clips
        self.seconds += seconds


@dataclass
class _Reliance:
    """How much rests on each grant and each review."""

    grants: dict[int, _Weight] = field(default_factory=lambda: defaultdict(_Weight))
    reviews: dict[int, _Weight] = field(default_factory=lambda: defaultdict(_Weight))


def ending_rights(
    session: Session, policy_name: str | None, *, after: dt.datetime, by: dt.datetime
) -> list[EndingRight]:
    """Return what ends after one time and by another, soonest first. Without a policy nothing is cleared."""
    reliance = _reliance(session, policy_name, by) if policy_name is not None else _Reliance()
    found = itertools.chain(
        _grants(session, reliance, after, by),
        _releases(session, policy_name, after, by),
        _waivers(session, policy_name, reliance, after, by),
        _snapshots(session, after, by),
    )
    return sorted(found, key=lambda right: (right.ends_at, right.kind, right.who, right.ref))


def ended_releases(session: Session, *, now: dt.datetime) -> Iterator[tuple[str, str, str, dt.datetime]]:
    """Yield (ref, kind, subject, end) of releases that have ended, of subjects that are stated to appear somewhere."""
    for row in _current_releases(session, Release.valid_to <= now):
        seen = newest_rows(session, Appearance, ("ref", "scope"), Appearance.subject == row.subject, None)
        if seen and row.valid_to is not None:
            yield row.ref, row.kind.value, row.subject, row.valid_to


def _reliance(session: Session, policy_name: str, by: dt.datetime) -> _Reliance:
    """Sum the cleared clips by what they rest on. A decision ends no later than anything that it rests on."""
    upper = cast(models.Decision.upper_grant_ids, Text)
    newest = newest_decisions(policy_name)
    query = (
        select(
            models.Decision.grant_id,
            upper,
            models.Decision.review_id,
            func.count(models.Clip.id),
            func.sum(models.Clip.end_seconds - models.Clip.start_seconds),
        )
        .join(newest, newest.c.id == models.Decision.id)
        .join(models.Clip, models.Clip.id == models.Decision.clip_id)
        .join(models.Ruling, models.Ruling.id == models.Decision.ruling_id)
        .where(models.Decision.expires_at <= by, models.Ruling.outcome == Outcome.CLEARED)
        .group_by(models.Decision.grant_id, upper, models.Decision.review_id)
    )
    reliance = _Reliance()
    for grant_id, above, review_id, num_clips, seconds in session.execute(query):
        for each in {grant_id, *json.loads(above)} - {None}:
            reliance.grants[each].add(num_clips, float(seconds))
        if review_id is not None:
            reliance.reviews[review_id].add(num_clips, float(seconds))
    return reliance


def _grants(
    session: Session, reliance: _Reliance, after: dt.datetime, by: dt.datetime
) -> Iterator[EndingRight]:
    """Yield the grants that end and are in force: by claim, by catalogue, or because a decision rests on them."""
    grant = models.Grant
    claimed = select(models.Claim.id).where(models.Claim.grant_id == grant.id, is_newest_claim())
    scoped = select(GrantScope.id).where(GrantScope.grant_id == grant.id, is_newest_scope())
    in_force = or_(exists(claimed), exists(scoped))
    query = select(
        grant.id, grant.digest, grant.rights_holder, grant.license_expression, grant.valid_to, in_force
    ).where(grant.valid_to > after, grant.valid_to <= by)
    for grant_id, digest, holder, expression, ends_at, is_in_force in session.execute(query):
        if ends_at is None or not (is_in_force or grant_id in reliance.grants):
            continue
        weight = reliance.grants.get(grant_id, _Weight())
        yield EndingRight(
            kind=RightKind.GRANT,
            ref=digest,
            who=holder,
            what=expression,
            ends_at=ends_at,
            num_clips=weight.num_clips,
            duration_seconds=weight.seconds,
        )


def _current_releases(session: Session, where: ColumnElement[bool]) -> list[Release]:
    """Return the releases in force on record that meet a condition; an older row that met it is history."""
    refs = select(Release.ref).where(where)
    rows = newest_rows(session, Release, ("ref",), Release.ref.in_(refs), None)
    still = set(session.scalars(select(Release.id).where(Release.ref.in_(refs), where)))
    return [row for row in rows if row.id in still]


def _releases(
    session: Session, policy_name: str | None, after: dt.datetime, by: dt.datetime
) -> Iterator[EndingRight]:
    for row in _current_releases(session, (Release.valid_to > after) & (Release.valid_to <= by)):
        clips = {} if policy_name is None else _cleared_clips_with(session, policy_name, row.subject)
        assert row.valid_to is not None, "a release that ends has an end"
        yield EndingRight(
            kind=RightKind.RELEASE,
            ref=row.ref,
            who=row.subject,
            what=row.kind.value,
            ends_at=row.valid_to,
            num_clips=len(clips),
            duration_seconds=sum(clips.values()),
            **_consumers(session, clips),
        )


def _cleared_clips_with(session: Session, policy_name: str, subject: str) -> dict[int, float]:
    """Return the cleared clips in which a subject is stated to appear, with their seconds."""
    clips: dict[int, float] = {}
    for row in newest_rows(session, Appearance, ("ref", "scope"), Appearance.subject == subject, None):
        span = []
        if row.start_seconds is not None:
            span.append(models.Clip.end_seconds > row.start_seconds)
        if row.end_seconds is not None:
            span.append(models.Clip.start_seconds < row.end_seconds)
        for assets in _assets_in(session, row.scope):
            clips |= _cleared_clips(session, policy_name, models.Clip.asset_id.in_(assets), *span)
    return clips


def _cleared_clips(session: Session, policy_name: str, *where: ColumnElement[bool]) -> dict[int, float]:
    later = aliased(models.Decision)
    is_newest = ~exists(
        select(later.id).where(
            later.policy_name == policy_name,
            later.clip_id == models.Decision.clip_id,
            later.id > models.Decision.id,
        )
    )
    query = (
        select(models.Clip.id, models.Clip.end_seconds - models.Clip.start_seconds)
        .join(models.Decision, models.Decision.clip_id == models.Clip.id)
        .join(models.Ruling, models.Ruling.id == models.Decision.ruling_id)
        .where(
            models.Decision.policy_name == policy_name,
            is_newest,
            models.Ruling.outcome == Outcome.CLEARED,
            *where,
        )
    )
    return {row[0]: row[1] for row in session.execute(query)}


def _assets_in(session: Session, scope: str) -> Iterator[list[int]]:
    """Yield, some at a time, the ids of the library assets that a scope speaks of."""
    kind, _, name = scope.partition(":")
    if not scope:
        where: ColumnElement[bool] = models.Asset.id > 0
    elif kind == "asset":
        where = models.Asset.sha256 == name
    elif kind == "path":
        where = models.Asset.id.in_(select(models.AssetPath.asset_id).where(models.AssetPath.path == name))
    else:
        where = _is_filed_under(with_descendants(session, [name]))
    query = select(models.Asset.id).where(where, in_library(models.Asset.id)).order_by(models.Asset.id)
    ids = iter(session.scalars(query).all())
    while page := list(itertools.islice(ids, _PAGE)):
        yield page


def _is_filed_under(titles: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that an asset is filed, by its bytes or its path, under one of the titles."""
    filed = select(Filing.scope).where(Filing.title_ref.in_(sorted(titles)), Filing.is_withdrawn.is_(False))
    paths = select(models.AssetPath.asset_id).where(("path:" + models.AssetPath.path).in_(filed))
    return ("asset:" + models.Asset.sha256).in_(filed) | models.Asset.id.in_(paths)


def _waivers(
    session: Session, policy_name: str | None, reliance: _Reliance, after: dt.datetime, by: dt.datetime
) -> Iterator[EndingRight]:
    """Yield the verdicts that end, are confirmed by a second person, and were not withdrawn."""
    confirming, withdrawing = aliased(Review), aliased(Review)
    is_confirmed = exists(select(confirming.id).where(confirming.confirms_id == Review.id))
    is_withdrawn = exists(select(withdrawing.id).where(withdrawing.withdraws_id == Review.id))
    query = select(Review).where(
        Review.verdict.in_((Verdict.WAIVE, Verdict.APPROVE)),
        Review.confirms_id.is_(None),
        Review.expires_at > after,
        Review.expires_at <= by,
        is_confirmed,
        ~is_withdrawn,
    )
    if policy_name is not None:
        query = query.where(Review.policy_name == policy_name)
    for row in session.scalars(query):
        assert row.expires_at is not None, "a verdict that ends has an end"
        words = (row.id, *session.scalars(select(Review.id).where(Review.confirms_id == row.id)))
        weights = [reliance.reviews[word] for word in words if word in reliance.reviews]
        resting = (
            {}
            if policy_name is None or not weights
            else _cleared_clips(session, policy_name, models.Decision.review_id.in_(words))
        )
        yield EndingRight(
            kind=RightKind.WAIVER,
            ref=str(row.id),
            who=row.reviewer,
            what=f"{', '.join(row.codes) or 'what held it'}: {row.scope}",
            ends_at=row.expires_at,
            num_clips=sum(weight.num_clips for weight in weights),
            duration_seconds=sum(weight.seconds for weight in weights),
            **_consumers(session, resting),
        )


def _snapshots(session: Session, after: dt.datetime, by: dt.datetime) -> Iterator[EndingRight]:
    recalled = select(models.Recall.id).where(models.Recall.snapshot_id == models.Snapshot.id)
    query = select(models.Snapshot).where(
        models.Snapshot.expires_at > after, models.Snapshot.expires_at <= by, ~exists(recalled)
    )
    for row in session.scalars(query):
        assert row.expires_at is not None, "a snapshot that ends has an end"
        runs = session.execute(select(models.Run.id).where(models.Run.snapshot_id == row.id)).scalars().all()
        yield EndingRight(
            kind=RightKind.SNAPSHOT,
            ref=row.name,
            who=row.policy_name,
            what="sealed dataset",
            ends_at=row.expires_at,
            num_clips=row.num_clips,
            duration_seconds=row.duration_seconds,
            **_made_by(session, runs),
        )


def _consumers(session: Session, clips: Iterable[int]) -> dict[str, tuple[str, ...]]:
    """Return the runs that consumed any of the clips, their snapshots and their models."""
    runs: set[int] = set()
    ids = iter(clips)
    while page := list(itertools.islice(ids, _PAGE)):
        query = select(models.Exposure.run_id).where(models.Exposure.clip_id.in_(page)).distinct()
        runs.update(session.scalars(query))
    return _made_by(session, sorted(runs))


def _made_by(session: Session, runs: Sequence[int]) -> dict[str, tuple[str, ...]]:
    if not runs:
        return {}
    query: Any = (
        select(models.Run.run_id, models.Snapshot.name, models.Model.name)
        .join(models.Snapshot, models.Snapshot.id == models.Run.snapshot_id)
        .outerjoin(models.Model, models.Model.run_id == models.Run.id)
        .where(models.Run.id.in_(runs))
    )
    rows = session.execute(query).all()
    return {
        "runs": tuple(sorted({row[0] for row in rows})),
        "snapshots": tuple(sorted({row[1] for row in rows})),
        "models": tuple(sorted({row[2] for row in rows if row[2] is not None})),
    }
