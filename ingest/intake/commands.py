"""The command that takes footage in: ingest. It parses, calls and prints."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass
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
    from collections.abc import Callable

    from db.project import Project
    from ingest.encoders.encoder import Encoder, EncoderIdentity
    from ingest.intake.intake import TakenFile
    from ingest.matching.scoring import Detector
    from ingest.rights.claims import ClaimReport
    from ingest.rights.table import RightsTable
    from ingest.signals.library import CredentialsReader, FileSignals
    from ingest.signals.record import Signal

_SHOWN_ROWS = 50
_COMPARED = ""
_WITHOUT_SOUND = "sound.none"


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
@click.pass_obj
def ingest(
    open_credentials: Callable[[Project], CredentialsReader] | None,
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
    from ingest.encoders.compute import choose_compute
    from ingest.encoders.encoder import open_encoder
    from ingest.intake.readers import num_readers
    from ingest.matching.detectors import detector_for

    project = open_project(project_dir)
    table = _read_table(table_path, map_path, reference)
    compute = choose_compute()
    choice = open_encoder(project.settings.encoder, compute)
    note(choice.reason)
    # Read before hours of footage are: a calibration that cannot be used is an error of the request.
    detector = detector_for(choice.encoder.identity, project.calibrations)
    files = _take_in(project, paths, reference, choice.encoder, num_workers=num_readers(compute))
    said = [] if reference is not None else _read_signals(project, files, open_credentials)
    claims = None if table is None else _claim(project, table, files, paths)
    found = _compare(project, choice.encoder.identity, detector)
    if as_json:
        _say_as_json(files, claims, found, choice.encoder, said)
    else:
        _print_report(files, claims, found, reference)
        _print_signals(said)
    _answer(files, claims)


def _read_signals(
    project: Project,
    files: list[TakenFile],
    open_credentials: Callable[[Project], CredentialsReader] | None,
) -> list[FileSignals]:
    """Read what the files say of their own use; Content Credentials are validated above this package."""
    from ingest.signals.library import record_file_signals

    read_credentials = _no_credentials if open_credentials is None else open_credentials(project)
    assets = [(file.asset_id, file.path) for file in files if file.asset_id is not None]
    said = []
    with progress("reading signals", len(assets)) as advance:
        for read in record_file_signals(project, assets, read_credentials):
            advance(1)
            said.append(read)
    return said


def _no_credentials(_path: Path) -> list[Signal]:
    return []


def _print_signals(said: list[FileSignals]) -> None:
    if not said:
        return
    num_speaking = sum(read.num_signals > 0 for read in said)
    num_new = sum(read.num_new for read in said)
    say(f"signals: {num_speaking} of {len(said)} files say something of their own use; {num_new} new")
    for read in said:
        if read.detail:
            note(f"not read for signals: {read.detail}")


def _read_table(table_path: Path | None, map_path: Path | None, reference: str | None) -> RightsTable | None:
    from ingest.rights.table import load_column_map, read_rights

    if table_path is None:
        if map_path is not None:
            raise ConfigError("--map renames the columns of a rights table; give one with --rights")
        if reference is None:
            note("no --rights table: everything taken in now is held until its rights are known")
        return None
    if reference is not None:
        raise ConfigError("a reference set needs no rights; give --rights or --reference, not both")
    return read_rights(table_path, None if map_path is None else load_column_map(map_path))


@dataclass(frozen=True)
class _Found:
    """How many matches are new."""

    num_pictures: int
    num_sounds: int


def _take_in(
    project: Project, paths: tuple[Path, ...], reference: str | None, encoder: Encoder, *, num_workers: int
) -> list[TakenFile]:
    """Take the files in; return them in order of their paths, whatever the order in which they were read."""
    from db.evidence import LIBRARY, ensure_collection
    from db.vocabularies import CollectionKind
    from ingest.intake.intake import Intake, count_sources, take_in

    kind = CollectionKind.LIBRARY if reference is None else CollectionKind.REFERENCE
    with project.session() as session:
        collection_id = ensure_collection(session, LIBRARY if reference is None else reference, kind)
    files = []
    taken = take_in(project, paths, collection_id=collection_id, encoder=encoder, num_workers=num_workers)
    # Closed at once where it is interrupted: its workers end with it.
    with progress("ingesting", count_sources(paths)) as advance, closing(taken):
        for file in taken:
            files.append(file)
            advance(0 if file.intake is Intake.SKIPPED else 1)
    return sorted(files, key=lambda file: file.path)


def _claim(
    project: Project, table: RightsTable, files: list[TakenFile], paths: tuple[Path, ...]
) -> ClaimReport:
    from ingest.rights.claims import record_claims

    asset_ids = {file.path: file.asset_id for file in files if file.asset_id is not None}
    return record_claims(project, table, asset_ids, roots=paths)


def _compare(project: Project, identity: EncoderIdentity, detector: Detector) -> _Found:
    from ingest.matching.comparison import compare_new_assets, num_waiting
    from ingest.sound.comparison import compare_new_sounds, num_sounds_waiting

    with progress("finding copies", num_waiting(project, identity, detector)) as advance:
        num_pictures = compare_new_assets(project, identity, detector, on_progress=advance)
    with progress("comparing sound", num_sounds_waiting(project)) as advance:
        return _Found(num_pictures, compare_new_sounds(project, on_progress=advance))


def _print_report(
    files: list[TakenFile], claims: ClaimReport | None, found: _Found, reference: str | None
) -> None:
    from ingest.intake.intake import Intake

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
    say(f"copies: {found.num_pictures} new matches")
    _print_sounds(files, found)


def _print_sounds(files: list[TakenFile], found: _Found) -> None:
    sounds = [file.sound for file in files if file.sound is not None]
    counts = Counter(sound.code for sound in sounds)
    num_compared, num_without = counts.pop(_COMPARED, 0), counts.pop(_WITHOUT_SOUND, 0)
    say(f"sound: {num_compared} files compared, {num_without} without sound, {counts.total()} not compared; "
        f"{found.num_sounds} new matches")  # fmt: skip
    for code, count in sorted(counts.items()):
        details = {sound.detail for sound in sounds if sound.code == code}
        say(f"    not compared: {count} x {code}" + (f" ({details.pop()})" if len(details) == 1 else ""))


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
    files: list[TakenFile],
    claims: ClaimReport | None,
    found: _Found,
    encoder: Encoder,
    said: list[FileSignals],
) -> None:
    for file in files:
        facts = {"kind": "file", "path": str(file.path), "intake": file.intake.value, "code": file.code}
        further = {"duration_seconds": file.duration_seconds, "sound": _sound_word(file)}
        say_json(facts | {"detail": file.detail} | further)
    for row in () if claims is None else claims.rejected:
        say_json({"kind": "rejected_row", "row": row.row_number, "code": row.code, "reason": row.reason})
    say_json(
        {
            "kind": "summary",
            "encoder": encoder.identity.name,
            "num_new_matches": found.num_pictures,
            "num_new_sound_matches": found.num_sounds,
            "num_files_with_signals": sum(read.num_signals > 0 for read in said),
            "num_new_signals": sum(read.num_new for read in said),
            "sound": Counter(_sound_word(file) for file in files if file.sound is not None),
            "num_files_with_grant": None if claims is None else claims.num_files_with_grant,
            **Counter(file.intake.value for file in files),
        }
    )


def _sound_word(file: TakenFile) -> str | None:
    """Return `compared`, or the code of what kept a file's sound from it; None if the file is no asset."""
    return None if file.sound is None else file.sound.code or "compared"


def _answer(files: list[TakenFile], claims: ClaimReport | None) -> None:
    from ingest.intake.intake import Intake

    if any(file.intake is Intake.REJECTED for file in files):
        raise AnsweredUndecided("files were rejected")
    if claims is not None and claims.rejected:
        raise AnsweredMisuse("rows were rejected")
