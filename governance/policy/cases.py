"""Test cases of policies: facts in, outcome and reason code expected. `NAME.tests.yaml` lies beside `NAME.yaml`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from db.vocabularies import Outcome
from governance.errors import PolicyError
from governance.facts.facts import Facts, FactType, fact_types
from governance.policy.files import PolicyFile, find_policy_file, read_limited
from governance.policy.policy import Policy, PolicyDecision, decide
from governance.policy.strict_yaml import load_strict_yaml

_FILE_KEYS = ("schema", "policy", "base", "cases")
_CASE_KEYS = ("name", "facts", "outcome", "code")
_NUMBER_TYPES = {"int": (int,), "double": (int, float)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What one case expected and what the policy said."""

    name: str
    expected_outcome: Outcome
    expected_code: str
    decision: PolicyDecision

    @property
    def is_passed(self) -> bool:
        """The outcome is the expected one, and the expected code is among the reasons."""
        is_outcome = self.decision.outcome is self.expected_outcome
        return is_outcome and any(reason.code == self.expected_code for reason in self.decision.reasons)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes that the policy gave."""
        return tuple(reason.code for reason in self.decision.reasons)


def base_facts(policy_file: PolicyFile) -> Facts:
    """Return the facts that every case beside a policy file starts from. Raises `PolicyError`."""
    source = str(policy_file.tests)
    document = _known(load_strict_yaml(read_limited(policy_file.tests), source), _FILE_KEYS, source)
    return facts_from_names(_fact_values(document.get("base", {}), f"{source}: base"))


def run_policy_tests(policy_file: PolicyFile | Path) -> tuple[CaseResult, ...]:
    """Run the cases beside a policy file.

    Raises `PolicyError` if the policy or its cases are missing or malformed, or if there is not one case.
    """
    found = policy_file if isinstance(policy_file, PolicyFile) else find_policy_file(str(policy_file))
    policy = found.load()
    if not found.tests.is_file():
        raise PolicyError(f"{found.file}: there are no test cases", hint=f"write them to {found.tests}")
    return check_cases(policy, read_limited(found.tests), str(found.tests))


def untested_rules(policy: Policy, results: Sequence[CaseResult]) -> tuple[str, ...]:
    """Return the ids of rules that are the expected reason of no passed case."""
    tested = {
        reason.rule
        for result in results
        if result.is_passed
        for reason in result.decision.reasons
        if reason.code == result.expected_code
    }
    return tuple(rule.id for rule in policy.rules if rule.id not in tested)


def check_cases(policy: Policy, data: bytes, source: str) -> tuple[CaseResult, ...]:
    """Decide every case in the bytes of a tests file. Raises `PolicyError` if the file is malformed."""
    document = _known(load_strict_yaml(data, source), _FILE_KEYS, source)
    if document.get("schema") != 1 or document["schema"] is True:
        raise PolicyError(f"{source}: schema is {document.get('schema')!r}, this version reads 1")
    if document.get("policy") != policy.name:
        raise PolicyError(f"{source}: the cases are for {document.get('policy')!r}, not for {policy.name!r}")
    base = _fact_values(document.get("base", {}), f"{source}: base")
    cases = document.get("cases")
    if not isinstance(cases, list) or not cases:
        raise PolicyError(f"{source}: cases must be a list of at least one case")
    return tuple(
        _run_case(policy, base, case, f"{source}: case {n}") for n, case in enumerate(cases, start=1)
    )


def _run_case(policy: Policy, base: Mapping[str, Any], value: Any, place: str) -> CaseResult:
    case = _known(value, _CASE_KEYS, place)
    for key in ("name", "outcome", "code"):
        if not isinstance(case.get(key), str):
            raise PolicyError(f"{place}: the key {key!r} is missing or not a text")
    place = f"{place} ({case['name']})"
    if case["outcome"] not in tuple(Outcome):
        raise PolicyError(f"{place}: outcome is {case['outcome']!r}", hint=f"outcomes: {', '.join(Outcome)}")
    facts = facts_from_names({**base, **_fact_values(case.get("facts", {}), place)})
    return CaseResult(
        name=case["name"],
        expected_outcome=Outcome(case["outcome"]),
        expected_code=case["code"],
        decision=decide(policy, facts),
    )


def facts_from_names(values: Mapping[str, Any]) -> Facts:
    """Return facts from checked values by dotted name; the others keep the value that clears nothing."""
    groups: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        group, _, fact = name.rpartition(".")
        groups.setdefault(group, {})[fact] = value
    nothing_known = Facts()
    parts = {
        group: replace(getattr(nothing_known, group), **given) for group, given in groups.items() if group
    }
    return Facts(**parts, **groups.get("", {}))


def _fact_values(value: Any, place: str) -> dict[str, Any]:
    facts = _known(value, tuple(fact_types()), place)
    return {name: _fact_value(fact_types()[name], given, f"{place}: {name}") for name, given in facts.items()}


def _fact_value(fact: FactType, value: Any, place: str) -> Any:
    if fact.kind == "list":
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise PolicyError(f"{place}: expected a list of texts, found {value!r}")
        return tuple(_known_text(fact, item, place) for item in value)
    if fact.kind == "text" and isinstance(value, str):
        return _known_text(fact, value, place)
    if fact.kind == "bool" and isinstance(value, bool):
        return value
    if isinstance(value, _NUMBER_TYPES.get(fact.kind, ())) and not isinstance(value, bool):
        return float(value) if fact.kind == "double" else value
    raise PolicyError(f"{place}: expected a {fact.kind}, found {value!r}")


def _known_text(fact: FactType, text: str, place: str) -> str:
    """Return the text, as a member of its vocabulary where that is closed."""
    if not fact.values:
        return text
    found = next((value for value in fact.values if value == text), None)
    if found is None:
        raise PolicyError(
            f"{place}: {text!r} is not a value of this fact", hint=f"values: {', '.join(fact.values)}"
        )
    return found


def _known(value: Any, known: Sequence[str], place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise PolicyError(f"{place}: expected keys and values, found {type(value).__name__}")
    for key in value:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise PolicyError(f"{place}: {key!r} is not known", hint=hint)
    return value
