"""Measure the decode pass stage by stage, beside plain decoding in the same run, which is its limit.

    python -m benchmarks.decode_embed --footage DIR [--every N] [--threads N]

Each line adds one thing to the line before: thumbnails, images at 2 a second, grey stills at 10 a second, shots, and
the embedded default encoder, first on one thread and then with decoding on a thread of its own. Files that cannot be
decoded are counted, in every stage alike. Processor seconds are those of all threads: they say what a stage costs
even where other work shares the machine, wall seconds say how fast it is on this one.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

import av
import torch

from ingest.encoders.compute import Compute, choose_compute
from ingest.encoders.encoder import Encoder
from ingest.encoders.lite0 import open_lite0
from ingest.errors import MediaError
from ingest.intake.readahead import read_ahead
from ingest.media.container import opened_video
from ingest.media.frames import ScannedFrame, scan_frames
from ingest.media.keyframes import scan_keyframes
from ingest.media.shots import ShotCutter
from ingest.media.sources import SourceFile, walk_sources

_SAMPLES = Fraction(2)
_STILLS = Fraction(10)
_ONCE = Fraction(1, 1_000_000)
_BATCH = 32


@dataclass
class _Tally:
    """What a stage saw, over all files."""

    frames: int = 0
    images: int = 0
    seconds: float = 0.0
    rejected: int = 0


_Reader = Callable[[Path, _Tally], None]


def main() -> None:
    """Run every stage over the footage and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--footage", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="take every N-th file only")
    parser.add_argument("--threads", type=int, default=0, help="torch's threads; default: its own choice")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    sources = [source.path for source in walk_sources([args.footage]) if isinstance(source, SourceFile)]
    files = sources[:: args.every]
    compute = choose_compute()
    encoder = open_lite0(compute)
    _print_machine(compute, len(files))
    _plain(files[0], _Tally())  # so that the first stage does not pay for loading libraries
    stages: dict[str, _Reader] = {
        "plain decode": _plain,
        "thumbnails": lambda path, tally: _scan(path, tally, samples=_ONCE),
        "+ images at 2/s": _scan,
        "+ stills at 10/s": lambda path, tally: _scan(path, tally, stills=_STILLS),
        "+ shots": lambda path, tally: _scan(path, tally, stills=_STILLS, cuts=True),
        "+ embedding": lambda path, tally: _embed(_frames(path), encoder, tally),
        "+ embedding, reading ahead": lambda path, tally: _embed_ahead(path, encoder, tally),
        "key frames only": _key_frames,
    }
    print(
        f"{'stage':28} {'wall s':>8} {'CPU s':>8} {'x real time':>12} {'frames':>8} {'images':>7} {'rejected':>9}"
    )
    duration = 0.0
    for name, reader in stages.items():
        duration = _measure(name, reader, files, duration)


def _print_machine(compute: Compute, num_files: int) -> None:
    cpu = torch.cpu.get_capabilities().get("cpu_name", "unknown processor")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{cpu}, {os.cpu_count()} cores, torch on {torch.get_num_threads()} threads; load before: {load}")
    print(f"av {version('av')}, torch {version('torch')}; {compute.reason}; {num_files} files")


def _measure(name: str, reader: _Reader, files: list[Path], duration: float) -> float:
    """Print one line and return the seconds of footage, which the first stage finds."""
    tally = _Tally()
    wall, processor = time.perf_counter(), time.process_time()
    for path in files:
        try:
            reader(path, tally)
        except (MediaError, av.FFmpegError):
            tally.rejected += 1
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    duration = duration or tally.seconds
    print(
        f"{name:28} {wall:8.1f} {processor:8.1f} {duration / wall:12.1f}"
        f" {tally.frames:8} {tally.images:7} {tally.rejected:9}",
        flush=True,
    )
    return duration


def _plain(path: Path, tally: _Tally) -> None:
    with opened_video(path) as video:
        first = last = None
        for frame in video.container.decode(video.stream):
            tally.frames += 1
            first, last = frame.time if first is None else first, frame.time
        tally.seconds += (last or 0.0) - (first or 0.0) + float(1 / (video.frame_rate or 25))


def _frames(path: Path) -> Iterator[ScannedFrame]:
    return scan_frames(path, samples_per_second=_SAMPLES, stills_per_second=_STILLS)


def _scan(
    path: Path,
    tally: _Tally,
    *,
    samples: Fraction = _SAMPLES,
    stills: Fraction | None = None,
    cuts: bool = False,
) -> None:
    cutter = ShotCutter()
    for frame in scan_frames(path, samples_per_second=samples, stills_per_second=stills):
        tally.frames += 1
        tally.images += frame.image is not None
        if cuts:
            cutter.push(frame)


def _embed_ahead(path: Path, encoder: Encoder, tally: _Tally) -> None:
    with closing(read_ahead(frame for frame in _frames(path))) as frames:
        _embed(frames, encoder, tally)


def _embed(frames: Iterator[ScannedFrame], encoder: Encoder, tally: _Tally) -> None:
    cutter = ShotCutter()
    waiting = []
    for frame in frames:
        tally.frames += 1
        cutter.push(frame)
        if frame.image is not None:
            waiting.append(frame.image)
        if len(waiting) == _BATCH:
            tally.images += len(encoder.embed(waiting))
            waiting.clear()
    tally.images += len(encoder.embed(waiting))


def _key_frames(path: Path, tally: _Tally) -> None:
    for _ in scan_keyframes(path):
        tally.images += 1


if __name__ == "__main__":
    main()
