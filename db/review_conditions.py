"""Where reviews stand, as conditions of SQL: roughly what `governance.review.verdicts` says of rows one by one.

It is for choosing and counting what a reviewer is shown. Whether a verdict changes a decision is not judged here.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select
from sqlalchemy.orm import aliased

from db import models
from db.clock import utc_now
from db.reviews import CLIP_PREFIX
from db.rights_models import Review
from db.vocabularies import Verdict


def is_spoken_of(policy_name: str) -> ColumnElement[bool]:
    """Whether a verdict on the clip counts or waits, for what the joined decision holds it on."""
    review = aliased(Review)
    return exists().where(
        review.scope == CLIP_PREFIX + models.Clip.clip_id,
        review.policy_name == policy_name,
        *_is_live_verdict(review),
        _fits_evidence(review),
    )


def is_waiting_for_this(policy_name: str) -> ColumnElement[bool]:
    """Whether what waits was said of what the joined decision holds the clip on."""
    review = aliased(Review)
    return exists().where(
        review.scope == CLIP_PREFIX + models.Clip.clip_id,
        review.policy_name == policy_name,
        *_is_waiting(review),
        _fits_evidence(review),
    )


def _fits_evidence(review: Any) -> ColumnElement[bool]:
    return or_(review.verdict != Verdict.APPROVE, review.basis_digest == models.Decision.evidence_digest)


def waiting_clips(policy_name: str) -> Select[int]:
    """The keys of the clips on which something waits for a second person."""
    review = aliased(Review)
    return _clips_of(review).where(review.policy_name == policy_name, *_is_waiting(review))


def spoken_clips(policy_name: str) -> Select[int]:
    """The keys of the clips that a verdict speaks of."""
    review = aliased(Review)
    return _clips_of(review).where(review.policy_name == policy_name, *_is_live_verdict(review))


def sampled_clips(policy_name: str) -> Select[int]:
    """The keys of the clips that were drawn as a sample and that nobody else has looked at."""
    review = aliased(Review)
    is_open = (review.is_sample, ~_is_confirmed(review))
    return _clips_of(review).where(review.policy_name == policy_name, *_is_live_verdict(review), *is_open)


def _clips_of(review: Any) -> Select[int]:
    """From reviews to clips, along the key of either: what a few reviews speak of is found without a walk."""
    clip = aliased(models.Clip)
    clip_id = func.substr(review.scope, len(CLIP_PREFIX) + 1)
    return (
        select(clip.id)
        .select_from(review)
        .join(clip, clip.clip_id == clip_id)
        .where(review.scope.startswith(CLIP_PREFIX))
    )


def _is_live_verdict(review: Any) -> tuple[ColumnElement[bool], ...]:
    """An approval, exclusion or waiver that was not ended."""
    return (
        review.confirms_id.is_(None),
        review.verdict != Verdict.WITHDRAW,
        or_(review.expires_at.is_(None), review.expires_at > utc_now()),
        ~_is_withdrawn(review),
    )


def _is_waiting(review: Any) -> tuple[ColumnElement[bool], ...]:
    """Something that counts only with a second person's word, and does not have it."""
    needs_second = or_(
        review.verdict.in_([Verdict.APPROVE, Verdict.WAIVE]),
        and_(review.verdict == Verdict.WITHDRAW, _ends_exclusion(review)),
    )
    return (
        review.confirms_id.is_(None),
        needs_second,
        or_(review.expires_at.is_(None), review.expires_at > utc_now()),
        ~_is_confirmed(review),
        ~_is_withdrawn(review),
    )


def _same_story(row: Any, review: Any) -> tuple[ColumnElement[bool], ...]:
    """What speaks of a row bears its scope: this is what lets the index find it."""
    return row.scope == review.scope, row.policy_name == review.policy_name


def _is_confirmed(review: Any) -> ColumnElement[bool]:
    confirmation, withdrawal = aliased(Review), aliased(Review)
    is_taken_back = exists().where(
        *_same_story(withdrawal, confirmation), withdrawal.withdraws_id == confirmation.id
    )
    return exists().where(
        *_same_story(confirmation, review), confirmation.confirms_id == review.id, ~is_taken_back
    )


def _is_withdrawn(review: Any) -> ColumnElement[bool]:
    withdrawal, again = aliased(Review), aliased(Review)
    is_taken_back = exists().where(*_same_story(again, withdrawal), again.withdraws_id == withdrawal.id)
    counts = or_(review.verdict != Verdict.EXCLUDE, and_(_is_confirmed(withdrawal), ~is_taken_back))
    return exists().where(*_same_story(withdrawal, review), withdrawal.withdraws_id == review.id, counts)


def _ends_exclusion(review: Any) -> ColumnElement[bool]:
    target = aliased(Review)
    return exists().where(
        target.id == review.withdraws_id, target.verdict == Verdict.EXCLUDE, target.confirms_id.is_(None)
    )
