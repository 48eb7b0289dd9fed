"""Measure what proving a run costs: the share of hashing and ledger in the CPU time of the training steps.

    python -m benchmarks.run_proof [--clips N] [--steps N]

Procedural clips (discs over moving ground) are encoded, made a snapshot of, and trained on with the `cpu` preset. The
time of checking digests of frames and of writing the ledger is taken from the same run, in CPU seconds of the process,
so that other work on the machine matters little.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from governance.snapshots.snapshot import ClearedSpan
from tests.media import moving_scene, write_video
from tests.training.cleared_footage import Footage, make_snapshot, open_clips, open_ledger
from training.config import TrainingConfig
from training.data import FrameCache
from training.loop import prepare, train_steps
from training.proof.ledger import Ledger
from training.reference import ReferenceRecipe
from training.team import Alone


class Meter:
    """CPU seconds spent in the functions that it wraps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function` with its time counted."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            begin = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.process_time() - begin

        return timed


def make_footage(folder: Path, num_clips: int) -> Footage:
    """Encode one film of 16 frames for each clip."""
    sources: dict[str, Path] = {}
    spans: list[ClearedSpan] = []
    for number in range(num_clips):
        path = write_video(folder / f"{number}.mp4", moving_scene(number, 16, 64, 64), rate=8)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        sources[sha256] = path
        spans.append(
            ClearedSpan(
                clip_id=f"{number:016x}",
                asset_sha256=sha256,
                start_pts=0,
                end_pts=1 << 20,
                time_base=Fraction(1, 16384),
                duration_seconds=2.0,
                caption=f"Discs over ground {number % 7}",
                grant_digest="0" * 64,
                license_expression="CC0-1.0",
            )
        )
    return Footage(sources=sources, spans=tuple(spans))


def main() -> None:
    """Train and print one JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=96)
    parser.add_argument("--steps", type=int, default=100)
    arguments = parser.parse_args()
    config = TrainingConfig(num_steps=arguments.steps, checkpoint_every=50)
    digests, ledger = Meter(), Meter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        snapshot = make_snapshot(make_footage(folder, arguments.clips))
        clips = open_clips(snapshot, folder / "frames", config=replace(config))
        run = prepare(
            clips,
            folder / "run",
            recipe=ReferenceRecipe(config),
            ledger=open_ledger(folder / "run"),
            team=Alone("cpu"),
        )
        FrameCache.get = digests.wrap(FrameCache.get)  # type: ignore[method-assign]
        for method in ("note_step", "note_checkpoint"):
            setattr(Ledger, method, ledger.wrap(getattr(Ledger, method)))
        begin = time.process_time()
        for _ in train_steps(run):
            pass
        total = time.process_time() - begin
    found = {
        "machine": platform.platform(),
        "num_clips": arguments.clips,
        "num_steps": arguments.steps,
        "batch_size": config.batch_size,
        "cpu_seconds": round(total, 2),
        "ms_per_step": round(1000 * total / arguments.steps, 1),
        "reading_and_checking_frames_percent": round(100 * digests.seconds / total, 2),
        "ledger_percent": round(100 * ledger.seconds / total, 2),
        "ledger_microseconds_per_step": round(1e6 * ledger.seconds / arguments.steps, 1),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
