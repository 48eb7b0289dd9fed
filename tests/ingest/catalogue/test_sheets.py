"""Opening catalogues: workbooks, folders, single tables, and what is refused in them."""

from __future__ import annotations

import datetime as dt
import json
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import openpyxl.chart
import pytest

from ingest.catalogue.catalogue_map import OUR_NAMES, CatalogueMap, load_catalogue_map
from ingest.catalogue.errors import CatalogueError
from ingest.catalogue.layout import SheetName
from ingest.catalogue.loading import read_catalogue
from ingest.catalogue.sheets import open_catalogue
from ingest.catalogue.stage import SheetRejection, StagedRow, open_stage
from ingest.errors import RightsTableError
from tests.ingest.catalogue.catalogue_maker import catalogue_sheets, reasons, write_folder, write_workbook


def read(
    path: Path, names: CatalogueMap = OUR_NAMES
) -> tuple[dict[SheetName, list[StagedRow]], list[SheetRejection]]:
    """The rows that stand before anything is looked up, by sheet, and the rejected ones."""
    with open_stage() as stage:
        read_catalogue(open_catalogue(path, names), stage, on_rows=lambda _num_rows: None)
        standing = {sheet: [row for batch in stage.standing(sheet) for row in batch] for sheet in SheetName}
        return standing, list(stage.rejected())


def contents(path: Path, names: CatalogueMap = OUR_NAMES) -> list[Any]:
    standing, rejected = read(path, names)
    assert rejected == []
    return [(sheet, row.ref, row.content, row.scope) for sheet, rows in standing.items() for row in rows]


def test_every_format_states_the_same(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sheets = catalogue_sheets()
    expected = contents(write_folder(tmp_path / "csv", sheets))
    assert len(expected) == 10
    write_workbook(tmp_path / "book.xlsx", sheets)
    assert contents(tmp_path / "book.xlsx") == expected
    for folder in ("json", "parquet"):
        (tmp_path / folder).mkdir()
    for name, rows in sheets.items():
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "json" / f"{name}.jsonl").write_text(lines, encoding="utf-8")
        columns = list(dict.fromkeys(column for row in rows for column in row))
        table = pa.table({column: [row.get(column) for row in rows] for column in columns})
        pq.write_table(table, tmp_path / "parquet" / f"{name}.parquet")
    assert contents(tmp_path / "json") == expected
    assert contents(tmp_path / "parquet") == expected


@pytest.mark.parametrize("is_1904", [False, True])
def test_real_dates_of_both_epochs_are_read(tmp_path: Path, is_1904: bool) -> None:
    from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900

    sheets = catalogue_sheets()
    book = write_workbook(tmp_path / "book.xlsx", sheets)
    book.epoch = CALENDAR_MAC_1904 if is_1904 else CALENDAR_WINDOWS_1900
    sheet = book["grants"]
    column = [cell.value for cell in sheet[1]].index("valid_to") + 1
    sheet.cell(2, column).value = dt.date(2028, 12, 31)
    sheet.cell(3, column).value = dt.datetime.fromisoformat("2028-12-31T18:30")
    book.save(tmp_path / "book.xlsx")
    standing, rejected = read(tmp_path / "book.xlsx")
    assert rejected == []
    ends = [row.content["valid_to"] for row in standing[SheetName.GRANTS]]
    assert ends == ["2028-12-31T23:00:00Z", "2028-12-31T18:30:00Z"]


def test_times_of_a_spreadsheet_are_places_in_footage(tmp_path: Path) -> None:
    book = write_workbook(tmp_path / "book.xlsx", catalogue_sheets())
    sheet = book["appearances"]
    header = [cell.value for cell in sheet[1]]
    sheet.cell(2, header.index("start") + 1).value = dt.time(0, 1, 23)
    sheet.cell(2, header.index("end") + 1).value = dt.timedelta(hours=26, seconds=2)
    book.save(tmp_path / "book.xlsx")
    standing, rejected = read(tmp_path / "book.xlsx")
    assert rejected == []
    scope = standing[SheetName.APPEARANCES][0].scope
    assert scope is not None
    assert (scope["start"], scope["end"]) == (83.0, 93602.0)


