"""Reading whole rights tables in every format."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from ingest.errors import RightsTableError
from ingest.rights.table import RejectedRow, RightsRow, iter_rights, load_column_map, match_rows, read_rights

HEADER = ("path", "rights_holder", "license_expression", "valid_to", "title")
ROW = ("a.mp4", "Acme, Inc", "CC-BY-4.0", "2026-12-31", "NA")


def write_csv(path: Path, *rows: tuple[str, ...]) -> Path:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    path.write_bytes(text.getvalue().encode())
    return path


def write_xlsx(path: Path, *rows: tuple[Any, ...]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    book.save(path)
    return path


def write_jsonl(path: Path, *rows: tuple[Any, ...]) -> Path:
    lines = [json.dumps(dict(zip(rows[0], row, strict=True))) for row in rows[1:]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_parquet(path: Path, *rows: tuple[Any, ...]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: [row[i] for row in rows[1:]] for i, name in enumerate(rows[0])}
    pq.write_table(pa.table(columns), path)
    return path


Writer = Callable[..., Path]
WRITERS: list[tuple[Writer, str, int]] = [
    (write_csv, "t.csv", 2),
    (write_jsonl, "t.jsonl", 1),
    (write_parquet, "t.parquet", 1),
    (write_xlsx, "t.xlsx", 2),
]
"""Writer, file name, and the number that a user gives to the first row."""


@pytest.mark.parametrize(("write", "name", "first"), WRITERS)
def test_every_format_gives_the_same_rows(tmp_path: Path, write: Writer, name: str, first: int) -> None:
    path = write(
        tmp_path / name, HEADER, ROW, ("b.mp4", "Ä 'quoted'", "CC-BY", "", ""), ("c.mp4", "x", "MIT", "", "")
    )
    table = read_rights(path)
    assert [row.pattern for row in table.rows] == ["a.mp4", "c.mp4"]
    assert [row.row_number for row in table.rows] == [first, first + 2]
    assert (table.rows[0].rights_holder, table.rows[0].title) == ("Acme, Inc", "NA")
    assert table.rows[0].valid_to == dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
    assert table.rows[1].valid_to is None
    assert [(row.row_number, row.code) for row in table.rejected] == [(first + 1, "rights.unknown_license")]
    assert table.table_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert table.warnings == ()


@pytest.mark.parametrize(("write", "name", "first"), WRITERS)
def test_a_table_without_rows_or_columns_is_refused(
    tmp_path: Path, write: Writer, name: str, first: int
) -> None:
    with pytest.raises(RightsTableError, match=name):
        read_rights(write(tmp_path / name, HEADER))
    with pytest.raises(RightsTableError, match=r"no column 'license_expression'"):
        read_rights(write(tmp_path / name, ("path", "rights_holder"), ("a.mp4", "Acme")))


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet", "t.xlsx"])
@pytest.mark.parametrize("data", [b"", b"\x00\x01\x02\xff\xfe", b"PK\x03\x04 not a zip"])
def test_bytes_that_are_no_table_are_refused(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(RightsTableError, match=name):
        read_rights(tmp_path / name)


def test_a_missing_table_or_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RightsTableError, match=r"no such|cannot be read"):
        read_rights(tmp_path / "absent.csv")
    (tmp_path / "t.xls").write_bytes(b"x")
    with pytest.raises(RightsTableError) as caught:
        read_rights(tmp_path / "t.xls")
    assert ".xlsx" in (caught.value.hint or "")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv_with_or_without_a_mark_reads_alike(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("path,rights_holder,license_expression\na.mp4,Ærø Films,MIT\n", encoding=encoding)
    assert read_rights(path).rows[0].rights_holder == "Ærø Films"


def test_csv_in_another_encoding_is_refused_and_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("path,rights_holder,license_expression\na.mp4,Ærø Films,MIT\n", encoding="latin-1")
    with pytest.raises(RightsTableError, match="UTF-8"):
        read_rights(path)


def test_a_csv_row_that_was_cut_off_is_rejected_and_does_not_become_a_grant_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "path,rights_holder,license_expression,valid_to\na.mp4,Acme,MIT\nb.mp4,Acme,MIT,,\nc.mp4,Acme,MIT,\n"
    )
    table = read_rights(path)
    assert [row.pattern for row in table.rows] == ["c.mp4"]
    assert [(row.row_number, row.code) for row in table.rejected] == [
        (2, "rights.bad_row"),
        (3, "rights.bad_row"),
    ]


def test_csv_rows_keep_their_numbers_across_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("path,rights_holder,license_expression\n\na.mp4,Acme,MIT\n,,\nb.mp4,Acme,MIT\n")
    assert [row.row_number for row in read_rights(path).rows] == [3, 5]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('path,rights_holder,license_expression\n"a.mp4,Acme,MIT\n', "line"),
        ('path,rights_holder,license_expression\n"a"b.mp4,Acme,MIT\n', "line"),
        ("path,path,rights_holder,license_expression\na,b,c,MIT\n", "two columns"),
        ("path;rights_holder;license_expression\na;b;MIT\n", "no column"),
    ],
)
def test_csv_whose_shape_cannot_be_trusted_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(RightsTableError, match=words):
        read_rights(tmp_path / "t.csv")


def test_unknown_columns_are_reported(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", (*HEADER, "licence"), (*ROW, "x"))
    assert ["'licence'" in warning for warning in read_rights(path).warnings] == [True]


def test_a_nearly_right_column_is_hinted_at(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", ("path", "rights_holder", "licence_expression"), ("a", "b", "MIT"))
    with pytest.raises(RightsTableError) as caught:
        read_rights(path)
    assert "licence_expression" in (caught.value.hint or "")


def test_json_lines_take_lists_and_numbers_and_reject_bad_lines_one_by_one(tmp_path: Path) -> None:
    good = {"path": "a.mp4", "rights_holder": "Acme", "license_expression": "MIT"}
    lines = [
        json.dumps({**good, "permitted_uses": ["data_mining", "ai_training"], "title": 2001, "source": None}),
        "{",
        "[1]",
        "",
        json.dumps({**good, "title": {"en": "x"}}),
        '{"path": "a", "path": "b"}',
        json.dumps({**good, "title": float("inf")}),
        "[" * 100_000,
        "{}",
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    table = read_rights(tmp_path / "t.jsonl")
    assert [(row.title, row.permitted_uses) for row in table.rows] == [
        ("2001", ("cawg.ai_training", "cawg.data_mining"))
    ]
    assert [row.row_number for row in table.rejected] == [2, 3, 5, 6, 7, 8, 9]
    assert {row.code for row in table.rejected} == {"rights.bad_row"}


def test_spreadsheet_dates_are_told_from_times(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(HEADER)
    sheet.append(("a.mp4", "Acme", "MIT", dt.date(2026, 12, 31), 7))
    sheet.append(("b.mp4", "Acme", "MIT", dt.datetime(2026, 12, 31), 7.0))  # noqa: DTZ001
    sheet["D2"].number_format = "dd/mm/yyyy"
    sheet["D3"].number_format = "yyyy-mm-dd hh:mm"
    book.save(tmp_path / "t.xlsx")
    rows = read_rights(tmp_path / "t.xlsx").rows
    assert [row.valid_to for row in rows] == [
        dt.datetime(2027, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2026, 12, 31, tzinfo=dt.UTC),
    ]
    assert [row.title for row in rows] == ["7", "7"]


def test_a_formula_is_not_an_empty_cell(tmp_path: Path) -> None:
    """A formula that was never calculated reads as empty elsewhere, which would make the grant perpetual."""
    path = write_xlsx(tmp_path / "t.xlsx", HEADER, ("a.mp4", "Acme", "MIT", "=DATE(2026,1,1)", ""), ROW)
    table = read_rights(path)
    assert [row.row_number for row in table.rows] == [3]
    assert [(row.row_number, row.code) for row in table.rejected] == [(2, "rights.bad_row")]


def test_spreadsheet_rows_keep_their_numbers_and_other_sheets_are_mentioned(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(HEADER)
    for column, value in enumerate(ROW, start=1):
        sheet.cell(row=5, column=column, value=value)
    sheet.cell(row=6, column=9, value="stray")
    book.create_sheet("more").append(HEADER)
    book.save(tmp_path / "t.xlsx")
    table = read_rights(tmp_path / "t.xlsx")
    assert [row.row_number for row in table.rows] == [5]
    assert [row.row_number for row in table.rejected] == [6]
    assert len(table.warnings) == 1
    assert "first sheet" in table.warnings[0]


def test_parquet_missing_values_are_empty_cells(tmp_path: Path) -> None:
    path = write_parquet(
        tmp_path / "t.parquet",
        ("path", "rights_holder", "license_expression", "valid_to", "title"),
        ("a.mp4", "Acme", "MIT", dt.date(2026, 12, 31), float("nan")),
        ("b.mp4", None, "MIT", None, 7.0),
    )
    rows = read_rights(path).rows
    assert [(row.rights_holder, row.title) for row in rows] == [("Acme", ""), ("", "7")]
    assert [row.valid_to for row in rows] == [dt.datetime(2027, 1, 1, tzinfo=dt.UTC), None]


def test_rows_can_be_read_one_at_a_time(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", HEADER, ROW, ("", "Acme", "MIT", "", ""))
    rows = iter_rights(path)
    assert isinstance(next(rows), RightsRow)
    assert isinstance(next(rows), RejectedRow)
    assert next(rows, None) is None


def test_with_a_map_only_the_columns_it_names_are_read(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(
        '[columns]\npath = "file"\nlicense_expression = "spdx"\n'
        '[constants]\nrights_holder = "Acme"\nterritories = "WORLD"\n'
    )
    path = write_csv(tmp_path / "t.csv", ("file", "spdx", "evidence"), ("a.mp4", "MIT", "prose, and no file"))
    table = read_rights(path, load_column_map(tmp_path / "map.toml"))
    assert (table.rows[0].rights_holder, table.rows[0].territories) == ("Acme", ("WORLD",))
    assert (table.rows[0].evidence_path, table.warnings) == (None, ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[columns]\npath = "file"\nlicense_expression = "spdx"\n', "names no column for 'rights_holder'"),
        ('[columns]\npath = "file"\nlicense_expression = "spdx"\nrights_holder = "by"\n', "no column 'by'"),
    ],
)
def test_a_map_that_does_not_fit_the_table_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "map.toml").write_text(text)
    path = write_csv(tmp_path / "t.csv", ("file", "spdx"), ("a.mp4", "MIT"))
    with pytest.raises(RightsTableError, match=words):
        read_rights(path, load_column_map(tmp_path / "map.toml"))


def test_a_table_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_csv(tmp_path / "t.csv", HEADER, ROW)

    def rewrite(*_args: object) -> RejectedRow:
        path.write_text("something else")
        return RejectedRow(2, "rights.bad_row", "x", "x")

    monkeypatch.setattr("ingest.rights.table.check_row", rewrite)
    with pytest.raises(RightsTableError, match="changed"):
        read_rights(path)


def test_the_table_of_the_shared_footage_is_accepted_in_full(shared_footage: Path, tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(
        '[columns]\npath = "file"\ntitle = "title"\nlicense_expression = "license_spdx"\n'
        'rights_holder = "licensor"\nsource = "source"\n'
    )
    table = read_rights(shared_footage / "LICENSES.csv", load_column_map(tmp_path / "map.toml"))
    assert (len(table.rows), table.rejected, table.warnings) == (70, (), ())
    assert "LicenseRef-US-Gov-Public-Domain" in {row.license_expression for row in table.rows}
    files = [shared_footage / row.pattern for row in table.rows]
    matches = match_rows(table.rows, files, table.base, roots=[shared_footage])
    assert (len(matches.grants), matches.rejected, matches.unlicensed) == (70, (), ())
