"""Giving verdicts: every check between a reviewer's wish and a row on record.

The desk and the command line both come through here. Looking, judging and recording happen in one transaction that
other processes wait for, so that two reviewers cannot decide the same clip without one of them being told.
"""

from __future__ import annotations

import datetime as dt
import difflib
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from sqlalchemy.orm import Session

from db.errors import ConfigError, Error
from db.review_queue import QueueItem, current_items, holding_codes, known_clips
from db.reviews import (
    CLIP_PREFIX,
    NewReview,
    add_review,
    hold_reviews,
    newest_id,
    reviews_on,
)
from db.rights_records import ReviewRecord
from db.vocabularies import Outcome, Verdict
from governance.policy.policy import FLOOR_CODES
from governance.review.errors import DecidedMeanwhile, ReviewRefused
from governance.review.requests import MAX_BULK, Answer, Reviewer, VerdictRequest, check_reason
from governance.review.scopes import check_scope, scopes_of_clips
from governance.review.verdicts import (
    Standing,
    VerdictsInForce,
    is_exclusion,
    same_person,
)

MAX_WAIVER = dt.timedelta(days=366)
"""A waiver is looked at again within a year; an end beyond that would be none."""
SAMPLE_SHARE = Fraction(1, 20)
"""Of a bulk verdict, at least one clip, is drawn to be looked at again by another person."""


@dataclass(frozen=True, kw_only=True)
class _Background:
    """What requests are judged against."""

    items: Mapping[str, QueueItem]
    scopes: Mapping[str, frozenset[str]]
    reviews: Mapping[str, tuple[ReviewRecord, ...]]
    codes: frozenset[str] = field(default_factory=frozenset)


def decide(
    session: Session, reviewer: Reviewer, request: VerdictRequest, *, now: dt.datetime
) -> ReviewRecord:
    """Record one verdict.

    Raises `ConfigError` for a request that makes no sense, `ReviewRefused` for one that may not be granted, and
    `DecidedMeanwhile` if somebody spoke after `seen_id`.
    """
    hold_reviews(session)
    judged = _judged(session, reviewer, request, _background(session, reviewer, [request]), now)
    return judged if isinstance(judged, ReviewRecord) else add_review(session, judged)


def decide_many(
    session: Session,
    reviewer: Reviewer,
    requests: Sequence[VerdictRequest],
    *,
    now: dt.datetime,
    chance: random.Random,
) -> list[Answer]:
    """Record the same verdict on many clips, each for itself: what is refused does not stop the others.

    A share of those recorded, drawn with `chance`, is marked to be looked at again by another person.
    """
    if len(requests) > MAX_BULK:
        raise ConfigError(f"{len(requests)} clips at once, at most {MAX_BULK} are taken")
    hold_reviews(session)
    background = _background(session, reviewer, requests)
    accepted: dict[str, NewReview] = {}
    answers: dict[str, Answer] = {}
    for request in requests:
        answers[request.scope] = Answer(scope=request.scope)
        try:
            judged = _judged(session, reviewer, request, background, now)
        except Error as exc:
            answers[request.scope] = Answer(scope=request.scope, error=exc)
            continue
        if isinstance(judged, ReviewRecord):
            answers[request.scope] = Answer(scope=request.scope, review=judged)
        else:
            accepted[request.scope] = judged
    for scope in _sample(sorted(accepted), chance):
        accepted[scope] = replace(accepted[scope], is_sample=True)
    for scope, new in accepted.items():
        answers[scope] = Answer(scope=scope, review=add_review(session, new))
    return list(answers.values())


def _background(session: Session, reviewer: Reviewer, requests: Sequence[VerdictRequest]) -> _Background:
    """Read what all requests need at once, however many there are."""
    clip_ids = [r.scope.removeprefix(CLIP_PREFIX) for r in requests if r.scope.startswith(CLIP_PREFIX)]
    scopes = scopes_of_clips(session, known_clips(session, clip_ids))
    everywhere = {scope for found in scopes.values() for scope in found} | {r.scope for r in requests}
    is_waiver = any(request.verdict is Verdict.WAIVE for request in requests)
    return _Background(
        items=current_items(session, reviewer.policy_name, clip_ids),
        scopes=scopes,
        reviews=reviews_on(session, everywhere, reviewer.policy_name),
        codes=holding_codes(session, reviewer.policy_name) if is_waiver else frozenset(),
    )


def _judged(
    session: Session, reviewer: Reviewer, request: VerdictRequest, background: _Background, now: dt.datetime
) -> NewReview | ReviewRecord:
    """Return the row that a request makes, or the one that said the same already; raise why there is none."""
    clip_id = request.scope.removeprefix(CLIP_PREFIX)
    if clip_id not in background.scopes:
        check_scope(session, request.scope)
    scopes = background.scopes.get(clip_id, frozenset({request.scope}))
    on_clip = {scope: background.reviews.get(scope, ()) for scope in scopes}
    new = NewReview(
        scope=request.scope,
        policy_name=reviewer.policy_name,
        verdict=request.verdict,
        reviewer=reviewer.name,
        reason=check_reason(request.reason),
        codes=tuple(sorted(set(request.codes))),
        expires_at=request.expires_at,
        conditions=" ".join(request.conditions.split()),
    )
    rows = VerdictsInForce([review for found in on_clip.values() for review in found])
    item = background.items.get(clip_id)
    if (repeated := _repeated(new, rows, item, now)) is not None:
        return repeated
    if request.seen_id is not None and newest_id(on_clip.values()) > request.seen_id:
        raise DecidedMeanwhile(
            f"{request.scope}: someone decided meanwhile", hint="look at what they said and decide again"
        )
    _check_end(new, now)
    if new.verdict is Verdict.APPROVE:
        return _checked_approval(new, item, rows, now)
    if new.verdict is Verdict.EXCLUDE:
        return _checked_exclusion(new, rows, now)
    if new.verdict is Verdict.WAIVE:
        return _checked_waiver(new, background.codes)
    raise ConfigError("a withdrawal names the review it ends")


