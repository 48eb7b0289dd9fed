"""Finding policies by name and by path, and running the test cases beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.vocabularies import Outcome
from governance.errors import PolicyError
from governance.policy_files import find_policy, find_policy_file, list_policy_files
from governance.policy_tests import run_policy_tests, untested_rules

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


@pytest.mark.parametrize("name", ["commercial-training", "research-only"])
def test_shipped_policies_pass_their_cases_and_test_every_rule(name: str) -> None:
    results = run_policy_tests(find_policy_file(name))
    assert [(result.name, result.decision) for result in results if not result.is_passed] == []
    assert untested_rules(find_policy(name), results) == ()
    assert {result.expected_outcome for result in results} == set(Outcome)


def test_the_projects_own_policy_comes_first(tmp_path: Path) -> None:
    write(tmp_path, "research-only")
    assert find_policy("research-only", tmp_path).title == "Own"
    assert find_policy("commercial-training", tmp_path).title != "Own"
    names = [(file.name, file.is_shipped) for file in list_policy_files(tmp_path)]
    assert names == [("research-only", False), ("commercial-training", True), ("research-only", True)]


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


def test_a_policy_without_cases_does_not_pass(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="no test cases"):
        run_policy_tests(write(tmp_path, "own", cases=None))
    with pytest.raises(PolicyError, match="at least one case"):
        run_policy_tests(write(tmp_path, "own", cases="schema: 1\npolicy: own\ncases: []\n"))
