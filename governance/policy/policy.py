"""What may be trained on: policies as data, and the one function that applies them.

Nothing is cleared unless a rule clears it. A rule that excludes beats one that holds, which beats one that clears.
Whatever was not understood, such as a condition that fails, holds. And there is a floor that no policy can change:
no grant, or none known to be in force; grants that contradict each other, that forbid the use or are for other
purposes; an embargo; a title that is not on record; and, in a policy whose result may be used commercially, footage
that a research model made.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from db.vocabularies import Outcome, Tri, Use
from governance.facts.facts import Facts, fact_types
from governance.policy.base_models import BaseModelTerms
from governance.policy.condition_language import Node, check_condition
from governance.policy.conditions import Condition, ConditionError, PreparedFacts

RESEARCH = "research"
"""The purpose whose results can never be promoted to commercial use."""

FLOOR_CODES = frozenset(
    {
        "footage.embargoed",
        "footage.research_ancestor",
        "footage.titles_broken",
        "grant.contradicted",
        "grant.missing",
        "grant.not_in_force",
        "grant.purpose_not_permitted",
        "grant.use_prohibited",
    }
)
"""Codes that the floor gives, under any policy."""

_FLOOR_FACTS = frozenset(
    {
        "footage.embargoed",
        "footage.has_research_ancestor",
        "footage.titles_broken",
        "grant.contradicted",
        "grant.in_force",
        "grant.present",
        "grant.prohibited_uses",
        "grant.purposes",
        "grant.purposes_stated",
        "purpose",
    }
)


class Effect(StrEnum):
    """What a rule does when its condition holds; the strongest effect that fired decides."""

    CLEAR = "clear"
    HOLD = "hold"
    EXCLUDE = "exclude"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule, as a lawyer wrote it."""

    id: str
    """Unique in the policy; in a combined one, an overlay's rules are called `OVERLAY/RULE`."""
    effect: Effect
    when: Condition
    code: str
    """Stable and dotted, for reports: `license.noncommercial`."""
    because: str
    remedy: str
    """What would change the answer; empty only for rules that clear."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A policy that was read and found sound."""

    name: str
    version: str
    title: str
    about: str
    purpose: str
    """The purpose that the facts must state; empty if the policy serves any."""
    use: Use | None
    """The use that a grant must permit, if it lists permitted uses."""
    detector: str
    """Digest of the detector that the near-duplicate search must have been made with; empty if any will do."""
    rules: tuple[Rule, ...]
    digest: str
    """SHA-256 of the bytes of `text`."""
    text: str = field(repr=False)
    """The policy file, or the canonical text of a combined policy (`governance.policy.overlays`)."""
    source: str
    """Where it was read, for messages."""
    is_overlay: bool = False
    """It only holds and excludes, and is meant to be combined with a policy that clears."""
    is_promotable: bool = True
    """What is made under it may become a commercial release."""
    base_models: BaseModelTerms = field(default_factory=BaseModelTerms)
    """What it says of models that are fine-tuned; no fact of a clip, so it decides no clip."""
    parts: tuple[Policy, ...] = ()
    """Of a combined policy: the base, then its overlays."""

    @functools.cached_property
    def fact_names(self) -> frozenset[str]:
        """Every fact that its conditions, its requirements or the floor can see, by dotted name.

        Facts that agree in these are decided alike.
        """
        names = set(_FLOOR_FACTS)
        names |= {"grant.permitted_uses", "grant.uses_stated"} if self.use else set()
        names |= {"matches.detector"} if self.detector else set()
        return frozenset(names.union(*(facts_of(rule.when) for rule in self.rules)))


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a decision is what it is."""

    rule: str
    effect: Effect
    code: str
    because: str
    remedy: str

    def as_dict(self) -> dict[str, str]:
        """Return the reason as it is recorded and reported."""
        return {
            "rule": self.rule,
            "effect": self.effect.value,
            "code": self.code,
            "because": self.because,
            "remedy": self.remedy,
        }


@dataclass(frozen=True, slots=True)
class PolicyDecision:
    """The outcome and its reasons, the deciding ones first.

    On a hold or an exclusion, the rules that would have cleared the clip are left out.
    """

    outcome: Outcome
    reasons: tuple[Reason, ...]


def decide(policy: Policy, facts: Facts) -> PolicyDecision:
    """Apply `policy` to `facts`. A condition that fails does not raise: it is a `policy.condition_failed` hold."""
    fired = [*_unmet_requirements(policy, facts), *_fired_rules(policy, facts)]
    # A rule that says the same in the policy's own words comes before the floor.
    said = {reason.code for reason in fired if reason.effect is not Effect.CLEAR}
    fired += [reason for reason in _forbidden(policy, facts) if reason.code not in said]
    excluding = [reason for reason in fired if reason.effect is Effect.EXCLUDE]
    holding = [reason for reason in fired if reason.effect is Effect.HOLD]
    clearing = [reason for reason in fired if reason.effect is Effect.CLEAR]
    if clearing and not excluding and not holding:
        holding = list(_unproven(facts))
    if excluding:
        return PolicyDecision(Outcome.EXCLUDED, (*excluding, *holding))
    if holding:
        return PolicyDecision(Outcome.HOLD, tuple(holding))
    if clearing:
        return PolicyDecision(Outcome.CLEARED, tuple(clearing))
    return PolicyDecision(Outcome.HOLD, (_NOTHING_CLEARS_ALONE if policy.is_overlay else _NOTHING_CLEARS,))


def floor_reasons(policy: Policy, facts: Facts) -> tuple[Reason, ...]:
    """Return what forbids clearing under any policy, and which no reviewer's word may set aside."""
    return (*_forbidden(policy, facts), *_unproven(facts))


