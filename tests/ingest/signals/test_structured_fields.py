"""Dictionaries of structured fields (RFC 9651)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.signals.errors import UnreadableError
from ingest.signals.structured_fields import MAX_FIELD_CHARACTERS, parse_dictionary


def _members(text: str) -> list[tuple[str, str, dict[str, str]]]:
    return [(member.key, member.value, dict(member.parameters)) for member in parse_dictionary(text)]


def test_members_parameters_and_items_are_read() -> None:
    text = (
        'train-ai=n;exceptions=cc-cr; v=1.5,\tsearch="y \\"s\\"" , a.b*_=?0;c, d=:aGk=:, e=-7, f=@1659578233'
    )
    assert _members(text) == [
        ("train-ai", "n", {"exceptions": "cc-cr", "v": "1.5"}),
        ("search", 'y "s"', {}),
        ("a.b*_", "?0", {"c": "?1"}),
        ("d", ":aGk=:", {}),
        ("e", "-7", {}),
        ("f", "@1659578233", {}),
    ]


def test_a_key_that_stands_twice_keeps_both_values() -> None:
    assert [value for _, value, _ in _members("a=n, a=y")] == ["n", "y"]


def test_an_empty_field_has_no_members() -> None:
    assert parse_dictionary("  ") == []


@pytest.mark.parametrize(
    "text",
    [
        "Train-AI=n",
        "a=n b=n",
        "a=n,",
        ",a",
        "a=",
        'a="x',
        "a=(y n)",
        "a=n;;b",
        "=n",
        "a=ü",
        "a=\x00",
        "a=n;B=1",
    ],
)
def test_what_is_not_a_dictionary_is_refused(text: str) -> None:
    with pytest.raises(UnreadableError):
        parse_dictionary(text)


def test_a_field_without_end_is_refused() -> None:
    with pytest.raises(UnreadableError, match="characters"):
        parse_dictionary("a=y, " * MAX_FIELD_CHARACTERS)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_dictionary(text)
    except UnreadableError:
        return
