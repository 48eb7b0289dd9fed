"""Finding merged cells in the XML of a sheet, a piece at a time."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from ingest.catalogue import merged
from ingest.catalogue.merged import check_order, check_size, is_merged, merged_rows
from ingest.errors import RightsTableError


def write_sheet(path: Path, *blocks: str) -> Path:
    cells = "".join(f'<x:mergeCell ref="{block}"/>' for block in blocks)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sheet.xml", f"<x:sheetData>{'<c/>' * 99}</x:sheetData>{cells}")
    return path


@pytest.mark.parametrize("piece", [1, 7, 64, 1 << 20])
def test_blocks_are_found_across_pieces(tmp_path: Path, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merged, "_PIECE", piece)
    path = write_sheet(tmp_path / "book.xlsx", "A9:B9", "A3:C5", "B5:B7", "AA8:AB8")
    assert merged_rows(path, "sheet.xml") == (range(3, 8), range(8, 9), range(9, 10))


def test_rows_are_inside_or_outside() -> None:
    blocks = (range(3, 8), range(9, 10))
    assert [n for n in range(1, 12) if is_merged(blocks, n)] == [3, 4, 5, 6, 7, 9]
    assert not is_merged((), 1)


def test_a_drawing_is_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merged, "_MAX_BLOCKS", 2)
    path = write_sheet(tmp_path / "book.xlsx", "A1:B1", "A2:B2", "A3:B3")
    with pytest.raises(RightsTableError, match="more than 2 merged blocks"):
        merged_rows(path, "sheet.xml")


def test_texts_that_do_not_fit_into_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merged, "_MAX_SHARED_BYTES", 10)
    with zipfile.ZipFile(tmp_path / "book.xlsx", "w") as archive:
        archive.writestr("xl/sharedStrings.xml", "x" * 11)
    with pytest.raises(RightsTableError, match="take 11 bytes"):
        check_size(tmp_path / "book.xlsx")


def write_rows(path: Path, *numbers: int) -> Path:
    rows = "".join(f'<x:row spans="1:9" r="{number}" ht="7"><x:c r="A1"/></x:row>' for number in numbers)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sheet.xml", f"<x:sheetData>{rows}<x:row/></x:sheetData>")
    return path


@pytest.mark.parametrize("piece", [1, 7, 64, 1 << 20])
def test_rows_in_order_are_each_seen_once(
    tmp_path: Path, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merged, "_PIECE", piece)
    check_order(write_rows(tmp_path / "book.xlsx", *range(1, 40), 1_048_576), "sheet.xml")
    for numbers in ((1, 2, 2), (1, 9, 3)):
        with pytest.raises(RightsTableError, match="stands after row"):
            check_order(write_rows(tmp_path / "book.xlsx", *numbers), "sheet.xml")


def test_a_sheet_of_tags_without_end_is_searched_in_no_time(tmp_path: Path) -> None:
    """Every such tag was followed to the end of the piece, which took minutes for a megabyte of them."""
    with zipfile.ZipFile(tmp_path / "book.xlsx", "w") as archive:
        archive.writestr("sheet.xml", "<mergeCell " * 90_000 + "<row " * 90_000)
    assert merged_rows(tmp_path / "book.xlsx", "sheet.xml") == ()
    check_order(tmp_path / "book.xlsx", "sheet.xml")
