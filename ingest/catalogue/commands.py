"""The commands about catalogues: catalogue import, add, show, export, uses. They parse, call and print."""

from __future__ import annotations

import datetime as dt
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from db.errors import AnsweredMisuse, ConfigError
from db.terminal import (
    heading,
    json_option,
    note,
    progress,
    project_option,
    say,
    say_field,
    say_json,
    say_table,
)
from ingest.catalogue.layout import SheetName

if TYPE_CHECKING:
    from db.statements import StatementVersion
    from ingest.catalogue.loading import ImportReport
    from ingest.catalogue.stage import Stage

_SHOWN_ROWS = 50
_SHOWN_WARNINGS = 20


@click.group()
def catalogue() -> None:
    """Load what licensors send: agreements, grants, releases.

    Example: cleartitle catalogue import licensor.xlsx
    """


@catalogue.command("import")
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--map",
    "map_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file that renames sheets and columns.",
)
@click.option(
    "--base",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder that paths of footage are relative to.  [default: the catalogue's folder]",
)
@click.option(
    "--replaces",
    multiple=True,
    type=click.Path(path_type=Path),
    help="An earlier catalogue that this one takes the place of; what it stated and this does not is withdrawn.",
)
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Say what would change, and change nothing.")
@json_option
@project_option
def import_catalogue(
    path: Path,
    map_path: Path | None,
    base: Path | None,
    replaces: tuple[Path, ...],
    *,
    is_dry_run: bool,
    as_json: bool,
    project_dir: Path,
) -> None:
    """Load a workbook, a folder of tables, or ODRL policies.

    PATH is an XLSX file with sheets such as `grants` and `releases`, a folder with a CSV, JSON Lines or Parquet file
    for each, one such file, or a JSON-LD file of ODRL 2.2 policies. Rows that are good go in together, others are
    rejected. The same catalogue again changes nothing; a row
    that was corrected is recorded as a new one, and a row that is gone is withdrawn. Exit 2 if rows were rejected.

    Example: cleartitle catalogue import licensor.xlsx --dry-run
    """
    from db.files import path_text
    from db.project import open_project
    from ingest.catalogue.loading import load_catalogue
    from ingest.catalogue.stage import open_stage

    project = open_project(project_dir)
    with open_stage() as stage:
        with progress("reading", None) as advance:
            digest, sheets, notes = _read(path, map_path, stage, advance)
        for text in notes:
            note(text)
        with progress("recording", sum(map(stage.num_standing, sheets))) as advance:
            report = load_catalogue(
                project,
                stage,
                table_path=path_text(path),
                table_sha256=digest,
                sheets=sheets,
                base=base or (path if path.is_dir() else path.parent),
                replaces=[_table_path(other) for other in replaces],
                is_dry_run=is_dry_run,
                on_rows=advance,
            )
        if as_json:
            _say_import_as_json(report, stage, is_dry_run=is_dry_run)
        else:
            _print_import(report, stage, is_dry_run=is_dry_run)
    if report.num_rejected:
        raise AnsweredMisuse(f"{report.num_rejected} rows were rejected")


def _read(path: Path, map_path: Path | None, stage: Stage, advance: Any) -> tuple[str, list[Any], Any]:
    from ingest.catalogue.catalogue_map import OUR_NAMES, load_catalogue_map
    from ingest.catalogue.loading import read_catalogue
    from ingest.catalogue.odrl_reader import is_odrl, read_odrl
    from ingest.catalogue.sheets import open_catalogue

    if is_odrl(path):
        if map_path is not None:
            raise ConfigError("--map renames sheets and columns; ODRL policies have none")
        return read_odrl(path, stage)
    names = OUR_NAMES if map_path is None else load_catalogue_map(map_path)
    opened = open_catalogue(path, names)
    digest = read_catalogue(opened, stage, on_rows=advance)
    return digest, list(opened.files), opened.notes


def _table_path(path: Path) -> str:
    from db.files import path_text
    from ingest.catalogue.additions import COMMAND_LINE

    return COMMAND_LINE if str(path) == COMMAND_LINE else path_text(path)


def _say_import_as_json(report: ImportReport, stage: Stage, *, is_dry_run: bool) -> None:
    for item in stage.rejected():
        row = item.row
        say_json(
            {"kind": "rejected_row", "sheet": item.sheet, "row": row.row_number, "code": row.code}
            | {"reason": row.reason, "hint": row.hint}
        )
    for warning in report.warnings:
        say_json({"kind": "warning", "code": warning.code, "detail": warning.detail})
    for sheet in report.sheets:
        counts = vars(sheet.recorded) | {"num_withdrawn": sheet.num_withdrawn, "num_rows": sheet.num_rows}
        say_json({"kind": "sheet", "sheet": sheet.sheet, "num_rejected": sheet.num_rejected} | counts)
    say_json(
        {"kind": "import", "path": report.table_path, "sha256": report.table_sha256, "is_dry_run": is_dry_run}
        | {"has_changed": report.has_changed, "num_rejected": report.num_rejected}
    )


def _print_import(report: ImportReport, stage: Stage, *, is_dry_run: bool) -> None:
    rows = [
        (
            sheet.sheet.value,
            sheet.num_rows,
            sheet.recorded.num_new,
            sheet.recorded.num_changed,
            sheet.recorded.num_same,
            sheet.num_withdrawn,
            sheet.num_rejected,
        )
        for sheet in report.sheets
    ]
    say_table(("sheet", "rows>", "new>", "corrected>", "same>", "withdrawn>", "rejected>"), rows)
    _print_rejected(report, stage)
    if report.warnings:
        heading("Worth a look")
        for warning in report.warnings[:_SHOWN_WARNINGS]:
            say_field(f"{warning.code}  ", warning.detail, width=len(warning.code) + 2)
        _say_rest(len(report.warnings), _SHOWN_WARNINGS)
    say()
    if not report.has_changed:
        say("nothing changed: this catalogue is on record as it is")
    elif is_dry_run:
        say("dry run: nothing was recorded")
    else:
        say("recorded; run `cleartitle clear` to decide again")


def _print_rejected(report: ImportReport, stage: Stage) -> None:
    if not report.num_rejected:
        return
    heading("Rejected rows")
    shown = [
        (item.sheet, item.row.row_number, item.row.code, f"{item.row.reason}; try: {item.row.hint}")
        for item in islice(stage.rejected(), _SHOWN_ROWS)
    ]
    say_table(("sheet", "row>", "code", "reason"), shown)
    _say_rest(report.num_rejected, _SHOWN_ROWS)


def _say_rest(num_all: int, num_shown: int) -> None:
    if num_all > num_shown:
        say(f"and {num_all - num_shown} more; --json lists all")


@catalogue.command()
@click.argument("sheet", type=click.Choice([name.value for name in SheetName]))
@click.argument("cells", nargs=-1, required=True, metavar="COLUMN=VALUE...")
@json_option
@project_option
def add(sheet: str, cells: tuple[str, ...], *, as_json: bool, project_dir: Path) -> None:
    """Record one row: a release that has come in, say.

    Columns are those of the sheet; files and documents are relative to the current folder. The row is checked like
    one of a catalogue, and either recorded or refused.

    Example: cleartitle catalogue add releases ref=R7 kind=person subject=P7 covers_training=yes document=r7.pdf
    """
    from db.project import open_project
    from ingest.catalogue.additions import add_statement

    named = dict(_cell(text) for text in cells)
    if len(named) < len(cells):
        raise ConfigError("a column is given twice", hint="separate several values in one cell by ;")
    report = add_statement(open_project(project_dir), SheetName(sheet), named, folder=Path.cwd())
    recorded = report.sheets[0].recorded
    if as_json:
        say_json({"kind": "addition", "sheet": sheet, "ref": named.get("ref", "")} | vars(recorded))
        return
    name = named.get("ref") or named.get("file") or named.get("sha256", "")
    if recorded.num_new + recorded.num_changed == 0:
        say(f"{name} is on record as it is")
    else:
        say(f"recorded {name}{'' if recorded.num_new else ', which corrects what was on record'}")


def _cell(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigError(f"{text!r} is not COLUMN=VALUE", hint="write such as kind=person")
    return name, value


@catalogue.command()
@click.argument("ref")
@click.option("--known-on", help="Only what was on record by the end of this day, or at this time (UTC).")
@json_option
@project_option
def show(ref: str, known_on: str | None, *, as_json: bool, project_dir: Path) -> None:
    """Show all that was ever stated under a name.

    Newest first, with where it was written. REF is the name of a party, agreement, title, asset, grant, release or
    appearance, or the digest of a document.

    Example: cleartitle catalogue show G-2026-014 --known-on 2026-06-30
    """
    from db.project import open_project
    from db.statements import versions_of

    known = None if known_on is None else _known_on(known_on)
    num_versions = 0
    with open_project(project_dir).session() as session:
        # A name of bytes that are not UTF-8 cannot be on record, nor asked for.
        for version in versions_of(session, ref, known_on=known) if ref.isprintable() else ():
            num_versions += 1
            if as_json:
                say_json(_version_json(ref, version))
            else:
                _print_version(version)
    if not num_versions:
        raise ConfigError(
            f"nothing is on record under {ref!r}", hint="names are as the sheets spell them, case included"
        )


def _known_on(text: str) -> dt.datetime:
    from ingest.rights.cells import instant

    return instant("--known-on", text, days_after_date=1)


def _version_json(ref: str, version: StatementVersion) -> dict[str, Any]:
    from db.clock import rfc3339

    source = version.source
    return {
        "kind": version.kind,
        "ref": ref,
        "values": dict(version.values),
        "is_in_force": version.is_in_force,
        "is_withdrawn": version.is_withdrawn,
        "recorded_at": rfc3339(version.recorded_at),
        "table": source.table_path,
        "table_sha256": source.table_sha256,
        "sheet": source.sheet,
        "row": source.row_number,
    }


def _print_version(version: StatementVersion) -> None:
    from db.clock import rfc3339

    state = "withdrawn" if version.is_withdrawn else "in force" if version.is_in_force else "corrected since"
    heading(f"{version.kind.replace('_', ' ')}, {state}")
    source = version.source
    sheet = f", sheet {source.sheet}" if source.sheet else ""
    say_field("stated in", f"{source.table_path}{sheet}, row {source.row_number}", width=22)
    say_field("recorded at", rfc3339(version.recorded_at), width=22)
    grant = version.values.get("grant", {})
    terms = {name: value for name, value in grant.items() if name not in {"contract", "schema"}}
    for name, value in {**version.values, **terms, **grant.get("contract", {})}.items():
        if name != "grant" and value not in ("", None, [], {}):
            say_field(name.replace("_", " "), _plain(value), width=22)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(map(str, value))
    if isinstance(value, dict):
        return "; ".join(f"{key}={item}" for key, item in value.items())
    return str(value)


@catalogue.command()
@click.option(
    "--odrl",
    "odrl_path",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="File to write, - for standard output.",
)
@project_option
def export(odrl_path: Path, *, project_dir: Path) -> None:
    """Write the grants in force as ODRL 2.2 policies.

    JSON-LD, with the parties, agreements and titles that they name.

    Example: cleartitle catalogue export --odrl grants.jsonld
    """
    from db.files import durable_file
    from db.project import open_project
    from ingest.catalogue.odrl import write_odrl

    with open_project(project_dir).session() as session:
        if str(odrl_path) == "-":
            write_odrl(session, sys.stdout.buffer)
            return
        if odrl_path.exists() and not odrl_path.is_file():
            # The file is written beside and renamed: a device or a pipe would be lost.
            raise ConfigError(f"{odrl_path} is not a file", hint="write - for standard output")
        with durable_file(odrl_path) as staged, staged.open("wb") as file:
            num_policies = write_odrl(session, file)
    say(f"wrote {num_policies} policies to {odrl_path}")


@catalogue.command()
@json_option
def uses(*, as_json: bool) -> None:
    """List the terms of uses that are understood.

    Each with what it permits for sure and all that it may prohibit.

    Example: cleartitle catalogue uses
    """
    from ingest.rights.uses import TERMS

    if as_json:
        for term in TERMS:
            permits, prohibits = (
                None if side is None else sorted(side) for side in (term.permits, term.prohibits)
            )
            say_json(
                {"kind": "term", "term": term.prefixed, "relation": term.relation}
                | {"permits": permits, "prohibits": prohibits}
            )
        return
    rows = [(t.prefixed, t.relation, _short(t.permits), _short(t.prohibits)) for t in TERMS]
    say_table(("term", "is", "permits", "prohibits"), rows)


def _short(side: frozenset[Any] | None) -> str:
    if side is None:
        return "cannot be said"
    return ", ".join(sorted(use.partition(".")[2] for use in side)) or "nothing for sure"
