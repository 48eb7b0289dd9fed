from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from db.vocabularies import Outcome
from governance.errors import PolicyError
from governance.facts.facts import Facts, MatchFacts
from governance.policy.pin import pin_detector
from governance.policy.policy import decide
from governance.policy.reading import parse_policy

DETECTOR = "a" * 64
_SHIPPED = Path(__file__).parents[3] / "policies" / "commercial-training.yaml"
_BARE = """schema: 1
name: own
version: "1"
title: Own
# what follows are the rules
rules:
  - id: all
    effect: clear
    when: "true"
    code: rule.all
    because: All.
"""


def test_a_pinned_policy_differs_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(_SHIPPED.read_bytes())
    pin_detector(path, DETECTOR)
    before, after = _SHIPPED.read_text().splitlines(), path.read_text().splitlines()
    assert [line for line in after if line not in before] == [f"  detector: {DETECTOR}"]
    assert parse_policy(path.read_bytes(), "own").detector == DETECTOR
    pin_detector(path, "b" * 64)
    assert path.read_text().count("detector:") == 1
    assert parse_policy(path.read_bytes(), "own").detector == "b" * 64


def test_a_policy_without_requirements_gets_one(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(_BARE)
    pin_detector(path, DETECTOR)
    assert "# what follows are the rules\n" in path.read_text()
    assert parse_policy(path.read_bytes(), "own").detector == DETECTOR


def test_what_is_no_policy_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("title: nothing else\n")
    with pytest.raises(PolicyError):
        pin_detector(path, DETECTOR)
    assert path.read_text() == "title: nothing else\n"


def test_a_search_with_another_detector_is_held() -> None:
    policy = dataclasses.replace(parse_policy(_BARE.encode(), "own"), detector=DETECTOR)
    for found in ("", "b" * 64):
        decision = decide(policy, Facts(matches=MatchFacts(compared=True, detector=found)))
        assert decision.outcome is Outcome.HOLD
        assert "match.other_detector" in {reason.code for reason in decision.reasons}
    same = decide(policy, Facts(matches=MatchFacts(compared=True, detector=DETECTOR)))
    assert "match.other_detector" not in {reason.code for reason in same.reasons}


def test_a_detector_that_is_no_digest_is_refused() -> None:
    text = _BARE.replace("rules:", "require:\n  detector: newest\nrules:", 1)
    with pytest.raises(PolicyError, match="64 lower-case hex digits"):
        parse_policy(text.encode(), "own")
