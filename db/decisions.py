"""Rulings and decisions: what a policy said of each distinct set of facts, and of each clip."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from db import models
from db.clock import utc_now
from db.queries import as_clip, as_grant
from db.records import DecisionRecord, RulingRecord

_PAGE = 2000


@dataclass(frozen=True, kw_only=True)
class NewDecision:
    """A decision to be recorded; ids are those of the database."""

    clip_id: int
    ruling_id: int
    grant_id: int | None
    expires_at: dt.datetime | None
    upper_grant_ids: tuple[int, ...] = ()
    """Grants of the titles above, which narrow the one relied on."""
    review_id: int | None = None
    """The reviewer's word that changed the outcome."""


def ensure_ruling(session: Session, columns: Mapping[str, Any]) -> int:
    """Record a ruling by (policy digest, facts digest); return its id."""
    query = select(models.Ruling.id).where(
        models.Ruling.policy_digest == columns["policy_digest"],
        models.Ruling.basis_digest == columns["basis_digest"],
    )
    found = session.scalar(query)
    if found is not None:
        return found
    row = models.Ruling(**columns, recorded_at=utc_now())
    session.add(row)
    session.flush()
    return row.id


def current_basis(session: Session, policy_name: str, clip_ids: Sequence[int]) -> dict[int, NewDecision]:
    """Return what the current decision of each clip under `policy_name` rests on, by clip id."""
    query = select(models.Decision).where(models.Decision.id.in_(_newest(policy_name, clip_ids)))
    return {
        row.clip_id: NewDecision(
            clip_id=row.clip_id,
            ruling_id=row.ruling_id,
            grant_id=row.grant_id,
            expires_at=row.expires_at,
            upper_grant_ids=tuple(row.upper_grant_ids),
            review_id=row.review_id,
        )
        for row in session.scalars(query)
    }


def add_decisions(
    session: Session, policy_name: str, decisions: Sequence[NewDecision], *, as_of: dt.datetime
) -> None:
    """Append decisions; the caller passes only those that differ from the current ones."""
    now = utc_now()
    session.add_all(
        models.Decision(policy_name=policy_name, as_of=as_of, recorded_at=now, **vars(decision))
        for decision in decisions
    )


def current_decisions(session: Session, policy_name: str) -> Iterator[DecisionRecord]:
    """Yield the current decision of every clip under `policy_name`, in order of asset and start."""
    last = (0, -(2**62))
    while True:
        page = session.execute(_decision_query(policy_name, last)).all()
        for decision, clip, sha256, ruling, grant in page:
            yield _as_decision(decision, clip, sha256, ruling, grant)
        if len(page) < _PAGE:
            return
        last = (page[-1][1].asset_id, page[-1][1].start_pts)


def decisions_on_clip(session: Session, clip_id: int) -> list[DecisionRecord]:
    """Return every decision ever made on a clip, newest first."""
    query = _joined().where(models.Clip.id == clip_id).order_by(models.Decision.id.desc())
    return [_as_decision(*row) for row in session.execute(query)]


def decided_policies(session: Session) -> list[str]:
    """Return the names of the policies that were applied, most recent first."""
    query = (
        select(models.Decision.policy_name)
        .group_by(models.Decision.policy_name)
        .order_by(func.max(models.Decision.id).desc())
    )
    return list(session.scalars(query))


def _joined() -> Select[models.Decision, models.Clip, str, models.Ruling, models.Grant]:
    return (
        select(models.Decision, models.Clip, models.Asset.sha256, models.Ruling, models.Grant)
        .join(models.Clip, models.Clip.id == models.Decision.clip_id)
        .join(models.Asset, models.Asset.id == models.Clip.asset_id)
        .join(models.Ruling, models.Ruling.id == models.Decision.ruling_id)
        .outerjoin(models.Grant, models.Grant.id == models.Decision.grant_id)
    )


def _decision_query(
    policy_name: str, last: tuple[int, int]
) -> Select[models.Decision, models.Clip, str, models.Ruling, models.Grant]:
    asset_id, start_pts = last
    newest = (
        select(func.max(models.Decision.id))
        .where(models.Decision.policy_name == policy_name)
        .group_by(models.Decision.clip_id)
    )
    is_later = (models.Clip.asset_id > asset_id) | (
        (models.Clip.asset_id == asset_id) & (models.Clip.start_pts > start_pts)
    )
    return (
        _joined()
        .where(models.Decision.id.in_(newest), is_later)
        .order_by(models.Clip.asset_id, models.Clip.start_pts)
        .limit(_PAGE)
    )


def _newest(policy_name: str, clip_ids: Sequence[int]) -> Select[int]:
    return (
        select(func.max(models.Decision.id))
        .where(models.Decision.policy_name == policy_name, models.Decision.clip_id.in_(clip_ids))
        .group_by(models.Decision.clip_id)
    )


def _as_decision(
    decision: models.Decision,
    clip: models.Clip,
    sha256: str,
    ruling: models.Ruling,
    grant: models.Grant | None,
) -> DecisionRecord:
    return DecisionRecord(
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
        grant=None if grant is None else as_grant(grant),
        as_of=decision.as_of,
        expires_at=decision.expires_at,
        recorded_at=decision.recorded_at,
    )
