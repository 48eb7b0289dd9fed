"""What rights signals mean for a clip."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from db.vocabularies import SignalAction, SignalValidity, SignalValue
from governance.facts.clips import FactsOfClips
from governance.facts.signal_standing import NEVER_DAYS, is_examined, standing_of, strictest
from governance.policy.files import find_policy
from governance.policy.policy import decide
from ingest.signals.protocols import protocol_list
from tests.governance.evidence_maker import COMPARISON, NOW, clip, evidence, grant
from tests.governance.rights_maker import contract_grant, signal

ALLOW, DENY, CONDITIONAL, UNKNOWN = (
    SignalValue.ALLOW,
    SignalValue.DENY,
    SignalValue.CONDITIONAL,
    SignalValue.UNKNOWN,
)


def test_nothing_said_is_unknown() -> None:
    standing = standing_of([], [], NOW)
    assert (standing.generative_training, standing.num_against) == (UNKNOWN, 0)
    assert standing.days_since_capture == NEVER_DAYS


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((ALLOW, DENY), DENY),
        ((ALLOW, CONDITIONAL), CONDITIONAL),
        ((CONDITIONAL, DENY), DENY),
        ((ALLOW,), ALLOW),
    ],
)
def test_the_strictest_word_counts(values: tuple[SignalValue, ...], expected: SignalValue) -> None:
    assert strictest(values) is expected
    said = [signal(value, carrier=str(number)) for number, value in enumerate(values)]
    assert standing_of(said, [], NOW).generative_training is expected


def test_a_signal_on_adapting_models_is_against_training_them() -> None:
    said = signal(actions={SignalAction.FINETUNE_GEN: DENY, SignalAction.TRAIN_GEN: ALLOW})
    assert standing_of([said], [], NOW).num_against == 1


@pytest.mark.parametrize("validity", [SignalValidity.INVALID, SignalValidity.UNVERIFIABLE])
def test_permission_that_cannot_be_read_is_a_condition(validity: SignalValidity) -> None:
    standing = standing_of([signal(ALLOW, validity=validity)], [], NOW)
    assert (standing.generative_training, standing.num_against) == (CONDITIONAL, 1)


def test_a_malformed_signal_that_names_no_action_is_a_condition() -> None:
    broken = signal(validity=SignalValidity.INVALID, actions={})
    assert standing_of([broken], [], NOW).num_against == 1


HOLDER: dict[str, Any] = {"declaring_party": "Holder"}


@pytest.mark.parametrize(
    ("said", "given", "is_overridden"),
    [
        (HOLDER, {}, False),
        ({}, {}, False),
        ({"declaring_party": "Somebody"}, {}, False),
        (HOLDER, {"permitted_uses": ()}, False),
        (HOLDER, {"evidence_sha256": None}, False),
        (HOLDER, {"valid_from": NOW - dt.timedelta(days=90)}, False),
        (HOLDER, {"valid_from": NOW - dt.timedelta(days=1)}, True),
    ],
)
def test_only_the_later_proven_word_of_the_same_holder_overrides(
    said: dict[str, Any], given: dict[str, Any], *, is_overridden: bool
) -> None:
    standing = standing_of([signal(**said)], [contract_grant(1, **given)], NOW)
    assert standing.overridden is is_overridden
    assert standing.num_against == 1


def test_one_signal_of_somebody_else_is_enough() -> None:
    said = [signal(**HOLDER), signal(carrier="page", declaring_party="Museum")]
    assert not standing_of(said, [contract_grant(1)], NOW).overridden
    assert not standing_of(said, [grant()], NOW).overridden


OLDER = "1999.1"
PRESENT = protocol_list().version


@pytest.mark.parametrize(
    ("versions", "expected"),
    [(set(), False), ({OLDER}, False), ({PRESENT}, True), ({OLDER, PRESENT}, True)],
)
def test_a_file_is_examined_once_the_present_list_read_it(versions: set[str], expected: bool) -> None:
    """A reading by an older list, which did not know every protocol of today, counted as well."""
    found = evidence(signals_read_by=frozenset(versions))
    assert is_examined(found) is expected
    policy = find_policy("commercial-training")
    (alternative,) = FactsOfClips(
        COMPARISON, purpose=policy.purpose, use=policy.use, as_of=NOW, wanted=policy.fact_names
    ).of(clip(), found)
    reasons = {reason.code for reason in decide(policy, alternative.facts).reasons}
    assert ("signals.not_read" in reasons) is not expected
