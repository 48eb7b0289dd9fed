"""Measure what L3 of `training verify` tells: train on some footage, and ask the weights about it and about the rest.

    python -m benchmarks.membership --footage DIR [--preset toy] [--steps 100 300 1000]

Files whose names begin with the same word are one source, since they may be of one film; every fourth source is held
out, and so is another fourth that plays the part of footage that was not used. One model is trained for each number
of steps. Printed as JSON, a line for each: the comparisons of `training.proof.membership`, with the losses as they are
divided by those of the linear denoiser, and for comparison not divided.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import itertools
import json
import logging
import math
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from governance.snapshots.snapshot import ClearedSpan, Snapshot
from ingest.errors import MediaError
from ingest.media.probe import probe
from tests.training.cleared_footage import Footage, make_snapshot, open_clips, open_ledger
from training.config import TrainingConfig, config_from_mapping
from training.data import ClearedClips
from training.loop import prepare, train_steps, trained_model
from training.proof.membership import ScoredClips, clip_losses, compare
from training.reference import ReferenceRecipe
from training.team import Alone
from training.weights import TrainedModel

_CLIP_SECONDS, _MOST_CLIPS = 2.0, 6


def spans_of(path: Path) -> Iterator[ClearedSpan]:
    """Yield up to six clips of two seconds of a file, evenly spaced."""
    facts = probe(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    num_clips = int((facts.duration_seconds or 0) / _CLIP_SECONDS)
    for number in range(min(num_clips, _MOST_CLIPS)):
        start = number * num_clips // min(num_clips, _MOST_CLIPS) * _CLIP_SECONDS
        yield ClearedSpan(
            clip_id=hashlib.sha256(f"{sha256}{start}".encode()).hexdigest()[:16],
            asset_sha256=sha256,
            start_pts=int(start / facts.time_base),
            end_pts=int((start + _CLIP_SECONDS) / facts.time_base),
            time_base=facts.time_base,
            duration_seconds=_CLIP_SECONDS,
            caption=path.stem.replace("_", " "),
            grant_digest="0" * 64,
            license_expression="CC0-1.0",
        )


def read_folder(folder: Path) -> tuple[Footage, dict[str, str]]:
    """Return the clips of every file that can be read, and the source of each file by its digest."""
    spans: list[ClearedSpan] = []
    paths: dict[str, Path] = {}
    words: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        try:
            found = list(spans_of(path)) if path.is_file() and path.suffix != ".csv" else []
        except MediaError:
            continue
        for span in found:
            if span.asset_sha256 not in paths or paths[span.asset_sha256] == path:
                paths[span.asset_sha256] = path
                words[span.asset_sha256] = re.split(r"[_0-9]", path.stem)[0]
                spans.append(span)
    return Footage(sources=paths, spans=tuple(spans)), words


def score(
    trained: TrainedModel, clips: ClearedClips, words: dict[str, str]
) -> tuple[ScoredClips, ScoredClips]:
    """Score every clip: by its loss over that of the linear denoiser, and by its loss alone."""
    sources = tuple(words[span.asset_sha256] for span in clips.spans)
    losses = [clip_losses(trained, clips[index]["frames_TCHW"]) for index in range(len(clips))]
    divided = tuple(math.log(loss / reference) for loss, reference in losses)
    alone = tuple(math.log(loss) for loss, _ in losses)
    return ScoredClips(scores=divided, sources=sources), ScoredClips(scores=alone, sources=sources)


def measure(
    footage: Footage, words: dict[str, str], config: TrainingConfig, folder: Path
) -> dict[str, object]:
    """Train on two fourths of the sources, and compare the four of them."""
    names = sorted(set(words.values()))
    parts = [set(names[number::4]) for number in range(4)]

    def part(chosen: set[str]) -> Snapshot:
        spans = tuple(span for span in footage.spans if words[span.asset_sha256] in chosen)
        return make_snapshot(Footage(sources=footage.sources, spans=spans))

    def opened(chosen: set[str], name: str) -> ClearedClips:
        return open_clips(part(chosen), folder / name, config=config)

    training, held_out, not_used = (
        opened(parts[0] | parts[2], "a"),
        opened(parts[1], "b"),
        opened(parts[3], "c"),
    )
    begun = time.process_time()
    run = prepare(
        training,
        folder / "run",
        recipe=ReferenceRecipe(config),
        ledger=open_ledger(folder / "run"),
        team=Alone("cpu"),
    )
    losses = [report.loss for report in train_steps(run)]
    seconds = time.process_time() - begun
    trained = trained_model(run)
    assert isinstance(trained, TrainedModel)
    trained = dataclasses.replace(trained, model=trained.model.eval())
    begun = time.process_time()
    scored = {
        "training": score(trained, training, words),
        "held_out": score(trained, held_out, words),
        "not_used": score(trained, not_used, words),
    }
    found: dict[str, object] = {
        "steps": config.num_steps,
        "passes_over_footage": config.num_steps * config.batch_size / len(training),
        "final_loss": sum(losses[-20:]) / 20,
        "training_cpu_seconds": seconds,
        "scoring_cpu_seconds": time.process_time() - begun,
        **{name: clips.told for name, (clips, _) in scored.items()},
    }
    for first, second in itertools.combinations(scored, 2):
        divided, alone = (compare(*pair).told for pair in zip(scored[first], scored[second], strict=True))
        found[f"{first} against {second}"] = divided
        found[f"{first} against {second}, not divided"] = alone
    return found


def main() -> None:
    """Print one line for each number of steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--footage", type=Path, required=True)
    parser.add_argument("--preset", default="toy")
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 300, 1000])
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    torch.set_num_threads(1)
    footage, words = read_folder(arguments.footage)
    for num_steps in arguments.steps:
        config = config_from_mapping(
            {"preset": arguments.preset, "num_steps": num_steps, "checkpoint_every": num_steps}
        )
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(footage, words, config, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
