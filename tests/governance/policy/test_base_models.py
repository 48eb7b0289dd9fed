"""What policies say of models that others trained."""

from __future__ import annotations

from dataclasses import replace

import pytest

from governance.errors import PolicyError
from governance.manifests.statements import ComponentStatus
from governance.policy.base_models import (
    BaseModelFacts,
    BaseModelTerms,
    Money,
    read_money,
    release_objections,
    sentences,
    training_objections,
)
from governance.policy.files import find_policy
from governance.policy.overlays import combine, read_policy_text
from governance.policy.reading import parse_policy

HEAD = 'schema: 1\nname: test\nversion: "1"\ntitle: Test\nrules: []\n'
BASE = BaseModelFacts(
    name="toy", status=ComponentStatus.LICENSED_CLAIMED, license_expression="LicenseRef-Toy"
)


def terms(text: str) -> BaseModelTerms:
    return parse_policy((HEAD + text).encode(), "p.yaml").base_models


def test_a_policy_that_says_nothing_lets_train_and_refuses_to_release_what_nobody_vouches_for() -> None:
    silent = terms("")
    for status in ComponentStatus:
        base = replace(BASE, status=status)
        assert training_objections(silent, base) == ()
        vouched = status in {ComponentStatus.CLEARED, ComponentStatus.LICENSED_CLAIMED}
        assert (release_objections(silent, base) == ()) == vouched
    (objection,) = release_objections(silent, replace(BASE, status=ComponentStatus.UNDISCLOSED))
    assert objection.startswith("base_models.release: the training data of toy is undisclosed, allowed is")


def test_a_policy_may_forbid_a_status_or_accept_it() -> None:
    strict = terms("base_models: {training: [cleared]}")
    (objection,) = training_objections(strict, BASE)
    assert (
        objection == "base_models.training: the training data of toy is licensed-claimed, allowed is cleared"
    )
    assert objection in release_objections(strict, BASE), "what may not be trained may not be released"
    none = terms("base_models: {training: []}")
    assert "allowed is none" in training_objections(none, BASE)[0]
    lenient = terms("base_models: {release: [undisclosed]}")
    assert release_objections(lenient, replace(BASE, status=ComponentStatus.UNDISCLOSED)) == ()


@pytest.mark.parametrize(
    ("stated", "excluded", "is_allowed"),
    [
        ("", ("KR",), False),
        ("base_models: {territories: [DE, KR]}", ("KR",), False),
        ("base_models: {territories: [DE]}", ("KR",), True),
        ("base_models: {territories: [WORLD]}", ("KR",), False),
        ("", (), True),
    ],
)
def test_where_a_licence_does_not_hold_nothing_is_released(
    stated: str, excluded: tuple[str, ...], *, is_allowed: bool
) -> None:
    objections = release_objections(terms(stated), replace(BASE, excluded_territories=excluded))
    assert (not objections) == is_allowed
    assert all(found.startswith("base_models.territories: ") and "KR" in found for found in objections)


@pytest.mark.parametrize(
    ("stated", "is_allowed"),
    [
        ("", False),
        ("base_models: {annual_revenue: 10000000 USD}", True),
        ("base_models: {annual_revenue: 10000001 USD}", False),
        ("base_models: {annual_revenue: 1 EUR}", False),
    ],
)
def test_a_revenue_limit_holds_unless_the_policy_states_less(stated: str, *, is_allowed: bool) -> None:
    base = replace(BASE, revenue_limit=Money(amount=10_000_000, currency="USD"))
    objections = release_objections(terms(stated), base)
    assert (not objections) == is_allowed
    assert all(found.startswith("base_models.annual_revenue: ") for found in objections)


def test_weights_under_a_noncommercial_licence_are_not_released() -> None:
    (objection,) = release_objections(terms(""), replace(BASE, license_expression="CC-BY-NC-4.0"))
    assert objection == "license: CC-BY-NC-4.0, that of toy, does not allow commercial use"


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ("base_models: {trainign: []}", "did you mean|'trainign' is not known"),
        ("base_models: {training: [licensed]}", "'licensed' is not a valid"),
        ("base_models: {training: cleared}", "expected a list"),
        ("base_models: {territories: [EU]}", "EU"),
        ("base_models: {territories: []}", "name where releases go"),
        ("base_models: {annual_revenue: 10 million}", "is not an amount"),
        ("base_models: [cleared]", "expected keys and values"),
        ("kind: overlay\nbase_models: {training: []}", "an overlay has no 'base_models'"),
    ],
)
def test_what_cannot_be_meant_is_refused(stated: str, words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        terms(stated)


def test_a_combination_keeps_the_terms_of_its_base() -> None:
    strict = find_policy("commercial-training-strict")
    assert ComponentStatus.UNDISCLOSED not in strict.base_models.training
    combined = combine(strict, [find_policy("talent-consent-required")])
    assert read_policy_text(combined.text, "snapshot").base_models == strict.base_models


def test_an_amount_is_whole_and_has_a_currency() -> None:
    assert read_money(" 5 EUR ") == Money(amount=5, currency="EUR")
    for text in ("5", "EUR 5", "5.0 EUR", "-5 EUR", "5 eur"):
        with pytest.raises(ValueError, match="is not an amount"):
            read_money(text)


def test_the_terms_are_read_aloud() -> None:
    said = " ".join(
        sentences(terms("base_models: {training: [], territories: [DE, CH], annual_revenue: 5 EUR}"))
    )
    assert "training data is: none." in said
    assert "if it is: cleared, licensed-claimed." in said
    assert "Releases go to: CH, DE. Annual revenue: 5 EUR." in said
