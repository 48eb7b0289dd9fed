"""The `policy` commands on a terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from db.errors import AnsweredNo
from db.project import Project
from db.queries import library_pages
from db.signals import add_reading
from governance.decisions.clearance import present_comparison
from governance.errors import PolicyError
from governance.policy.commands import policy
from governance.policy.files import list_policy_files
from ingest.signals.protocols import protocol_list
from tests.library import make_library

SHIPPED = [file.name for file in list_policy_files()]


def run(*arguments: str) -> tuple[str, str]:
    result = CliRunner().invoke(policy, arguments, catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def test_shipped_policies_pass(tmp_path: Path) -> None:
    stdout, stderr = run("test", "--project", str(tmp_path))
    lines = [re.fullmatch(r"([a-z-]+): (\d+) of (\d+) cases passed", line) for line in stdout.splitlines()]
    assert [line and line[1] for line in lines] == SHIPPED
    assert all(line and line[2] == line[3] for line in lines)
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
    assert [(line["name"], line["origin"]) for line in listed] == [(name, "shipped") for name in SHIPPED]
    assert {line["name"]: line["kind"] for line in listed}["talent-consent-required"] == "overlay"
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
    assert facts["grant.in_force"]["means"] == "The grant is in force at the time of the decision."
    assert all(line["means"].endswith(".") for line in facts.values())
    assert "grant.in_force" in run("facts")[0]


def test_an_unknown_policy_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="no policy 'nope'"):
        run("show", "nope", "--project", str(tmp_path))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose files were all read for signals, and say nothing. Read only."""
    project = make_library(tmp_path_factory.mktemp("library"))
    comparison = present_comparison(project)
    with project.session() as session:
        for page in library_pages(session, comparison.encoder, comparison.detector):
            for evidence in page:
                add_reading(
                    session, evidence.asset.id, protocols_version=protocol_list().version, num_signals=0
                )
    return project


def test_explain_reads_a_policy_aloud(tmp_path: Path) -> None:
    stdout, _ = run("explain", "talent-consent-required", "--project", str(tmp_path))
    assert "an overlay: it holds and excludes" in stdout
    assert "Excludes as consent.minor_uncovered (minor-without-guardian)" in stdout
    assert "layers.num_minors_uncovered is more than 0" in " ".join(stdout.split())
    assert "Persons in the picture. One of: none_present, cleared, unknown, uncleared." in " ".join(
        stdout.split()
    )
    assert all(len(line) <= 100 for line in stdout.splitlines())


def test_explain_gives_lines_of_json(tmp_path: Path) -> None:
    name = "research-only+talent-consent-required"
    lines = [
        json.loads(line)
        for line in run("explain", name, "--json", "--project", str(tmp_path))[0].splitlines()
    ]
    head = lines[0]
    assert (head["kind"], head["policy"], head["is_promotable"]) == ("policy", name, False)
    assert head["parts"] == ["research-only", "talent-consent-required"]
    effects = [line["effect"] for line in lines if line["kind"] == "rule"]
    assert effects == sorted(effects, key=["exclude", "hold", "clear"].index)
    assert {line["fact"] for line in lines if line["kind"] == "fact"} >= {"layers.persons", "grant.present"}


def test_explain_shows_what_each_rule_made_of_a_clip(library: Project) -> None:
    file = library.root.parent / "footage" / "study.mp4"
    arguments = ("explain", "commercial-training", "--clip", str(file), "--project", str(library.root))
    stdout, _ = run(*arguments)
    assert "excluded under commercial-training" in stdout
    fired = stdout[stdout.index("Fired: 1") : stdout.index("Did not fire")]
    assert "license.noncommercial (noncommercial)" in fired
    assert "grant.commercial_use = no, grant.present = true" in fired
    lines = [json.loads(line) for line in run(*arguments, "--json")[0].splitlines()]
    assert (lines[0]["kind"], lines[0]["outcome"], lines[0]["num_alternatives"]) == ("clip", "excluded", 1)
    rules = {line["rule"]: line for line in lines[1:]}
    assert rules["noncommercial"]["fired"] is True
    assert rules["noncommercial"]["facts"] == {"grant.commercial_use": "no", "grant.present": True}
    assert rules["licensed-for-commercial-training"]["fired"] is False


def test_explain_says_what_the_floor_adds(library: Project) -> None:
    file = library.root.parent / "footage" / "found.mp4"
    (library.policies / "open.yaml").write_text(
        'schema: 1\nname: open\nversion: "1"\ntitle: Open\nrules:\n'
        "  - {id: all, effect: clear, when: true, code: open.all, because: All.}\n"
    )
    stdout, _ = run("explain", "open", "--clip", str(file), "--project", str(library.root))
    assert "grant.missing (every policy)" in stdout
    assert "it looks at no fact" in stdout


def test_diff_tells_what_is_gained_and_lost(library: Project) -> None:
    arguments = ("diff", "commercial-training", "research-only", "--project", str(library.root))
    stdout, _ = run(*arguments)
    assert "Gained: 1 clips, 2.0 s" in stdout
    assert "license.noncommercial" in stdout
    assert "Holders of whom nothing was cleared before: Study Films" in stdout
    assert "Lost: 0 clips" in stdout
    lines = [json.loads(line) for line in run(*arguments, "--json")[0].splitlines()]
    head = lines[0]
    assert (head["kind"], head["num_clips"], head["holders_gained"]) == ("diff", 4, ["Study Films"])
    outcomes = {
        (line["before"], line["after"]): line["num_clips"] for line in lines if line["kind"] == "outcome"
    }
    assert outcomes == {("excluded", "cleared"): 1, ("cleared", "cleared"): 2, ("hold", "hold"): 1}
    (example,) = [line for line in lines if line["kind"] == "gained_example"]
    assert example["path"].endswith("study.mp4")


def test_diff_with_an_overlay_only_loses(library: Project) -> None:
    combined = "research-only+talent-consent-required"
    stdout, _ = run(
        "diff", "research-only", combined, "--as-of", "2026-11-22", "--project", str(library.root)
    )
    assert "Gained: 0 clips" in stdout
    assert "Lost: 3 clips, 6.0 s" in stdout
    assert "consent.persons_unknown" in stdout
    assert "Hill Films, Sea Films, Study Films" in stdout
