"""What was said on some scopes, where each word stands, and what one reviewer may do about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.orm import Session

from db.review_queue import QueueItem, current_items, known_clips
from db.reviews import CLIP_PREFIX, ingesters_of, reviews_on
from db.rights_records import ReviewRecord
from db.vocabularies import Verdict
from governance.review.requests import Reviewer
from governance.review.verdicts import Standing, VerdictsInForce, objection_to_second


@dataclass(frozen=True, kw_only=True)
class HistoryEntry:
    """One row, and what may be done about it."""

    review: ReviewRecord
    standing: Standing
    awaits_second: bool
    """It counts, or the sample is looked at, once somebody else confirms it."""
    objection: str
    """Why this reviewer may not confirm it; empty: he may."""
    can_withdraw: bool


def history_on(
    session: Session, reviewer: Reviewer, scopes: Collection[str], *, now: dt.datetime, asset_sha256: str = ""
) -> dict[str, tuple[HistoryEntry, ...]]:
    """Return by scope every row under the reviewer's policy, newest first.

    With `asset_sha256` wider verdicts, too, are judged as they apply to that file: by who took it in.
    """
    found = reviews_on(session, scopes, reviewer.policy_name)
    clip_ids = [scope.removeprefix(CLIP_PREFIX) for scope in found if scope.startswith(CLIP_PREFIX)]
    items = current_items(session, reviewer.policy_name, clip_ids)
    digests = {
        f"{CLIP_PREFIX}{clip_id}": sha256 for clip_id, sha256 in known_clips(session, clip_ids).items()
    }
    digests |= {scope: scope.removeprefix("asset:") for scope in found if scope.startswith("asset:")}
    if asset_sha256:
        digests |= dict.fromkeys(found, asset_sha256)
    ingesters = ingesters_of(session, set(digests.values()))
    return {
        scope: _entries(
            reviews,
            reviewer,
            basis_digest=basis_of(items.get(scope.removeprefix(CLIP_PREFIX))),
            ingested_by=ingesters.get(digests.get(scope, ""), frozenset()),
            now=now,
        )
        for scope, reviews in found.items()
    }


def basis_of(item: QueueItem | None) -> str | None:
    """Return what approvals must have been given for to count; `None` if the clip was never decided."""
    return None if item is None else item.evidence_digest


def _entries(
    reviews: tuple[ReviewRecord, ...],
    reviewer: Reviewer,
    *,
    basis_digest: str | None,
    ingested_by: frozenset[str],
    now: dt.datetime,
) -> tuple[HistoryEntry, ...]:
    rows = VerdictsInForce(reviews, ingested_by=ingested_by)
    return tuple(
        _entry(
            rows,
            review,
            reviewer,
            rows.standing_of(review, basis_digest=basis_digest, as_of=now),
            ingested_by,
        )
        for review in reversed(reviews)
    )


def _entry(
    rows: VerdictsInForce,
    review: ReviewRecord,
    reviewer: Reviewer,
    standing: Standing,
    ingested_by: frozenset[str],
) -> HistoryEntry:
    is_confirmation = review.confirms_id is not None
    if is_confirmation and standing is Standing.AWAITS_SECOND:
        standing = Standing.IN_FORCE  # a confirmation needs no second person of its own
    is_live = standing in {Standing.IN_FORCE, Standing.AWAITS_SECOND}
    is_open_sample = rows.open_sample(review) and is_live
    awaits_second = not is_confirmation and (standing is Standing.AWAITS_SECOND or is_open_sample)
    objection = objection_to_second(rows, review, reviewer.name, ingested_by=ingested_by)
    return HistoryEntry(
        review=review,
        standing=standing,
        awaits_second=awaits_second,
        objection=objection if awaits_second else "",
        can_withdraw=is_live and rows.pending_withdrawal(review) is None and _can_end(rows, review),
    )


def _can_end(rows: VerdictsInForce, review: ReviewRecord) -> bool:
    """Whether a row may be withdrawn: the end of an approval or a waiver is final."""
    if review.verdict is not Verdict.WITHDRAW or review.confirms_id is not None:
        return True
    target = rows.find(review.withdraws_id or 0)
    return target is not None and target.verdict is Verdict.EXCLUDE and target.confirms_id is None
