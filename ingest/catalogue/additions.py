"""A single statement from the command line, checked like a row of a catalogue."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from db.canonical import digest_of
from ingest.catalogue.errors import CatalogueError
from ingest.catalogue.layout import LAYOUTS, SheetName
from ingest.catalogue.loading import ImportReport, load_catalogue
from ingest.catalogue.restricting import is_restricting
from ingest.catalogue.rows import check_row
from ingest.catalogue.stage import NewRow, open_stage
from ingest.rights.readers import RawRow
from ingest.rights.rows import EvidenceFolder, RejectedRow

if TYPE_CHECKING:
    from db.project import Project

COMMAND_LINE = "command line"
"""What stands where a catalogue has its path."""


def add_statement(
    project: Project, sheet: SheetName, cells: Mapping[str, str], *, folder: Path
) -> ImportReport:
    """Record one row of `sheet`; files and documents are relative to `folder`.

    Raises `CatalogueError` with the reason if it is rejected; nothing is recorded then.
    """
    _check_columns(sheet, cells)
    checked = check_row(sheet, RawRow(1, dict(cells)), EvidenceFolder(folder))
    if isinstance(checked, RejectedRow):
        raise CatalogueError(f"{checked.reason} ({checked.code})", hint=checked.hint)
    new = NewRow(ref=checked.ref, row=checked, is_restricting=is_restricting(sheet, cells))
    digest = digest_of({"sheet": sheet.value, "cells": dict(cells)})
    for is_dry_run in (True, False):
        with open_stage() as stage:
            for _ in stage.add(sheet, [new]):
                pass
            report = load_catalogue(
                project,
                stage,
                table_path=COMMAND_LINE,
                table_sha256=digest,
                sheets=[sheet],
                base=folder,
                is_dry_run=is_dry_run,
                is_whole=False,
            )
            for rejection in stage.rejected():
                raise CatalogueError(
                    f"{rejection.row.reason} ({rejection.row.code})", hint=rejection.row.hint
                )
    return report


def _check_columns(sheet: SheetName, cells: Mapping[str, str]) -> None:
    columns = LAYOUTS[sheet].columns
    for name in cells:
        if name not in columns:
            near = difflib.get_close_matches(name, columns, n=1)
            hint = f"did you mean {near[0]}?" if near else "known: " + ", ".join(columns)
            raise CatalogueError(f"{sheet} have no column {name!r}", hint=hint)
