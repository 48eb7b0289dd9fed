"""Finding policies by name and by path, and running the test cases beside them."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import Any

import pytest

from db.vocabularies import LayerState, Outcome, PostTermination, SignalValue, Tri
from governance.errors import PolicyError
from governance.facts.facts import Facts, fact_types
from governance.policy.cases import facts_from_names, run_policy_tests, untested_rules
from governance.policy.files import find_policy, find_policy_file, list_policy_files
from governance.policy.policy import FLOOR_CODES
from governance.policy.reading import parse_policy

POLICY = """schema: 1
name: {name}
version: "1"
title: Own
rules:
  - {{id: all, effect: clear, when: true, code: own.all, because: All.}}
  - {{id: none, effect: hold, when: matches.compared, code: own.none, because: None., remedy: None.}}
"""
CASES = """schema: 1
policy: {name}
base: {{grant.present: true, grant.in_force: yes, grant.territories: [NO], media.duration_seconds: 3}}
cases:
  - {{name: clears, outcome: cleared, code: own.all}}
  - {{name: holds, facts: {{matches.compared: true}}, outcome: hold, code: own.none}}
"""


def write(folder: Path, name: str, policy: str = POLICY, cases: str | None = CASES) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(policy.format(name=name))
    if cases is not None:
        (folder / f"{name}.tests.yaml").write_text(cases.format(name=name))
    return folder / f"{name}.yaml"


SHIPPED = [file.name for file in list_policy_files()]


def test_a_pipe_is_no_policy(tmp_path: Path) -> None:
    """Opening it waited for ever for somebody to write."""
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(PolicyError, match="is not a file"):
        find_policy(str(tmp_path / "pipe.yaml"))


def test_the_shipped_policies() -> None:
    kinds = {file.name: file.load().is_overlay for file in list_policy_files()}
    assert kinds == {
        "commercial-training": False,
        "commercial-training-strict": False,
        "digital-replica-consent": True,
        "editorial-exclusion": True,
        "eu-tdm-optout-honoured": False,
        "research-only": False,
        "talent-consent-required": True,
    }


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_policies_pass_their_cases_and_test_every_rule(name: str) -> None:
    results = run_policy_tests(find_policy_file(name))
    policy = find_policy(name)
    assert [(result.name, result.codes) for result in results if not result.is_passed] == []
    assert untested_rules(policy, results) == ()
    outcomes = {result.expected_outcome for result in results}
    # An overlay clears nothing; digital-replica-consent excludes nothing either.
    assert Outcome.HOLD in outcomes
    assert (Outcome.CLEARED in outcomes) is not policy.is_overlay


@pytest.mark.parametrize("name", SHIPPED)
def test_every_rule_fires_alone_in_one_case_and_is_silent_in_another(name: str) -> None:
    """A case in which several rules fire does not show that each of them would have been enough."""
    results = run_policy_tests(find_policy_file(name))
    fired = [[reason.rule for reason in result.decision.reasons] for result in results]
    for rule in find_policy(name).rules:
        assert [rule.id] in fired
        assert any(rule.id not in rules for rules in fired)


def test_the_shipped_cases_look_at_every_outcome_of_the_floor() -> None:
    codes = {
        code
        for name in ("commercial-training", "research-only")
        for result in run_policy_tests(find_policy_file(name))
        for code in result.codes
    }
    # A grant that is not in force has codes of its own in every shipped policy.
    assert FLOOR_CODES - codes == {"grant.not_in_force"}


def test_the_projects_own_policy_comes_first(tmp_path: Path) -> None:
    write(tmp_path, "research-only")
    assert find_policy("research-only", tmp_path).title == "Own"
    assert find_policy("commercial-training", tmp_path).title != "Own"
    names = [(file.name, file.is_shipped) for file in list_policy_files(tmp_path)]
    assert names == [("research-only", False), *((name, True) for name in SHIPPED)]


def test_a_policy_is_found_by_its_path(tmp_path: Path) -> None:
    path = write(tmp_path, "own")
    assert find_policy(str(path)).name == "own"
    assert all(result.is_passed for result in run_policy_tests(path))


@pytest.mark.parametrize("name", ["absent", "../own", "own.tests", "", "Own", "absent.yaml"])
def test_an_unknown_policy_is_a_clear_error(tmp_path: Path, name: str) -> None:
    write(tmp_path / "policies", "other")
    write(tmp_path, "own")
    with pytest.raises(PolicyError):
        find_policy(name, tmp_path / "policies")


def test_a_policy_must_bear_the_name_of_its_file(tmp_path: Path) -> None:
    write(tmp_path, "own").rename(tmp_path / "stricter.yaml")
    with pytest.raises(PolicyError, match="called 'own'"):
        find_policy("stricter", tmp_path)


def test_a_case_that_fails_is_told_from_one_that_passes(tmp_path: Path) -> None:
    results = run_policy_tests(
        write(tmp_path, "own", cases=CASES.replace("outcome: hold", "outcome: excluded"))
    )
    assert [result.is_passed for result in results] == [True, False]
    assert results[1].codes == ("own.none",)
    assert untested_rules(find_policy("own", tmp_path), results) == ("none",)
    wrong_code = run_policy_tests(
        write(tmp_path, "own", cases=CASES.replace("code: own.none", "code: own.other"))
    )
    assert [result.is_passed for result in wrong_code] == [True, False]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("schema: 1", "schema: 2", "schema"),
        ("policy: {name}", "policy: other", "'other'"),
        ("cases:", "csaes:", "'csaes' is not known"),
        ("grant.present:", "grant.presnt:", "'grant.presnt' is not known"),
        ("grant.present: true", "grant.present: yes", "expected a bool"),
        ("grant.in_force: yes", "grant.in_force: y", "'y' is not a value"),
        ("grant.territories: [NO]", "grant.territories: NO", "expected a list"),
        ("media.duration_seconds: 3", "media.duration_seconds: true", "expected a double"),
        ("grant.present: true", "layers.persons: absent", "'absent' is not a value"),
        ("grant.present: true", "signals.generative_training: no", "'no' is not a value"),
        ("grant.present: true", "footage.num_titles: 1.5", "expected a int"),
        ("outcome: hold", "outcome: held", "outcome is 'held'"),
        ("name: holds, ", "", "'name' is missing"),
        ("facts: {{matches.compared: true}}", "facts: [x]", "expected keys"),
    ],
)
def test_malformed_cases_name_file_and_place(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in CASES
    with pytest.raises(PolicyError) as caught:
        run_policy_tests(write(tmp_path, "own", cases=CASES.replace(old, new)))
    assert "own.tests.yaml" in str(caught.value)
    assert words in str(caught.value)


def test_cases_may_name_facts_of_every_group_in_the_words_of_their_vocabularies() -> None:
    """`unknown` is a word of three vocabularies, and `yes` in one of them is not `yes` in the others."""
    facts = facts_from_names(
        {
            name: fact.values[-1] if fact.values and fact.kind == "text" else getattr_path(Facts(), name)
            for name, fact in fact_types().items()
        }
    )
    assert facts.layers.persons is LayerState.UNCLEARED
    assert facts.grant.post_termination is PostTermination.NOT_STATED
    assert facts.signals.generative_training is SignalValue.UNKNOWN
    assert facts.grant.in_force is Tri.UNKNOWN


def getattr_path(facts: Facts, name: str) -> Any:
    return functools.reduce(getattr, name.split("."), facts)


def test_a_policy_without_cases_does_not_pass(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="no test cases"):
        run_policy_tests(write(tmp_path, "own", cases=None))
    with pytest.raises(PolicyError, match="at least one case"):
        run_policy_tests(write(tmp_path, "own", cases="schema: 1\npolicy: own\ncases: []\n"))


DOCS = Path(__file__).parents[3] / "docs" / "policies.md"


def test_the_example_in_the_docs_is_a_policy() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert parse_policy(example.encode(), "docs").name == "our-policy"


def test_the_docs_name_every_shipped_policy_floor_code_and_tag() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert [name for name in SHIPPED if f"`{name}`" not in text] == []
    assert [code for code in sorted(FLOOR_CODES) if f"`{code}`" not in text] == []
    rule = next(rule for rule in find_policy("editorial-exclusion").rules if rule.id == "tag-unknown")
    assert [tag for tag in re.findall(r'"(\w+)"', rule.when.source) if f"`{tag}`" not in text] == []
