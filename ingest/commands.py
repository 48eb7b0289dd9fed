"""The commands that take footage in: ingest, encoder. They parse, call and print."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from db.errors import AnsweredMisuse, AnsweredUndecided, ConfigError
from db.terminal import (
    clock_text,
    heading,
    json_option,
    note,
    progress,
    project_option,
    say,
    say_json,
    say_table,
)

if TYPE_CHECKING:
    from db.project import Project
    from ingest.encoders import Encoder, EncoderIdentity
    from ingest.intake import TakenFile
    from ingest.matches import Detector
    from ingest.rights import RightsTable
    from ingest.rights_claims import ClaimReport

_SHOWN_ROWS = 50


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--rights",
    "table_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Rights table of the footage.",
)
@click.option(
    "--map",
    "map_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file that renames columns.",
)
@click.option(
    "--reference", help="Put the footage into this reference set: footage that must not be contained."
)
@json_option
@project_option
def ingest(
    paths: tuple[Path, ...],
    table_path: Path | None,
    map_path: Path | None,
    reference: str | None,
    *,
    as_json: bool,
    project_dir: Path,
) -> None:
    """Take footage in with its rights table, and find copies of what is there already.

    Ingesting the same files again changes nothing; after an interruption it goes on. Exit 2 if rows of the table
    were rejected, 3 if files could not be read; everything else goes in.

    Example: cleartitle ingest footage/ --rights footage/rights.csv
    """
    from db.project import open_project
    from ingest.compute import choose_compute
    from ingest.encoders import open_encoder
    from ingest.matches import detector_for

    project = open_project(project_dir)
    table = _read_table(table_path, map_path, reference)
    choice = open_encoder(project.settings.encoder, choose_compute())
    note(choice.reason)
    files = _take_in(project, paths, reference, choice.encoder)
    claims = None if table is None else _claim(project, table, files, paths)
    num_matches = _compare(project, choice.encoder.identity, detector_for(choice.encoder.identity))
    if as_json:
        _say_as_json(files, claims, num_matches, choice.encoder)
    else:
        _print_report(files, claims, num_matches, reference)
    _answer(files, claims)


def _read_table(table_path: Path | None, map_path: Path | None, reference: str | None) -> RightsTable | None:
    from ingest.rights import load_column_map, read_rights

    if table_path is None:
        if map_path is not None:
            raise ConfigError("--map renames the columns of a rights table; give one with --rights")
        if reference is None:
            note("no --rights table: everything taken in now is held until its rights are known")
        return None
    if reference is not None:
        raise ConfigError("a reference set needs no rights; give --rights or --reference, not both")
    return read_rights(table_path, None if map_path is None else load_column_map(map_path))


def _take_in(
    project: Project, paths: tuple[Path, ...], reference: str | None, encoder: Encoder
) -> list[TakenFile]:
    from db.evidence import LIBRARY, ensure_collection
    from db.vocabularies import CollectionKind
    from ingest.intake import Intake, count_sources, take_in

    kind = CollectionKind.LIBRARY if reference is None else CollectionKind.REFERENCE
    with project.session() as session:
        collection_id = ensure_collection(session, LIBRARY if reference is None else reference, kind)
    files = []
    with progress("ingesting", count_sources(paths)) as advance:
        for file in take_in(project, paths, collection_id=collection_id, encoder=encoder):
            files.append(file)
            advance(0 if file.intake is Intake.SKIPPED else 1)
    return files


def _claim(
    project: Project, table: RightsTable, files: list[TakenFile], paths: tuple[Path, ...]
) -> ClaimReport:
    from ingest.rights_claims import record_claims

    asset_ids = {file.path: file.asset_id for file in files if file.asset_id is not None}
    return record_claims(project, table, asset_ids, roots=paths)


def _compare(project: Project, identity: EncoderIdentity, detector: Detector) -> int:
    from ingest.comparison import compare_new_assets, num_waiting

    with progress("finding copies", num_waiting(project, identity, detector)) as advance:
        return compare_new_assets(project, identity, detector, on_progress=advance)


def _print_report(
    files: list[TakenFile], claims: ClaimReport | None, num_matches: int, reference: str | None
) -> None:
    from ingest.intake import Intake

    counts = Counter(file.intake for file in files)
    seconds = sum(file.duration_seconds for file in files)
    where = "library" if reference is None else f"reference set {reference}"
    say(f"{where}: {counts[Intake.NEW]} files new, {counts[Intake.KNOWN]} known, {counts[Intake.REJECTED]} rejected; "
        f"{clock_text(seconds)} of footage")  # fmt: skip
    for code, count in Counter(file.code for file in files if file.intake is Intake.SKIPPED).items():
        say(f"left out: {count} x {code}")
    rejected = [file for file in files if file.intake is Intake.REJECTED]
    if rejected:
        heading("Rejected files")
        for file in rejected:
            say(f"{file.code}: {file.path}")
            say(f"    {file.detail}")
    if claims is not None:
        _print_claims(claims)
    say(f"copies: {num_matches} new matches")


def _print_claims(claims: ClaimReport) -> None:
    say(f"rights: {claims.num_rows} rows, {claims.num_files_with_grant} files with a grant, "
        f"{len(claims.files_without_grant)} without, {claims.num_new_claims} changed")  # fmt: skip
    for warning in claims.warnings:
        note(warning)
    if claims.rejected:
        heading(f"Rejected rows: {len(claims.rejected)}")
        say_table(
            ("row>", "code", "reason"),
            [(row.row_number, row.code, row.reason) for row in claims.rejected[:_SHOWN_ROWS]],
        )
        if len(claims.rejected) > _SHOWN_ROWS:
            say(f"... and {len(claims.rejected) - _SHOWN_ROWS} more; `audit --all` lists them")


def _say_as_json(
    files: list[TakenFile], claims: ClaimReport | None, num_matches: int, encoder: Encoder
) -> None:
    for file in files:
        facts = {"kind": "file", "path": str(file.path), "intake": file.intake.value, "code": file.code}
        say_json(facts | {"detail": file.detail, "duration_seconds": file.duration_seconds})
    for row in () if claims is None else claims.rejected:
        say_json({"kind": "rejected_row", "row": row.row_number, "code": row.code, "reason": row.reason})
    say_json(
        {
            "kind": "summary",
            "encoder": encoder.identity.name,
            "num_new_matches": num_matches,
            "num_files_with_grant": None if claims is None else claims.num_files_with_grant,
            **Counter(file.intake.value for file in files),
        }
    )


def _answer(files: list[TakenFile], claims: ClaimReport | None) -> None:
    from ingest.intake import Intake

    if any(file.intake is Intake.REJECTED for file in files):
        raise AnsweredUndecided("files were rejected")
    if claims is not None and claims.rejected:
        raise AnsweredMisuse("rows were rejected")


@click.group()
def encoder() -> None:
    """Show or fetch the frame encoder.

    Example: cleartitle encoder show
    """


@encoder.command()
@json_option
@project_option
def show(*, as_json: bool, project_dir: Path) -> None:
    """Say which encoder serves this project, and why.

    Example: cleartitle encoder show
    """
    from db.project import open_project
    from ingest.compute import choose_compute
    from ingest.encoders import open_encoder

    choice = open_encoder(open_project(project_dir).settings.encoder, choose_compute())
    identity = choice.encoder.identity
    if as_json:
        say_json(vars(identity) | {"digest": identity.digest, "reason": choice.reason})
        return
    say(choice.reason)
    say(f"weights sha256 {identity.weights_sha256}")
    say(f"preprocessing  {identity.preprocessing}")
    say(f"identity       {identity.digest}, {identity.dim} dimensions")


@encoder.command()
@click.argument("spec")
def fetch(spec: str) -> None:
    """Download the weights of an open_clip model: the only command that uses the network.

    Example: cleartitle encoder fetch open_clip:ViT-B-32/laion2b_s34b_b79k
    """
    from ingest.encoders import fetch_encoder

    path = fetch_encoder(spec)
    say("the embedded default needs no download" if path is None else f"fetched {path}")
