"""Measure the memory and time of ingesting a long film and of finding an excerpt in it.

    python -m benchmarks.long_film [--hours H] [--work DIR]

The film is synthetic and seeded: shots of eight seconds in which discs wander, 160 x 96, five frames
a second. The excerpt is half a minute of it, a little darker. Each step runs in a process of its own, so that
its peak memory is its own; what is made stays in `--work`, and a run that was stopped goes on after the last step.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from db.files import write_durably
from ingest.attacks.film import Picture, write_film
from ingest.encoders.compute import choose_compute
from ingest.encoders.lite0 import open_lite0
from ingest.matching.detectors import starting_detector
from ingest.matching.matches import find_matches
from ingest.media.digests import file_digest
from ingest.pictures.embedding import embed_file
from ingest.pictures.vectors import VectorStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FRAMES_PER_SECOND = 5
_HEIGHT, _WIDTH = 96, 160
_SHOT_SECONDS = 8
_EXCERPT_SECONDS = 30
_NUM_SUBJECTS = 4
_STEPS = ("film", "excerpt", "embed-film", "embed-excerpt", "find-excerpt", "find-film")


def pictures(first_second: int, num_seconds: int) -> Iterator[NDArray[np.uint8]]:
    """Draw the frames of a stretch of the film, RGB HWC."""
    for index in range(first_second * _FRAMES_PER_SECOND, (first_second + num_seconds) * _FRAMES_PER_SECOND):
        yield _frame(index / _FRAMES_PER_SECOND)


def _frame(seconds: float) -> NDArray[np.uint8]:
    """Draw discs that wander before a ground, each with colours and a grain of its own for every shot."""
    random = np.random.default_rng(int(seconds // _SHOT_SECONDS))
    within = seconds % _SHOT_SECONDS
    frame = _ground(random)
    rows, columns = np.mgrid[0:_HEIGHT, 0:_WIDTH]
    for _ in range(_NUM_SUBJECTS):
        hertz, phase = random.uniform(0.05, 0.3, 2), random.uniform(0, 2 * np.pi, 2)
        radius = random.uniform(6, 24)
        row, column = (0.5 + 0.5 * np.sin(2 * np.pi * hertz * within + phase)) * (_HEIGHT, _WIDTH)
        stripes = np.sin(
            random.uniform(0.2, 1.2) * (rows - row) + random.uniform(0.2, 1.2) * (columns - column)
        )
        disc = random.uniform(0, 255, 3) + 50 * stripes[:, :, None]
        frame = np.where(((rows - row) ** 2 + (columns - column) ** 2 < radius**2)[:, :, None], disc, frame)
    return np.clip(frame, 0, 255).astype(np.uint8)


def _ground(random: np.random.Generator) -> NDArray[np.float32]:
    """Draw patches of colour, large ones and small ones, that melt into each other."""
    from PIL import Image

    ground = np.zeros((_HEIGHT, _WIDTH, 3), dtype=np.float32)
    for cells, share in ((int(random.integers(2, 6)), 0.6), (int(random.integers(8, 24)), 0.4)):
        colours = random.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        wide = Image.fromarray(colours).resize((_WIDTH, _HEIGHT), Image.Resampling.BICUBIC)
        ground += share * np.asarray(wide, dtype=np.float32)
    return ground


def _darkened(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return (0.8 * frame).astype(np.uint8)


def write(path: Path, drawn: Iterator[NDArray[np.uint8]]) -> None:
    """Write frames as a film that appears whole."""
    tick = Fraction(1, _FRAMES_PER_SECOND)
    write_film(
        (Picture(number * tick, (number + 1) * tick, image) for number, image in enumerate(drawn)),
        path,
        crf=23,
    )


def step(name: str, work: Path, seconds: int) -> dict[str, Any]:
    """Do one step; return what it tells."""
    film, excerpt = work / "film.mp4", work / "excerpt.mp4"
    start = seconds * 2 // 3
    match name:
        case "film":
            write(film, pictures(0, seconds))
        case "excerpt":
            write(excerpt, (_darkened(frame) for frame in pictures(start, _EXCERPT_SECONDS)))
        case "embed-film" | "embed-excerpt":
            path = film if name == "embed-film" else excerpt
            encoder = open_lite0(choose_compute())
            vectors = embed_file(path, file_digest(path).sha256, _store(work), encoder, samples_per_second=2)
            return {"rows": vectors.num_rows}
        case _:
            paths = (excerpt, film) if name == "find-excerpt" else (film, excerpt)
            return {"found": _found(work, *(file_digest(path).sha256 for path in paths)), "true": start}
    return {}


def _store(work: Path) -> VectorStore:
    return VectorStore(work / "vectors")


def _found(work: Path, query: str, other: str) -> list[list[float]]:
    """Return the likeliest spans: start and end in the query, start and end in the other, probability."""
    identity = open_lite0(choose_compute()).identity
    spans = find_matches(_store(work), identity, [query], [other], starting_detector(identity))
    return [
        [
            round(value, 2)
            for value in (
                span.query_start_seconds,
                span.query_end_seconds,
                span.other_start_seconds,
                span.other_end_seconds,
                span.probability,
            )
        ]
        for span in spans
    ]


def measured(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do `work` and add its cost."""
    wall, cpu = time.perf_counter(), time.process_time()
    told = work()
    # ru_maxrss is in KiB on Linux and in bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    cost = {"cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall}
    return told | cost | {"peak_mib": round(peak / 2**20)}


def main() -> int:
    """Do every step that was not done, and print what each took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--work", type=Path, help="keep what was made and measured here, and go on from it")
    parser.add_argument("--step", choices=_STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    seconds = round(3600 * options.hours)
    if options.step is not None:
        print(json.dumps(measured(lambda: step(options.step, options.work, seconds))))
        return 0
    with contextlib.ExitStack() as stack:
        work: Path = options.work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        work.mkdir(parents=True, exist_ok=True)
        print(f"{seconds} s of film, {_WIDTH} x {_HEIGHT}, {_FRAMES_PER_SECOND} frames a second")
        print("| step | CPU s | wall s | peak MiB | tells |")
        print("|---|---|---|---|---|")
        for name in _STEPS:
            told = _in_process(name, work, options.hours)
            cells = (f"{told.pop(key):.1f}" for key in ("cpu_seconds", "wall_seconds"))
            print(
                f"| {name} | {' | '.join(cells)} | {told.pop('peak_mib')} | {json.dumps(told)} |", flush=True
            )
    return 0


def _in_process(name: str, work: Path, hours: float) -> dict[str, Any]:
    note = work / f"{name}.json"
    if not note.exists():
        command = [sys.executable, "-m", "benchmarks.long_film", "--step", name]
        command += ["--work", str(work), "--hours", str(hours)]
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
        )
        write_durably(note, done.stdout)
    told: dict[str, Any] = json.loads(note.read_bytes())
    return told


if __name__ == "__main__":
    sys.exit(main())
