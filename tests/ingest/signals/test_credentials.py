"""Training and data mining assertions of Content Credentials, of both label families."""

from __future__ import annotations

from typing import Any

import pytest

from db.vocabularies import SignalAction, SignalValidity, SignalValue
from ingest.signals.combine import combine
from ingest.signals.credentials import signals_of_assertions, unreadable_credentials


def _assertion(family: str, use: object, **more: object) -> dict[str, Any]:
    keys = ("data_mining", "ai_inference", "ai_training", "ai_generative_training")
    entries = {f"{family}.{key}": {"use": use} | more for key in keys}
    return {"label": f"{family}.training-mining", "data": {"entries": entries}}


_SPOKEN = set(SignalAction) - {SignalAction.ACQUIRE, SignalAction.SEARCH}


@pytest.mark.parametrize("family", ["cawg", "c2pa"])
@pytest.mark.parametrize(
    ("use", "value"),
    [
        ("allowed", SignalValue.ALLOW),
        ("notAllowed", SignalValue.DENY),
        ("constrained", SignalValue.DENY),
        ("Sometimes", SignalValue.CONDITIONAL),
        (None, SignalValue.CONDITIONAL),
        (["allowed"], SignalValue.CONDITIONAL),
    ],
)
def test_uses_of_both_families_are_read(family: str, use: object, value: SignalValue) -> None:
    (signal,) = signals_of_assertions([_assertion(family, use)], is_valid=True)
    assert signal.actions == dict.fromkeys(_SPOKEN, value)
    assert signal.carrier == f"assertion {family}.training-mining"


@pytest.mark.parametrize("name", ["constraint_info", "constraints_info"])
def test_conditions_are_kept_under_either_name(name: str) -> None:
    assertion = _assertion("cawg", "constrained", **{name: "non-commercial research"})
    (signal,) = signals_of_assertions([assertion], is_valid=True)
    assert "non-commercial research" in signal.detail


def test_nothing_vouches_for_what_an_invalid_manifest_allows() -> None:
    signals = signals_of_assertions([_assertion("cawg", "allowed")], is_valid=False)
    assert signals[0].validity is SignalValidity.UNVERIFIABLE
    assert {combine(signals)[action] for action in _SPOKEN} == {SignalValue.CONDITIONAL}


def test_what_an_invalid_manifest_denies_stays_denied() -> None:
    signals = signals_of_assertions([_assertion("cawg", "notAllowed")], is_valid=False)
    assert {combine(signals)[action] for action in _SPOKEN} == {SignalValue.DENY}


@pytest.mark.parametrize("data", [None, [], {"entries": None}, {"entries": ["cawg.data_mining"]}, "x"])
def test_an_assertion_without_entries_is_conditional(data: object) -> None:
    (signal,) = signals_of_assertions([{"label": "c2pa.training-mining", "data": data}], is_valid=True)
    assert signal.validity is SignalValidity.INVALID
    assert set(signal.actions.values()) == {SignalValue.CONDITIONAL}


def test_several_instances_and_versions_of_the_assertion_count() -> None:
    first = _assertion("c2pa", "allowed") | {"label": "c2pa.training-mining__1"}
    second = _assertion("cawg", "notAllowed") | {"label": "cawg.training-mining.v1"}
    signals = signals_of_assertions([first, second, {"label": "c2pa.actions"}], is_valid=True)
    assert len(signals) == 2
    assert combine(signals)[SignalAction.TRAIN_GEN] is SignalValue.DENY


def test_entries_that_are_not_listed_are_named() -> None:
    data = {"entries": {"org.example.voice": {"use": "notAllowed"}}}
    (signal,) = signals_of_assertions([{"label": "cawg.training-mining", "data": data}], is_valid=True)
    assert signal.actions == {}
    assert "org.example.voice" in signal.detail


def test_credentials_that_cannot_be_read_are_conditional() -> None:
    said = combine([unreadable_credentials("the manifest store is cut short")])
    assert {said[action] for action in _SPOKEN} == {SignalValue.CONDITIONAL}