@pytest.mark.parametrize("value", ["=DATE(2028,12,31)", "#VALUE!", 1e9])
def test_formulas_errors_and_impossible_dates_reject_the_row(tmp_path: Path, value: Any) -> None:
    book = write_workbook(tmp_path / "book.xlsx", catalogue_sheets())
    sheet = book["grants"]
    cell = sheet.cell(2, [cell.value for cell in sheet[1]].index("valid_to") + 1)
    cell.value = value
    if isinstance(value, float):
        cell.number_format = "yyyy-mm-dd"
    book.save(tmp_path / "book.xlsx")
    _, rejected = read(tmp_path / "book.xlsx")
    assert reasons(rejected) == [("grants", 2, "rights.bad_row")]


def test_rows_that_merged_cells_touch_are_rejected(tmp_path: Path) -> None:
    sheets = catalogue_sheets()
    book = write_workbook(tmp_path / "book.xlsx", sheets)
    book["grants"].merge_cells("B2:B3")
    book.save(tmp_path / "book.xlsx")
    _, rejected = read(tmp_path / "book.xlsx")
    assert reasons(rejected) == [
        ("grants", 2, "catalogue.merged_cells"),
        ("grants", 3, "catalogue.merged_cells"),
    ]
    book["grants"].unmerge_cells("B2:B3")
    book["grants"].merge_cells("A1:B1")
    book.save(tmp_path / "book.xlsx")
    with pytest.raises(CatalogueError, match="header row has merged cells"):
        read(tmp_path / "book.xlsx")


def test_a_column_that_is_not_known_is_refused(tmp_path: Path) -> None:
    """Left out in silence it might be the one that says "not for training"."""
    sheets = catalogue_sheets()
    for row in sheets["grants"]:
        row["prohibited_use"] = "train-ai"
    with pytest.raises(CatalogueError, match="'prohibited_use' that is not known") as caught:
        read(write_folder(tmp_path / "cat", sheets))
    assert "did you mean prohibited_uses?" in (caught.value.hint or "")


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "releases.csv").write_text("ref,kind\nR,person\n", encoding="utf-8")
    with pytest.raises(CatalogueError, match="no column 'subject'"):
        read(tmp_path / "releases.csv")


def test_one_table_may_be_a_catalogue(tmp_path: Path) -> None:
    (tmp_path / "titles.csv").write_text("ref,name\nT,The sea\n", encoding="utf-8")
    assert contents(tmp_path / "titles.csv") == [
        (SheetName.TITLES, "T", {"name": "The sea", "parent_ref": ""}, None)
    ]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "none of its sheets is known"),
        ({"prices.csv": "a\n1\n"}, "none of its sheets is known"),
        ({"titles.csv": "ref,name\n", "Titles.jsonl": "{}\n"}, "is there twice"),
        ({"titles.csv": ""}, "is empty"),
        ({"titles.jsonl": ""}, "is empty"),
    ],
)
def test_a_folder_that_is_no_catalogue_is_refused(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(CatalogueError, match=message):
        read(tmp_path)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no zip", b"<xml/>"])
def test_a_file_that_is_no_workbook_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "book.xlsx").write_bytes(data)
    with pytest.raises((CatalogueError, RightsTableError)):
        read(tmp_path / "book.xlsx")


def test_a_table_of_which_no_row_can_be_read_says_why(tmp_path: Path) -> None:
    """It used to be called empty."""
    (tmp_path / "grants.jsonl").write_text("[[[[\n", encoding="utf-8")
    with pytest.raises(CatalogueError, match="row 1: the line is not JSON"):
        read(tmp_path)


def test_a_header_that_is_no_header_is_not_repeated_whole(tmp_path: Path) -> None:
    """A file of zeros used to be printed as its own column name, all of it."""
    (tmp_path / "grants.csv").write_bytes(bytes(50_000))
    with pytest.raises(CatalogueError, match="has no column 'ref'") as caught:
        read(tmp_path)
    assert len(caught.value.hint or "") < 2000


