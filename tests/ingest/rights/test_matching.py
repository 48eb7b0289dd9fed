"""Which files the rows of a rights table speak of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ingest.rights.matching import RowMatches, match_rows
from ingest.rights.rows import EvidenceFolder, RightsRow, check_row

BASE = Path("/library/table")


def row(number: int, path: str, license_expression: str = "MIT", **cells: str) -> RightsRow:
    values = {"path": path, "rights_holder": "Acme", "license_expression": license_expression, **cells}
    checked = check_row(number, values, EvidenceFolder(BASE))
    assert isinstance(checked, RightsRow)
    return checked


def match(rows: list[RightsRow], files: list[str], roots: tuple[str, ...] = ("/footage",)) -> RowMatches:
    return match_rows(rows, [Path(file) for file in files], BASE, roots=[Path(root) for root in roots])


def numbers(matches: RowMatches) -> dict[str, int]:
    return {str(path): granted.row_number for path, granted in matches.grants.items()}


def codes(matches: RowMatches) -> list[tuple[int, str]]:
    return [(rejected.row_number, rejected.code) for rejected in matches.rejected]


@pytest.mark.parametrize(
    ("pattern", "file"),
    [
        ("a.mp4", "/library/table/a.mp4"),
        ("sub/a.mp4", "/library/table/sub/a.mp4"),
        ("./sub//a.mp4", "/library/table/sub/a.mp4"),
        ("../other/a.mp4", "/library/other/a.mp4"),
        ("sub/a.mp4", "/footage/sub/a.mp4"),
        ("/elsewhere/a.mp4", "/elsewhere/a.mp4"),
        ("a.mp4", "/elsewhere/deep/a.mp4"),
        ("a [1] *.mp4", "/footage/a [1] *.mp4"),
        ("caf\u00e9.mp4", "/footage/cafe\u0301.mp4"),
        ("*.mp4", "/library/table/a.mp4"),
        ("*.mp4", "/footage/a.mp4"),
        ("**/*.mp4", "/footage/a.mp4"),
        ("**/*.mp4", "/footage/x/y/a.mp4"),
        ("x/**", "/footage/x/y/a.mp4"),
        ("x/**/z/*.mp4", "/footage/x/y/z/z/a.mp4"),
        ("../other/*.mp4", "/library/other/a.mp4"),
        ("take[12]?.mp4", "/footage/take1x.mp4"),
        ("/elsewhere/**/*.mp4", "/elsewhere/x/a.mp4"),
        ("x/**/**/a.*", "/footage/x/a.mp4"),
    ],
)
def test_a_pattern_finds_its_file(pattern: str, file: str) -> None:
    matches = match([row(2, pattern)], [file, "/footage/unrelated/b.mov"])
    assert numbers(matches) == {file: 2}
    assert matches.rejected == ()
    assert [str(path) for path in matches.unlicensed] == ["/footage/unrelated/b.mov"]


@pytest.mark.parametrize(
    ("pattern", "file"),
    [
        ("a.mp4", "/footage/A.mp4"),
        ("*.mp4", "/footage/sub/a.mp4"),
        ("licensed/a.mp4", "/footage/stolen/a.mp4"),
        ("*.mp4", "/elsewhere/a.mp4"),
        ("**/x/*.mp4", "/footage/a.mp4"),
        ("a?.mp4", "/footage/a/.mp4"),
        ("x/**", "/footage/x"),
        ("a.mp", "/footage/a.mp4"),
        ("footag*/a.mp4", "/footage/a.mp4"),
    ],
)
def test_a_row_never_reaches_a_file_that_it_does_not_name(pattern: str, file: str) -> None:
    matches = match([row(2, pattern)], [file])
    assert numbers(matches) == {}
    assert codes(matches) == [(2, "rights.no_such_file")]
    assert [str(path) for path in matches.unlicensed] == [file]


def test_the_folder_of_the_table_comes_before_the_ingested_ones() -> None:
    assert numbers(match([row(2, "a.mp4")], ["/footage/a.mp4", "/library/table/a.mp4"])) == {
        "/library/table/a.mp4": 2
    }


@pytest.mark.parametrize("roots", [("/one", "/two"), ()])
def test_a_path_that_may_be_two_files_is_rejected(roots: tuple[str, ...]) -> None:
    matches = match([row(2, "a.mp4")], ["/one/a.mp4", "/two/a.mp4"], roots)
    assert numbers(matches) == {}
    assert codes(matches) == [(2, "rights.ambiguous_path")]


def test_an_exact_path_beats_a_glob() -> None:
    matches = match([row(2, "*.mp4", "MIT"), row(3, "a.mp4", "ISC")], ["/footage/a.mp4", "/footage/b.mp4"])
    assert numbers(matches) == {"/footage/a.mp4": 3, "/footage/b.mp4": 2}
    assert matches.rejected == ()


@pytest.mark.parametrize("patterns", [("a.mp4", "./a.mp4"), ("*.mp4", "a.*")])
def test_contradicting_rows_leave_the_file_without_a_grant(patterns: tuple[str, str]) -> None:
    matches = match(
        [row(2, patterns[0], "MIT"), row(3, patterns[1], "ISC")], ["/footage/a.mp4", "/footage/b.mp4"]
    )
    assert Path("/footage/a.mp4") not in matches.grants
    assert matches.conflicts == {Path("/footage/a.mp4"): (2, 3)}
    assert [code for _, code in codes(matches)] == ["rights.conflicting_rows", "rights.conflicting_rows"]
    assert "/footage/a.mp4" in matches.rejected[0].reason


def test_contradicting_exact_rows_are_not_rescued_by_a_glob() -> None:
    rows = [row(2, "a.mp4", "MIT"), row(3, "a.mp4", "ISC"), row(4, "*.mp4", "CC0-1.0")]
    assert numbers(match(rows, ["/footage/a.mp4"])) == {}


def test_a_conflict_over_many_files_is_reported_once_for_each_row() -> None:
    files = [f"/footage/{i}.mp4" for i in range(50)]
    matches = match([row(2, "*.mp4", "MIT"), row(3, "?*.mp4", "ISC")], files)
    assert codes(matches) == [(2, "rights.conflicting_rows"), (3, "rights.conflicting_rows")]
    assert "and 49 more" in matches.rejected[0].reason


def test_a_repeated_row_is_reported_and_does_no_harm() -> None:
    matches = match([row(2, "a.mp4"), row(3, "a.mp4")], ["/footage/a.mp4"])
    assert numbers(matches) == {"/footage/a.mp4": 2}
    assert codes(matches) == [(3, "rights.duplicate_row")]


def test_a_file_given_as_the_root_stands_for_its_folder() -> None:
    assert numbers(match([row(2, "a.mp4")], ["/footage/a.mp4", "/x/a.mp4"], ("/footage/a.mp4",))) == {
        "/footage/a.mp4": 2
    }


def test_relative_files_keep_their_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    matches = match_rows([row(2, "a.mp4")], [Path("in/a.mp4")], Path(), roots=[Path("in")])
    assert list(matches.grants) == [Path("in/a.mp4")]


def test_no_files_and_no_rows_match_nothing() -> None:
    assert match([], []).grants == {}
    assert codes(match([row(2, "a.mp4")], [])) == [(2, "rights.no_such_file")]


def test_exact_paths_cost_one_look_up_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of rows times files look-ups would not finish on a real library."""
    count = 0
    join = os.path.join

    def counting_join(*parts: str) -> str:
        nonlocal count
        count += 1
        return join(*parts)

    files = [f"/footage/{i}.mp4" for i in range(500)]
    rows = [row(i + 2, f"{i}.mp4") for i in range(500)]
    monkeypatch.setattr(os.path, "join", counting_join)
    assert len(match(rows, files).grants) == 500
    assert count <= 3 * len(rows)


def test_a_hostile_glob_is_matched_in_bounded_time() -> None:
    """Backtracking over this pattern would take longer than the universe is old."""
    name = "a" * 200
    matches = match([row(2, "**/" * 30 + "*a" * 40 + "b")], ["/footage/" + "x/" * 30 + name])
    assert numbers(matches) == {}
