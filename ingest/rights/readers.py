"""Reading rights tables cell by cell: CSV, JSON Lines, Parquet, XLSX.

Each format is read by its own reader instead of a data frame, because the difference between an empty cell
and a missing one decides lawsuits: a row that was cut off has lost its end date and must not become a grant
for ever; a formula that was never calculated is not an empty cell; a date cell is not midnight. All of these
are rejected or kept apart here. Rows are read one at a time, so that memory does not grow with the table.
"""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import decimal
import difflib
import json
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.errors import RightsTableError
from ingest.rights.rows import RejectedRow

_BAD_ROW = "rights.bad_row"
_FIRST_ROW = 2
"""Row 1 is the header."""


@dataclass(frozen=True, slots=True)
class RawRow:
    """The cells of a row as text, by the table's own column names."""

    number: int
    cells: dict[str, str]


@dataclass(kw_only=True)
class RawTable:
    """A table being read. `columns` is complete at once, but grows while a JSON Lines file is read."""

    path: Path
    columns: dict[str, None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What a reader of the result should know, such as sheets that were not read."""
    rows: Iterator[RawRow | RejectedRow] = field(default_factory=lambda: iter(()))


def open_table(path: Path, needed: Sequence[str]) -> RawTable:
    """Open the table at `path`; its format is told by its suffix. `needed` are columns that it must have.

    Raises `RightsTableError`, at once or while `rows` is consumed, if the file cannot be read as such a
    table, has no rows, or lacks a needed column.
    """
    table = raw_table(path)
    table.rows = _checked(table, table.rows, needed)
    return table


def raw_table(path: Path) -> RawTable:
    """Open the table at `path` as it is: it may lack rows and columns.

    Raises `RightsTableError`, at once or while `rows` is consumed, if the file cannot be read as such a table.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(sorted(_READERS))
        raise RightsTableError(
            f"{path}: rights tables are told by their suffix", hint=f"known suffixes: {known}"
        )
    if not path.is_file():
        raise RightsTableError(f"{path}: there is no such rights table")
    table = RawTable(path=path)
    table.rows = reader(table)
    return table


def raw_sheet(path: Path, sheet: Any) -> RawTable:
    """Read one sheet of a workbook that openpyxl opened for reading only; like `raw_table` otherwise."""
    table = RawTable(path=path)
    table.rows = _sheet_rows(table, sheet)
    return table


@contextmanager
def open_workbook(path: Path) -> Iterator[Any]:
    """Lend the workbook at `path`, formulas uncalculated; what goes wrong while its sheets are read counts as well.

    Raises `RightsTableError`.
    """
    import warnings
    import zipfile
    from xml.etree.ElementTree import ParseError

    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with warnings.catch_warnings():
            # About styles and validations that are of no matter here; a date out of range becomes an error cell.
            warnings.simplefilter("ignore", UserWarning)
            book = openpyxl.load_workbook(path, read_only=True, data_only=False)
            try:
                yield book
            finally:
                book.close()
    except (OSError, *_BROKEN_BOOK, ParseError, zipfile.BadZipFile, InvalidFileException) as exc:
        raise _unreadable(path, exc) from exc


def _checked(
    table: RawTable, rows: Iterator[RawRow | RejectedRow], needed: Sequence[str]
) -> Iterator[RawRow | RejectedRow]:
    """Pass on `rows`, refusing a table without rows or without a needed column."""
    is_empty = True
    is_growing = table.path.suffix.lower() in _JSON_SUFFIXES
    for row in rows:
        if is_empty and not is_growing:
            _check_columns(table, needed)
        is_empty = False
        yield row
    if is_empty:
        if table.columns:
            _check_columns(table, needed)
        raise RightsTableError(f"{table.path}: the rights table has no rows")
    _check_columns(table, needed)


def _check_columns(table: RawTable, needed: Sequence[str]) -> None:
    for name in needed:
        if name in table.columns:
            continue
        near = difflib.get_close_matches(name, table.columns, n=1)
        found = ", ".join(table.columns) or "none"
        hint = f"its columns are: {found}; a --map file gives them our names"
        if len(table.columns) == 1 and any(mark in found for mark in ";\t"):
            hint = "separate the columns by commas"
        elif near:
            hint = f"did you mean its column {near[0]}? {hint}"
        raise RightsTableError(f"{table.path}: the rights table has no column {name!r}", hint=hint)


def _add_header(table: RawTable, names: Sequence[str]) -> list[str]:
    header = [name.strip() for name in names]
    for name in header:
        if name and name in table.columns:
            raise RightsTableError(f"{table.path}: two columns are called {name!r}")
        table.columns[name] = None
    table.columns.pop("", None)
    return header


def _csv_rows(table: RawTable) -> Iterator[RawRow | RejectedRow]:
    """Read CSV (RFC 4180) in UTF-8 with or without a mark, or in UTF-16 with one."""
    try:
        with table.path.open(encoding=_encoding(table.path), newline="") as file:
            reader = csv.reader(file, strict=True)
            header = _add_header(table, next(reader, []))
            for number, values in enumerate(reader, start=_FIRST_ROW):
                if any(value.strip() for value in values):
                    yield _csv_row(number, header, values)
    except csv.Error as exc:
        reason = f"{table.path}: line {reader.line_num}: {exc}"
        raise RightsTableError(reason, hint="after a wrong quotation mark no row can be trusted") from exc
    except (OSError, UnicodeError) as exc:
        raise _unreadable(table.path, exc) from exc


def _csv_row(number: int, header: Sequence[str], values: Sequence[str]) -> RawRow | RejectedRow:
    if len(values) != len(header):
        reason = f"the row has {len(values)} cells, the header has {len(header)}"
        hint = "quote cells that contain commas; a row that was cut off may have lost its end date"
        return RejectedRow(number, _BAD_ROW, reason, hint)
    return RawRow(number, {name: value for name, value in zip(header, values, strict=True) if name})


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(2)
    return "utf-16" if start in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE} else "utf-8-sig"


