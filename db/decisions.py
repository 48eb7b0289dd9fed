"""Rulings and decisions: what a policy said of each distinct set of facts, and of each clip."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, Subquery, Text, cast, func, insert, select
from sqlalchemy.orm import Session

from db import models
from db.among import among
from db.bulk import insert_repeating
from db.clock import utc_now
from db.grant_rows import as_grant, grants_by_id
from db.plain_rows import plain_rows
from db.queries import as_clip
from db.records import DecisionRecord, GrantRecord, RulingRecord

_PAGE = 500


class Basis(NamedTuple):
    """What a decision rests on, which clips share; ids are those of the database."""

    ruling_id: int
    grant_id: int | None
    expires_at: dt.datetime | None
    upper_grant_ids: tuple[int, ...] = ()
    """Grants of the titles above, which narrow the one relied on."""
    review_id: int | None = None
    """The reviewer's word that changed the outcome."""
    evidence_digest: str = ""
    """Of what a held clip is held on, before any verdict: what an approval is given for. Empty: not held."""


def ensure_ruling(session: Session, columns: Mapping[str, Any]) -> int:
    """Record a ruling by (policy digest, facts digest); return its id."""
    query = select(models.Ruling.id).where(
        models.Ruling.policy_digest == columns["policy_digest"],
        models.Ruling.basis_digest == columns["basis_digest"],
    )
    found = session.scalar(query)
    if found is not None:
        return found
    # Not a mapped object: a large library has thousands of rulings, and nobody reads them in the same session.
    row = insert(models.Ruling).values(**columns, recorded_at=utc_now()).returning(models.Ruling.id)
    return session.execute(row).scalar_one()


def recorded_rulings(session: Session, policy_digest: str) -> dict[str, int]:
    """Return the id of every ruling of a policy by the digest of its basis."""
    query = select(models.Ruling.basis_digest, models.Ruling.id).where(
        models.Ruling.policy_digest == policy_digest
    )
    return dict(tuple(row) for row in plain_rows(session, query))


def ruling_by_id(session: Session, ruling_id: int) -> RulingRecord:
    """Return the ruling with this id, which must exist."""
    return _as_ruling(session.scalars(select(models.Ruling).where(models.Ruling.id == ruling_id)).one())


def newest_decisions(policy_name: str, *where: ColumnElement[bool]) -> Subquery:
    """Select (clip_id, id) of the newest decision of each clip under a policy, among those that meet conditions.

    To be joined. As a list to look ids up in, PostgreSQL takes it for two hundred rows and walks it row by row.
    """
    return (
        select(models.Decision.clip_id, func.max(models.Decision.id).label("id"))
        .where(models.Decision.policy_name == policy_name, *where)
        .group_by(models.Decision.clip_id)
        .subquery("newest_decision")
    )


def current_basis(session: Session, policy_name: str, clip_ids: Sequence[int]) -> dict[int, Basis]:
    """Return what the current decision of each clip under `policy_name` rests on, by clip id."""
    if not clip_ids:
        return {}
    is_on_page = models.Decision.clip_id.between(min(clip_ids), max(clip_ids))
    newest = newest_decisions(policy_name, is_on_page)
    columns = (
        models.Decision.clip_id,
        models.Decision.ruling_id,
        models.Decision.grant_id,
        models.Decision.expires_at,
        cast(models.Decision.upper_grant_ids, Text),
        models.Decision.review_id,
        models.Decision.evidence_digest,
    )
    # The condition on both sides of the join: the same range of the index is read for each.
    query = select(*columns).join(newest, newest.c.id == models.Decision.id).where(is_on_page)
    # JSON is read only where there is some: a library has millions of decisions.
    return {
        clip_id: Basis(ruling_id, grant_id, expires_at, _ids(upper), review_id, digest)
        for clip_id, ruling_id, grant_id, expires_at, upper, review_id, digest in plain_rows(session, query)
    }


def _ids(text: str) -> tuple[int, ...]:
    return () if text == "[]" else tuple(json.loads(text))


def add_decisions(
    session: Session, policy_name: str, decisions: Iterable[tuple[int, Basis]], *, as_of: dt.datetime
) -> None:
    """Append decisions (clip id, basis); the caller passes only those that differ from the current ones."""
    insert_repeating(
        session,
        models.Decision,
        "clip_id",
        Basis._fields,
        decisions,
        same={"policy_name": policy_name, "as_of": as_of, "recorded_at": utc_now()},
    )


def current_decisions(session: Session, policy_name: str) -> Iterator[DecisionRecord]:
    """Yield the current decision of every clip under `policy_name`, in order of asset and start."""
    last_id = 0
    while True:
        # A page is some assets with all their clips: finding the newest decisions costs what the page holds.
        ids = session.scalars(
            select(models.Asset.id).where(models.Asset.id > last_id).order_by(models.Asset.id).limit(_PAGE)
        ).all()
        if not ids:
            return
        page = session.execute(_decision_query(policy_name, ids)).all()
        uppers = _upper_grants(session, [row[0] for row in page])
        for decision, clip, sha256, ruling, grant in page:
            yield _as_decision(decision, clip, sha256, ruling, grant, uppers)
        last_id = ids[-1]


def decisions_on_clip(session: Session, clip_id: int) -> list[DecisionRecord]:
    """Return every decision ever made on a clip, newest first."""
    query = _joined().where(models.Clip.id == clip_id).order_by(models.Decision.id.desc())
    rows = session.execute(query).all()
    uppers = _upper_grants(session, [row[0] for row in rows])
    return [_as_decision(*row, uppers) for row in rows]


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
    policy_name: str, asset_ids: Sequence[int]
) -> Select[models.Decision, models.Clip, str, models.Ruling, models.Grant]:
    clips = select(models.Clip.id).where(among(models.Clip.asset_id, asset_ids))
    newest = newest_decisions(policy_name, models.Decision.clip_id.in_(clips))
    return (
        _joined()
        .join(newest, newest.c.id == models.Decision.id)
        .order_by(models.Clip.asset_id, models.Clip.start_pts)
    )


def _upper_grants(session: Session, rows: Sequence[models.Decision]) -> dict[int, GrantRecord]:
    return grants_by_id(session, {grant_id for row in rows for grant_id in row.upper_grant_ids})


def _as_decision(
    decision: models.Decision,
    clip: models.Clip,
    sha256: str,
    ruling: models.Ruling,
    grant: models.Grant | None,
    uppers: Mapping[int, GrantRecord],
) -> DecisionRecord:
    return DecisionRecord(
        clip=as_clip(clip),
        asset_sha256=sha256,
        ruling=_as_ruling(ruling),
        grant=None if grant is None else as_grant(grant),
        as_of=decision.as_of,
        expires_at=decision.expires_at,
        recorded_at=decision.recorded_at,
        upper_grants=tuple(uppers[grant_id] for grant_id in decision.upper_grant_ids),
        evidence_digest=decision.evidence_digest,
    )


def _as_ruling(ruling: models.Ruling) -> RulingRecord:
    return RulingRecord(
        id=ruling.id,
        policy_name=ruling.policy_name,
        policy_version=ruling.policy_version,
        policy_digest=ruling.policy_digest,
        basis_digest=ruling.basis_digest,
        facts=ruling.facts,
        outcome=ruling.outcome,
        reasons=tuple(ruling.reasons),
    )
