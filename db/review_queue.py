"""The queue of a review desk: held clips with what holds them, in order of their key, a page at a time.

A page reads as many rows as it shows, whatever the size of the library. What a verdict is worth is for `governance` to
say; here it is only told roughly which clips nobody has spoken of yet.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Select, String, cast, exists, func, select
from sqlalchemy.orm import Session, aliased

from db import models
from db.queries import as_clip
from db.records import ClipRecord, RulingRecord
from db.review_conditions import (
    is_spoken_of,
    is_waiting_for_this,
    sampled_clips,
    spoken_clips,
    waiting_clips,
)
from db.vocabularies import Outcome


class QueueState(enum.StrEnum):
    """Which clips a queue shows."""

    OPEN = "open"
    """Held, and nobody's verdict on the clip itself counts or waits."""
    SECOND = "second"
    """A verdict on the clip waits for a second person."""
    SAMPLE = "sample"
    """Part of a bulk verdict, drawn to be looked at again by another person."""
    HELD = "held"
    """Every held clip."""


@dataclass(frozen=True, kw_only=True)
class QueueFilter:
    """What of the queue is wanted; empty: everything."""

    state: QueueState = QueueState.OPEN
    code: str = ""
    """A reason that is among those of the clip."""
    holder: str = ""
    """The rights holder of the grant relied on."""


@dataclass(frozen=True, kw_only=True)
class QueueItem:
    """A clip and its current decision."""

    clip: ClipRecord
    asset_sha256: str
    ruling: RulingRecord
    rights_holder: str | None
    """`None`: there is no single grant."""
    grant_id: int | None
    evidence_digest: str
    """Of what the policy holds the clip on, before any verdict: what an approval is given for. Empty: not held."""


@dataclass(frozen=True, kw_only=True)
class QueuePage:
    """Part of the queue."""

    items: tuple[QueueItem, ...]
    has_more: bool
    """There are clips beyond the last one."""


@dataclass(frozen=True, kw_only=True)
class HeldCounts:
    """How many clips are held, and over what. It changes with decisions, not with verdicts."""

    num_clips: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    holders: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class QueueCounts:
    """How much waits."""

    held: HeldCounts
    num_spoken: int
    """Held clips of which a verdict counts or waits."""
    num_second: int
    num_samples: int

    @property
    def num_open(self) -> int:
        """Held clips that nobody has spoken of."""
        return self.held.num_clips - self.num_spoken


EVERYTHING_OPEN = QueueFilter()


def queue(
    session: Session,
    policy_name: str,
    *,
    after: int = 0,
    limit: int,
    filters: QueueFilter = EVERYTHING_OPEN,
    is_backwards: bool = False,
) -> QueuePage:
    """Return up to `limit` clips whose key lies after `after`, in order; backwards: those before it, nearest first."""
    key = models.Decision.clip_id
    query = _current(policy_name).where(*_conditions(policy_name, filters))
    query = query.where(key < after) if is_backwards else query.where(key > after)
    rows = session.execute(query.order_by(key.desc() if is_backwards else key).limit(limit + 1)).all()
    return QueuePage(items=tuple(_as_item(*row) for row in rows[:limit]), has_more=len(rows) > limit)


def current_items(session: Session, policy_name: str, clip_ids: Sequence[str]) -> dict[str, QueueItem]:
    """Return the current decision on each of these clips, by clip id; clips never decided are left out."""
    query = _current(policy_name).where(models.Clip.clip_id.in_(clip_ids))
    return {row[1].clip_id: _as_item(*row) for row in session.execute(query)}


def known_clips(session: Session, clip_ids: Sequence[str]) -> dict[str, str]:
    """Return the asset digest of each of these clips that is on record, by clip id."""
    query = (
        select(models.Clip.clip_id, models.Asset.sha256)
        .join(models.Asset, models.Asset.id == models.Clip.asset_id)
        .where(models.Clip.clip_id.in_(clip_ids))
    )
    return {row.clip_id: row.sha256 for row in session.execute(query)}


def holding_codes(session: Session, policy_name: str) -> frozenset[str]:
    """Return every reason that has ever held something back under a policy."""
    query = select(models.Ruling.reasons).where(models.Ruling.policy_name == policy_name)
    return frozenset(
        reason["code"]
        for reasons in session.scalars(query)
        for reason in reasons
        if reason["effect"] == Outcome.HOLD.value
    )


