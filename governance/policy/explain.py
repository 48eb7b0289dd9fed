"""A policy read aloud: what it asks for, in which order, and what each rule made of a clip (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from governance.facts.facts import Facts, fact_types, fact_words
from governance.policy.conditions import ConditionError, PreparedFacts
from governance.policy.policy import Effect, Policy, PolicyDecision, Rule, decide, facts_of

_TOKEN = re.compile(
    r"""(?P<text>"[^"]*"|'[^']*')
      | (?P<list>[\w.]+)\.exists\(\s*(?P<item>\w+)\s*,
      | \bsize\((?P<sized>[\w.]+)\)
      | \.(?P<method>startsWith|endsWith|contains)(?=\()
      | \b(?P<in>in)\b
      | (?P<mark>&&|\|\||[=!<>]=|[!<>])
      | .""",
    re.DOTALL | re.VERBOSE,
)
_MARKS = {
    "&&": "and",
    "||": "or",
    "==": "is",
    "!=": "is not",
    "<=": "is at most",
    ">=": "is at least",
    "<": "is less than",
    ">": "is more than",
    "!": "not ",
}
_METHODS = {"startsWith": "begins with", "endsWith": "ends with", "contains": "has in it"}
ORDER = (
    "A rule that excludes beats one that holds, and one that holds beats one that clears.",
    "What no rule clears is held.",
    "Under every policy, nothing is cleared without a grant in force, or against a contract that forbids the use.",
    "Nor is anything cleared under an embargo, by grants that contradict each other, or under a title not on record.",
)


@dataclass(frozen=True, kw_only=True)
class AskedFact:
    """A fact that a policy looks at."""

    name: str
    means: str
    values: tuple[str, ...]
    """The only values there are, where the vocabulary is closed."""


@dataclass(frozen=True, kw_only=True)
class RuleTrace:
    """What one rule made of one set of facts."""

    rule: Rule
    fired: bool | None
    """`None`: the condition could not be decided, which holds."""
    facts: Mapping[str, Any]
    """The facts that it looked at, by dotted name, as plain values."""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What a policy made of one set of facts, rule by rule."""

    decision: PolicyDecision
    rules: tuple[RuleTrace, ...]


def asked_facts(policy: Policy) -> tuple[AskedFact, ...]:
    """Return what `policy` asks for, in the order in which facts are listed everywhere."""
    types, words = fact_types(), fact_words()
    return tuple(
        AskedFact(name=name, means=words[name], values=tuple(map(str, types[name].values)))
        for name in types
        if name in policy.fact_names
    )


def in_words(condition: str) -> str:
    """Return a condition as it is read aloud; the facts keep their names."""
    spoken = "".join(_spoken(token) for token in _TOKEN.finditer(condition))
    return " ".join(spoken.split()).replace("( ", "(")


def _spoken(token: re.Match[str]) -> str:
    if token["mark"]:
        word = _MARKS[token["mark"]]
        return word if token["mark"] == "!" else f" {word} "
    if token["list"]:
        return f"for some {token['item']} of {token['list']} ("
    if token["sized"]:
        return f"the number of {token['sized']}"
    if token["method"]:
        return f" {_METHODS[token['method']]} "
    return " is one of " if token["in"] else token[0]


def rules_in_order(policy: Policy) -> tuple[Rule, ...]:
    """Return the rules, the strongest effect first and otherwise as they stand in the file."""
    strength = (Effect.EXCLUDE, Effect.HOLD, Effect.CLEAR)
    return tuple(sorted(policy.rules, key=lambda rule: strength.index(rule.effect)))


def trace(policy: Policy, facts: Facts) -> Trace:
    """Apply every rule of `policy` to `facts` and keep what each looked at."""
    plain = facts.as_cel()
    prepared = PreparedFacts(plain)
    return Trace(
        decision=decide(policy, facts),
        rules=tuple(_trace_rule(rule, plain, prepared) for rule in rules_in_order(policy)),
    )


def _trace_rule(rule: Rule, plain: Mapping[str, Any], prepared: PreparedFacts) -> RuleTrace:
    try:
        fired: bool | None = rule.when.evaluate(prepared)
    except ConditionError:
        fired = None
    seen = {name: _value(plain, name) for name in sorted(facts_of(rule.when))}
    return RuleTrace(rule=rule, fired=fired, facts=seen)


def _value(plain: Mapping[str, Any], name: str) -> Any:
    group, _, fact = name.rpartition(".")
    return plain[group][fact] if group else plain[fact]
