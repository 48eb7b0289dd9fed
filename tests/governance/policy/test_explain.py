"""Reading policies aloud."""

from __future__ import annotations

import pytest

from governance.facts.facts import Facts, MatchFacts, fact_types, fact_words
from governance.policy.explain import asked_facts, in_words, rules_in_order, trace
from governance.policy.files import find_policy, list_policy_files
from governance.policy.policy import decide
from governance.policy.reading import parse_policy

ENDLESS = "matches.reference_sets.exists(a, matches.reference_sets.exists(b, a != b && false))"
POLICY = f"""schema: 1
name: own
version: "1"
title: Own
rules:
  - {{id: clears, effect: clear, when: matches.compared, code: own.clears, because: Because.}}
  - {{id: breaks, effect: hold, when: '{ENDLESS}', code: own.breaks, because: Because., remedy: Remedy.}}
  - {{id: excludes, effect: exclude, when: '!grant.present', code: own.out, because: Because., remedy: Remedy.}}
"""


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("true", "true"),
        ("!grant.present", "not grant.present"),
        ('grant.in_force=="yes"', 'grant.in_force is "yes"'),
        (
            "grant.days_left >= 90 && (grant.days_left<180 || !matches.compared)",
            "grant.days_left is at least 90 and (grant.days_left is less than 180 or not matches.compared)",
        ),
        ('!("WORLD" in grant.territories)', 'not ("WORLD" is one of grant.territories)'),
        ("size(grant.territories) > 0", "the number of grant.territories is more than 0"),
        (
            'footage.restrictions.exists(tag, tag != "in && out")',
            'for some tag of footage.restrictions (tag is not "in && out")',
        ),
        (
            'grant.license_expression.startsWith("LicenseRef-")',
            'grant.license_expression begins with ("LicenseRef-")',
        ),
    ],
)
def test_conditions_are_read_aloud(condition: str, words: str) -> None:
    assert in_words(condition) == words


@pytest.mark.parametrize("name", [file.name for file in list_policy_files()])
def test_every_shipped_condition_can_be_read_aloud(name: str) -> None:
    for rule in find_policy(name).rules:
        words = in_words(rule.when.source)
        assert not {"&&", "||", "!", "==", "exists", "size"} & set(words.replace("(", " ").split())


def test_every_fact_has_words() -> None:
    words = fact_words()
    assert words.keys() == fact_types().keys()
    assert words["grant.days_left"].startswith("Whole days until the grant ends")
    assert words["purpose"].startswith("What the clips are wanted for")


def test_what_is_asked_for_is_what_can_be_seen() -> None:
    policy = find_policy("talent-consent-required")
    asked = asked_facts(policy)
    assert {fact.name for fact in asked} == policy.fact_names
    persons = next(fact for fact in asked if fact.name == "layers.persons")
    assert persons.values == ("none_present", "cleared", "unknown", "uncleared")


def test_rules_are_told_in_order_of_strength() -> None:
    policy = parse_policy(POLICY.encode(), "own.yaml")
    assert [rule.id for rule in rules_in_order(policy)] == ["excludes", "breaks", "clears"]


def test_a_trace_tells_what_each_rule_saw() -> None:
    policy = parse_policy(POLICY.encode(), "own.yaml")
    names = tuple(str(number) for number in range(3000))
    facts = Facts(matches=MatchFacts(compared=True, reference_sets=names))
    traced = trace(policy, facts)
    assert traced.decision == decide(policy, facts)
    assert [(item.rule.id, item.fired) for item in traced.rules] == [
        ("excludes", True),
        ("breaks", None),
        ("clears", True),
    ]
    assert traced.rules[0].facts == {"grant.present": False}
    assert traced.rules[1].facts == {"matches.reference_sets": list(names)}
