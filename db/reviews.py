"""Reviews on record, and the queue of clips that wait for a reviewer.

A scope names what a verdict speaks of: `clip:ID`, `asset:SHA256`, `title:REF` or `holder:NAME`. A confirmation and a
withdrawal bear the scope of the row they speak of, so that the rows on a scope are always the whole story.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from db import models
from db.clock import rfc3339, utc_now
from db.events import record_event
from db.rights_models import Review, Title
from db.rights_records import ReviewRecord
from db.vocabularies import Verdict

_BATCH = 500

CLIP_PREFIX = "clip:"


def clip_scope(clip_id: str) -> str:
    """Return the scope of one clip."""
    return f"{CLIP_PREFIX}{clip_id}"


def holder_scope(name: str) -> str:
    """Return the scope of everything that a rights holder gives."""
    return f"holder:{name}"


@dataclass(frozen=True, kw_only=True)
class NewReview:
    """A row to be recorded."""

    scope: str
    policy_name: str
    verdict: Verdict
    reviewer: str
    reason: str
    codes: tuple[str, ...] = ()
    basis_digest: str = ""
    expires_at: dt.datetime | None = None
    confirms_id: int | None = None
    withdraws_id: int | None = None
    is_sample: bool = False
    conditions: str = ""
    """What a waiver asks for; kept in its event."""


def hold_reviews(session: Session) -> None:
    """Let no other process record a review until this transaction ends: look, judge and record are then one step."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE review IN SHARE ROW EXCLUSIVE MODE"))
    else:
        # SQLite takes its one write lock with the first statement that could write, whether or not it finds a row.
        session.execute(text("UPDATE review SET is_sample = is_sample WHERE id < 0"))


def add_review(session: Session, new: NewReview) -> ReviewRecord:
    """Record a verdict, a confirmation or a withdrawal, with its event."""
    columns = {name: value for name, value in vars(new).items() if name != "conditions"}
    row = Review(**columns | {"codes": list(new.codes)}, recorded_at=utc_now())
    session.add(row)
    session.flush()
    record_event(session, _event_kind(new), new.scope, _event_payload(new, row.id))
    return _as_review(row)


def _event_kind(new: NewReview) -> str:
    if new.confirms_id is not None:
        return "review.confirmed"
    return "review.withdrawn" if new.verdict is Verdict.WITHDRAW else "review.decided"


def _event_payload(new: NewReview, review_id: int) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "review_id": review_id,
        "policy": new.policy_name,
        "verdict": new.verdict.value,
        "reviewer": new.reviewer,
        "reason": new.reason,
        "codes": list(new.codes),
        "basis_digest": new.basis_digest,
        "expires_at": None if new.expires_at is None else rfc3339(new.expires_at),
        "confirms_id": new.confirms_id,
        "withdraws_id": new.withdraws_id,
        "is_sample": new.is_sample,
    }
    return payload | ({"conditions": new.conditions} if new.conditions else {})


def reviews_on(
    session: Session, scopes: Collection[str], policy_name: str, *, known_on: dt.datetime | None = None
) -> dict[str, tuple[ReviewRecord, ...]]:
    """Return by scope every row under a policy, oldest first; scopes without one are left out.

    `known_on`: rows recorded later are not known yet.
    """
    rows: list[Review] = []
    for batch in _batches(scopes):
        query = _known(policy_name, known_on).where(Review.scope.in_(batch))
        rows += session.scalars(query)
    return _by_scope(rows)


def all_reviews(
    session: Session, policy_name: str, *, known_on: dt.datetime | None = None
) -> dict[str, tuple[ReviewRecord, ...]]:
    """Return by scope every row under a policy, oldest first, for a pass over the whole library."""
    return _by_scope(session.scalars(_known(policy_name, known_on)))


def _known(policy_name: str, known_on: dt.datetime | None) -> Any:
    query = select(Review).where(Review.policy_name == policy_name).order_by(Review.id)
    return query if known_on is None else query.where(Review.recorded_at <= known_on)


def find_review(session: Session, review_id: int) -> ReviewRecord | None:
    """Return the row with this id."""
    row = session.get(Review, review_id)
    return None if row is None else _as_review(row)


def newest_reviews(
    session: Session, policy_name: str, *, before: int | None = None, limit: int
) -> list[ReviewRecord]:
    """Return rows under a policy, the newest first, from below the id `before` on."""
    query = select(Review).where(Review.policy_name == policy_name).order_by(Review.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Review.id < before)
    return [_as_review(row) for row in session.scalars(query)]


def ingesters_of(session: Session, sha256s: Collection[str]) -> dict[str, frozenset[str]]:
    """Return by asset digest who took the asset in, as its event names them."""
    names: dict[str, set[str]] = defaultdict(set)
    for batch in _batches(sha256s):
        query = select(models.Event.subject, models.Event.actor).where(
            models.Event.kind == "asset.ingested", models.Event.subject.in_(batch)
        )
        for sha256, actor in session.execute(query):
            names[sha256].add(actor)
    return {sha256: frozenset(found) for sha256, found in names.items()}


def is_scope_on_record(session: Session, scope: str) -> bool:
    """Return whether there is such a clip, asset, title or rights holder."""
    kind, _, name = scope.partition(":")
    queries: dict[str, Any] = {
        "clip": select(models.Clip.id).where(models.Clip.clip_id == name),
        "asset": select(models.Asset.id).where(models.Asset.sha256 == name),
        "title": select(Title.id).where(Title.ref == name),
        "holder": select(models.Grant.id).where(models.Grant.rights_holder == name),
    }
    return kind in queries and session.scalar(queries[kind].limit(1)) is not None


def change_marks(session: Session) -> tuple[int, int]:
    """Return the newest ids of decisions and of reviews: what was counted before them is still true."""
    newest = select(
        select(func.max(models.Decision.id)).scalar_subquery(), select(func.max(Review.id)).scalar_subquery()
    )
    decision_id, review_id = session.execute(newest).one()
    return decision_id or 0, review_id or 0


def newest_id(reviews: Iterable[Sequence[ReviewRecord]]) -> int:
    """Return the highest id among rows by scope; 0 if there is none."""
    return max((review.id for found in reviews for review in found), default=0)


def _batches(values: Collection[str]) -> Iterator[list[str]]:
    """Yield the values, sorted, in lists that every database takes as parameters of one query."""
    ordered = sorted(values)
    for start in range(0, len(ordered), _BATCH):
        yield ordered[start : start + _BATCH]


def _by_scope(rows: Iterable[Review]) -> dict[str, tuple[ReviewRecord, ...]]:
    groups: dict[str, list[ReviewRecord]] = defaultdict(list)
    for row in rows:
        groups[row.scope].append(_as_review(row))
    return {scope: tuple(found) for scope, found in groups.items()}


def _as_review(row: Review) -> ReviewRecord:
    values = {name: getattr(row, name) for name in ReviewRecord.__dataclass_fields__}
    return ReviewRecord(**values | {"codes": tuple(row.codes)})
