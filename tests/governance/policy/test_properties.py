"""Properties of the shipped policies over random facts: nothing unknown, unread or forbidden is ever cleared."""

from __future__ import annotations

import dataclasses
import random
import typing
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.vocabularies import (
    Acquisition,
    LayerState,
    Outcome,
    PostTermination,
    SignalValue,
    Tri,
    Use,
)
from governance.facts.facts import DAILY_FACTS, PERPETUAL_DAYS, Facts, fact_types
from governance.policy.cases import base_facts, facts_from_names
from governance.policy.conditions import Condition, ConditionError, PreparedFacts, compile_condition
from governance.policy.files import find_policy, find_policy_file
from governance.policy.overlays import combine
from governance.policy.policy import Effect, Policy, Rule, decide, floor_reasons

PROPERTY = settings(database=None, deadline=None, max_examples=30)
POLICIES = ("commercial-training", "commercial-training-strict", "eu-tdm-optout-honoured", "research-only")
OVERLAYS = ("digital-replica-consent", "editorial-exclusion", "talent-consent-required")
SHIPPED: dict[str, Policy] = {name: find_policy(name) for name in (*POLICIES, *OVERLAYS)}
CLEARABLE: dict[str, Facts] = {name: base_facts(find_policy_file(name)) for name in (*POLICIES, *OVERLAYS)}
WORST_LAST = (Outcome.CLEARED, Outcome.HOLD, Outcome.EXCLUDED)
TEXTS: dict[str, list[Any]] = {
    "grant.license_expression": ["", "CC-BY-4.0", "LicenseRef-x", "LicenseRef-EU-TDM-Article-4"],
    "grant.territories": [(), ("WORLD",), ("DE", "US"), ("NOWHERE",)],
    "matches.detector": ["", "d" * 64],
    "matches.reference_sets": [(), ("blocked",)],
    "signals.protocols_against": [(), ("plus",)],
    "footage.restrictions": [(), ("unrestricted",), ("editorial_only",), ("sports", "unrestricted"), ("?",)],
    "purpose": ["", "commercial", "research"],
}


def _values_of(name: str) -> list[Any]:
    """Return values that a fact can have, whatever facts there will be."""
    fact = fact_types()[name]
    if name in TEXTS:
        return TEXTS[name]
    if fact.kind == "text":
        return list(fact.values)
    if fact.kind == "list":
        return [(), *((value,) for value in fact.values), fact.values[:2], tuple(sorted(fact.values))]
    if name in DAILY_FACTS:
        return [-1, 0, 1, 30, 31, 89, 90, 179, 180, 364, 365, PERPETUAL_DAYS]
    plain: dict[str, list[Any]] = {"bool": [False, True], "int": [0, 1, 2], "double": [0.0, 1.5, 100.0]}
    return plain[fact.kind]


VALUES: dict[str, list[Any]] = {name: _values_of(name) for name in fact_types()}


def random_facts(seed: int) -> Facts:
    """One draw for all facts: a draw for each of them takes most of the time of a test."""
    chance = random.Random(seed)
    return facts_from_names({name: chance.choice(values) for name, values in VALUES.items()})


ANY = st.integers(0, 2**32).map(random_facts)


@st.composite
def nearly(draw: st.DrawFn, name: str) -> Facts:
    """Draw the clip that a policy clears, with a few facts changed: random facts alone hardly ever clear."""
    changed = draw(st.sets(st.sampled_from(sorted(fact_types())), max_size=4))
    return with_facts(
        CLEARABLE[name], {fact: draw(st.sampled_from(VALUES[fact])) for fact in sorted(changed)}
    )


def facts_for(name: str) -> st.SearchStrategy[Facts]:
    return st.one_of(ANY, nearly(name), nearly(name), nearly(name))


def with_facts(facts: Facts, values: dict[str, Any]) -> Facts:
    for name, value in values.items():
        group, _, fact = name.rpartition(".")
        if group:
            facts = replace(facts, **{group: replace(getattr(facts, group), **{fact: value})})
        else:
            facts = replace(facts, **{fact: value})
    return facts


