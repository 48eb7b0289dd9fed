"""The engine: deciding without ever clearing what is not understood, and the floor that no policy can change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from db.vocabularies import Outcome, Purpose, Tri, Use
from governance.facts.facts import Facts, FootageFacts, GrantFacts, MatchFacts
from governance.policy.policy import FLOOR_CODES, Effect, Policy, decide, floor_reasons
from governance.policy.reading import parse_policy

RULE = """
  - id: {id}
    effect: {effect}
    when: '{when}'
    code: test.{effect}
    because: Because.
    remedy: Remedy.
"""
HEAD = 'schema: 1\nname: test\nversion: "1"\ntitle: Test\nrules:'
GRANTED = Facts(grant=GrantFacts(present=True, in_force=Tri.YES))


def policy(*rules: tuple[str, str], head: str = HEAD) -> Policy:
    text = "".join(
        RULE.format(id=f"rule-{n}", effect=effect, when=when) for n, (effect, when) in enumerate(rules)
    )
    return parse_policy((head + (text or " []\n")).encode(), "p.yaml")


def codes(chosen: Policy, facts: Facts = GRANTED) -> tuple[Outcome, list[str]]:
    decision = decide(chosen, facts)
    return decision.outcome, [reason.code for reason in decision.reasons]


def test_an_empty_policy_clears_nothing() -> None:
    assert codes(policy()) == (Outcome.HOLD, ["policy.nothing_clears"])


def test_a_rule_that_does_not_apply_clears_nothing() -> None:
    assert codes(policy(("clear", "matches.compared"))) == (Outcome.HOLD, ["policy.nothing_clears"])


def test_a_rule_clears() -> None:
    assert codes(policy(("clear", "grant.present"))) == (Outcome.CLEARED, ["test.clear"])


def test_exclude_beats_hold_beats_clear_in_any_order() -> None:
    clear, hold, exclude = ("clear", "true"), ("hold", "true"), ("exclude", "true")
    assert codes(policy(clear, hold)) == (Outcome.HOLD, ["test.hold"])
    assert codes(policy(hold, clear)) == (Outcome.HOLD, ["test.hold"])
    assert codes(policy(clear, hold, exclude)) == (Outcome.EXCLUDED, ["test.exclude", "test.hold"])
    assert codes(policy(exclude, hold, clear)) == (Outcome.EXCLUDED, ["test.exclude", "test.hold"])


@pytest.mark.parametrize("effect", ["clear", "hold", "exclude"])
def test_a_condition_that_fails_holds_whatever_its_effect(effect: str) -> None:
    names = tuple(str(i) for i in range(3000))
    facts = replace(GRANTED, matches=MatchFacts(reference_sets=names))
    endless = "matches.reference_sets.exists(a, matches.reference_sets.exists(b, a != b && false))"
    assert codes(policy(("clear", "true"), (effect, endless)), facts) == (
        Outcome.HOLD,
        ["policy.condition_failed"],
    )
    both = policy(("exclude", "true"), (effect, endless))
    assert codes(both, facts) == (Outcome.EXCLUDED, ["test.exclude", "policy.condition_failed"])


@pytest.mark.parametrize(
    ("grant", "code"),
    [
        (GrantFacts(), "grant.missing"),
        (GrantFacts(in_force=Tri.YES), "grant.missing"),
        (GrantFacts(present=True), "grant.not_in_force"),
        (GrantFacts(present=True, in_force=Tri.NO), "grant.not_in_force"),
    ],
)
def test_no_policy_can_clear_without_a_grant_in_force(grant: GrantFacts, code: str) -> None:
    assert codes(policy(("clear", "true")), Facts(grant=grant)) == (Outcome.HOLD, [code])


def test_a_policy_for_another_purpose_holds() -> None:
    head = HEAD.replace("rules:", "require: {purpose: commercial}\nrules:")
    chosen = policy(("clear", "true"), head=head)
    assert codes(chosen) == (Outcome.HOLD, ["policy.other_purpose"])
    assert codes(chosen, replace(GRANTED, purpose="commercial"))[0] is Outcome.CLEARED


def test_a_grant_that_lists_other_uses_is_excluded() -> None:
    chosen = policy(
        ("clear", "true"), head=HEAD.replace("rules:", "require: {use: cawg.ai_generative_training}\nrules:")
    )
    other = replace(GRANTED.grant, uses_stated=True, permitted_uses=(Use.AI_TRAINING, Use.DATA_MINING))
    assert codes(chosen, Facts(grant=other)) == (Outcome.EXCLUDED, ["grant.use_not_permitted"])
    this = replace(other, permitted_uses=(Use.AI_GENERATIVE_TRAINING,))
    assert codes(chosen, Facts(grant=this))[0] is Outcome.CLEARED
    assert codes(chosen)[0] is Outcome.CLEARED


PERMISSIVE = policy(("clear", "true"))
COMMERCIAL = replace(PERMISSIVE, purpose="commercial")
WANTED = replace(GRANTED, purpose="commercial")


def granted(**grant: object) -> Facts:
    return replace(WANTED, grant=replace(WANTED.grant, **grant))  # type: ignore[arg-type]


def footage(**stated: object) -> Facts:
    return replace(WANTED, footage=FootageFacts(**stated))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "outcome", "code"),
    [
        (granted(contradicted=True), Outcome.HOLD, "grant.contradicted"),
        (
            granted(prohibited_uses=(Use.AI_GENERATIVE_TRAINING,)),
            Outcome.EXCLUDED,
            "grant.use_prohibited",
        ),
        (
            granted(purposes_stated=True, purposes=(Purpose.RESEARCH, Purpose.EDITORIAL)),
            Outcome.EXCLUDED,
            "grant.purpose_not_permitted",
        ),
        (granted(purposes_stated=True), Outcome.EXCLUDED, "grant.purpose_not_permitted"),
        (footage(embargoed=True), Outcome.HOLD, "footage.embargoed"),
        (footage(titles_broken=True), Outcome.HOLD, "footage.titles_broken"),
        (footage(has_research_ancestor=True), Outcome.EXCLUDED, "footage.research_ancestor"),
    ],
)
def test_what_no_policy_can_clear(facts: Facts, outcome: Outcome, code: str) -> None:
    assert codes(COMMERCIAL, WANTED)[0] is Outcome.CLEARED
    assert codes(COMMERCIAL, facts) == (outcome, [code])
    assert [reason.code for reason in floor_reasons(COMMERCIAL, facts)] == [code]
    assert code in FLOOR_CODES


def test_a_contract_for_the_purpose_clears() -> None:
    facts = granted(purposes_stated=True, purposes=(Purpose.COMMERCIAL, Purpose.EDITORIAL))
    assert codes(COMMERCIAL, facts)[0] is Outcome.CLEARED


def test_a_policy_for_any_purpose_asks_what_the_clips_are_wanted_for() -> None:
    limited = granted(purposes_stated=True, purposes=(Purpose.COMMERCIAL,))
    assert codes(PERMISSIVE, limited)[0] is Outcome.CLEARED
    assert codes(PERMISSIVE, replace(limited, purpose="research"))[0] is Outcome.EXCLUDED
    assert codes(PERMISSIVE, replace(limited, purpose=""))[0] is Outcome.EXCLUDED


def test_a_prohibition_is_of_the_use_that_the_policy_names() -> None:
    """Without a name, generative training is meant: what else would a clip be cleared for here."""
    evaluated = replace(PERMISSIVE, use=Use.EVALUATION)
    facts = granted(prohibited_uses=(Use.EVALUATION,), uses_stated=True)
    assert codes(evaluated, facts) == (Outcome.EXCLUDED, ["grant.use_prohibited"])
    assert codes(PERMISSIVE, facts)[0] is Outcome.CLEARED


def test_what_research_made_may_serve_research_again() -> None:
    research = replace(PERMISSIVE, is_promotable=False)
    assert codes(research, footage(has_research_ancestor=True))[0] is Outcome.CLEARED


def test_the_words_of_the_policy_come_before_those_of_the_floor() -> None:
    said = replace(
        PERMISSIVE,
        rules=tuple(
            replace(rule, code="footage.embargoed") for rule in policy(("hold", "footage.embargoed")).rules
        ),
    )
    decision = decide(said, footage(embargoed=True))
    assert [(reason.rule, reason.code) for reason in decision.reasons] == [("rule-0", "footage.embargoed")]


def test_the_floor_is_said_beside_other_reasons() -> None:
    chosen = policy(("hold", "true"))
    assert codes(chosen, footage(embargoed=True)) == (Outcome.HOLD, ["test.hold", "footage.embargoed"])


def test_a_policy_knows_which_facts_it_can_see() -> None:
    chosen = policy(
        ("hold", "matches.reference_sets.exists(name, name != grant.license_expression)"),
        ("clear", "size(footage.restrictions) == 0 || media.duration_seconds > 1.5"),
    )
    own = {
        "matches.reference_sets",
        "grant.license_expression",
        "footage.restrictions",
        "media.duration_seconds",
    }
    floor = policy().fact_names
    assert chosen.fact_names == floor | own
    assert {"grant.present", "grant.in_force", "footage.embargoed", "purpose"} <= floor
    assert replace(chosen, use=Use.EVALUATION).fact_names - chosen.fact_names == {
        "grant.permitted_uses",
        "grant.uses_stated",
    }
    assert replace(chosen, detector="d" * 64).fact_names - chosen.fact_names == {"matches.detector"}


def test_effects_are_ordered_in_reports_as_they_decide() -> None:
    assert tuple(Effect) == ("clear", "hold", "exclude")
