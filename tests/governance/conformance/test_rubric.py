"""Every statement of the rubrics, both ways; `tests/validators` holds them against the published formulas."""

from __future__ import annotations

from typing import Any

import pytest

from governance.conformance.crjson import CrManifest
from governance.conformance.rubric import CONFORMANCE, INTEGRITY, read_signals
from governance.conformance.signals import SIGNALS
from governance.conformance.statement import Finding, StatementOutcome
from tests.governance.conformance.crjson_maker import BROKEN, KEPT, SIGNALLING, Changes, store

STATEMENTS = {
    statement.id.removeprefix("validation:"): statement
    for statement in (*CONFORMANCE.statements, *INTEGRITY.statements)
}


def _evaluate(name: str, changes: Changes | None = None) -> Finding:
    return STATEMENTS[name].evaluate(CrManifest(store(changes)["manifests"][0]))


def test_the_rubrics_are_whole() -> None:
    assert len(CONFORMANCE.statements) == len({statement.id for statement in CONFORMANCE.statements}) == 31
    assert len(INTEGRITY.statements) == len({statement.id for statement in INTEGRITY.statements}) == 6
    assert len(SIGNALS) == len({signal.id for signal in SIGNALS}) == 14
    assert set(BROKEN) == set(STATEMENTS)
    assert set(SIGNALLING) == {signal.id for signal in SIGNALS}


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_holds_where_it_is_kept(name: str) -> None:
    finding = _evaluate(name, KEPT.get(name))
    assert (finding.outcome, finding.why) == (StatementOutcome.PASSED, "")


@pytest.mark.parametrize("name", KEPT)
def test_a_statement_on_what_is_not_there_holds_and_says_so(name: str) -> None:
    finding = _evaluate(name)
    assert finding.holds
    assert finding.outcome is StatementOutcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("name", "changes"), [(name, case) for name, cases in BROKEN.items() for case in cases]
)
def test_a_statement_fails_where_it_is_broken(name: str, changes: Changes) -> None:
    finding = _evaluate(name, changes)
    is_advice = name == "discouraged_legacy_action_parameters"
    assert finding.outcome is (StatementOutcome.WARNED if is_advice else StatementOutcome.FAILED)
    assert finding.why
    assert not finding.holds


def test_a_report_counts_what_holds() -> None:
    whole, broken = CONFORMANCE.judge(store()), CONFORMANCE.judge(store(BROKEN["no_url_in_hashes"][0]))
    assert (whole.num_held, whole.has_failed) == (31, False)
    assert (broken.num_held, broken.has_failed) == (30, True)


def test_advice_is_no_failure_but_does_not_count() -> None:
    report = CONFORMANCE.judge(store(BROKEN["discouraged_legacy_action_parameters"][0]))
    assert (report.num_held, report.has_failed) == (30, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"assertions": ["not", "an", "object"]},
        {"assertions/c2pa.actions.v2/actions/0/action": ["c2pa.created"]},
        {
            "assertions/c2pa.actions.v2/actions/0/action": {"c2pa.created": 1},
            "assertions/c2pa.actions.v2/actions/1": {"action": "c2pa.created"},
        },
        {"label": {"urn:c2pa:": 1}},
        {"assertions/c2pa.actions.v2/actions/0/parameters": ["seed"]},
    ],
)
def test_what_is_no_text_or_object_conforms_to_nothing(changes: Changes) -> None:
    report = CONFORMANCE.judge(store(changes))
    assert report.has_failed


def test_an_empty_store_fails() -> None:
    assert CONFORMANCE.judge({"manifests": []}).has_failed
    assert INTEGRITY.judge({}).has_failed


def test_reasons_are_safe_to_print() -> None:
    finding = _evaluate("no_unrecognized_custom_assertions", {"assertions/\x1b[31mred\u202e": {}})
    assert finding.why == "\\x1b[31mred\\u202e"


def test_long_names_are_shortened() -> None:
    finding = _evaluate("no_unrecognized_custom_assertions", {f"assertions/{'x' * 10_000}": {}})
    assert finding.why == "x" * 80 + "..."


def test_many_violations_are_named_in_part() -> None:
    finding = _evaluate(
        "no_unrecognized_custom_assertions", {f"assertions/a{number}": {} for number in range(8)}
    )
    assert finding.why.endswith("and 3 more")


@pytest.mark.parametrize("signal_id", SIGNALLING)
def test_a_signal_is_given(signal_id: str) -> None:
    (found,) = read_signals(store(SIGNALLING[signal_id]))
    assert signal_id in {signal.id for signal in found.signals}


@pytest.mark.parametrize("signal_id", [name for name in SIGNALLING if not name.endswith("fullyGenAIMedia")])
def test_a_signal_is_not_given_for_nothing(signal_id: str) -> None:
    (found,) = read_signals(store())
    assert {signal.id for signal in found.signals} == {"inception:signal_fullyGenAIMedia"}
    assert signal_id not in {signal.id for signal in found.signals}


@pytest.mark.parametrize(
    "changes",
    [
        {"assertions/c2pa.actions.v2/actions": []},
        {"assertions/c2pa.actions.v2/allActionsIncluded": False},
        {"assertions/c2pa.actions.v2/actions/1": {"action": "org.example.polished"}},
        {"assertions/c2pa.actions.v2/actions/1": {"action": ["c2pa.cropped"]}},
        {"claim.v2/gathered_assertions": [{"url": "self#jumbf=c2pa.assertions/c2pa.actions.v2__1"}]},
        {"assertions": "nothing to go by"},
    ],
)
def test_what_leaves_actions_open_is_ambiguous(changes: dict[str, Any]) -> None:
    (found,) = read_signals(store(changes))
    assert "transformation:signal_ambiguousActions" in {signal.id for signal in found.signals}


def test_each_manifest_gives_its_own_signals() -> None:
    both = {"manifests": store()["manifests"] + store({"assertions/c2pa.actions.v2": {}})["manifests"]}
    first, second = read_signals(both)
    assert [signal.id for signal in first.signals] == ["inception:signal_fullyGenAIMedia"]
    assert [signal.id for signal in second.signals] == ["transformation:signal_ambiguousActions"]
