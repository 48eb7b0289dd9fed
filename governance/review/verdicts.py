"""What reviewers' verdicts amount to: pure rules over the rows that were recorded.

An exclusion counts at once. An approval (of one clip, for the facts that were looked at) and a waiver (of named
reasons, until a date) count once a second person confirmed them, and so does the end of an exclusion: whatever could
let footage in needs two people. Ending an approval, a waiver or a confirmation counts at once and is final.

The second person is neither the first nor one who took the footage in. That is checked here, where verdicts are
applied, and not only where they are recorded: a row that came into the database by another way does not count either.
"""

from __future__ import annotations

import datetime as dt
import enum
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from db.rights_records import ReviewRecord
from db.vocabularies import Verdict
from governance.policy.policy import FLOOR_CODES

NEEDS_SECOND = frozenset({Verdict.APPROVE, Verdict.WAIVE})
"""Verdicts that count only once a second person confirmed them."""


class Standing(enum.StrEnum):
    """Where a recorded verdict stands."""

    IN_FORCE = "in force"
    AWAITS_SECOND = "awaits a second person"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    LAPSED = "lapsed"
    """The facts it was given for have changed."""


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """What verdicts say of one clip. Codes that only hold may be settled; what is excluded stays so."""

    excluded_by: ReviewRecord | None = None
    settled: frozenset[str] = frozenset()
    """Reasons that waivers in force set aside."""
    settled_all_for_basis: ReviewRecord | None = None
    """The approval that sets aside every reason that holds, for these very facts."""
    waivers: tuple[ReviewRecord, ...] = ()
    """The waivers in force, oldest first."""
    expires_at: dt.datetime | None = None
    """When the first of what sets reasons aside ends."""
    review_id: int | None = None
    """The row to name: of the exclusion, else of the approval, else of the newest waiver."""

    def expires_at_of(self, codes: Collection[str]) -> dt.datetime | None:
        """Return when the settlement of just these reasons ends; each may rely on the waiver that lasts longest.

        `None`: it does not end, or nothing settles one of them.
        """
        approval = self.settled_all_for_basis
        if approval is not None:
            return approval.expires_at
        ends = [_latest_end(self.waivers, code) for code in codes]
        stated = [end for end in ends if end is not None]
        return min(stated) if stated else None


NOTHING_SETTLED = Settlement()


class VerdictsInForce:
    """The rows on some scopes, ready to be asked where each stands.

    `reviews` must hold every row of the scopes it speaks of, so that no withdrawal is overlooked.
    """

    def __init__(self, reviews: Sequence[ReviewRecord], *, ingested_by: Collection[str] = ()) -> None:
        self._by_id = {review.id: review for review in reviews}
        self._ingested_by = {person_key(name) for name in ingested_by}
        self._confirmations: dict[int, list[ReviewRecord]] = defaultdict(list)
        self._withdrawals: dict[int, list[ReviewRecord]] = defaultdict(list)
        for review in sorted(reviews, key=lambda review: review.id):
            if review.confirms_id is not None:
                self._confirmations[review.confirms_id].append(review)
            elif review.verdict is Verdict.WITHDRAW and review.withdraws_id is not None:
                self._withdrawals[review.withdraws_id].append(review)

    def verdicts(self) -> list[ReviewRecord]:
        """Return approvals, exclusions and waivers, oldest first: neither confirmations nor withdrawals."""
        return [
            review
            for _, review in sorted(self._by_id.items())
            if review.confirms_id is None and review.verdict is not Verdict.WITHDRAW
        ]

    def confirmation_of(self, review: ReviewRecord) -> ReviewRecord | None:
        """Return the second person's word that counts for `review`."""
        for confirmation in self._confirmations[review.id]:
            is_other = not same_person(confirmation.reviewer, review.reviewer)
            is_same_scope = (
                confirmation.scope == review.scope and confirmation.policy_name == review.policy_name
            )
            is_apart = person_key(confirmation.reviewer) not in self._ingested_by
            if is_other and is_same_scope and is_apart and not self.is_withdrawn(confirmation):
                return confirmation
        return None

    def confirmations_of(self, review: ReviewRecord) -> tuple[ReviewRecord, ...]:
        """Return every confirmation of `review`, withdrawn ones too, oldest first."""
        return tuple(self._confirmations[review.id])

    def withdrawals_of(self, review: ReviewRecord) -> tuple[ReviewRecord, ...]:
        """Return every row that wants to end `review`, oldest first."""
        return tuple(self._withdrawals[review.id])

    def find(self, review_id: int) -> ReviewRecord | None:
        """Return the row with this id."""
        return self._by_id.get(review_id)

    def is_withdrawn(self, review: ReviewRecord) -> bool:
        """Return whether `review` was ended: an exclusion by two people, anything else by one."""
        return any(self._counts(withdrawal, review) for withdrawal in self._withdrawals[review.id])

    def _counts(self, withdrawal: ReviewRecord, review: ReviewRecord) -> bool:
        if withdrawal.scope != review.scope or withdrawal.policy_name != review.policy_name:
            return False
        if not is_exclusion(review):
            # Final: were it open to be withdrawn in turn, one person could bring an approval back.
            return True
        return self.confirmation_of(withdrawal) is not None and not self.is_withdrawn(withdrawal)

    def pending_withdrawal(self, review: ReviewRecord) -> ReviewRecord | None:
        """Return the end of an exclusion that waits for a second person."""
        if not is_exclusion(review) or self.is_withdrawn(review):
            return None
        waiting = [w for w in self._withdrawals[review.id] if not self.is_withdrawn(w)]
        return next((w for w in waiting if self.confirmation_of(w) is None), None)

    def standing_of(self, review: ReviewRecord, *, basis_digest: str | None, as_of: dt.datetime) -> Standing:
        """Return where a verdict, or the withdrawal of an exclusion, stands.

        `basis_digest` is that of the facts as they are now; `None` where a verdict is looked at without a clip.
        """
        if self.is_withdrawn(review):
            return Standing.WITHDRAWN
        # An exclusion has no end of its own: a date would let footage in with nobody's word.
        if review.expires_at is not None and review.expires_at <= as_of and not is_exclusion(review):
            return Standing.EXPIRED
        is_other_basis = basis_digest is not None and review.basis_digest != basis_digest
        if review.verdict is Verdict.APPROVE and is_other_basis:
            return Standing.LAPSED
        needs_second = review.verdict in NEEDS_SECOND or self._ends_exclusion(review)
        if needs_second and self.confirmation_of(review) is None:
            return Standing.AWAITS_SECOND
        return Standing.IN_FORCE

    def _ends_exclusion(self, review: ReviewRecord) -> bool:
        target = self._by_id.get(review.withdraws_id or 0)
        return review.verdict is Verdict.WITHDRAW and (target is None or is_exclusion(target))

    def open_sample(self, review: ReviewRecord) -> bool:
        """Return whether `review` was drawn to be looked at again and nobody else has done so."""
        is_drawn = review.is_sample and review.confirms_id is None
        return is_drawn and not self.is_withdrawn(review) and self.confirmation_of(review) is None


