"""Measure the whole chain, stage by stage, on a folder of licensed footage with known copies.

    python -m benchmarks.chain --footage DIR [--work DIR] [--config FILE]

DIR holds the clips, `LICENSES.csv` (columns file, title, license_spdx, licensor, source) and `GROUND_TRUTH.csv`
(columns group, files; files separated by `;`). Every stage is the command a user would type, in a process of its
own. Printed for each: wall seconds, seconds of footage per second, frames per second, peak memory of the process;
then how many pairs of true copies were found, and how many matches join different contents.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from db import models
from db.project import Project, open_project
from db.vocabularies import COPY_TIERS, MatchKind

_MAP = """\
[columns]
path = "file"
title = "title"
rights_holder = "licensor"
license_expression = "license_spdx"
source = "source"
"""
_POLICY = "commercial-training"


@dataclass(frozen=True)
class Stage:
    """One command that was run."""

    name: str
    exit_code: int
    wall_seconds: float
    peak_bytes: int


def run_stage(project: Path, name: str, *arguments: str) -> Stage:
    """Run a command in the project and measure it."""
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    begin = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "cleartitle", *arguments, "--project", str(project)],
        stdout=subprocess.DEVNULL,
        env=environment,
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begin
    # ru_maxrss is in KiB on Linux and in bytes on macOS.
    scale = 1 if sys.platform == "darwin" else 1024
    return Stage(name, process.returncode, wall, usage.ru_maxrss * scale)


def run_chain(footage: Path, work: Path, config: Path | None) -> list[Stage]:
    """Run every stage of the chain in a new project under `work`."""
    project = work / "project"
    subprocess.run(
        [sys.executable, "-m", "cleartitle", "init", str(project)], check=True, stdout=subprocess.DEVNULL
    )
    (work / "map.toml").write_text(_MAP, encoding="utf-8")
    table, column_map = str(footage / "LICENSES.csv"), str(work / "map.toml")
    training = () if config is None else ("--config", str(config))
    steps = [
        ("ingest", ("ingest", str(footage), "--rights", table, "--map", column_map)),
        ("ingest again", ("ingest", str(footage), "--rights", table, "--map", column_map)),
        ("clear", ("clear", "--policy", _POLICY)),
        ("audit", ("audit", "--json")),
        ("seal", ("snapshot", "seal", "bench", "--policy", _POLICY)),
        ("snapshot verify", ("snapshot", "verify", "bench", "--media")),
        ("train", ("train", "--snapshot", "bench", "--name", "bench", *training)),
        ("generate", ("generate", "--model", "bench", "--prompt", "flower opening", "--count", "8")),
    ]
    stages = [run_stage(project, name, *arguments) for name, arguments in steps]
    clips = sorted(str(path) for path in (project / "outputs").glob("*.mp4"))
    return [*stages, run_stage(project, "verify", "verify", *clips)]


@dataclass(frozen=True)
class Library:
    """What the stages worked on."""

    num_assets: int
    num_frames: int
    duration_seconds: float


def measure_library(project: Project) -> Library:
    """Count what was ingested."""
    with project.session() as session:
        query = select(
            func.count(models.Asset.id),
            func.sum(models.Asset.num_frames),
            func.sum(models.Asset.duration_seconds),
        )
        count, frames, seconds = session.execute(query).one()
    return Library(count, frames or 0, seconds or 0.0)


def found_pairs(project: Project) -> set[frozenset[str]]:
    """Return the pairs of file names that a copied stretch of pictures joins, or that are the same bytes."""
    copies = select(models.Match.asset_id, models.Match.other_id).where(
        models.Match.kind == MatchKind.PICTURE, models.Match.tier.in_(COPY_TIERS)
    )
    with project.session() as session:
        names: dict[int, set[str]] = {}
        for asset_id, path in session.execute(select(models.AssetPath.asset_id, models.AssetPath.path)):
            names.setdefault(asset_id, set()).add(Path(path).name)
        rows = session.execute(copies).all()
    pairs = {frozenset((a, b)) for one, two in rows for a in names[one] for b in names[two]}
    return pairs | {frozenset(pair) for group in names.values() for pair in itertools.combinations(group, 2)}


def true_groups(footage: Path) -> dict[str, set[str]]:
    """Return the groups of true copies by name."""
    with (footage / "GROUND_TRUTH.csv").open(newline="", encoding="utf-8") as file:
        return {row["group"]: set(row["files"].split(";")) for row in csv.DictReader(file)}


def report(
    stages: list[Stage], library: Library, pairs: set[frozenset[str]], groups: dict[str, set[str]]
) -> Iterator[str]:
    """Yield the lines of the report."""
    yield f"{library.num_assets} files, {library.duration_seconds:.0f} s of footage, {library.num_frames} frames"
    yield f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    yield ""
    yield "| stage | exit | wall s | footage s / s | frames / s | peak MB |"
    yield "|---|---|---|---|---|---|"
    for stage in stages:
        speed, frames = library.duration_seconds / stage.wall_seconds, library.num_frames / stage.wall_seconds
        yield (
            f"| {stage.name} | {stage.exit_code} | {stage.wall_seconds:.1f} | {speed:.1f} | {frames:.0f} "
            f"| {stage.peak_bytes / 2**20:.0f} |"
        )
    yield ""
    true_pairs = {
        frozenset(pair) for files in groups.values() for pair in itertools.combinations(sorted(files), 2)
    }
    connected = [name for name, files in groups.items() if _is_connected(files, pairs)]
    false = sorted(tuple(sorted(pair)) for pair in pairs - true_pairs)
    yield f"copy groups found: {len(connected)} of {len(groups)} (missing: {sorted(set(groups) - set(connected))})"
    yield f"pairs of copies found: {len(pairs & true_pairs)} of {len(true_pairs)}"
    yield f"false matches: {len(false)} {false}"


def _is_connected(files: set[str], pairs: set[frozenset[str]]) -> bool:
    """Return whether every file of a group is joined to the others, directly or through the group."""
    reached = {min(files)}
    while True:
        more = {name for pair in pairs if pair & reached for name in pair if name in files} - reached
        if not more:
            return reached == files
        reached |= more


def main() -> None:
    """Run the chain and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--footage", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="folder to keep (default: a temporary one)")
    parser.add_argument("--config", type=Path, help="training configuration (default: the product's)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        stages = run_chain(arguments.footage, work, arguments.config)
        project = open_project(work / "project")
        lines = report(stages, measure_library(project), found_pairs(project), true_groups(arguments.footage))
        print("\n".join(lines))


if __name__ == "__main__":
    main()
