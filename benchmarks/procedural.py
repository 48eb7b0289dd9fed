"""Measure whether the reference model draws what a caption asks for: train on the procedural set, read what it draws.

    python -m benchmarks.procedural [--preset cpu] [--set KEY=VALUE ...] [--seeds 3] [--sheet SHEET.png]

The 384 scenes of `training.instrument` are encoded, made a snapshot of, and trained on with the code of `cleartitle
train`. The model then draws each of the 48 captions from several seeds, and the instrument reads what it drew. Printed
as JSON: the scores of the footage as the run read it, of the footage through the tokenizer (what the model can reach at
best), of what the model drew, and the CPU seconds of the process that reading, fitting the tokenizer and training took.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import platform
import sys
import tempfile
import time
import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from governance.snapshots.snapshot import ClearedSpan
from tests.media import write_video
from tests.training.cleared_footage import Footage, make_snapshot, open_clips, open_ledger
from training.config import TrainingConfig, config_from_mapping
from training.instrument.scenes import Scene, captions, procedural_scenes
from training.instrument.scores import Scores, score_clips
from training.loop import prepare, train_steps, trained_model
from training.plots import draw_contact_sheet
from training.reference import ReferenceRecipe
from training.run import TrainingRun
from training.team import Alone
from training.video_model import draw_all
from training.weights import TrainedModel

_NUM_FRAMES, _SIDE, _RATE = 16, 64, 8
_TIME_BASE = Fraction(1, 16384)
# Nearly lossless and without subsampled colour, so that the codec has no part in the result.
_ENCODING = {"crf": "4"}
_NUM_SHEET_ROWS = 8


def write_scenes(folder: Path, scenes: list[Scene]) -> Footage:
    """Encode each scene as a film of its own, cleared as one clip."""
    sources: dict[str, Path] = {}
    spans: list[ClearedSpan] = []
    for number, scene in enumerate(scenes):
        frames_THWC = scene.draw(_NUM_FRAMES, _SIDE, _SIDE).transpose(0, 2, 3, 1)
        path = write_video(
            folder / f"{number}.mp4", frames_THWC, rate=_RATE, pix_fmt="yuv444p", options=_ENCODING
        )
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        sources[sha256] = path
        duration = Fraction(_NUM_FRAMES, _RATE)
        spans.append(
            ClearedSpan(
                clip_id=f"{number:016x}",
                asset_sha256=sha256,
                start_pts=0,
                end_pts=int(duration / _TIME_BASE),
                time_base=_TIME_BASE,
                duration_seconds=float(duration),
                caption=scene.caption,
                grant_digest="0" * 64,
                license_expression="CC0-1.0",
            )
        )
    return Footage(sources=sources, spans=tuple(spans))


def train(folder: Path, config: TrainingConfig, seed: int) -> tuple[TrainingRun, dict[str, float]]:
    """Train on the set of one seed; returns the finished run and CPU seconds of its two parts."""
    snapshot = make_snapshot(write_scenes(folder, procedural_scenes(seed)))
    clips = open_clips(snapshot, folder / "frames", config=config)
    begin = time.process_time()
    recipe, ledger = ReferenceRecipe(config), open_ledger(folder / "run")
    run = prepare(clips, folder / "run", recipe=recipe, ledger=ledger, team=Alone("cpu"))
    prepared = time.process_time()
    for report in train_steps(run):
        if report.step % 100 == 0:
            print(f"step {report.step}: loss {report.loss:.4f}", file=sys.stderr)
    return run, {
        "reading_and_tokenizer_cpu_seconds": round(prepared - begin, 1),
        "training_cpu_seconds": round(time.process_time() - prepared, 1),
    }


def score_footage(run: TrainingRun) -> tuple[Scores, Scores]:
    """Score the clips as the run read them, and again through the tokenizer."""
    samples = [run.clips[index] for index in range(0, len(run.clips), 4)]
    read = [(sample["caption"], sample["frames_TCHW"]) for sample in samples]
    trained = trained_model(run)
    restored = [(caption, trained.retell(frames)) for caption, frames in read]
    return (
        score_clips((caption, frames.numpy()) for caption, frames in read),
        score_clips((caption, frames.numpy()) for caption, frames in restored),
    )


def draw(run: TrainingRun, prompts: list[str], seed: int) -> torch.Tensor:
    """Draw each prompt once, as `cleartitle generate` does."""
    return draw_all(trained_model(run), prompts, seed * len(prompts))


def _values(pairs: list[str]) -> dict[str, Any]:
    """Read KEY=VALUE as a line of the TOML that `cleartitle train` takes."""
    return tomllib.loads("\n".join(pairs))


def _rounded(scores: Scores) -> dict[str, float]:
    return {name: round(value, 3) for name, value in dataclasses.asdict(scores).items()}


def main() -> None:
    """Train, draw, read and print one JSON document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seeds", type=int, default=3, help="draw every caption so many times")
    parser.add_argument("--sheet", type=Path, help="write some of the drawn clips as a picture")
    arguments = parser.parse_args()
    config = config_from_mapping({"preset": arguments.preset, **_values(arguments.set)})
    prompts = captions()
    with tempfile.TemporaryDirectory() as name:
        run, seconds = train(Path(name), config, seed=0)
        read, restored = score_footage(run)
        drawn = [draw(run, prompts, seed) for seed in range(arguments.seeds)]
    trained = trained_model(run)
    assert isinstance(trained, TrainedModel)
    scores = [score_clips(zip(prompts, clips_BTCHW.numpy(), strict=True)) for clips_BTCHW in drawn]
    found = {
        "machine": platform.platform(),
        "config": config.to_dict(),
        "num_parameters": trained.num_parameters,
        "num_components": trained.tokenizer.num_components,
        **seconds,
        "footage": _rounded(read),
        "footage_through_the_tokenizer": _rounded(restored),
        "drawn": [_rounded(one) for one in scores],
    }
    if arguments.sheet:
        shown = range(0, len(prompts), len(prompts) // _NUM_SHEET_ROWS + 1)
        draw_contact_sheet(arguments.sheet, [prompts[row] for row in shown], drawn[0][list(shown)])
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