def fact_of(facts: Facts, name: str) -> Any:
    group, _, fact = name.rpartition(".")
    return getattr(getattr(facts, group) if group else facts, fact)


def test_random_facts_are_of_the_declared_types() -> None:
    """A strategy that drew plain texts where an enum is declared would test facts that never occur."""
    for group in dataclasses.fields(Facts):
        owner = typing.get_type_hints(Facts)[group.name]
        if not dataclasses.is_dataclass(owner):
            continue
        for name, hint in typing.get_type_hints(owner).items():
            if isinstance(hint, type) and issubclass(hint, StrEnum):
                assert all(isinstance(value, hint) for value in fact_types()[f"{group.name}.{name}"].values)


@pytest.mark.parametrize("name", POLICIES)
def test_the_base_of_the_cases_clears(name: str) -> None:
    assert decide(SHIPPED[name], CLEARABLE[name]).outcome is Outcome.CLEARED


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_alone_clears_nothing(name: str) -> None:
    decision = decide(SHIPPED[name], CLEARABLE[name])
    assert (decision.outcome, [reason.code for reason in decision.reasons]) == (
        Outcome.HOLD,
        ["policy.nothing_clears"],
    )
    assert "overlay" in decision.reasons[0].because


# What each policy must know: with the value on the right, nothing is known of it, or nobody has looked.
UNKNOWN: dict[str, Any] = {
    "grant.present": False,
    "grant.in_force": Tri.UNKNOWN,
    "grant.rights_holder_stated": False,
    "media.fully_decoded": False,
    "matches.compared": False,
    "signals.examined": False,
}
TERMS = {
    "grant.commercial_use": Tri.UNKNOWN,
    "grant.derivatives": Tri.UNKNOWN,
    "grant.share_alike": Tri.UNKNOWN,
}
LAYERS = {
    f"layers.{layer}": LayerState.UNKNOWN
    for layer in ("persons", "voice", "music", "location", "marks", "embedded_works")
}
STRICT = LAYERS | {
    "grant.from_catalogue": False,
    "grant.agreement_proven": False,
    "grant.chain_complete": Tri.UNKNOWN,
    "grant.holder_verified": Tri.UNKNOWN,
    "grant.holder_checked_days": PERPETUAL_DAYS,
    "footage.acquisition": Acquisition.NOT_STATED,
}
MUST_KNOW = {
    "commercial-training": UNKNOWN | TERMS,
    "commercial-training-strict": UNKNOWN | TERMS | STRICT,
    "research-only": UNKNOWN | TERMS,
    "eu-tdm-optout-honoured": UNKNOWN
    | {
        "footage.acquisition": Acquisition.NOT_STATED,
        "layers.persons": LayerState.UNKNOWN,
        "layers.voice": LayerState.UNKNOWN,
    },
}


@pytest.mark.parametrize("name", POLICIES)
@PROPERTY
@given(data=st.data())
def test_what_is_not_known_is_never_cleared(name: str, data: st.DataObject) -> None:
    facts = data.draw(facts_for(name))
    unknown = data.draw(st.sampled_from(sorted(MUST_KNOW[name])))
    without = with_facts(facts, {unknown: MUST_KNOW[name][unknown]})
    assert decide(SHIPPED[name], without).outcome is not Outcome.CLEARED


@pytest.mark.parametrize("name", POLICIES)
@PROPERTY
@given(data=st.data())
def test_a_signal_that_is_unread_or_against_training_is_never_cleared(name: str, data: st.DataObject) -> None:
    """Signals that could not be read count among those against training, as a condition."""
    facts = data.draw(facts_for(name))
    against: dict[str, Any] = data.draw(
        st.sampled_from(
            [
                {"signals.num_against_training": 1, "signals.generative_training": SignalValue.CONDITIONAL},
                {"signals.num_against_training": 2, "signals.generative_training": SignalValue.DENY},
                {"signals.num_against_training": 1},
                {"signals.examined": False},
            ]
        )
    )
    spoken = with_facts(facts, {"signals.overridden": False} | against)
    assert decide(SHIPPED[name], spoken).outcome is not Outcome.CLEARED