def settled_codes(
    reviews: Sequence[ReviewRecord],
    *,
    clip_scopes: Collection[str],
    basis_digest: str,
    as_of: dt.datetime,
    ingested_by: Collection[str] = (),
) -> Settlement:
    """Return what the verdicts on a clip's scopes say of it.

    `reviews` are all rows under one policy on `clip_scopes` (rows on other scopes are ignored), `basis_digest` is that
    of what the policy holds the clip on, before any verdict, `ingested_by` names who took the file in.
    """
    mine = [review for review in reviews if review.scope in clip_scopes]
    if not mine:
        return NOTHING_SETTLED
    rows = VerdictsInForce(mine, ingested_by=ingested_by)
    live = [
        review
        for review in rows.verdicts()
        if rows.standing_of(review, basis_digest=basis_digest, as_of=as_of) is Standing.IN_FORCE
    ]
    excluded_by = next((review for review in reversed(live) if review.verdict is Verdict.EXCLUDE), None)
    approvals = [review for review in live if review.verdict is Verdict.APPROVE and basis_digest]
    # An approval without an end lasts longest, then the one that ends last.
    approval = max(approvals, key=lambda review: (review.expires_at is None, _end_key(review)), default=None)
    waivers = tuple(review for review in live if review.verdict is Verdict.WAIVE and review.expires_at)
    relied_on = excluded_by or approval or (waivers[-1] if waivers else None)
    settled = frozenset(code for waiver in waivers for code in waiver.codes) - FLOOR_CODES
    settlement = Settlement(
        excluded_by=excluded_by,
        settled=settled,
        settled_all_for_basis=approval,
        waivers=waivers,
        review_id=None if relied_on is None else relied_on.id,
    )
    return replace(settlement, expires_at=settlement.expires_at_of(settled))


def scopes_of(
    clip_id: str, *, asset_sha256: str, titles: Iterable[str], holders: Iterable[str]
) -> frozenset[str]:
    """Return every scope that a clip lies in.

    `titles` are the refs of the titles that its file belongs to, with their ancestors; `holders` are the rights holders
    of every grant that is claimed for it.
    """
    named = [*(f"title:{ref}" for ref in titles), *(f"holder:{name}" for name in holders)]
    return frozenset({f"clip:{clip_id}", f"asset:{asset_sha256}", *named})


def objection_to_second(
    rows: VerdictsInForce, review: ReviewRecord, name: str, *, ingested_by: Collection[str]
) -> str:
    """Return why `name` may not confirm `review`; empty if nothing speaks against it."""
    if same_person(name, review.reviewer):
        return "the first decider cannot give the second approval"
    if any(same_person(name, ingester) for ingester in ingested_by):
        return "who took the footage in cannot give the second approval"
    if any(same_person(name, confirmation.reviewer) for confirmation in rows.confirmations_of(review)):
        return "nobody confirms the same verdict twice"
    if rows.confirmation_of(review) is not None:
        return "it is confirmed already"
    return ""


def is_exclusion(review: ReviewRecord) -> bool:
    """Return whether a row keeps footage out by itself."""
    return review.verdict is Verdict.EXCLUDE and review.confirms_id is None


def same_person(one: str, other: str) -> bool:
    """Return whether two names are the same one, however they are capitalised, spaced or encoded."""
    return person_key(one) == person_key(other)


def person_key(name: str) -> str:
    """Return what is compared of a person's name."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _latest_end(waivers: Sequence[ReviewRecord], code: str) -> dt.datetime | None:
    ends = [waiver.expires_at for waiver in waivers if code in waiver.codes and waiver.expires_at is not None]
    return max(ends, default=None)


def _end_key(review: ReviewRecord) -> float:
    return 0.0 if review.expires_at is None else review.expires_at.timestamp()