def _rewritten(path: Path, member: str, old: bytes, new: bytes) -> Path:
    """Replace `old` in one member of a zip file."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert old in parts[member]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data.replace(old, new) if name == member else data)
    return path


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'r="A2"', b'r="ZZZZ2"'), (b"</sheetData>", b"")],
    ids=["address", "cut"],
)
def test_a_workbook_that_breaks_off_at_a_row_is_refused(tmp_path: Path, old: bytes, new: bytes) -> None:
    """What openpyxl met after the workbook was opened used to end in a traceback."""
    book = tmp_path / "book.xlsx"
    write_workbook(book, catalogue_sheets())
    _rewritten(book, "xl/worksheets/sheet1.xml", old, new)
    with pytest.raises((CatalogueError, RightsTableError), match=r"book\.xlsx: .* cannot be read"):
        read(book)


@pytest.mark.parametrize("number", [1, 2])
def test_a_row_out_of_order_is_not_left_out(tmp_path: Path, number: int) -> None:
    """Of rows that stand in the file behind a later one nothing was read, and nothing said."""
    book = tmp_path / "book.xlsx"
    write_workbook(book, catalogue_sheets())
    _rewritten(book, "xl/worksheets/sheet5.xml", b'<row r="3"', b'<row r="%d"' % number)
    with pytest.raises(RightsTableError, match=rf"row {number} .* stands after row 2"):
        read(book)


def test_a_sheet_whose_part_is_missing_is_not_left_out(tmp_path: Path) -> None:
    """openpyxl left it out without a word, and its prohibitions were never seen."""
    path = tmp_path / "catalogue.xlsx"
    write_workbook(path, catalogue_sheets())
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            if name != "xl/worksheets/sheet2.xml":
                archive.writestr(name, data)
    with pytest.raises(CatalogueError, match="sheets"):
        read(path)


def test_a_chart_in_place_of_a_sheet_is_refused(tmp_path: Path) -> None:
    """It used to end in a traceback."""
    sheets = catalogue_sheets()
    del sheets["releases"]
    book = write_workbook(tmp_path / "book.xlsx", sheets)
    chart = openpyxl.chart.BarChart()
    book.create_chartsheet("releases").add_chart(chart)
    book.save(tmp_path / "book.xlsx")
    with pytest.raises(CatalogueError, match="is a chart"):
        read(tmp_path / "book.xlsx")


def test_what_was_not_read_is_said(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "cat", catalogue_sheets())
    (folder / "prices.csv").write_text("a\n1\n", encoding="utf-8")
    assert "prices.csv" in open_catalogue(folder, OUR_NAMES).notes[0]
    book = write_workbook(tmp_path / "book.xlsx", catalogue_sheets())
    book.create_sheet("Read me")
    book.save(tmp_path / "book.xlsx")
    assert "'Read me'" in open_catalogue(tmp_path / "book.xlsx", OUR_NAMES).notes[0]


def test_a_map_renames_sheets_and_columns_and_gives_constants(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(
        """
        [sheets]
        titles = "Werke"
        [columns.titles]
        ref = "Nr."
        name = "Titel"
        [constants.parties]
        kind = "organisation"
        """,
        encoding="utf-8",
    )
    folder = tmp_path / "cat"
    folder.mkdir()
    (folder / "Werke.csv").write_text("Nr.,Titel,Preis\n7,Das Meer,99\n", encoding="utf-8")
    (folder / "parties.csv").write_text("ref,name\nP,Meerfilm\n", encoding="utf-8")
    names = load_catalogue_map(tmp_path / "map.toml")
    assert [
        (sheet, ref, content.get("kind"), content["name"])
        for sheet, ref, content, _ in contents(folder, names)
    ] == [
        (SheetName.PARTIES, "P", "organisation", "Meerfilm"),
        (SheetName.TITLES, "7", None, "Das Meer"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sheet]\ngrants = 'x'", "section 'sheet' is not known"),
        ("[sheets]\ngrant = 'x'", "'grant' is not known"),
        ("[columns.grants]\nvalid_until = 'x'", "'valid_until' is not known"),
        ("[columns]\ngrants = 'x'", "must be a table"),
        ("[sheets]\ngrants = 'titles'", "would be read from 'titles'"),
        ("[columns.titles]\nref = 'a'\n[constants.titles]\nref = 'b'", "both in"),
        ("[sheets\n", "not TOML"),
    ],
)
def test_a_map_that_is_not_understood_is_refused(tmp_path: Path, text: str, message: str) -> None:
    from db.errors import ConfigError

    (tmp_path / "map.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_catalogue_map(tmp_path / "map.toml")