def count_held(session: Session, policy_name: str) -> HeldCounts:
    """Count held clips by reason and holder.

    This reads every current decision: keep the answer for as long as the first of `change_marks` stays the same.
    """
    groups = session.execute(
        select(models.Decision.ruling_id, models.Grant.rights_holder, func.count())
        .join(models.Ruling, models.Ruling.id == models.Decision.ruling_id)
        .outerjoin(models.Grant, models.Grant.id == models.Decision.grant_id)
        .where(*_is_current(policy_name), models.Ruling.outcome == Outcome.HOLD)
        .group_by(models.Decision.ruling_id, models.Grant.rights_holder)
    ).all()
    codes = _codes_of(session, {ruling_id for ruling_id, _, _ in groups})
    counts = HeldCounts(num_clips=sum(count for _, _, count in groups))
    for ruling_id, holder, count in groups:
        counts.holders[holder or ""] += count
        for code in codes[ruling_id]:
            counts.codes[code] += count
    return counts


def count_queue(session: Session, policy_name: str, held: HeldCounts) -> QueueCounts:
    """Count what waits; `held` is `count_held`. This reads verdicts and the clips they speak of, and no others."""
    are_spoken_of = (
        models.Ruling.outcome == Outcome.HOLD,
        models.Decision.clip_id.in_(spoken_clips(policy_name)),
        is_spoken_of(policy_name),
    )
    return QueueCounts(
        held=held,
        num_spoken=_count(session, policy_name, are_spoken_of),
        num_second=_count(
            session, policy_name, _conditions(policy_name, QueueFilter(state=QueueState.SECOND))
        ),
        num_samples=_count(
            session, policy_name, _conditions(policy_name, QueueFilter(state=QueueState.SAMPLE))
        ),
    )


def _count(session: Session, policy_name: str, conditions: Iterable[ColumnElement[bool]]) -> int:
    wanted = _current(policy_name).where(*conditions)
    return session.scalar(select(func.count()).select_from(wanted.subquery())) or 0


def _codes_of(session: Session, ruling_ids: set[int]) -> dict[int, set[str]]:
    ordered = sorted(ruling_ids)
    codes: dict[int, set[str]] = {}
    for start in range(0, len(ordered), 500):
        query = select(models.Ruling.id, models.Ruling.reasons).where(
            models.Ruling.id.in_(ordered[start : start + 500])
        )
        codes |= {row.id: {reason["code"] for reason in row.reasons} for row in session.execute(query)}
    return codes


def _is_current(policy_name: str) -> tuple[ColumnElement[bool], ...]:
    """The newest decision of its clip. Read along the key, it costs one look into the index for each row."""
    newer = aliased(models.Decision)
    has_newer = exists().where(
        newer.policy_name == policy_name,
        newer.clip_id == models.Decision.clip_id,
        newer.id > models.Decision.id,
    )
    return models.Decision.policy_name == policy_name, ~has_newer


def _current(policy_name: str) -> Select[models.Decision, models.Clip, str, models.Ruling, str]:
    return (
        select(models.Decision, models.Clip, models.Asset.sha256, models.Ruling, models.Grant.rights_holder)
        .join(models.Clip, models.Clip.id == models.Decision.clip_id)
        .join(models.Asset, models.Asset.id == models.Clip.asset_id)
        .join(models.Ruling, models.Ruling.id == models.Decision.ruling_id)
        .outerjoin(models.Grant, models.Grant.id == models.Decision.grant_id)
        .where(*_is_current(policy_name))
    )


def _conditions(policy_name: str, filters: QueueFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.state in {QueueState.OPEN, QueueState.HELD}:
        conditions.append(models.Ruling.outcome == Outcome.HOLD)
    if filters.state is QueueState.OPEN:
        conditions.append(~is_spoken_of(policy_name))
    if filters.state is QueueState.SECOND:
        conditions.append(models.Decision.clip_id.in_(waiting_clips(policy_name)))
        conditions.append(is_waiting_for_this(policy_name))
    if filters.state is QueueState.SAMPLE:
        conditions.append(models.Decision.clip_id.in_(sampled_clips(policy_name)))
    if filters.code:
        # Reasons are stored as JSON text on every database; a code is words and dots, so it cannot end the quotes.
        quoted = f'"code": "{filters.code}"'
        conditions.append(cast(models.Ruling.reasons, String).contains(quoted, autoescape=True))
    if filters.holder:
        conditions.append(models.Grant.rights_holder == filters.holder)
    return conditions


def _as_item(
    decision: models.Decision, clip: models.Clip, sha256: str, ruling: models.Ruling, holder: str | None
) -> QueueItem:
    return QueueItem(
        clip=as_clip(clip),
        asset_sha256=sha256,
        ruling=RulingRecord(
            id=ruling.id,
            policy_name=ruling.policy_name,
            policy_version=ruling.policy_version,
            policy_digest=ruling.policy_digest,
            basis_digest=ruling.basis_digest,
            facts=ruling.facts,
            outcome=ruling.outcome,
            reasons=tuple(ruling.reasons),
        ),
        rights_holder=holder,
        grant_id=decision.grant_id,
        evidence_digest=decision.evidence_digest,
    )
