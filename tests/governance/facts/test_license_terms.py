"""What licences and their combinations allow."""

from __future__ import annotations

import pytest

from db.vocabularies import Tri, Use
from governance.facts.license_terms import LicenseTerms, terms_of_expression

YES, NO, UNKNOWN = Tri.YES, Tri.NO, Tri.UNKNOWN
STATED = (Use.AI_GENERATIVE_TRAINING,)


def answers(terms: LicenseTerms) -> tuple[Tri, Tri, Tri, Tri]:
    return terms.commercial_use, terms.derivatives, terms.share_alike, terms.attribution


@pytest.mark.parametrize(
    ("expression", "commercial_use", "derivatives", "share_alike", "attribution"),
    [
        ("CC0-1.0", YES, YES, NO, NO),
        ("PDDL-1.0", YES, YES, NO, NO),
        ("Unlicense", YES, YES, NO, NO),
        ("0BSD", YES, YES, NO, NO),
        ("MIT", YES, YES, NO, YES),
        ("Apache-2.0", YES, YES, NO, YES),
        ("BSD-2-Clause", YES, YES, NO, YES),
        ("BSD-3-Clause", YES, YES, NO, YES),
        ("BSD-3-Clause-Clear", YES, YES, NO, YES),
        ("ISC", YES, YES, NO, YES),
        ("CC-BY-1.0", YES, YES, NO, YES),
        ("CC-BY-3.0-US", YES, YES, NO, YES),
        ("CC-BY-4.0", YES, YES, NO, YES),
        ("CC-BY-SA-4.0", YES, YES, YES, YES),
        ("CC-BY-SA-2.1-JP", YES, YES, YES, YES),
        ("CC-BY-NC-4.0", NO, YES, NO, YES),
        ("CC-BY-NC-SA-2.0-FR", NO, YES, YES, YES),
        ("CC-BY-ND-4.0", YES, NO, NO, YES),
        ("CC-BY-NC-ND-3.0-IGO", NO, NO, NO, YES),
        ("GPL-3.0-only", YES, YES, YES, YES),
    ],
)
def test_known_licences(
    expression: str, commercial_use: Tri, derivatives: Tri, share_alike: Tri, attribution: Tri
) -> None:
    terms = terms_of_expression(expression)
    assert answers(terms) == (commercial_use, derivatives, share_alike, attribution)
    assert terms.is_known
    assert terms.redistribution is YES


@pytest.mark.parametrize(
    "expression", ["Python-2.0", "CC-PDM-1.0", "CC-PDDC", "CC-SA-1.0", "LicenseRef-Acme-7", "JSON"]
)
def test_anything_else_is_unknown_in_every_respect(expression: str) -> None:
    assert terms_of_expression(expression) == LicenseTerms(relied_on=expression)


@pytest.mark.parametrize(
    "expression", ["Python-2.0", "CC-PDM-1.0", "CC-BY-NC-4.0", "CC-BY-ND-4.0", "CC-BY-SA-4.0"]
)
def test_stated_uses_never_widen_a_listed_licence(expression: str) -> None:
    assert terms_of_expression(expression, STATED) == terms_of_expression(expression)


def test_and_takes_the_most_restrictive_answer_to_each_question() -> None:
    assert answers(terms_of_expression("CC0-1.0 AND CC-BY-NC-4.0")) == (NO, YES, NO, YES)
    assert answers(terms_of_expression("CC-BY-NC-4.0 AND CC-BY-SA-4.0")) == (NO, YES, YES, YES)
    both = terms_of_expression("MIT AND LicenseRef-x")
    assert answers(both) == (UNKNOWN, UNKNOWN, UNKNOWN, YES)
    assert not both.is_known
    assert terms_of_expression("CC-BY-NC-4.0 AND LicenseRef-x").commercial_use is NO


def test_or_takes_one_alternative_as_a_whole_and_says_which() -> None:
    """Answers of two alternatives must not be mixed: none of them is commercial without share-alike here."""
    terms = terms_of_expression("CC-BY-NC-4.0 OR CC-BY-SA-4.0")
    assert answers(terms) == (YES, YES, YES, YES)
    assert terms.relied_on == "CC-BY-SA-4.0"
    assert terms_of_expression("GPL-3.0-only OR MIT").relied_on == "MIT"
    assert terms_of_expression("LicenseRef-x OR MIT").is_known
    assert terms_of_expression("CC-BY-NC-4.0 OR LicenseRef-x").relied_on == "LicenseRef-x"


def test_or_inside_and_is_chosen_before_they_are_combined() -> None:
    terms = terms_of_expression("CC-BY-4.0 AND (GPL-3.0-only OR CC0-1.0)")
    assert answers(terms) == (YES, YES, NO, YES)
    assert terms.relied_on == "CC-BY-4.0 AND CC0-1.0"


def test_an_exception_is_unknown_unless_it_only_adds_permissions() -> None:
    assert answers(terms_of_expression("GPL-2.0-only WITH Classpath-exception-2.0")) == (YES, YES, YES, YES)
    unknown = terms_of_expression("GPL-2.0-only WITH Autoconf-exception-2.0")
    assert answers(unknown) == (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
    assert not unknown.is_known


def test_a_contract_is_read_by_the_use_that_its_holder_states() -> None:
    terms = terms_of_expression("LicenseRef-Acme-7", STATED)
    assert answers(terms) == (YES, YES, NO, UNKNOWN)
    assert not terms.is_known
    assert not terms_of_expression(
        "LicenseRef-Acme-7", (Use.AI_TRAINING, Use.DATA_MINING, Use.AI_INFERENCE)
    ).is_known
    assert terms_of_expression("LicenseRef-Acme-7", (Use.AI_TRAINING,)).commercial_use is UNKNOWN


@pytest.mark.parametrize(
    "name",
    [
        "LicenseRef-Acme-Research",
        "LicenseRef-NonCommercial-2",
        "LicenseRef-a.NC.1",
        "LicenseRef-Non-Commercial",
    ],
)
@pytest.mark.parametrize("uses", [(), STATED])
def test_a_contract_whose_name_speaks_against_commercial_use_is_believed(
    name: str, uses: tuple[Use, ...]
) -> None:
    assert terms_of_expression(name, uses).commercial_use is NO