def _unreadable(path: Path, error: Exception) -> RightsTableError:
    if isinstance(error, UnicodeError):
        return RightsTableError(
            f"{path}: the rights table is not UTF-8 text: {error}", hint="save it as CSV UTF-8"
        )
    return RightsTableError(f"{path}: the rights table cannot be read: {error}")


def _json_rows(table: RawTable) -> Iterator[RawRow | RejectedRow]:
    """Read JSON Lines: one object a line, lists allowed where several values are."""
    try:
        with table.path.open(encoding=_encoding(table.path)) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _json_row(table, number, line)
    except (OSError, UnicodeError) as exc:
        raise _unreadable(table.path, exc) from exc


def _json_row(table: RawTable, number: int, line: str) -> RawRow | RejectedRow:
    try:
        pairs = json.loads(line, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as exc:
        return RejectedRow(
            number, _BAD_ROW, f"the line is not JSON: {exc}", "write one JSON object on each line"
        )
    if not isinstance(pairs, _Pairs):
        return RejectedRow(
            number, _BAD_ROW, "the line is not a JSON object", "write one JSON object on each line"
        )
    names = [name.strip() for name, _ in pairs]
    if len(set(names)) < len(names):
        return RejectedRow(number, _BAD_ROW, "the line names a column twice", "keep one of the two values")
    table.columns.update(dict.fromkeys(names))
    return _row_of_values(number, names, [value for _, value in pairs])


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs, so that repeated names can be seen."""


def _parquet_rows(table: RawTable) -> Iterator[RawRow | RejectedRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(table.path) as file:
            header = _add_header(table, file.schema_arrow.names)
            number = 0
            for batch in file.iter_batches(batch_size=4096):
                for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    number += 1
                    yield _row_of_values(number, header, values)
    except (OSError, pa.ArrowException) as exc:
        raise _unreadable(table.path, exc) from exc


def _xlsx_rows(table: RawTable) -> Iterator[RawRow | RejectedRow]:
    """Read the first sheet. Formulas are not calculated, so a row that contains one is rejected."""
    with open_workbook(table.path) as book:
        sheet = book.worksheets[0]
        if len(book.worksheets) > 1:
            table.notes.append(f"{table.path}: only the first sheet, {sheet.title!r}, was read")
        yield from _sheet_rows(table, sheet)


def _sheet_rows(table: RawTable, sheet: Any) -> Iterator[RawRow | RejectedRow]:
    sheet.reset_dimensions()  # The extent written into the file may be wrong and would cut rows off.
    rows = sheet.iter_rows()
    header = _add_header(table, [_text(cell.value) for cell in next(rows, ())])
    for number, cells in enumerate(rows, start=_FIRST_ROW):
        if any(cell.value is not None for cell in cells):
            yield _sheet_row(number, header, cells)


def _sheet_row(number: int, header: Sequence[str], cells: Sequence[Any]) -> RawRow | RejectedRow:
    if any(cell.data_type in {"f", "e"} for cell in cells):
        hint = "paste the values instead (Paste Special, Values)"
        return RejectedRow(number, _BAD_ROW, "a cell of the row is a formula or an error", hint)
    if any(cell.value is not None for cell in cells[len(header) :]):
        return RejectedRow(
            number, _BAD_ROW, "a cell of the row has no column name", "name the column in row 1"
        )
    values = [_sheet_value(cell) for cell in cells[: len(header)]]
    return _row_of_values(number, header, values + [None] * (len(header) - len(values)))


def _sheet_value(cell: Any) -> Any:
    """Tell a date from a date-time by the number format: both are stored as a time."""
    from openpyxl.styles.numbers import is_datetime

    value = cell.value
    if (
        isinstance(value, dt.datetime)
        and value.time() == dt.time()
        and is_datetime(cell.number_format) == "date"
    ):
        return value.date()
    return value


def _row_of_values(number: int, header: Sequence[str], values: Sequence[Any]) -> RawRow | RejectedRow:
    cells = {}
    for name, value in zip(header, values, strict=True):
        try:
            cells[name] = _text(value)
        except TypeError as exc:
            return RejectedRow(
                number, _BAD_ROW, f"column {name!r}: {exc}", "write text, numbers, or lists of text"
            )
    cells.pop("", None)
    if not any(text.strip() for text in cells.values()):
        return RejectedRow(number, _BAD_ROW, "the row is empty", "delete the row")
    return RawRow(number, cells)


def _text(value: Any) -> str:
    """Return a cell as text. Raises `TypeError` for what has no single plain reading."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return _text(value.total_seconds())
    if isinstance(value, int | decimal.Decimal) or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    if (
        isinstance(value, list)
        and not isinstance(value, _Pairs)
        and all(isinstance(item, str) for item in value)
    ):
        return ";".join(value)
    raise TypeError(f"a value of type {type(value).__name__} cannot be read as text")


_BROKEN_BOOK = (ValueError, TypeError, AttributeError, LookupError, zlib.error)
"""What openpyxl raises for workbooks that no spreadsheet program would write."""

_JSON_SUFFIXES = frozenset({".jsonl", ".ndjson"})
_READERS: dict[str, Callable[[RawTable], Iterator[RawRow | RejectedRow]]] = {
    ".csv": _csv_rows,
    ".jsonl": _json_rows,
    ".ndjson": _json_rows,
    ".parquet": _parquet_rows,
    ".xlsx": _xlsx_rows,
}
