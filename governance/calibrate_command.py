"""The `calibrate` command: measures the detector on the user's own footage and pins the result into a policy."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from db.errors import AnsweredUndecided, ConfigError
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
    from ingest.attacks.bases import Base
    from ingest.attacks.suite import AttackSuite

_PRECISION = click.FloatRange(min=0.5, max=1.0)


@click.command()
@click.option(
    "--footage",
    required=True,
    type=click.Path(path_type=Path, exists=True),
    help="Footage to measure on: a folder or a file.",
)
@click.option(
    "--groups",
    "groups_path",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="CSV with the columns file and group: files of one group may show the same and are not told apart.",
)
@click.option(
    "--precision", default=0.99, show_default=True, type=_PRECISION, help="Share of true matches wanted."
)
@click.option("--seed", default=0, show_default=True, help="Of everything that is drawn by chance.")
@click.option(
    "--clips", "max_clips", type=click.IntRange(min=4), help="Use at most so many clips, drawn by chance."
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Processes to work with.  [default: one for each core]"
)
@click.option(
    "--policy",
    "policy_path",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Policy file of the project that from now on asks for this detector.",
)
@json_option
@project_option
def calibrate(
    footage: Path,
    groups_path: Path | None,
    precision: float,
    seed: int,
    max_clips: int | None,
    workers: int | None,
    policy_path: Path | None,
    *,
    as_json: bool,
    project_dir: Path,
) -> None:
    """Measure how many disguised copies are found, and set the threshold for a precision.

    Copies of the footage are made in two dozen ways and hidden among the rest of it; half a minute for each second of
    footage is usual. An interrupted calibration goes on where it was. Exit 3 if some footage could not be used.

    Example: cleartitle calibrate --footage reels/ --precision 0.99
    """
    from db.project import open_project
    from ingest.matching.detectors import calibration_path, write_calibration

    project = open_project(project_dir)
    bases, refused = _survey(footage, _read_groups(groups_path), seed, max_clips)
    if policy_path is not None:
        _check_pinnable(policy_path)
    identity, detector, measurement = _measured(project, bases, precision, seed, workers, refused)
    write_calibration(calibration_path(identity, project.calibrations), detector, measurement)
    if policy_path is not None:
        from governance.policy.pin import pin_detector

        pin_detector(policy_path, detector.digest)
    if as_json:
        say_json({"kind": "calibration", "detector_digest": detector.digest} | measurement)
    else:
        _print(measurement, detector.digest, policy_path)
    if refused:
        raise AnsweredUndecided("some footage could not be used")


def _read_groups(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            columns = set(rows.fieldnames or ())
            groups = {row.get("file") or "": row.get("group") or "" for row in rows}
    except (csv.Error, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: is no CSV in UTF-8: {exc}") from exc
    if not {"file", "group"} <= columns:
        raise ConfigError(f"{path}: has no columns file and group", hint="the first line names the columns")
    return groups


def _survey(
    footage: Path, groups: dict[str, str], seed: int, max_clips: int | None
) -> tuple[list[Base], Counter[str]]:
    """Return the clips to work with and, by reason, how many of the files cannot be used."""
    from random import Random

    from ingest.attacks.bases import Base, survey_bases
    from ingest.matching.calibrate import bases_of
    from ingest.media.sources import SourceFile, walk_sources

    paths = [source.path for source in walk_sources([footage]) if isinstance(source, SourceFile)]
    named = [path for path in paths if not groups or path.name in groups]
    if groups and not named:
        raise ConfigError(f"no file in {footage} is named in the table of groups")
    if max_clips is not None and len(named) > max_clips:
        named = sorted(Random(seed).sample(sorted(named), max_clips))
    found: list[Base] = []
    refused: Counter[str] = Counter()
    with progress("looking at the footage", len(named)) as advance:
        for base in survey_bases((path, groups.get(path.name, path.name)) for path in named):
            if isinstance(base, Base):
                found.append(base)
            else:
                refused[base.code] += 1
                note(f"not used: {base.path.name}: {base.reason}")
            advance(1)
    return bases_of(found), refused


def _check_pinnable(path: Path) -> None:
    from governance.policy.reading import parse_policy

    parse_policy(path.read_bytes(), path.name)


def _measured(
    project: Project,
    bases: list[Base],
    precision: float,
    seed: int,
    workers: int | None,
    refused: Counter[str],
) -> tuple[Any, Any, dict[str, Any]]:
    from ingest.attacks.suite import plan_suite
    from ingest.encoders.compute import choose_compute
    from ingest.encoders.encoder import open_encoder
    from ingest.matching.calibrate import Workplace, judge_suite
    from ingest.matching.calibrate import calibrate as fit
    from ingest.matching.detectors import starting_detector
    from ingest.workers import num_cores

    suite = plan_suite(bases, seed=seed)
    choice = open_encoder(project.settings.encoder, choose_compute())
    note(choice.reason)
    identity = choice.encoder.identity
    place = Workplace(
        folder=project.calibrations / "corpus",
        encoder_spec=project.settings.encoder,
        samples_per_second=project.settings.samples_per_second,
        num_workers=workers or num_cores(),
    )
    note(f"{len(suite.references)} references, {len(suite.queries)} disguised queries")
    with progress("attacking and searching", 2 * len(suite.queries)) as advance:
        judged, left_out = judge_suite(suite, place, identity, on_progress=advance)
    detector, measurement = fit(
        judged,
        starting_detector(identity),
        precision=precision,
        seed=seed,
        about=_about(suite, bases, identity.digest, left_out, refused),
    )
    return identity, detector, measurement


def _about(
    suite: AttackSuite, bases: list[Base], encoder_digest: str, left_out: Counter[str], refused: Counter[str]
) -> dict[str, Any]:
    from db.canonical import digest_of

    return {
        "encoder_digest": encoder_digest,
        "footage_digest": digest_of(sorted(base.sha256 for base in bases)),
        "num_clips": len(bases),
        "num_groups": len({base.group for base in bases}),
        "footage_seconds": round(sum(base.seconds for base in bases), 1),
        "num_references": len(suite.references),
        "num_queries": len(suite.queries),
        "left_out": dict(sorted(left_out.items())),
        "refused": dict(sorted(refused.items())),
    }


def _print(measurement: dict[str, Any], digest: str, policy_path: Path | None) -> None:
    heading("Calibration")
    for line in _said(measurement):
        say(line)
    say_table(("attack", "copies>", "found>", "recall>", "low>", "high>"), _rows(measurement))
    for name, count in (measurement["left_out"] | measurement["refused"]).items():
        say(f"left out: {count} x {name}")
    say(f"threshold {measurement['threshold']:.3f}; detector {digest[:16]} serves this project from now on")
    say(
        "ingest again to search with it"
        + ("" if policy_path is None else f"; {policy_path.name} asks for it")
    )


def _said(measured: dict[str, Any]) -> Iterator[str]:
    """Yield the measurement in sentences."""
    recall = measured["recall"]
    yield (
        f"measured on {measured['num_clips']} clips, {clock_text(measured['footage_seconds'])}, "
        f"{measured['num_groups']} contents; each was judged by a model that had not seen its content"
    )
    yield (
        f"found {recall['num_found']} of {recall['num_queries']} disguised copies: {recall['recall']:.1%}, "
        f"at least {recall['low']:.1%} with 95 % confidence"
    )
    yield (
        f"false: {measured['num_false']} of {measured['num_strangers']} pairs of other footage, "
        f"at most {measured['false_rate_bound']:.2%} with 95 % confidence"
    )
    yield (
        f"same camera at another time: {measured['num_sibling_copies']} of {measured['num_siblings']} "
        "called copies"
    )
    yield (
        f"edges of found copies: median {measured['median_edge_error_seconds']} s off; "
        f"mean overlap with the true seconds {measured['mean_overlap']}"
    )


def _rows(measurement: dict[str, Any]) -> list[tuple[str, int, int, str, str, str]]:
    return [
        (
            row["name"],
            row["num_queries"],
            row["num_found"],
            *(f"{row[key]:.2f}" for key in ("recall", "low", "high")),
        )
        for row in measurement["recall_by_attack"]
    ]
