"""Reading SPDX license expressions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.rights.licenses import (
    AllOf,
    AnyOf,
    LicenseExpressionError,
    LicenseId,
    WithException,
    parse_license,
)

_WORDS = (
    "MIT",
    "ISC",
    "CC0-1.0",
    "LicenseRef-x",
    "Classpath-exception-2.0",
    "AND",
    "OR",
    "WITH",
    "(",
    ")",
    "~",
    "1",
)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("cc-by-4.0", "CC-BY-4.0"),
        ("mit and (isc or zlib)", "MIT AND (ISC OR Zlib)"),
        ("((MIT))", "MIT"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("GPL-2.0", "GPL-2.0-only"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("LicenseRef-US-Gov-Public-Domain", "LicenseRef-US-Gov-Public-Domain"),
        ("DocumentRef-deal:LicenseRef-7", "DocumentRef-deal:LicenseRef-7"),
    ],
)
def test_expressions_get_their_normal_spelling(text: str, normal: str) -> None:
    assert str(parse_license(text)) == normal


@pytest.mark.parametrize(
    "name", ["LicenseRef-MIT-TC", "LicenseRef-Apache-2.0", "LicenseRef-PublicDomain", "LicenseRef-or-and"]
)
def test_a_license_ref_is_never_taken_for_a_listed_license(name: str) -> None:
    """The ready-made vocabulary of the license-expression package reads these as MIT, Apache-2.0, and so on."""
    assert parse_license(name) == LicenseId(name)
    assert LicenseId(name).is_ref


def test_and_or_and_with_keep_their_structure() -> None:
    tree = parse_license("MIT OR ISC AND GPL-3.0-only WITH GCC-exception-3.1")
    gpl = WithException(LicenseId("GPL-3.0-only"), "GCC-exception-3.1")
    assert tree == AnyOf((LicenseId("MIT"), AllOf((LicenseId("ISC"), gpl))))


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "CC BY 4.0", "BSD", "Apache-2.0+", "NONE", "NOASSERTION", "proprietary", "MIT OR", "OR MIT", "()",
        "MIT ISC", "MIT, ISC", "(MIT", "MIT)", "MIT AND AND ISC", "MIT WITH ISC", "Classpath-exception-2.0",
        "(MIT OR ISC) WITH Classpath-exception-2.0", "LicenseRef-", "LicenseRef-ü", "not MIT", "MIT & ISC",
        "MIT\nISC", "MIT " * 400, "(" * 30 + "MIT" + ")" * 30,
    ],
)  # fmt: skip
def test_what_is_not_an_expression_is_refused(text: str) -> None:
    with pytest.raises(LicenseExpressionError):
        parse_license(text)


@settings(database=None, deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(_WORDS), min_size=1, max_size=9))
def test_any_words_give_an_expression_that_reads_back_or_a_clear_refusal(words: list[str]) -> None:
    try:
        tree = parse_license(" ".join(words))
    except LicenseExpressionError:
        return
    assert parse_license(str(tree)) == tree