@functools.lru_cache(maxsize=4096)
def facts_of(condition: Condition) -> frozenset[str]:
    """Return the facts that a condition looks at, by dotted name."""
    return frozenset(_facts_in(check_condition(condition.source, fact_types())))


def _facts_in(node: Node) -> Iterator[str]:
    if node.fact:
        yield node.fact
    inner = node.parts if node.repeats_over is None else (*node.parts, node.repeats_over)
    for part in inner:
        yield from _facts_in(part)


def _fired_rules(policy: Policy, facts: Facts) -> Iterator[Reason]:
    prepared = PreparedFacts(facts.as_cel())
    for rule in policy.rules:
        try:
            if rule.when.evaluate(prepared):
                yield Reason(rule.id, rule.effect, rule.code, rule.because, rule.remedy)
        except ConditionError as exc:
            yield _failed(rule, exc)


def _failed(rule: Rule, error: ConditionError) -> Reason:
    because = f"The condition of rule {rule.id} could not be decided: {error}"
    return Reason(
        rule.id, Effect.HOLD, "policy.condition_failed", because, "Have the policy corrected and tested."
    )


def _unmet_requirements(policy: Policy, facts: Facts) -> Iterator[Reason]:
    if policy.purpose and facts.purpose != policy.purpose:
        because = (
            f"The policy serves the purpose {policy.purpose!r}, the clips are wanted for {facts.purpose!r}."
        )
        remedy = "Use the policy that was written for this purpose."
        yield Reason("require-purpose", Effect.HOLD, "policy.other_purpose", because, remedy)
    # A use that the contract forbids is left to the floor, which says so in plainer words.
    named = (*facts.grant.permitted_uses, *facts.grant.prohibited_uses)
    if policy.use and facts.grant.uses_stated and policy.use not in named:
        because = f"The grant lists the uses that it permits, and {policy.use.value} is not among them."
        remedy = "Ask the rights holder to extend the grant to this use, and record the new grant."
        yield Reason("require-use", Effect.EXCLUDE, "grant.use_not_permitted", because, remedy)
    if policy.detector and facts.matches.detector != policy.detector:
        because = (
            f"The search for copies was not made with the detector {policy.detector[:16]}, "
            "which was calibrated for this policy."
        )
        remedy = "Ingest again, which searches with the project's calibrated detector, or calibrate again."
        yield Reason("require-detector", Effect.HOLD, "match.other_detector", because, remedy)


def _forbidden(policy: Policy, facts: Facts) -> Iterator[Reason]:
    """Yield the part of the floor that is said beside whatever else stands against a clip."""
    grant, footage = facts.grant, facts.footage
    # Layers are judged for generative training too where a policy names no use.
    use = policy.use or Use.AI_GENERATIVE_TRAINING
    if use in grant.prohibited_uses:
        yield _floor(
            Effect.EXCLUDE,
            "grant.use_prohibited",
            f"The contract forbids the use {use.value}.",
            "Ask the rights holder for a grant that permits it, and record it.",
        )
    purpose = policy.purpose or facts.purpose
    if grant.purposes_stated and purpose not in grant.purposes:
        permitted = ", ".join(grant.purposes) or "none that all grants have in common"
        yield _floor(
            Effect.EXCLUDE,
            "grant.purpose_not_permitted",
            f"The contract is for certain purposes only ({permitted}), and {purpose or 'none'} is wanted.",
            "Ask the rights holder to extend the grant to this purpose, and record it.",
        )
    if footage.has_research_ancestor and policy.is_promotable:
        yield _floor(
            Effect.EXCLUDE,
            "footage.research_ancestor",
            "A model made this footage that comes of footage for research only, or of a base model whose training data "
            "is not attested, or whose origin cannot be read.",
            "Make the footage again with a model whose whole ancestry is cleared for commercial use.",
        )
    if grant.contradicted:
        yield _floor(
            Effect.HOLD,
            "grant.contradicted",
            "Grants in force of the same holder contradict each other: one forbids what another permits.",
            "Have the holder confirm which of them stands, and withdraw the other.",
        )
    if footage.embargoed:
        yield _floor(
            Effect.HOLD,
            "footage.embargoed",
            "A catalogue says that the footage must not be used yet.",
            "Wait for the end of the embargo, or record that the holder has lifted it.",
        )
    if footage.titles_broken:
        yield _floor(
            Effect.HOLD,
            "footage.titles_broken",
            "A title that the footage is filed under is not on record, or is its own ancestor.",
            "Import the titles that are missing, or correct what they are part of.",
        )


def _unproven(facts: Facts) -> Iterator[Reason]:
    """Yield the part of the floor that is said only where a rule would have cleared: policies say it better."""
    if not facts.grant.present:
        because = "There is no single grant for this file, and no policy can clear footage without one."
        yield _floor(Effect.HOLD, "grant.missing", because, "Record the grant in a rights table.")
    elif facts.grant.in_force is not Tri.YES:
        because = "The grant is not known to be in force, and no policy can clear footage without that."
        yield _floor(Effect.HOLD, "grant.not_in_force", because, "Record the dates of a grant in force.")


def _floor(effect: Effect, code: str, because: str, remedy: str) -> Reason:
    return Reason("floor", effect, code, because, remedy)


_NOTHING_CLEARS = Reason(
    "default",
    Effect.HOLD,
    "policy.nothing_clears",
    "No rule of the policy clears this clip, and what is not cleared is held.",
    "Record a grant that a rule of the policy accepts, or have the policy changed.",
)
_NOTHING_CLEARS_ALONE = Reason(
    "default",
    Effect.HOLD,
    "policy.nothing_clears",
    "No rule stands against this clip, and an overlay clears nothing by itself.",
    "Combine the overlay with a policy that clears, as in commercial-training+talent-consent-required.",
)