@pytest.mark.parametrize("name", POLICIES)
@PROPERTY
@given(data=st.data())
def test_a_permission_in_the_file_never_clears(name: str, data: st.DataObject) -> None:
    """The only facts that say yes for a thief; `overridden` is none of them, since it rests on a proven grant."""
    facts = data.draw(facts_for(name))
    allowing = with_facts(facts, {"signals.generative_training": SignalValue.ALLOW})
    silent = with_facts(facts, {"signals.generative_training": SignalValue.UNKNOWN})
    assert decide(SHIPPED[name], allowing) == decide(SHIPPED[name], silent)


def prohibit(facts: Facts, use: Use) -> Facts:
    grant = facts.grant
    return with_facts(
        facts,
        {
            "grant.prohibited_uses": tuple(sorted({*grant.prohibited_uses, use})),
            "grant.permitted_uses": tuple(item for item in grant.permitted_uses if item != use),
            "grant.uses_stated": True,
        },
    )


DENIALS: dict[str, Callable[[Facts], Facts]] = {
    "a prohibition of the use": lambda facts: prohibit(facts, Use.AI_GENERATIVE_TRAINING),
    "a prohibition of commercial output": lambda facts: prohibit(facts, Use.COMMERCIAL_OUTPUT),
    "a prohibition of something else": lambda facts: prohibit(facts, Use.DISTILLATION),
    "a contradiction": lambda facts: with_facts(facts, {"grant.contradicted": True}),
    "purposes": lambda facts: with_facts(facts, {"grant.purposes_stated": True, "grant.purposes": ()}),
    "named models": lambda facts: with_facts(facts, {"grant.model_limited": True}),
    "destruction": lambda facts: with_facts(facts, {"grant.post_termination": PostTermination.DESTROY}),
    "a denying signal": lambda facts: with_facts(
        facts,
        {
            "signals.generative_training": SignalValue.DENY,
            "signals.num_against_training": facts.signals.num_against_training + 1,
            "signals.overridden": False,
        },
    ),
    "a denied page": lambda facts: with_facts(facts, {"signals.acquisition": SignalValue.DENY}),
    "an embargo": lambda facts: with_facts(facts, {"footage.embargoed": True}),
    "a broken title": lambda facts: with_facts(facts, {"footage.titles_broken": True}),
    "a research ancestor": lambda facts: with_facts(facts, {"footage.has_research_ancestor": True}),
    "a restriction": lambda facts: with_facts(
        facts, {"footage.restrictions": (*facts.footage.restrictions, "editorial_only")}
    ),
    "an uncleared person": lambda facts: with_facts(
        facts, {"layers.persons": LayerState.UNCLEARED, "layers.num_unidentified_persons": 1}
    ),
    "an uncleared work": lambda facts: with_facts(facts, {"layers.embedded_works": LayerState.UNCLEARED}),
    "a minor": lambda facts: with_facts(facts, {"layers.num_minors_uncovered": 1}),
    "a reference copy": lambda facts: with_facts(facts, {"matches.num_reference_copies": 3}),
    "a title conflict": lambda facts: with_facts(facts, {"matches.num_title_conflicts": 3}),
    "the sound of others": lambda facts: with_facts(facts, {"matches.num_reference_sounds": 3}),
    "the same scene": lambda facts: with_facts(facts, {"matches.num_same_scenes": 3}),
}


@pytest.mark.parametrize("name", [*POLICIES, *OVERLAYS])
@PROPERTY
@given(data=st.data())
def test_one_more_denial_never_makes_anything_better(name: str, data: st.DataObject) -> None:
    facts = data.draw(facts_for(name))
    denial = data.draw(st.sampled_from(sorted(DENIALS)))
    before = decide(SHIPPED[name], facts).outcome
    after = decide(SHIPPED[name], DENIALS[denial](facts)).outcome
    assert WORST_LAST.index(after) >= WORST_LAST.index(before), denial


