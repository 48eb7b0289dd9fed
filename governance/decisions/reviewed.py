"""What reviewers' verdicts make of a ruling: the one place where a person's word changes an outcome.

A verdict never replaces a grant: what the floor forbids (`governance.policy.policy.floor_reasons`) stays forbidden.
What a policy excludes stays excluded.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from db.records import AssetEvidence, ClipRecord
from db.reviews import ingesters_of, newest_reviews, reviews_on
from db.rights_records import ReviewRecord
from db.vocabularies import Outcome
from governance.decisions.rulings import Ruling, Rulings, seen_facts
from governance.facts.facts import Facts
from governance.policy.policy import Effect, Policy, PolicyDecision, Reason, floor_reasons
from governance.review.verdicts import NOTHING_SETTLED, Settlement, scopes_of, settled_codes

_EXCLUDED = Reason(
    "review-exclusion",
    Effect.EXCLUDE,
    "review.excluded",
    "A reviewer excluded this footage.",
    "Withdraw the exclusion with `cleartitle review withdraw`, which two people must agree to.",
)
_APPROVED = Reason(
    "review-approval",
    Effect.CLEAR,
    "review.approved",
    "A reviewer settled what held this clip, for the facts as they are, and a second person confirmed it.",
    "",
)
_WAIVED = Reason(
    "review-waiver",
    Effect.CLEAR,
    "review.waived",
    "The reasons that held this clip were waived until a date, and a second person confirmed it.",
    "",
)


@dataclass(frozen=True)
class Reviewed:
    """A ruling after the verdicts."""

    ruling: Ruling
    review_id: int | None
    expires_at: dt.datetime | None
    """When the verdicts relied on end."""


class Verdicts:
    """The verdicts under one policy on the assets of one page after another."""

    def __init__(
        self, session: Session, policy: Policy, as_of: dt.datetime, *, known_on: dt.datetime | None = None
    ) -> None:
        self._session = session
        self._policy = policy
        self._as_of = as_of
        self._known_on = known_on
        self.are_any = any(newest_reviews(session, name, limit=1) for name in _names(policy))
        """Whether there is one. Most libraries have none, and then nothing is asked for page after page."""
        self._reviews: Mapping[str, tuple[ReviewRecord, ...]] = {}
        self._of_parts: Sequence[Mapping[str, tuple[ReviewRecord, ...]]] = ()
        """Of the parts of a combined policy: what is excluded under one of them is excluded."""
        self._ingesters: Mapping[str, frozenset[str]] = {}

    def read(self, page: Sequence[AssetEvidence]) -> None:
        """Read the verdicts on a page of assets, which `apply` then knows."""
        if not self.are_any:
            return
        scopes = {scope for item in page for clip in item.clips for scope in review_scopes(clip, item)}
        self._reviews, *self._of_parts = (
            reviews_on(self._session, scopes, name, known_on=self._known_on) for name in _names(self._policy)
        )
        is_any = bool(self._reviews) or any(self._of_parts)
        spoken_of = [item.asset.sha256 for item in page] if is_any else []
        self._ingesters = ingesters_of(self._session, spoken_of)

    def apply(
        self,
        ruling: Ruling,
        held_on: str,
        facts: Facts,
        clip: ClipRecord,
        evidence: AssetEvidence,
        rulings: Rulings,
    ) -> Reviewed:
        """Return what the verdicts on a clip make of the ruling on it; `held_on`: `evidence_digest` if it holds."""
        settlement = self._settlement(held_on, clip, evidence)
        if settlement is NOTHING_SETTLED:
            return Reviewed(ruling, None, None)
        decision = _after(settlement, ruling, self._policy, facts)
        if decision is None:
            return Reviewed(ruling, None, None)
        expires_at = settlement.expires_at_of(ruling.codes) if decision.outcome is Outcome.CLEARED else None
        after = rulings.record(seen_facts(facts, self._policy), decision)
        return Reviewed(after, settlement.review_id, expires_at)

    def _settlement(self, held_on: str, clip: ClipRecord, evidence: AssetEvidence) -> Settlement:
        if not self._reviews and not any(self._of_parts):
            return NOTHING_SETTLED
        scopes = review_scopes(clip, evidence)
        own, *of_parts = (
            settled_codes(
                [review for scope in scopes for review in reviews.get(scope, ())],
                clip_scopes=scopes,
                basis_digest=held_on,
                as_of=self._as_of,
                ingested_by=self._ingesters.get(evidence.asset.sha256, frozenset()),
            )
            for reviews in (self._reviews, *self._of_parts)
        )
        # An overlay never makes an outcome better: exclusions count in every combination, approvals in their own.
        excluding = (found for found in of_parts if found.excluded_by is not None)
        return own if own.excluded_by is not None else next(excluding, own)


def _names(policy: Policy) -> tuple[str, ...]:
    """Return the name of a policy and then those of its parts."""
    return (policy.name, *(part.name for part in policy.parts))


def review_scopes(clip: ClipRecord, evidence: AssetEvidence) -> frozenset[str]:
    """Return every scope that a verdict on this clip may have been given for."""
    grants = (*evidence.claims, *(scoped.grant for scoped in evidence.rights.grants))
    return scopes_of(
        clip.clip_id,
        asset_sha256=evidence.asset.sha256,
        titles=evidence.rights.titles,
        holders={grant.rights_holder for grant in grants},
    )


def _after(settlement: Settlement, ruling: Ruling, policy: Policy, facts: Facts) -> PolicyDecision | None:
    """Return the decision after the verdicts, `None` if they change nothing."""
    if settlement.excluded_by is not None:
        if ruling.outcome is Outcome.EXCLUDED:
            return None
        return PolicyDecision(Outcome.EXCLUDED, (_EXCLUDED, *ruling.decision.reasons))
    # An overlay clears nothing by itself, whoever agrees to it.
    if ruling.outcome is not Outcome.HOLD or floor_reasons(policy, facts) or policy.is_overlay:
        return None
    if settlement.settled_all_for_basis is not None:
        return PolicyDecision(Outcome.CLEARED, (_APPROVED,))
    if ruling.codes <= settlement.settled:
        return PolicyDecision(Outcome.CLEARED, (_WAIVED,))
    return None
