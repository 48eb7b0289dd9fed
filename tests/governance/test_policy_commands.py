"""The `policy` commands on a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from db.errors import AnsweredNo
from governance.errors import PolicyError
from governance.policy_commands import policy


def run(*arguments: str) -> tuple[str, str]:
    result = CliRunner().invoke(policy, arguments, catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def test_shipped_policies_pass(tmp_path: Path) -> None:
    stdout, stderr = run("test", "--project", str(tmp_path))
    assert stdout == "commercial-training: 34 of 34 cases passed\nresearch-only: 35 of 35 cases passed\n"
    assert stderr == ""


def test_a_failing_case_and_an_untested_rule_are_a_definite_no(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "own.yaml").write_text(
        'schema: 1\nname: own\nversion: "1"\ntitle: Own\nrules:\n'
        "  - {id: none, effect: hold, when: true, code: own.none, because: None., remedy: None.}\n"
    )
    (tmp_path / "policies" / "own.tests.yaml").write_text(
        "schema: 1\npolicy: own\ncases:\n  - {name: clears, outcome: cleared, code: own.all}\n"
    )
    with pytest.raises(AnsweredNo):
        policy.main(["test", "own", "--project", str(tmp_path)], standalone_mode=False)
    captured = capsys.readouterr()
    assert captured.out == (
        "failed: clears: expected cleared (own.all), got hold (own.none)\nown: 0 of 1 cases passed\n"
    )
    assert captured.err == "own: no test case expects rule none\n"


def test_list_and_show_give_lines_of_json(tmp_path: Path) -> None:
    stdout, _ = run("list", "--json", "--project", str(tmp_path))
    listed = [json.loads(line) for line in stdout.splitlines()]
    assert [(line["name"], line["origin"]) for line in listed] == [
        ("commercial-training", "shipped"),
        ("research-only", "shipped"),
    ]
    stdout, _ = run("show", "research-only", "--json", "--project", str(tmp_path))
    assert {"policy", "rule", "effect", "code", "when", "because", "remedy"} == set(
        json.loads(stdout.splitlines()[0])
    )


def test_show_and_list_are_for_people_too(tmp_path: Path) -> None:
    assert "commercial-training" in run("list", "--project", str(tmp_path))[0]
    stdout, _ = run("show", "commercial-training", "--project", str(tmp_path))
    assert stdout.index("exclude:") < stdout.index("hold:") < stdout.index("clear:")
    assert "license.share_alike" in stdout


def test_facts_are_listed_with_their_values() -> None:
    stdout, _ = run("facts", "--json")
    facts = {line["fact"]: line for line in map(json.loads, stdout.splitlines())}
    assert facts["grant.in_force"]["values"] == ["yes", "no", "unknown"]
    assert "grant.in_force" in run("facts")[0]


def test_an_unknown_policy_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="no policy 'nope'"):
        run("show", "nope", "--project", str(tmp_path))