@pytest.mark.parametrize("name", POLICIES)
@PROPERTY
@given(data=st.data(), effect=st.sampled_from([Effect.EXCLUDE, Effect.HOLD]))
def test_one_more_rule_against_never_clears_anything(name: str, data: st.DataObject, effect: Effect) -> None:
    chosen, facts = SHIPPED[name], data.draw(facts_for(name))
    for when in ("grant.present", 'layers.persons != "cleared"', "signals.examined", "true", "false"):
        rule = Rule(
            id="more", effect=effect, when=compile_condition(when), code="x.y", because="x", remedy="x"
        )
        before = decide(chosen, facts).outcome
        after = decide(replace(chosen, rules=(*chosen.rules, rule)), facts).outcome
        assert WORST_LAST.index(after) >= WORST_LAST.index(before)


@pytest.mark.parametrize("name", POLICIES)
@PROPERTY
@given(data=st.data())
def test_a_condition_that_breaks_never_clears_anything(name: str, data: st.DataObject) -> None:
    chosen, facts = SHIPPED[name], data.draw(facts_for(name))
    broken = data.draw(st.sampled_from(chosen.rules)).when
    evaluate = Condition.evaluate

    def fail(self: Condition, prepared: PreparedFacts) -> bool:
        if self is broken:
            raise ConditionError("broken")
        return evaluate(self, prepared)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Condition, "evaluate", fail)
        decision = decide(chosen, facts)
    assert decision.outcome is not Outcome.CLEARED
    assert "policy.condition_failed" in {reason.code for reason in decision.reasons}
    excluding = [rule for rule in chosen.rules if rule.effect is Effect.EXCLUDE and rule.when is not broken]
    if any(rule.when.evaluate(PreparedFacts(facts.as_cel())) for rule in excluding):
        assert decision.outcome is Outcome.EXCLUDED


@pytest.mark.parametrize("name", [*POLICIES, *OVERLAYS])
@PROPERTY
@given(data=st.data())
def test_facts_that_a_policy_cannot_see_change_nothing(name: str, data: st.DataObject) -> None:
    """On this rests that each distinct set of the facts it can see is evaluated once."""
    chosen, facts, other = SHIPPED[name], data.draw(facts_for(name)), data.draw(ANY)
    unseen = {fact: fact_of(other, fact) for fact in fact_types() if fact not in chosen.fact_names}
    assert decide(chosen, facts) == decide(chosen, with_facts(facts, unseen))


@PROPERTY
@given(facts=st.one_of(ANY, nearly("commercial-training")))
def test_the_most_permissive_policy_clears_exactly_what_the_floor_allows(facts: Facts) -> None:
    rule = Rule(
        id="all", effect=Effect.CLEAR, when=compile_condition("true"), code="x.y", because="x", remedy=""
    )
    permissive = replace(SHIPPED["commercial-training"], rules=(rule,), use=None, purpose="")
    is_cleared = decide(permissive, facts).outcome is Outcome.CLEARED
    assert is_cleared == (floor_reasons(permissive, facts) == ())


@pytest.mark.parametrize("name", POLICIES)
@PROPERTY
@given(data=st.data())
def test_an_overlay_never_makes_anything_better(name: str, data: st.DataObject) -> None:
    base = SHIPPED[name]
    overlays = [SHIPPED[item] for item in data.draw(st.sets(st.sampled_from(OVERLAYS), min_size=1))]
    combined = combine(base, overlays)
    facts = data.draw(st.one_of(ANY, nearly(name), *(nearly(item) for item in OVERLAYS)))
    # An overlay is judged with what it takes over from the base: the floor speaks of purpose and use too.
    alone = [
        replace(item, purpose=base.purpose, use=base.use, is_promotable=base.is_promotable)
        for item in overlays
    ]
    outcomes = [decide(part, facts).outcome for part in (base, *alone)]
    found = decide(combined, facts).outcome
    assert WORST_LAST.index(found) >= WORST_LAST.index(outcomes[0])
    if Outcome.EXCLUDED in outcomes:
        assert found is Outcome.EXCLUDED
    is_free = all(
        [reason.code for reason in decide(item, facts).reasons] == ["policy.nothing_clears"] for item in alone
    )
    assert (found is Outcome.CLEARED) == (outcomes[0] is Outcome.CLEARED and is_free)


