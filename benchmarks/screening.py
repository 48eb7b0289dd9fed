"""Measure the screening of generated clips: seconds a clip, and what it finds of clips that are known to be copies.

    python -m benchmarks.screening --footage DIR [--work DIR] [--most N] [--memorise | --likeness]

DIR is the folder of `benchmarks.chain`. Ten files become a reference set, eight are held back and the rest is ingested,
cleared and sealed with the commands a user would type. Then clips as a generator writes them, two seconds at eight
pictures a second and 256 x 256 pixels, are made and screened:

- replicas: two seconds of cleared footage at its own tempo, mirrored;
- time-lapses: the whole of a cleared clip of four seconds or more in sixteen pictures, as training samples it;
- reference: two seconds of reference footage;
- new: two seconds of what was held back.

`--memorise` measures something else: it trains the product's default configuration on four files alone, in a project of
their own, and screens what it then draws: replicas that a model made, in 64 x 64 pixels, instead of a codec.

`--likeness` measures the second signal with the same model: how like to its nearest training clip is what it draws from
memory, six clips of each title, and how like are cuts of all other files, as they are and told again by its tokenizer,
which blurs them as it blurs what is drawn. No other file shows anything of the four (GROUND_TRUTH.csv).
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from db.clock import utc_now
from db.project import Project, open_project
from governance.snapshots.snapshot import ClearedSpan, Snapshot, open_snapshot
from ingest.encoders.compute import choose_compute
from ingest.encoders.encoder import open_encoder
from ingest.lookup.find import read_query
from ingest.media.frames import decode_clip
from training.copying.distances import drawn_frames
from training.generation.clip_file import write_clip
from training.screening.nearest import open_nearest
from training.screening.result import ScreenResult
from training.screening.screen import Screen, open_screen
from training.screening.training_clips import training_clips
from training.settings import RunConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HELD_BACK = (
    "chromium_bear.webm", "derf_tractor_vp9.webm", "flutter_bee.mp4", "intel_bottle-detection.mp4",
    "kitware_motion.mp4", "mdn_crystal.webm", "nasa_13013.mp4", "pims_bulk_water.mov",
)  # fmt: skip
REFERENCES = (
    "caminandes_llama_drama.webm", "chaplin.mp4", "intel_car-detection.mp4", "sam2_01_dog.mp4", "sam2_02_cups.mp4",
    "sam2_03_blocks.mp4", "sam2_04_coffee.mp4", "sam2_05_default_juggle.mp4", "tos_vp9.webm",
    "udacity_solidWhiteRight.mp4",
)  # fmt: skip
MEMORISED = ("flutter_butterfly.mp4", "mdn_friday.mp4", "media3_crane_roof_360p.mp4", "mdn_frog.webm")
_POLICY = "commercial-training"
_FEW = "few"
_SNAPSHOT = "bench"
_MAP = """\
[columns]
path = "file"
title = "title"
rights_holder = "licensor"
license_expression = "license_spdx"
source = "source"
"""
_FRAMES, _RATE, _SIZE = 16, Fraction(8), 256
_LAPSED_SECONDS = 4.0
"""From here on sixteen pictures of it run faster than twice its tempo, and so further than the detector follows."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Made:
    """A clip that was made, and of what."""

    kind: str
    path: Path
    title: str = ""


def run(project: Path, *arguments: str | Path) -> None:
    """Run a command of the product; findings are no failure."""
    command = [sys.executable, "-m", "cleartitle", *map(str, arguments), "--project", str(project)]
    done = subprocess.run(
        command, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}, check=False
    )
    if done.returncode not in {0, 1}:
        raise SystemExit(f"{command} answered {done.returncode}")


def make_project(footage: Path, work: Path) -> Project:
    """Ingest, clear and seal in `work`; a project that is there already is used as it is."""
    root = work / "project"
    if not (root / "store" / "snapshots" / _SNAPSHOT).is_dir():
        library, references = work / "library", work / "references"
        for folder in (library, references):
            folder.mkdir(parents=True, exist_ok=True)
        for name in REFERENCES:
            _link(footage, references, name)
        held = [row for row in _rights(footage) if row["file"] not in (*HELD_BACK, *REFERENCES)]
        _write_rights(footage, library, held)
        _make(root, library, work, references)
    return open_project(root)


