"""Catalogues and projects for tests: small, valid, and changed where a test says so."""

from __future__ import annotations

import atexit
import csv
import functools
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from db import evidence
from db.database import migrate
from db.project import Project, Settings
from ingest.catalogue.catalogue_map import OUR_NAMES, CatalogueMap
from ingest.catalogue.loading import ImportReport, load_catalogue, read_catalogue
from ingest.catalogue.sheets import open_catalogue
from ingest.catalogue.stage import SheetRejection, open_stage
from tests.db.records_maker import asset_columns

Row = Mapping[str, Any]
Sheets = dict[str, list[dict[str, Any]]]


def make_project(root: Path, database_url: str) -> Project:
    """A migrated, empty project."""
    root.mkdir(parents=True, exist_ok=True)
    path = make_url(database_url).database
    if database_url.startswith("sqlite") and path is not None:
        shutil.copy(_migrated(), path)
    else:
        migrate(database_url)
    return Project(root=root, settings=Settings(database_url=database_url))


def close(project: Project) -> None:
    """Close its connections to the database, which a server keeps open."""
    for engine in project._engines.values():
        engine.dispose()


@functools.cache
def _migrated() -> Path:
    """A migrated SQLite database to copy: migrating takes longer than most tests here."""
    folder = Path(tempfile.mkdtemp(prefix="cleartitle-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    migrate(f"sqlite:///{folder / 'empty.db'}")
    return folder / "empty.db"


def file_away(project: Project, *paths: Path) -> None:
    """Put assets on record at these paths, each with bytes of its own."""
    with project.session() as session:
        for path in paths:
            asset_id = evidence.add_asset(session, columns=asset_columns(str(path)), clips=[])
            evidence.add_path(session, asset_id, str(path))


def catalogue_sheets() -> Sheets:
    """One licensor, one agreement, one film and a trailer, two grants, a release and an appearance."""
    return {
        "parties": [
            {"ref": "P-sea", "kind": "organisation", "name": "Sea Films", "verified_at": "2026-01-31"},
            {"ref": "P-ann", "kind": "person", "name": "Ann Example", "is_minor": "no"},
        ],
        "agreements": [
            {"ref": "A-1", "kind": "licence", "licensor": "P-sea", "executed_at": "2026-02-01"},
        ],
        "titles": [
            {"ref": "T-sea", "name": "The sea", "parent": ""},
            {"ref": "T-sea-trailer", "name": "The sea, trailer", "parent": "T-sea"},
        ],
        "assets": [
            {"ref": "F-1", "path": "sea.mp4", "title": "T-sea", "acquisition": "licensed direct"},
        ],
        "grants": [
            {
                "ref": "G-1", "agreement": "A-1", "title": "T-sea",
                "permitted_uses": "cawg.ai_generative_training", "territories": "WORLD",
                "valid_from": "2026-02-01", "valid_to": "2028-12-31", "time_zone": "Europe/Berlin",
            },
            {
                "ref": "G-2", "agreement": "A-1", "asset": "F-1", "permitted_uses": "search",
                "territories": "DE; FR", "valid_from": "2026-02-01", "valid_to": "", "time_zone": "",
            },
        ],
        "releases": [
            {"ref": "R-1", "kind": "person", "subject": "P-ann", "title": "T-sea", "covers_training": "yes"},
        ],
        "appearances": [
            {"ref": "X-1", "layer": "persons", "presence": "present", "subject": "P-ann", "asset": "F-1",
             "start": "00:00:01.500", "end": "4"},
        ],
    }  # fmt: skip


def write_folder(folder: Path, sheets: Mapping[str, Sequence[Row]]) -> Path:
    """Write a CSV file for each sheet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in sheets.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)) or ["ref"])
            writer.writeheader()
            writer.writerows(rows)
    return folder


def write_workbook(path: Path, sheets: Mapping[str, Sequence[Row]]) -> Any:
    """Write an XLSX file and return its workbook, to be changed and saved again."""
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        columns = list(dict.fromkeys(key for row in rows for key in row))
        sheet.append(columns)
        for row in rows:
            sheet.append([row.get(column) for column in columns])
    book.save(path)
    return book


def load(
    project: Project,
    path: Path,
    *,
    names: CatalogueMap = OUR_NAMES,
    base: Path | None = None,
    replaces: Sequence[Path] = (),
    is_dry_run: bool = False,
) -> tuple[ImportReport, list[SheetRejection]]:
    """Import the catalogue at `path`; return the report and the rejected rows."""
    catalogue = open_catalogue(path, names)
    with open_stage() as stage:
        digest = read_catalogue(catalogue, stage, on_rows=lambda _num_rows: None)
        report = load_catalogue(
            project,
            stage,
            table_path=str(path),
            table_sha256=digest,
            sheets=list(catalogue.files),
            base=base or catalogue.folder,
            replaces=[str(other) for other in replaces],
            is_dry_run=is_dry_run,
        )
        return report, list(stage.rejected())


def reasons(rejected: Sequence[SheetRejection]) -> list[tuple[str, int, str]]:
    """Sheet, row number and code of rejected rows."""
    return [(item.sheet.value, item.row.row_number, item.row.code) for item in rejected]


def counts(report: ImportReport) -> dict[str, tuple[int, int, int, int]]:
    """New, corrected, same and withdrawn by sheet, where any is not 0."""
    found = {
        sheet.sheet.value: (
            sheet.recorded.num_new,
            sheet.recorded.num_changed,
            sheet.recorded.num_same,
            sheet.num_withdrawn,
        )
        for sheet in report.sheets
    }
    return {name: numbers for name, numbers in found.items() if any(numbers)}
