"""Longer clips, loops, first frames and varied clips of a trained model, measured on what it draws.

    python -m benchmarks.generation --model model.safetensors --footage DIR [--prompt TEXT ...] [--seeds 5]

Distances are mean absolute differences of pixels, of 255, at the size that the model draws. Printed are medians, with
the largest in brackets:

- first frame: of the first picture of each file of DIR from the first frame of a clip that is held to it, of one that
  is not, and of the picture from a still clip of it that went through the tokenizer;
- seeds: how far two seeds differ in the middle of a clip, of the first prompt, held to one picture and free;
- longer clips: the largest step at a join, against the median step of the clip;
- loops: the seam and the largest step against the median step, and the seam of a clip that was not asked to go round;
- varied clips: how far they are from the clip that they depart from.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from db.errors import Error
from ingest.errors import MediaError
from ingest.media.frames import decode_clip
from training.generation.sequence import draw_loop, draw_sequence, overlap_of, step_sizes
from training.video_model import VariedClip
from training.weights import TrainedModel, load_weights

if TYPE_CHECKING:
    from torch import Tensor

    from training.generation.sequence import DrawSegment

_STRENGTHS = (10, 30, 50, 70, 90)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--footage", type=Path, required=True)
    parser.add_argument("--prompt", action="append", default=None)
    parser.add_argument("--seeds", type=int, default=5, help="2 or more")
    arguments = parser.parse_args()
    try:
        trained = load_weights(arguments.model, device="cpu")
        prompts = arguments.prompt or [""]
        pictures = list(_first_pictures(arguments.footage, trained))
        _measure(trained, prompts, range(arguments.seeds), pictures)
    except Error as exc:
        sys.exit(f"{exc}")


def _measure(
    trained: TrainedModel, prompts: Iterable[str], seeds: Iterable[int], pictures: list[Tensor]
) -> None:
    print(f"{len(pictures)} pictures; prompts {list(prompts)}; seeds {list(seeds)}")
    draws = [_drawer(trained, prompt, seed) for prompt in prompts for seed in seeds]
    started = time.process_time()
    free = [draw(0, {}) for draw in draws]
    print(f"one segment: {(time.process_time() - started) / len(draws):.2f} CPU s")
    _first_frames(trained, draws, free, pictures)
    _longer(trained, draws)
    _loops(trained, draws, free)
    _varied(trained, list(prompts), list(seeds), free)


def _drawer(trained: TrainedModel, prompt: str, seed: int, varied: VariedClip | None = None) -> DrawSegment:
    def draw(number: int, known_CHW: Mapping[int, Tensor]) -> Tensor:
        return trained.draw(prompt, seed, segment=number, known_CHW=known_CHW, varied=varied)

    return draw


def _first_frames(
    trained: TrainedModel, draws: list[DrawSegment], free: list[Tensor], pictures: list[Tensor]
) -> None:
    count = trained.config.num_frames
    held, through = [], []
    middles: list[float] = []
    for picture in pictures:
        clips = [draw(0, {0: picture}) for draw in draws[:2]]
        held += [_distance(clip[0], picture) for clip in clips]
        middles.append(_distance(clips[0][count // 2], clips[-1][count // 2]))
        still = picture[None].expand(count, -1, -1, -1).contiguous()
        through.append(_distance(trained.tokenizer.decode(trained.tokenizer.encode(still))[0], picture))
    missed = [_distance(clip[0], picture) for picture in pictures for clip in free[:2]]
    _say("first frame, held to it", held)
    _say("first frame, free", missed)
    _say("a still of it, through the tokenizer", through)
    _say("seeds, held to one picture", middles)
    _say("seeds, free", [_distance(free[0][count // 2], free[1][count // 2])])


def _longer(trained: TrainedModel, draws: list[DrawSegment]) -> None:
    count = trained.config.num_frames
    at_joins = []
    for draw in draws:
        steps = step_sizes(draw_sequence(draw, 3 * count, count))[:-1]
        middle = statistics.median(steps)
        each, overlap = count - overlap_of(count), overlap_of(count)
        joins = [
            step
            for place, step in enumerate(steps)
            if place >= each - 1 and (place - each + 1) % each <= overlap
        ]
        at_joins.append(max(joins) / middle)
    _say("three lengths: largest step at a join / median step", at_joins)


def _loops(trained: TrainedModel, draws: list[DrawSegment], free: list[Tensor]) -> None:
    count = trained.config.num_frames
    for times in (1, 2):
        cycles = [step_sizes(draw_loop(draw, times * count, count)) for draw in draws]
        _say(f"loop, {times} lengths: seam / median step", [c[-1] / statistics.median(c) for c in cycles])
        _say(f"loop, {times} lengths: largest / median step", [max(c) / statistics.median(c) for c in cycles])
    _say(
        "not a loop: seam / median step",
        [step_sizes(clip)[-1] / statistics.median(step_sizes(clip)[:-1]) for clip in free],
    )


def _varied(trained: TrainedModel, prompts: list[str], seeds: list[int], free: list[Tensor]) -> None:
    source = free[0]
    for strength in _STRENGTHS:
        varied = VariedClip(frames_TCHW=source, strength_percent=strength)
        clips = [_drawer(trained, prompts[-1], seed, varied)(0, {}) for seed in seeds]
        _say(f"varied by {strength} %, to the last prompt", [_distance(clip, source) for clip in clips])
    _say("drawn from noise, to the last prompt", [_distance(clip, source) for clip in free[-len(seeds) :]])


def _first_pictures(folder: Path, trained: TrainedModel) -> Iterable[Tensor]:
    config = trained.config
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        try:
            frames = decode_clip(
                path,
                start_pts=0,
                end_pts=2**40,
                num_frames=1,
                height=config.height,
                width=config.width,
            )
        except MediaError as exc:
            print(f"{path.name}: {exc}", file=sys.stderr)
            continue
        yield torch.from_numpy(frames)[0]


def _distance(one: Tensor, other: Tensor) -> float:
    return float((one.double() - other.double()).abs().mean())


def _say(what: str, values: list[float], show: Callable[[float], str] = "{:.2f}".format) -> None:
    print(f"{what}: {show(statistics.median(values))} ({show(max(values))})  n = {len(values)}")


if __name__ == "__main__":
    main()
