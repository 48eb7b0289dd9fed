"""Which conditions are accepted at all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.facts.facts import fact_types
from governance.policy.condition_language import ConditionError, check_condition

_WORDS = (
    "true", "grant.present", "grant.in_force", "grant.days_left", "grant.territories", "purpose", '"yes"', "'US'", "3",
    "1.5", "&&", "||", "!", "==", "<", "in", "(", ")", "[", "]", ",", ".exists(x,", "x", "size(", "-", ".contains(",
)  # fmt: skip


def check(source: str) -> None:
    check_condition(source, fact_types())


@pytest.mark.parametrize(
    "source",
    [
        "true",
        "!grant.present || grant.days_left <= -1 && media.duration_seconds < 2",
        'purpose in ["commercial", "research"]',
        '"WORLD" in grant.territories',
        'grant.territories.exists(t, t == "DE" || matches.reference_sets.exists(s, s == t))',
        "size(grant.territories) > 0 && size(purpose) >= 3",
        "purpose.startsWith('comm') && !purpose.contains(\"x\")",
        '(grant.in_force) == "yes"\n  && grant . present == false',
    ],
)
def test_sound_conditions_are_accepted(source: str) -> None:
    check(source)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('grant.comercial_use == "no"', "no fact 'grant.comercial_use'"),
        ('grant.commercial_use == "No"', "'No' before this can never match"),
        ('"maybe" != grant.in_force', "can never match"),
        ('grant.in_force in ["yes", "y"]', "'y' before this can never match"),
        ('"cawg.training" in grant.permitted_uses', "can never match"),
        ('grant.permitted_uses.exists(u, u == "train")', "can never match"),
        ('grant.present == "yes"', "bool == text"),
        ("grant.present < true", "bool < bool"),
        ('grant.days_left < "5"', "int < text"),
        ('grant.territories == "US"', "list == text"),
        ("grant.territories == grant.permitted_uses", "list == list"),
        ("purpose in purpose", "text in text"),
        ("3 in grant.territories", "int in list"),
        ("purpose", "expected a bool"),
        ("grant.days_left", "expected a bool"),
        ("grant.days_left && true", "expected a bool"),
        ("!purpose", "expected a bool"),
        ("grant", "no fact 'grant'"),
        ("has(grant.present)", "no fact 'has'"),
        ("grant.days_left + 1 > 3", "not part of the language"),
        ("grant.present ? true : false", "not part of the language"),
        ("grant.territories[0] == purpose", "unexpected '['"),
        ('grant.territories.all(t, t == "US")', "no 'all'"),
        ("grant.territories.map(t, t)", "no 'map'"),
        ('purpose.matches("(a+)+$")', "no 'matches'"),
        ("purpose.startsWith(3)", "expected a text"),
        ("size(grant.present) > 1", "size of a bool"),
        ("grant.present.exists(x, true)", "expected a list"),
        ("grant.territories.exists(t, t)", "expected a bool"),
        ("grant.territories.exists(grant, true)", "variable of exists"),
        ("grant.territories.exists(size, true)", "variable of exists"),
        ("grant.territories.exists(t, grant.territories.exists(t, true))", "variable of exists"),
        ("grant.territories.exists(t, true) && t == purpose", "no fact 't'"),
        ("1 < 2 < 3", "unexpected '<'"),
        ("purpose == 'a\\'b'", "not part of the language"),
        ('purpose == """a"""', "not part of the language"),
        ('purpose == r"a"', "no fact 'r'"),
        ("grant.present // always", "not part of the language"),
        ("grant.days_left < 0x10", "not part of the language"),
        ("grant.days_left < 9223372036854775808", "not part of the language"),
        ("grant.days_left < - purpose", "expected a number"),
        ("grant.present &&", "unexpected 'the end'"),
        ("(grant.present", "expected ')'"),
        ("grant.present)", "unexpected ')'"),
        ("grant.present grant.present", "unexpected"),
        ("purpose in []", "expected a text in the list"),
        ("purpose in [3]", "expected a text in the list"),
        ("", "unexpected"),
        ("(" * 60 + "true" + ")" * 60, "nesting deeper"),
        ("!" * 60 + "true", "nesting deeper"),
        ("true" + " && true" * 300, "at most 2000"),
    ],
)
def test_what_could_be_misread_is_refused(source: str, words: str) -> None:
    with pytest.raises(ConditionError) as caught:
        check(source)
    assert words in str(caught.value)


def test_a_misspelt_fact_is_hinted_at() -> None:
    with pytest.raises(ConditionError) as caught:
        check('grant.comercial_use == "no"')
    assert caught.value.hint == "did you mean grant.commercial_use?"
    assert "column 1" in str(caught.value)


def test_three_nested_searches_are_refused() -> None:
    inner = "grant.territories.exists(c, c == a)"
    with pytest.raises(ConditionError, match="nested more than 2"):
        check(f"grant.territories.exists(a, matches.reference_sets.exists(b, {inner}))")


@settings(database=None, deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(_WORDS), min_size=1, max_size=12))
def test_any_words_are_accepted_or_refused_and_never_break_the_reader(words: list[str]) -> None:
    try:
        check(" ".join(words))
    except ConditionError:
        return
