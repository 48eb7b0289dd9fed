"""Rights tables: which footage was licensed, by whom, on what terms.

`read_rights` gives the checked rows of a table, `match_rows` (in `ingest.rights.matching`) the files that they
speak of. A row that is not fully understood is rejected with its number and the reason; the other rows stand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import RightsTableError
from ingest.rights.column_map import ColumnMap, load_column_map
from ingest.rights.matching import RowMatches, match_rows
from ingest.rights.readers import RawTable, open_table
from ingest.rights.rows import COLUMNS, REQUIRED_COLUMNS, EvidenceFolder, RejectedRow, RightsRow, check_row

__all__ = [
    "ColumnMap", "RejectedRow", "RightsRow", "RightsTable", "RowMatches", "iter_rights", "load_column_map",
    "match_rows", "read_rights",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RightsTable:
    """A rights table that was read to its end."""

    path: Path
    rows: tuple[RightsRow, ...]
    rejected: tuple[RejectedRow, ...]
    table_sha256: str
    """Digest of the file's bytes."""
    warnings: tuple[str, ...]
    """Columns that were not read, sheets that were not read."""

    @property
    def base(self) -> Path:
        """The folder that paths in the table are relative to."""
        return self.path.parent


def read_rights(path: Path, column_map: ColumnMap | None = None) -> RightsTable:
    """Read and check the whole table at `path`; without a map its columns carry our names.

    Raises `RightsTableError` if the file is not a usable table or changed while it was read.
    """
    table_sha256 = _file_sha256(path)
    columns = column_map or ColumnMap()
    raw = open_table(path, _needed(columns))
    rows: list[RightsRow] = []
    rejected: list[RejectedRow] = []
    for row in _checked_rows(raw, columns):
        if isinstance(row, RightsRow):
            rows.append(row)
        else:
            rejected.append(row)
    if _file_sha256(path) != table_sha256:
        raise RightsTableError(
            f"{path}: the rights table changed while it was read", hint="run the command again"
        )
    warnings = (*raw.notes, *_unread_columns(raw, columns))
    return RightsTable(
        path=path, rows=tuple(rows), rejected=tuple(rejected), table_sha256=table_sha256, warnings=warnings
    )


def iter_rights(path: Path, column_map: ColumnMap | None = None) -> Iterator[RightsRow | RejectedRow]:
    """Yield the rows of a table one by one, for tables too long for memory; raises like `read_rights`."""
    columns = column_map or ColumnMap()
    return _checked_rows(open_table(path, _needed(columns)), columns)


def _checked_rows(raw: RawTable, columns: ColumnMap) -> Iterator[RightsRow | RejectedRow]:
    evidence = EvidenceFolder(raw.path.parent)
    for row in raw.rows:
        if isinstance(row, RejectedRow):
            yield row
        else:
            yield check_row(row.number, columns.renamed(row.cells), evidence)


def _needed(columns: ColumnMap) -> list[str]:
    """Return the table's names of the columns that it must have: the required ones, or all that a map names."""
    for name in REQUIRED_COLUMNS:
        if name not in columns.columns and name not in columns.constants:
            raise RightsTableError(f"{columns.source}: the column map names no column for {name!r}")
    if columns.source:
        return list(columns.columns.values())
    return list(REQUIRED_COLUMNS)


def _unread_columns(raw: RawTable, columns: ColumnMap) -> Iterator[str]:
    if columns.source:
        return
    for name in raw.columns:
        if name not in COLUMNS:
            yield f"{raw.path}: column {name!r} is not known and was not read"


def _file_sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise RightsTableError(f"{path}: the rights table cannot be read: {exc.strerror or exc}") from exc