@pytest.mark.parametrize("name", [*POLICIES, *OVERLAYS])
@PROPERTY
@given(data=st.data())
def test_every_decision_explains_itself(name: str, data: st.DataObject) -> None:
    decision = decide(SHIPPED[name], data.draw(facts_for(name)))
    assert decision.reasons
    for reason in decision.reasons:
        assert reason.because
        assert reason.remedy or decision.outcome is Outcome.CLEARED
        assert set(reason.as_dict()) == {"rule", "effect", "code", "because", "remedy"}


def is_proven(facts: Facts, *, needs_commercial: bool) -> bool:
    """What clearing must rest on under commercial-training and research-only, written a second time and by hand."""
    grant, matches, signals, footage = facts.grant, facts.matches, facts.signals, facts.footage
    training, output = (
        Use.AI_GENERATIVE_TRAINING,
        Use.COMMERCIAL_OUTPUT if needs_commercial else Use.RESEARCH_OUTPUT,
    )
    purpose = "commercial" if needs_commercial else "research"
    is_contract_proven = (
        training in grant.permitted_uses and grant.has_evidence and "WORLD" in grant.territories
    )
    is_commercial = grant.commercial_use is Tri.YES or (
        not needs_commercial and grant.commercial_use is Tri.NO
    )
    is_agreed = grant.agreement_proven and grant.chain_complete is Tri.YES
    is_against = signals.num_against_training > 0 or signals.generative_training in {"deny", "conditional"}
    layers = ("persons", "voice", "music", "location", "marks", "embedded_works")
    return all((
        grant.present, grant.in_force is Tri.YES, grant.days_left >= 90, grant.rights_holder_stated, is_commercial,
        grant.derivatives is Tri.YES, grant.share_alike is Tri.NO, grant.license_known or is_contract_proven,
        not grant.uses_stated or training in grant.permitted_uses, training not in grant.prohibited_uses,
        output not in grant.prohibited_uses, not grant.purposes_stated or purpose in grant.purposes,
        "WORLD" in grant.territories or (grant.license_known and not grant.territories),
        not grant.contradicted, not grant.model_limited, is_agreed or not grant.from_catalogue,
        grant.post_termination in {"survives", "no_new_training", "not_stated"},
        set(footage.restrictions) <= {"unrestricted"}, not footage.embargoed, not footage.titles_broken,
        not (needs_commercial and footage.has_research_ancestor),
        all(getattr(facts.layers, layer) != "uncleared" for layer in layers),
        signals.examined, signals.overridden or not is_against,
        facts.media.fully_decoded, matches.compared, matches.num_reference_copies == 0,
        matches.num_title_conflicts == 0, matches.num_unclaimed_copies == 0, matches.num_other_terms_copies == 0,
        matches.num_unsure_copies == 0, matches.num_reference_sounds == 0,
    ))  # fmt: skip


@pytest.mark.parametrize("name", ["commercial-training", "research-only"])
@PROPERTY
@given(data=st.data())
def test_shipped_policies_clear_exactly_what_is_proven(name: str, data: st.DataObject) -> None:
    facts = data.draw(facts_for(name))
    is_commercial = name == "commercial-training"
    is_purpose = facts.purpose == ("commercial" if is_commercial else "research")
    is_cleared = decide(SHIPPED[name], facts).outcome is Outcome.CLEARED
    assert is_cleared == (is_purpose and is_proven(facts, needs_commercial=is_commercial))


@PROPERTY
@given(data=st.data())
def test_what_the_strict_policy_clears_the_other_clears_too(data: st.DataObject) -> None:
    facts = data.draw(facts_for("commercial-training-strict"))
    if decide(SHIPPED["commercial-training-strict"], facts).outcome is Outcome.CLEARED:
        # For its contracts the strict policy asks for the agreement's document in place of the grant's own.
        proven = with_facts(facts, {"grant.has_evidence": True})
        assert decide(SHIPPED["commercial-training"], proven).outcome is Outcome.CLEARED
