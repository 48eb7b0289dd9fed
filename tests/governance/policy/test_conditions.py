"""Conditions against facts: what they give, and the limit on their work."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.vocabularies import Tri
from governance.facts.facts import Facts, FactType, GrantFacts, MatchFacts
from governance.policy.conditions import MAX_STEPS, ConditionError, PreparedFacts, compile_condition

GRANTED = Facts(
    grant=GrantFacts(present=True, in_force=Tri.YES, days_left=30, territories=("DE", "US")),
    purpose="commercial",
)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("true", True),
        ("grant.present && !matches.compared", True),
        ('grant.in_force == "yes"', True),
        ('grant.in_force != "yes"', False),
        ("grant.days_left < 31 && grant.days_left >= 30", True),
        ("grant.days_left < -5 || grant.days_left > 29.5", True),
        ("media.duration_seconds == 0", True),
        ('"US" in grant.territories', True),
        ('purpose in ["research"]', False),
        ("size(grant.territories) == 2", True),
        ('grant.territories.exists(t, t.startsWith("D"))', True),
        ("matches.reference_sets.exists(s, true)", False),
        ('!grant.present == false && purpose == "commercial"', True),
        ('!grant.present || purpose == "commercial" && true', True),
    ],
)
def test_conditions_mean_what_they_say(source: str, expected: bool) -> None:
    assert compile_condition(source).evaluate(PreparedFacts(GRANTED.as_cel())) is expected


def test_equal_sources_are_equal_conditions() -> None:
    assert compile_condition("true") == compile_condition("true")
    assert len({compile_condition("true"), compile_condition("true"), compile_condition("false")}) == 2


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"grant": {}},
        {"grant": {"in_force": None, "days_left": 1}},
        {"grant": {"in_force": 1, "days_left": "x"}},
        {"grant": None},
    ],
)
def test_a_missing_or_ill_typed_fact_raises(facts: dict[str, Any]) -> None:
    condition = compile_condition('grant.days_left < 3 && grant.in_force.startsWith("y")')
    with pytest.raises(ConditionError, match="failed"):
        condition.evaluate(PreparedFacts(facts))


@pytest.mark.parametrize("value", [1, "true", None, []])
def test_a_result_that_is_not_a_boolean_raises(value: object) -> None:
    condition = compile_condition("flag", {"flag": FactType("bool")})
    with pytest.raises(ConditionError, match="neither true nor false"):
        condition.evaluate(PreparedFacts({"flag": value}))


def test_an_endless_condition_is_not_begun() -> None:
    """Two nested searches over long lists would take their product in steps."""
    names = tuple(f"set {i}" for i in range(2000))
    facts = Facts(grant=GrantFacts(territories=names), matches=MatchFacts(reference_sets=names))
    condition = compile_condition(
        "grant.territories.exists(a, matches.reference_sets.exists(b, a == b && false))"
    )
    with pytest.raises(ConditionError, match=f"at most {MAX_STEPS}"):
        condition.evaluate(PreparedFacts(facts.as_cel()))
    short = Facts(grant=GrantFacts(territories=names[:50]), matches=MatchFacts(reference_sets=names[:50]))
    assert condition.evaluate(PreparedFacts(short.as_cel())) is False


def test_a_very_long_text_counts_as_work() -> None:
    facts = Facts(purpose="x" * (64 * (MAX_STEPS + 1)))
    with pytest.raises(ConditionError, match="steps"):
        compile_condition('purpose.contains("y")').evaluate(PreparedFacts(facts.as_cel()))


@settings(database=None, deadline=None, max_examples=100)
@given(
    st.sampled_from(list(Tri)),
    st.sampled_from(list(Tri)),
    st.booleans(),
    st.integers(-5, 5),
)
def test_precedence_is_the_one_that_people_expect(a: Tri, b: Tri, flag: bool, days: int) -> None:
    facts = Facts(grant=GrantFacts(in_force=a, derivatives=b, present=flag, days_left=days)).as_cel()
    source = 'grant.in_force == "yes" || grant.derivatives != "no" && !grant.present || !grant.present == grant.present'
    expected = a == "yes" or (b != "no" and not flag)
    assert compile_condition(source).evaluate(PreparedFacts(facts)) is expected