def _make(root: Path, library: Path, work: Path, references: Path | None = None) -> None:
    """Run every command up to the sealed snapshot."""
    (work / "map.toml").write_text(_MAP, encoding="utf-8")
    command = [sys.executable, "-m", "cleartitle", "init", str(root)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    if references is not None:
        run(root, "ingest", references, "--reference", "blocked")
    run(root, "ingest", library, "--rights", library / "rights.csv", "--map", work / "map.toml")
    run(root, "clear", "--policy", _POLICY)
    run(root, "snapshot", "seal", _SNAPSHOT, "--policy", _POLICY)


def _rights(footage: Path) -> list[dict[str, str]]:
    with (footage / "LICENSES.csv").open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if (footage / row["file"]).is_file()]


def _write_rights(footage: Path, library: Path, rows: Sequence[dict[str, str]]) -> None:
    """Link the files of these rows into `library`, and write the rows beside them."""
    for row in rows:
        _link(footage, library, row["file"])
    with (library / "rights.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _link(footage: Path, folder: Path, name: str) -> None:
    if not (folder / name).exists():
        (folder / name).symlink_to(footage / name)


def make_clips(snapshot: Snapshot, footage: Path, folder: Path, most: int) -> list[Made]:
    """Make the clips of all four kinds, at most so many of each."""
    folder.mkdir(parents=True, exist_ok=True)
    spans = [span for span in _one_of_each(snapshot) if span.duration_seconds >= 2.0]
    made: list[Made] = []
    for number, span in enumerate(spans[:most]):
        frames = _span_frames(snapshot, span, seconds=2.0)
        made.append(_write("replica", folder / f"replica-{number}.mp4", frames[:, :, :, ::-1]))
    lapsed = [span for span in spans if span.duration_seconds >= _LAPSED_SECONDS]
    for number, span in enumerate(lapsed[:most]):
        frames = _span_frames(snapshot, span, seconds=span.duration_seconds)
        made.append(_write("time-lapse", folder / f"lapse-{number}.mp4", frames))
    for kind, names in (("reference", REFERENCES), ("new", HELD_BACK)):
        for number, name in enumerate(names[:most]):
            frames = _file_frames(footage / name)
            made.append(_write(kind, folder / f"{kind}-{number}.mp4", frames))
    return made


def _one_of_each(snapshot: Snapshot) -> list[ClearedSpan]:
    """Return the longest clip of each file, in order of digest."""
    longest: dict[str, ClearedSpan] = {}
    for span in sorted(snapshot.clips, key=lambda span: (span.duration_seconds, span.clip_id)):
        longest[span.asset_sha256] = span
    return [longest[sha256] for sha256 in sorted(longest)]


def _span_frames(snapshot: Snapshot, span: ClearedSpan, *, seconds: float) -> NDArray[np.uint8]:
    path = snapshot.sources[span.asset_sha256]
    end_pts = min(span.end_pts, span.start_pts + int(Fraction(seconds) / span.time_base))
    with path.open("rb") as source:
        return decode_clip(
            source,
            start_pts=span.start_pts,
            end_pts=end_pts,
            num_frames=_FRAMES,
            height=_SIZE,
            width=_SIZE,
            name=path.name,
        )


def _file_frames(path: Path) -> NDArray[np.uint8]:
    """Return sixteen pictures TCHW of the first two seconds of a file."""
    from ingest.media.probe import probe

    facts = probe(path)
    with path.open("rb") as source:
        return decode_clip(
            source,
            start_pts=0,
            end_pts=int(2 / facts.time_base),
            num_frames=_FRAMES,
            height=_SIZE,
            width=_SIZE,
            name=path.name,
        )


def _write(kind: str, path: Path, frames_TCHW: NDArray[np.uint8]) -> Made:
    import numpy as np
    import torch

    frames = torch.from_numpy(np.ascontiguousarray(frames_TCHW))
    write_clip(path, frames, frame_rate=_RATE, height=_SIZE, width=_SIZE)
    return Made(kind=kind, path=path)


def memorise(footage: Path, work: Path) -> Project:
    """Train the product's default configuration on four files alone, in a project of their own."""
    root, library = work / "few", work / "few-library"
    if not (root / "store" / "models" / _FEW).is_dir():
        library.mkdir(parents=True, exist_ok=True)
        _write_rights(footage, library, [row for row in _rights(footage) if row["file"] in MEMORISED])
        _make(root, library, work)
        run(root, "train", "--snapshot", _SNAPSHOT, "--name", _FEW)
    return open_project(root)


def memorised_clips(project: Project, folder: Path) -> list[Made]:
    """Draw two clips for every title that the model was trained on."""
    from training.generation.generator import open_generator

    folder.mkdir(parents=True, exist_ok=True)
    generator = open_generator(project, _FEW)
    trained = generator.trained
    captions = sorted({span.caption for span in generator.snapshot.clips})
    made = []
    for number, caption in enumerate(captions * 2):
        frames_TCHW = trained.draw(caption, number)
        path = folder / f"memorised-{number}.mp4"
        write_clip(path, frames_TCHW, frame_rate=_RATE, height=_SIZE, width=_SIZE)
        made.append(Made(kind="memorised", path=path, title=caption))
    return made


def report_attribution(project: Project, made: Sequence[Made], work: Path) -> None:
    """Print how often the nearest training clip is one of the title that was asked for."""
    encoder = open_encoder(project.settings.encoder, choose_compute()).encoder
    nearest = open_nearest(project, _FEW, encoder.identity)
    num_right = 0
    seconds: list[float] = []
    titles = training_clips(project, _SNAPSHOT)
    for clip in made:
        with tempfile.TemporaryDirectory(dir=work) as hidden:
            query = read_query(project, clip.path, encoder, Path(hidden), name=clip.path.name)
            begin = time.perf_counter()
            first = nearest.attribute(query).nearest[0]
            seconds.append(time.perf_counter() - begin)
        num_right += titles[first.clip_id].title == clip.title
        print(
            f"{clip.path.name}: asked for {clip.title!r}, nearest {titles[first.clip_id].title!r} {first.likeness:.3f}"
        )
    print(f"attribution: nearest clip is of the title asked for in {num_right} of {len(made)}")
    print(
        f"attribution: {statistics.median(seconds):.3f} s a clip, wall, median; {len(titles)} training clips"
    )


def other_cuts(footage: Path, config: RunConfig) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield two seconds from the middle of each file that was not trained on, TCHW as training reads them."""
    from ingest.errors import MediaError
    from ingest.media.probe import probe

    for row in _rights(footage):
        path = footage / row["file"]
        if path.name in MEMORISED:
            continue
        try:
            facts = probe(path)
            start = max(0.0, float(facts.duration_seconds or 0) / 2 - 1)
            with path.open("rb") as source:
                yield (
                    path.name,
                    decode_clip(
                        source,
                        start_pts=int(start / facts.time_base),
                        end_pts=int((start + 2) / facts.time_base),
                        num_frames=config.num_frames,
                        height=config.height,
                        width=config.width,
                        name=path.name,
                    ),
                )
        except MediaError as exc:
            print(f"left out: {exc}", file=sys.stderr)


def report_likeness(project: Project, footage: Path, work: Path) -> None:
    """Print how like what is drawn from memory, and what was never seen, is to the nearest training clip."""
    import torch

    from training.generation.generator import open_generator

    generator = open_generator(project, _FEW)
    trained = generator.trained
    encoder = open_encoder(project.settings.encoder, choose_compute()).encoder
    nearest = open_nearest(project, _FEW, encoder.identity)
    prompts = sorted({span.caption for span in generator.snapshot.clips}) * 6
    found: dict[str, list[float]] = defaultdict(list)

    def measure(kind: str, name: str, frames_TCHW: torch.Tensor) -> None:
        with tempfile.TemporaryDirectory(dir=work) as hidden:
            path = Path(hidden) / "clip.mp4"
            write_clip(path, frames_TCHW, frame_rate=_RATE, height=_SIZE, width=_SIZE)
            query = read_query(project, path, encoder, Path(hidden) / "query", name=name)
            likest = nearest.attribute(query).nearest
        found[kind if likest else f"{kind}, too plain"].append(likest[0].likeness if likest else 0.0)
        if likest:
            print(f"{kind}: {name}: {likest[0].likeness:.3f}", file=sys.stderr, flush=True)

    for number, frames_TCHW in enumerate(drawn_frames(trained, prompts, 100)):
        measure("drawn from memory", prompts[number], frames_TCHW)
    for name, frames in other_cuts(footage, trained.config):
        frames_TCHW = torch.from_numpy(frames)
        measure("never seen", name, frames_TCHW)
        retold_TCHW = trained.retell(frames_TCHW)
        measure("never seen, told again by the tokenizer", name, retold_TCHW)
    print(f"encoder {encoder.identity.name}, digest {encoder.identity.digest}")
    for kind, values in found.items():
        shares = ", ".join(
            f"{limit:.2f}: {sum(value >= limit for value in values)}" for limit in (0.4, 0.45, 0.5, 0.55, 0.6)
        )
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"{kind}: {len(values)} clips, {low:.3f} to {high:.3f}, median {middle:.3f}; at least {shares}")


def screen_all(
    screen: Screen, made: Sequence[Made], work: Path
) -> Iterator[tuple[Made, ScreenResult, float, float]]:
    """Yield each clip with its result and the seconds of reading it and of judging it."""
    for clip in made:
        with tempfile.TemporaryDirectory(dir=work) as hidden:
            begin = time.perf_counter()
            read = screen.read(clip.path, Path(hidden), name=clip.path.name)
            middle = time.perf_counter()
            result = screen.judge(read)
            yield clip, result, middle - begin, time.perf_counter() - middle


def main() -> None:
    """Run the measurement and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--footage", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="folder to keep (default: a temporary one)")
    parser.add_argument(
        "--memorise", action="store_true", help="train on four files, and screen what is drawn"
    )
    parser.add_argument(
        "--likeness",
        action="store_true",
        help="train on four files, and measure the likeness of what is drawn",
    )
    parser.add_argument("--most", type=int, default=24, help="clips of each kind, at most")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        is_few = arguments.memorise or arguments.likeness
        project = (memorise if is_few else make_project)(arguments.footage, work)
        if arguments.likeness:
            report_likeness(project, arguments.footage, work)
            return
        snapshot = open_snapshot(project, _SNAPSHOT, now=utc_now())
        if arguments.memorise:
            made = memorised_clips(project, work / "drawn")
        else:
            made = make_clips(snapshot, arguments.footage, work / "clips", arguments.most)
        report(project, snapshot, made, work)
        if arguments.memorise:
            report_attribution(project, made, work)


def report(project: Project, snapshot: Snapshot, made: Sequence[Made], work: Path) -> None:
    """Screen and print."""
    begin, begin_cpu = time.perf_counter(), time.process_time()
    encoder = open_encoder(project.settings.encoder, choose_compute()).encoder
    screen = open_screen(project, snapshot, encoder=encoder)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for part in screen.footage.compared:
        files = f"{part.num_compared} of {part.num_assets} files"
        print(f"{part.against.value} {part.name}: {files}, {part.duration_seconds:.0f} s")
    print(f"opening: {time.perf_counter() - begin:.1f} s wall, {time.process_time() - begin_cpu:.1f} CPU s")
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    times: list[tuple[float, float]] = []
    begin_cpu = time.process_time()
    for clip, result, *seconds in screen_all(screen, made, work):
        outcomes[clip.kind][result.outcome.value] += 1
        times.append((seconds[0], seconds[1]))
        words = f"{result.outcome.value}, tempos {result.slowed_by}; {result.sentence()}"
        print(f"{clip.path.name}: {words}", flush=True)
    cpu = (time.process_time() - begin_cpu) / len(made)
    reading, judging = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{len(made)} clips, {cpu:.2f} CPU s a clip")
    print(
        f"wall, median: reading {reading:.2f} s, comparing {judging:.2f} s; longest {max(map(sum, times)):.2f} s"
    )
    for kind, counts in outcomes.items():
        print(f"{kind}: {dict(counts)}")


if __name__ == "__main__":
    main()
