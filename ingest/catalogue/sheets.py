"""Opening a catalogue: a workbook with sheets, a folder with a table for each sheet, or one such table.

What is not understood is not left out in silence: a column that nobody named may be the one that says "not for
training". So unknown columns are refused unless a map says which ones are read.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.canonical import digest_of
from ingest.catalogue.catalogue_map import CatalogueMap
from ingest.catalogue.errors import CatalogueError
from ingest.catalogue.layout import LAYOUTS, SheetName
from ingest.catalogue.merged import check_order, check_size, is_merged, merged_rows
from ingest.catalogue.workbook import readable, workbook
from ingest.rights.readers import RawRow, RawTable, raw_sheet, raw_table
from ingest.rights.rows import RejectedRow

TABLE_SUFFIXES = (".csv", ".jsonl", ".ndjson", ".parquet")
WORKBOOK_SUFFIX = ".xlsx"
_JSON_SUFFIXES = (".jsonl", ".ndjson")
_MAX_LISTED = 1000
"""Characters of a header that a message repeats."""

SheetRows = Iterator[RawRow | RejectedRow]


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """A catalogue that is there: which of its sheets lie where."""

    path: Path
    files: dict[SheetName, Path]
    """The file of each sheet; of a workbook the workbook itself."""
    names: CatalogueMap
    notes: tuple[str, ...]
    """What was not read."""

    @property
    def folder(self) -> Path:
        """The folder that files and documents are relative to."""
        return self.path if self.path.is_dir() else self.path.parent

    def digest(self) -> str:
        """Return the SHA-256 digest of its bytes: of the one file, or of the list of files with theirs."""
        if self.path.is_file():
            return _file_sha256(self.path)
        return digest_of({file.name: _file_sha256(file) for file in self.files.values()})

    def sheets(self) -> Iterator[tuple[SheetName, str, SheetRows]]:
        """Yield each sheet with its own name and its rows under our column names, in the order of `SheetName`.

        The rows of a sheet must be consumed before the next one is asked for.

        Raises `CatalogueError` or `RightsTableError` for what cannot be used as a whole.
        """
        if self.path.suffix.lower() == WORKBOOK_SUFFIX:
            yield from self._workbook_sheets()
            return
        for name, file in self.files.items():
            table = raw_table(file)
            yield name, file.name if self.path.is_dir() else "", self._rows(name, table)

    def _workbook_sheets(self) -> Iterator[tuple[SheetName, str, SheetRows]]:
        with workbook(self.path) as book:
            titles = {title.strip().casefold(): title for title in book.sheetnames}
            for name in self.files:
                title = titles[self.names.sheets[name].casefold()]
                sheet = book[title]
                if not hasattr(sheet, "iter_rows"):
                    raise CatalogueError(
                        f"{self.path}: sheet {title!r} is a chart",
                        hint="rename it, or put the table in its place",
                    )
                yield name, title, self._unmerged(sheet, self._rows(name, self._table(sheet)))

    def _table(self, sheet: Any) -> RawTable:
        """Return the table in a sheet; rows are read long after the workbook was opened, and may be broken."""
        table = raw_sheet(self.path, sheet)
        rows = table.rows

        def whole() -> SheetRows:
            with readable(self.path):
                yield from rows

        table.rows = whole()
        return table

    def _unmerged(self, sheet: Any, rows: SheetRows) -> SheetRows:
        """Reject the rows that merged cells touch, and a sheet whose rows would not all be read."""
        check_order(self.path, sheet._worksheet_path)
        blocks = merged_rows(self.path, sheet._worksheet_path)
        if is_merged(blocks, 1):
            raise CatalogueError(
                f"{self.path}: sheet {sheet.title!r}: the header row has merged cells",
                hint="row 1 must be the column names, one a cell",
            )
        for row in rows:
            number = row.number if isinstance(row, RawRow) else row.row_number
            if is_merged(blocks, number):
                reason = "the row touches merged cells, whose value is written in one of them only"
                yield RejectedRow(
                    number, "catalogue.merged_cells", reason, "unmerge them and repeat the value"
                )
            else:
                yield row

    def _rows(self, name: SheetName, table: RawTable) -> SheetRows:
        """Pass on the rows under our names, refusing a sheet without header or with columns that do not fit."""
        columns = self.names.of(name)
        is_growing = table.path.suffix.lower() in _JSON_SUFFIXES
        is_checked = False
        broken: RejectedRow | None = None
        for row in table.rows:
            if not is_checked and not is_growing:
                self._check_columns(name, table)
                is_checked = True
            if isinstance(row, RejectedRow):
                broken = broken or row
                yield row
            else:
                yield RawRow(row.number, columns.renamed(row.cells))
        if broken is not None and not table.columns:
            reason = f"row {broken.row_number}: {broken.reason}"
            raise CatalogueError(f"{table.path}: no row of it can be read; {reason}", hint=broken.hint)
        self._check_columns(name, table)

    def _check_columns(self, name: SheetName, table: RawTable) -> None:
        where = f"{table.path}: sheet {self.names.sheets[name]!r}"
        if not table.columns:
            raise CatalogueError(
                f"{where} is empty", hint="a sheet has a header row; with nothing else it states nothing"
            )
        layout, columns = LAYOUTS[name], self.names.of(name)
        required = [column for column in layout.required if column not in columns.constants]
        needed = list(columns.columns.values()) if columns.lists_columns else required
        for column in needed:
            if column not in table.columns:
                raise CatalogueError(f"{where} has no column {column!r}", hint=_columns_hint(column, table))
        if columns.lists_columns:
            return
        for column in table.columns:
            if column not in columns.columns:
                near = difflib.get_close_matches(column, layout.columns, n=1)
                known = f"did you mean {near[0]}? " if near else ""
                raise CatalogueError(
                    f"{where} has a column {column[:_MAX_LISTED]!r} that is not known",
                    hint=f"{known}name the columns to read in a --map file, [columns.{name}]",
                )


def _columns_hint(column: str, table: RawTable) -> str:
    found = ", ".join(table.columns)
    if len(found) > _MAX_LISTED:
        found = f"{found[:_MAX_LISTED]} ..."
    near = [
        name for name in difflib.get_close_matches(column, table.columns, n=1) if len(name) <= _MAX_LISTED
    ]
    guess = f"did you mean its column {near[0]}? " if near else ""
    return f"{guess}its columns are: {found}; a --map file gives them our names"


def open_catalogue(path: Path, names: CatalogueMap) -> Catalogue:
    """Find the sheets of the catalogue at `path`: a workbook, a folder, or the table of one sheet.

    Raises `CatalogueError` if it has none of our sheets, or one twice.
    """
    if path.is_dir():
        files, notes = _in_folder(path, names)
    elif not path.is_file():
        raise CatalogueError(f"{path}: there is no such catalogue", hint="name a workbook or a folder")
    elif path.suffix.lower() == WORKBOOK_SUFFIX:
        files, notes = _in_workbook(path, names)
    else:
        files, notes = _as_one_sheet(path, names), ()
    if not files:
        listed = ", ".join(names.sheets.values())
        raise CatalogueError(
            f"{path}: none of its sheets is known",
            hint=f"sheets are called {listed}; a --map file gives yours our names",
        )
    ordered = {name: files[name] for name in SheetName if name in files}
    return Catalogue(path=path, files=ordered, names=names, notes=tuple(notes))


def _in_folder(path: Path, names: CatalogueMap) -> tuple[dict[SheetName, Path], tuple[str, ...]]:
    ours = {theirs.casefold(): name for name, theirs in names.sheets.items()}
    files: dict[SheetName, Path] = {}
    notes = []
    for file in sorted(path.iterdir()):
        if file.suffix.lower() not in TABLE_SUFFIXES or file.name.startswith("."):
            continue
        name = ours.get(file.stem.casefold()) or ours.get(file.name.casefold())
        if name is None:
            notes.append(f"{file}: is named after no sheet and was not read")
        elif name in files:
            raise CatalogueError(f"{path}: the sheet {name} is there twice: {files[name].name}, {file.name}")
        else:
            files[name] = file
    return files, tuple(notes)


def _in_workbook(path: Path, names: CatalogueMap) -> tuple[dict[SheetName, Path], tuple[str, ...]]:
    check_size(path)
    ours = {theirs.casefold(): name for name, theirs in names.sheets.items()}
    with workbook(path) as book:
        titles = list(book.sheetnames)
    found = [ours.get(title.strip().casefold()) for title in titles]
    for name in SheetName:
        if found.count(name) > 1:
            raise CatalogueError(f"{path}: the sheet {names.sheets[name]!r} is there twice")
    notes = (
        f"{path}: the sheet {title!r} is not known and was not read"
        for title, name in zip(titles, found, strict=True)
        if name is None
    )
    return {name: path for name in found if name is not None}, tuple(notes)


def _as_one_sheet(path: Path, names: CatalogueMap) -> dict[SheetName, Path]:
    ours = {theirs.casefold(): name for name, theirs in names.sheets.items()}
    name = ours.get(path.stem.casefold()) or ours.get(path.name.casefold())
    if name is None or path.suffix.lower() not in TABLE_SUFFIXES:
        return {}
    return {name: path}


def _file_sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise CatalogueError(f"{path}: the catalogue cannot be read: {exc.strerror or exc}") from exc
