"""Workbooks as openpyxl reads them, and whatever it stumbles over as an error of ours.

What is wrong with a workbook shows anywhere: when it is opened, and at any row of any sheet. Those who made openpyxl
did not foresee it all, so that a broken file surfaces as whichever built-in error it happens to run into.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ingest.catalogue.errors import CatalogueError
from ingest.rights.readers import open_workbook

_LIST_OF_SHEETS = "xl/workbook.xml"
_MAX_LIST_BYTES = 1_000_000
_SHEET = re.compile(rb"<(?:\w+:)?sheet\s")
_HINT = "open it in a spreadsheet program and save it again as XLSX, or save its sheets as CSV"


@contextmanager
def workbook(path: Path) -> Iterator[Any]:
    """Lend the workbook at `path`, as `ingest.rights.readers.open_workbook` does.

    Raises `CatalogueError` or `RightsTableError` if it cannot be opened.
    """
    with readable(path), open_workbook(path) as book:
        _check_no_sheet_is_lost(path, book)
        yield book


def _check_no_sheet_is_lost(path: Path, book: Any) -> None:
    """openpyxl leaves out a sheet whose part is missing, and says nothing: its grants would be withdrawn, or unseen."""
    from zipfile import ZipFile

    with ZipFile(path) as package, package.open(_LIST_OF_SHEETS) as part:
        num_listed = len(_SHEET.findall(part.read(_MAX_LIST_BYTES)))
    if num_listed != len(book.sheetnames):
        raise CatalogueError(
            f"{path}: the workbook lists {num_listed} sheets, and {len(book.sheetnames)} can be read",
            hint=_HINT,
        )


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise `CatalogueError` for whatever openpyxl raises meanwhile about the workbook at `path`."""
    from xml.etree.ElementTree import ParseError
    from zipfile import BadZipFile

    faults = (
        OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, EOFError,
        zlib.error, ParseError, BadZipFile,
    )  # fmt: skip
    try:
        yield
    except faults as exc:
        raise CatalogueError(f"{path}: the workbook cannot be read: {exc}", hint=_HINT) from exc
