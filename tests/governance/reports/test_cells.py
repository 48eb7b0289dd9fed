"""Cells hold what they hold as text, whatever somebody wrote."""

from __future__ import annotations

import pytest

from governance.reports.cells import cell, cell_text


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1+1", "\r=1+1", "\n=1+1", "＝1+1", "＋1", "－1", "＠SUM"],  # noqa: RUF001
)
def test_what_may_be_a_formula_is_text(text: str) -> None:
    assert cell_text(text).startswith("'")


@pytest.mark.parametrize("text", ["", "Sea Films", "a=b", "'quoted", "naïve"])
def test_other_text_is_left_alone(text: str) -> None:
    assert cell_text(text) == text


def test_control_and_bidirectional_characters_are_made_visible() -> None:
    assert cell_text("a\x00b\u202ec") == "a\\x00b\\u202ec"


@pytest.mark.parametrize(("value", "expected"), [(None, ""), (-3, -3), (1.5, 1.5), ("-3", "'-3")])
def test_numbers_stay_numbers(value: object, expected: object) -> None:
    assert cell(value) == expected
