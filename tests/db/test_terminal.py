"""What people see: harmless text, tables that fit, times as they are read aloud."""

from __future__ import annotations

import json

import pytest

from db.terminal import clock_text, note, progress, safe_text, say, say_field, say_json, say_table


@pytest.mark.parametrize("text", ["plain", "Füße", "映画", "it's 100 % fine", "a\u0301"])
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert safe_text(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("two\nlines", "two\\nlines"),
        ("back\rspace\b", "back\\rspace\\x08"),
        ("8-bit \x9b31m", "8-bit \\x9b31m"),
        ("evil\u202egpj.exe", "evil\\u202egpj.exe"),
        ("isolate\u2066x", "isolate\\u2066x"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("line\u2028separator", "line\\u2028separator"),
        ("name-\udce9.mp4", "name-\\udce9.mp4"),
    ],
)
def test_what_steers_a_terminal_is_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert safe_text(text) == shown


def test_results_go_to_stdout_and_remarks_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    say("result\x1b")
    note("remark\x1b")
    assert capsys.readouterr() == ("result\\x1b\n", "remark\\x1b\n")


def test_a_field_is_wrapped_in_a_column_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    say_field("title", "word " * 40)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= 100
    assert [line[:10] for line in lines] == ["title     ", " " * 10, " " * 10]


def test_an_empty_field_keeps_its_label(capsys: pytest.CaptureFixture[str]) -> None:
    say_field("title", "")
    assert capsys.readouterr().out.rstrip() == "title"


def test_json_is_one_ascii_line_with_sorted_keys(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"b": "Füße\n\u202e", "a": 1})
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.count("\n") == 1
    assert list(json.loads(out)) == ["a", "b"]


def test_a_table_fits_and_aligns_numbers_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    say_table(("name", "clips>"), [("short", 7), ("long " * 40, 12345), ("[bold]\x1b", 1)])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines)) <= 100
    assert lines[0].split() == ["name", "clips"]
    row = next(line for line in lines if line.startswith("short"))
    assert row.endswith("    7")
    assert any(line.startswith("[bold]\\x1b") for line in lines)


def test_no_bar_is_drawn_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("ingesting", 3) as advance:
        advance(3)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (3.44, "3.4 s"),
        (59.94, "59.9 s"),
        (59.96, "1:00.0"),
        (60.0, "1:00.0"),
        (119.97, "2:00.0"),
        (123.4, "2:03.4"),
        (3599.99, "1:00:00.0"),
        (3723.4, "1:02:03.4"),
        (360_000.0, "100:00:00.0"),
    ],
)
def test_times_are_read_as_clocks_are(seconds: float, text: str) -> None:
    """59.96 s was shown as `60.0 s` and 119.97 s as `1:60.0`: the parts were rounded after they were divided."""
    assert clock_text(seconds) == text
