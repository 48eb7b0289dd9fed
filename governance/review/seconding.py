"""The second word on a verdict: its confirmation by another person, or its end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from sqlalchemy.orm import Session

from db.errors import ConfigError, Error
from db.review_queue import QueueItem, current_items, known_clips
from db.reviews import (
    CLIP_PREFIX,
    NewReview,
    add_review,
    clip_scope,
    find_review,
    hold_reviews,
    ingesters_of,
    reviews_on,
)
from db.rights_records import ReviewRecord
from db.vocabularies import Verdict
from governance.review.errors import ReviewRefused
from governance.review.requests import MAX_BULK, Answer, Reviewer, check_reason
from governance.review.verdicts import (
    Standing,
    VerdictsInForce,
    is_exclusion,
    objection_to_second,
    same_person,
)


def confirm(
    session: Session, reviewer: Reviewer, review_id: int, reason: str, *, now: dt.datetime
) -> ReviewRecord:
    """Give a verdict the second person's word. Raises `ReviewRefused` if this person may not, or it is too late."""
    hold_reviews(session)
    line = check_reason(reason)
    review, rows = _story_of(session, reviewer, review_id)
    if repeated := _repeated(rows, rows.confirmations_of(review), reviewer, line):
        return repeated
    item = _item_of(session, reviewer, review)
    if review.confirms_id is not None:
        raise ConfigError(f"review {review.id} is itself a confirmation")
    objection = objection_to_second(rows, review, reviewer.name, ingested_by=_ingesters(session, review))
    if objection:
        raise ReviewRefused(f"review {review.id}: {objection}", hint="ask somebody else")
    basis_digest = None if item is None else item.evidence_digest
    standing = rows.standing_of(review, basis_digest=basis_digest, as_of=now)
    is_open_sample = rows.open_sample(review) and standing is Standing.IN_FORCE
    if standing is not Standing.AWAITS_SECOND and not is_open_sample:
        raise ReviewRefused(f"review {review.id} {_why_not(standing)}", hint="look at the clip again")
    return add_review(
        session,
        NewReview(
            scope=review.scope,
            policy_name=review.policy_name,
            verdict=review.verdict,
            codes=review.codes,
            basis_digest=review.basis_digest,
            expires_at=review.expires_at,
            reviewer=reviewer.name,
            reason=line,
            confirms_id=review.id,
        ),
    )


def confirm_many(
    session: Session, reviewer: Reviewer, review_ids: Sequence[int], reason: str, *, now: dt.datetime
) -> list[Answer]:
    """Confirm many verdicts, each for itself; those drawn as a sample must be opened one by one."""
    if len(review_ids) > MAX_BULK:
        raise ConfigError(f"{len(review_ids)} verdicts at once, at most {MAX_BULK} are taken")
    hold_reviews(session)
    answers = []
    for review_id in review_ids:
        review = find_review(session, review_id)
        scope = "" if review is None else review.scope
        try:
            if review is not None and review.is_sample:
                raise ReviewRefused(
                    f"review {review_id} was drawn as a sample", hint="open the clip and look at it by itself"
                )
            answers.append(Answer(scope=scope, review=confirm(session, reviewer, review_id, reason, now=now)))
        except Error as exc:
            answers.append(Answer(scope=scope, error=exc))
    return answers


def withdraw(session: Session, reviewer: Reviewer, review_id: int, reason: str) -> ReviewRecord:
    """End an earlier row. The end of an exclusion counts once a second person confirmed it, any other at once."""
    hold_reviews(session)
    line = check_reason(reason)
    review, rows = _story_of(session, reviewer, review_id)
    if repeated := _repeated(rows, rows.withdrawals_of(review), reviewer, line):
        return repeated
    if rows.is_withdrawn(review):
        raise ReviewRefused(f"review {review.id} is withdrawn already")
    waiting = rows.pending_withdrawal(review)
    if waiting is not None:
        raise ReviewRefused(
            f"the end of review {review.id} waits for a second person as review {waiting.id}",
            hint=f"confirm review {waiting.id}",
        )
    target = rows.find(review.withdraws_id or 0)
    is_withdrawal = review.verdict is Verdict.WITHDRAW and review.confirms_id is None
    if is_withdrawal and (target is None or not is_exclusion(target)):
        raise ReviewRefused(f"review {review.id} is final", hint="give a new verdict instead")
    return add_review(
        session,
        NewReview(
            scope=review.scope,
            policy_name=review.policy_name,
            verdict=Verdict.WITHDRAW,
            reviewer=reviewer.name,
            reason=line,
            withdraws_id=review.id,
        ),
    )


def _repeated(
    rows: VerdictsInForce, said: Iterable[ReviewRecord], reviewer: Reviewer, reason: str
) -> ReviewRecord | None:
    """Return what this person said in these words already: a command that is run again changes nothing."""
    for row in said:
        if same_person(row.reviewer, reviewer.name) and row.reason == reason and not rows.is_withdrawn(row):
            return row
    return None


def _story_of(session: Session, reviewer: Reviewer, review_id: int) -> tuple[ReviewRecord, VerdictsInForce]:
    """Return a row and all rows on its scope."""
    review = find_review(session, review_id)
    if review is None or review.policy_name != reviewer.policy_name:
        raise ConfigError(
            f"there is no review {review_id} under {reviewer.policy_name}",
            hint="`cleartitle review verdicts` lists them",
        )
    found = reviews_on(session, [review.scope], reviewer.policy_name)[review.scope]
    return review, VerdictsInForce(found)


def _item_of(session: Session, reviewer: Reviewer, review: ReviewRecord) -> QueueItem | None:
    clip_id = review.scope.removeprefix(CLIP_PREFIX)
    if clip_scope(clip_id) != review.scope:
        return None
    return current_items(session, reviewer.policy_name, [clip_id]).get(clip_id)


def _ingesters(session: Session, review: ReviewRecord) -> frozenset[str]:
    """Return who took in the file that a verdict speaks of; wider verdicts are judged file by file when they apply."""
    kind, _, name = review.scope.partition(":")
    sha256 = known_clips(session, [name]).get(name) if kind == "clip" else name if kind == "asset" else None
    return frozenset() if sha256 is None else ingesters_of(session, [sha256]).get(sha256, frozenset())


def _why_not(standing: Standing) -> str:
    words = {
        Standing.IN_FORCE: "needs no second person",
        Standing.LAPSED: "was given for facts that have changed since",
    }
    return words.get(standing, f"is {standing.value}")