def _repeated(
    new: NewReview, rows: VerdictsInForce, item: QueueItem | None, now: dt.datetime
) -> ReviewRecord | None:
    """Return what this person said in these words already: a command that is run again changes nothing."""
    basis_digest = None if item is None else item.evidence_digest
    for review in rows.verdicts():
        standing = rows.standing_of(review, basis_digest=basis_digest, as_of=now)
        is_live = standing in {Standing.IN_FORCE, Standing.AWAITS_SECOND}
        wanted = (new.scope, new.verdict, new.reason, new.codes, new.expires_at)
        found = (review.scope, review.verdict, review.reason, review.codes, review.expires_at)
        if is_live and wanted == found and same_person(review.reviewer, new.reviewer):
            return review
    return None


def _check_end(new: NewReview, now: dt.datetime) -> None:
    if new.expires_at is not None and new.expires_at <= now:
        raise ConfigError("the verdict would end before it begins", hint="give a date that is still to come")
    if new.expires_at is not None and new.verdict is Verdict.EXCLUDE:
        raise ConfigError("an exclusion has no end", hint="withdraw it when it is no longer wanted")
    if new.verdict is not Verdict.WAIVE and (new.codes or new.conditions):
        raise ConfigError(f"codes and conditions belong to a waiver, not to {new.verdict.value}")
    if new.verdict is not Verdict.WAIVE:
        return
    if new.expires_at is None:
        raise ConfigError("a waiver needs an end", hint="give a date with --until")
    if new.expires_at > now + MAX_WAIVER:
        raise ConfigError(f"a waiver ends within {MAX_WAIVER.days} days", hint="it can be given again then")


def _checked_approval(
    new: NewReview, item: QueueItem | None, rows: VerdictsInForce, now: dt.datetime
) -> NewReview:
    if not new.scope.startswith(CLIP_PREFIX):
        raise ConfigError("an approval speaks of one clip", hint="waive the reasons to settle more than one")
    if item is None:
        raise ReviewRefused(
            f"{new.scope} is not decided under {new.policy_name}", hint="run `cleartitle clear` first"
        )
    if item.ruling.outcome is not Outcome.HOLD:
        raise ReviewRefused(
            f"{new.scope} is {item.ruling.outcome.value}, not held", hint="only held clips can be approved"
        )
    missing = sorted({reason["code"] for reason in item.ruling.reasons} & FLOOR_CODES)
    if missing:
        raise ReviewRefused(
            f"{new.scope}: {missing[0]}: no verdict stands in for a grant in force", hint="record the grant"
        )
    for review in rows.verdicts():
        standing = rows.standing_of(review, basis_digest=item.evidence_digest, as_of=now)
        if is_exclusion(review) and standing is Standing.IN_FORCE:
            raise ReviewRefused(
                f"{new.scope} is excluded by review {review.id}", hint=f"withdraw review {review.id} first"
            )
        if review.verdict is Verdict.APPROVE and standing in {Standing.IN_FORCE, Standing.AWAITS_SECOND}:
            is_mine = same_person(review.reviewer, new.reviewer) or standing is Standing.IN_FORCE
            hint = "a second person must confirm it" if is_mine else f"confirm review {review.id} instead"
            raise ReviewRefused(f"{new.scope} is approved already by review {review.id}", hint=hint)
    return replace(new, basis_digest=item.evidence_digest)


def _checked_exclusion(new: NewReview, rows: VerdictsInForce, now: dt.datetime) -> NewReview:
    for review in rows.verdicts():
        standing = rows.standing_of(review, basis_digest=None, as_of=now)
        is_in_force = is_exclusion(review) and standing is Standing.IN_FORCE
        if is_in_force and review.scope == new.scope and rows.pending_withdrawal(review) is None:
            raise ReviewRefused(f"{new.scope} is excluded already by review {review.id}")
    return new


def _checked_waiver(new: NewReview, known: frozenset[str]) -> NewReview:
    if not new.codes:
        raise ConfigError("a waiver names the reasons it settles", hint="give them with --codes")
    for code in new.codes:
        if code in FLOOR_CODES or code.startswith("policy."):
            raise ReviewRefused(
                f"{code} cannot be waived", hint="record the grant, or have the policy corrected"
            )
        if code not in known:
            near = difflib.get_close_matches(code, sorted(known), n=1)
            hint = f"did you mean {near[0]}?" if near else "only reasons that hold can be waived"
            raise ConfigError(f"nothing is held for {code!r} under {new.policy_name}", hint=hint)
    return new


def _sample(scopes: Sequence[str], chance: random.Random) -> list[str]:
    """Draw the share of a bulk verdict that is looked at again; a single verdict is no bulk."""
    if len(scopes) < 2:
        return []
    return chance.sample(list(scopes), math.ceil(len(scopes) * SAMPLE_SHARE))
