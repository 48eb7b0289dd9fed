"""The command that looks a clip up: find. It parses, calls and prints."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from db.errors import AnsweredNo, AnsweredUndecided
from db.files import path_text
from db.terminal import (
    clock_text,
    json_option,
    note,
    progress,
    project_option,
    say,
    say_field,
    say_json,
    say_table,
)

if TYPE_CHECKING:
    from db.project import Project
    from ingest.encoders.encoder import Encoder, EncoderIdentity
    from ingest.lookup.find import Lookup, Occurrence, Query, Scope
    from ingest.matching.scoring import Detector

_STDIN = Path("-")
_MAX_STRIPS = 40
_LABEL_WIDTH = 14


@click.command()
@click.argument(
    "file", type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True, allow_dash=True)
)
@click.option("--in", "name", help="Look in `library` or in this reference set (default: in all of them).")
@click.option(
    "--strips",
    "sheet_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the pictures of both sides, one above the other, to this .png or .html file.",
)
@json_option
@project_option
def find(file: Path, name: str | None, sheet_path: Path | None, *, as_json: bool, project_dir: Path) -> None:
    """Say where a clip occurs in the footage that is held. FILE may be - for stdin.

    FILE is not taken in and nothing is recorded. Exit 0 if it was found, 1 if not, 3 if it was not found but something
    could not be compared or only a person can tell. That a clip is not found clears nothing.

    Example: cleartitle find clip.mp4 --in library --strips clip.html
    """
    from db.files import hidden_folder
    from db.project import open_project
    from ingest.encoders.compute import choose_compute
    from ingest.encoders.encoder import open_encoder
    from ingest.lookup.find import look_up, read_scope
    from ingest.lookup.strips import check_suffix
    from ingest.matching.detectors import detector_for, measurement_of
    from ingest.matching.nomination import index_statement

    if sheet_path is not None:
        check_suffix(sheet_path)
    project = open_project(project_dir)
    encoder = open_encoder(project.settings.encoder, choose_compute()).encoder
    identity = encoder.identity
    detector = detector_for(identity, project.calibrations)
    scope = read_scope(project, name, identity)
    with hidden_folder(project.store) as folder:
        query = _read(project, file, encoder, folder)
        with progress("comparing", len(scope.assets)) as advance:
            lookup = look_up(project, query, scope, identity, detector, on_progress=advance)
        search = _Search(
            query=query,
            scope=scope,
            lookup=lookup,
            identity=identity,
            detector=detector,
            measurement=measurement_of(detector.digest, project.calibrations),
            index_statement=index_statement(project, identity),
        )
        if sheet_path is not None:
            _write_strips(search, sheet_path)
        if as_json:
            _say_as_json(search)
        else:
            _print(search)
    _answer(lookup)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Search:
    """Everything there is to report."""

    query: Query
    scope: Scope
    lookup: Lookup
    identity: EncoderIdentity
    detector: Detector
    measurement: Mapping[str, Any] | None
    """What the detector was measured to find; None: nobody measured it."""
    index_statement: str | None
    """What a search with the index in use may miss."""


def _read(project: Project, file: Path, encoder: Encoder, folder: Path) -> Query:
    from ingest.lookup.find import read_query
    from ingest.media.probe import probe
    from ingest.media.sources import printable_path

    name = "(standard input)" if file == _STDIN else printable_path(file)
    if not file.is_file():  # a pipe can be read only once
        file = _kept(file, folder / "query")
    seconds = probe(file, name=name).duration_seconds
    with progress("reading", None if seconds is None else math.ceil(seconds)) as advance:
        return read_query(project, file, encoder, folder, name=name, on_progress=advance)


def _kept(file: Path, copy: Path) -> Path:
    with copy.open("wb") as target, click.open_file(str(file), "rb") as source:
        shutil.copyfileobj(source, target)
    return copy


def _write_strips(search: _Search, path: Path) -> None:
    from ingest.lookup.strips import Sheet, StripReader, write_sheet

    reader = StripReader(search.query, search.identity)
    shown = search.lookup.occurrences[:_MAX_STRIPS]
    strips = []
    with progress("reading pictures", len(shown)) as advance:
        for number, found in enumerate(shown, start=1):
            strips.append(reader.read(found, number=number))
            advance(1)
    lines = [f"{label}: {text}" for label, text in _coverage(search)]
    if left_out := len(search.lookup.occurrences) - len(shown):
        lines.append(f"Only the {_MAX_STRIPS} surest are shown; {left_out} more are not.")
    write_sheet(path, Sheet(title=_verdict(search), lines=tuple(lines), strips=tuple(strips)))
    note(f"pictures: {path}")


def _verdict(search: _Search) -> str:
    from ingest.lookup.find import Answer

    found, name = search.lookup.occurrences, search.query.name
    num_copies = sum(one.is_copy for one in found)
    num_open = len(found) - num_copies
    match search.lookup.answer:
        case Answer.FOUND:
            rest = f", and {num_open} more to look at" if num_open else ""
            return f"{name}: found in {num_copies} {'place' if num_copies == 1 else 'places'}{rest}"
        case Answer.NOT_FOUND:
            return f"{name}: not found in what it was compared with, which does not clear it"
        case Answer.UNDECIDED if search.lookup.gaps:
            return f"{name}: no copy was found, but not everything could be compared"
        case Answer.UNDECIDED:
            return f"{name}: no sure copy was found, but a person must look at the candidates"


def _coverage(search: _Search) -> Iterator[tuple[str, str]]:
    """Yield, labelled, what the answer rests on and what it does not cover."""
    query, detector = search.query, search.detector
    yield (
        "clip",
        (
            f"{clock_text(query.duration_seconds)}; {query.num_textured} of {query.num_samples} sampled pictures "
            "have enough texture to be compared"
        ),
    )
    for collection in search.scope.collections:
        yield (
            f"in {collection.name}",
            (
                f"compared with {collection.num_compared} of {collection.num_assets} assets, "
                f"{clock_text(collection.duration_seconds)} of footage"
            ),
        )
    yield "encoder", search.identity.name
    state = "not calibrated" if search.measurement is None else "calibrated"
    yield (
        "detector",
        f"{detector.name}, {state}; copies have a probability of {detector.min_probability:.3f} or more",
    )
    for gap in search.lookup.gaps:
        yield "not compared", gap.message
    if search.index_statement is not None:
        yield "index", search.index_statement
    yield "misses", _miss_rate(search.measurement)
    yield "sound", "not compared: only pictures were"


def _miss_rate(measurement: Mapping[str, Any] | None) -> str:
    if measurement is None:
        return "how many edited copies are not found was not measured (`cleartitle calibrate`)"
    recall = measurement["recall"]
    return (
        f"{1 - recall['recall']:.1%} of the edited copies it was measured on were not found; at most "
        f"{1 - recall['low']:.1%} of such, with 95 % confidence"
    )


def _print(search: _Search) -> None:
    say(_verdict(search))
    if search.lookup.occurrences:
        say_table(
            ("footage", "in", "there>", "in the clip>", "shown", "tier", "prob.>"),
            [_table_row(found) for found in search.lookup.occurrences],
        )
    say()
    for label, text in _coverage(search):
        say_field(label, text, width=_LABEL_WIDTH)


def _table_row(found: Occurrence) -> tuple[str, ...]:
    from ingest.lookup.strips import span_text

    return (
        found.name,
        ", ".join(found.collections),
        span_text(found.other_start_seconds, found.other_end_seconds),
        span_text(found.query_start_seconds, found.query_end_seconds),
        _shown(found),
        found.tier.value,
        f"{found.probability:.3f}",
    )


def _shown(found: Occurrence) -> str:
    """Say what of the picture is the same, and what was done to it, as far as that is known."""
    parts = {(False, False): "whole", (True, False): "part of clip", (False, True): "part of footage"}
    words = [parts.get((found.query_view > 0, found.other_view > 0), "part of both")]
    if found.is_mirrored:
        words.append("mirrored")
    if round(found.speed, 2) != 1:
        words.append(f"speed {found.speed:.2f}")
    return ", ".join(words)


def _say_as_json(search: _Search) -> None:
    query, lookup, detector = search.query, search.lookup, search.detector
    for found in lookup.occurrences:
        say_json(_occurrence_json(search, found))
    say_json(
        {
            "kind": "summary",
            "answer": lookup.answer.value,
            "file": query.name,
            "sha256": query.sha256,
            "duration_seconds": round(query.duration_seconds, 3),
            "num_samples": query.num_samples,
            "num_textured_samples": query.num_textured,
            "num_copies": sum(found.is_copy for found in lookup.occurrences),
            "collections": [asdict(collection) for collection in search.scope.collections],
            "encoder": search.identity.name,
            "encoder_digest": search.identity.digest,
            "detector": detector.name,
            "detector_digest": detector.digest,
            "min_probability": detector.min_probability,
            "is_calibrated": search.measurement is not None,
            "measured_recall": None if search.measurement is None else search.measurement["recall"],
            "index": search.index_statement,
            "not_compared": [asdict(gap) for gap in lookup.gaps],
        }
    )


def _occurrence_json(search: _Search, found: Occurrence) -> dict[str, Any]:
    return {
        "kind": "match",
        "paths": [path_text(path) for path in found.paths],
        "sha256": found.asset_sha256,
        "collections": list(found.collections),
        "tier": found.tier.value,
        "is_copy": found.is_copy,
        "probability": found.probability,
        "start_seconds": round(found.query_start_seconds, 3),
        "end_seconds": round(found.query_end_seconds, 3),
        "other_start_seconds": round(found.other_start_seconds, 3),
        "other_end_seconds": round(found.other_end_seconds, 3),
        "speed": found.speed,
        "is_mirrored": found.is_mirrored,
        "part": _part(search, search.query.sha256, found.query_view),
        "other_part": _part(search, found.asset_sha256, found.other_view),
        "evidence": dict(found.evidence),
    }


def _part(search: _Search, sha256: str, view: int) -> dict[str, float] | None:
    """Return the part of the picture inside its borders, as shares of height and width; None: the whole."""
    return asdict(search.query.store.read(sha256, search.identity).boxes[view]) if view else None


def _answer(lookup: Lookup) -> None:
    from ingest.lookup.find import Answer

    if lookup.answer is Answer.NOT_FOUND:
        raise AnsweredNo("not found")
    if lookup.answer is Answer.UNDECIDED:
        raise AnsweredUndecided("no sure answer")
