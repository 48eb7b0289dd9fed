"""Check that the measures of the quality card mean something: real footage against itself, spoilt in known ways.

    python -m benchmarks.quality --footage DIR [--clips 24] [--frames 40]

From each clip of DIR the frames from its middle on are encoded as they are, and again with one fault each. Printed: the
median of every measure for each fault, in how many clips it moved the way the fault should move it, the spread over
untouched clips, and the time that it took.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from db.errors import Error
from ingest.encoders.compute import choose_compute
from ingest.encoders.encoder import open_encoder
from ingest.media.frames import decode_clip, scan_frames
from ingest.media.probe import probe
from training.generation.clip_file import write_clip
from training.quality.definitions import CLIP_DEFINITIONS
from training.quality.measuring import measure_quality

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.encoders.encoder import Encoder
    from training.quality.card import QualityCard

_SEED = 11
_SIDE = 256
_RATE = Fraction(24)


@dataclass(frozen=True)
class Fault:
    """One way to spoil a clip, and which measures must move, +1 up or -1 down."""

    name: str
    spoil: Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]
    moves: dict[str, int]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--footage", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--frames", type=int, default=40)
    arguments = parser.parse_args()
    encoder = open_encoder(None, choose_compute()).encoder
    cards: dict[str, list[QualityCard]] = {fault.name: [] for fault in FAULTS}
    num_frames, begin, cpu = 0, time.perf_counter(), 0.0
    for name, frames_TCHW in _clips(arguments.footage, arguments.clips, arguments.frames):
        for fault in FAULTS:
            random = np.random.default_rng(_SEED)
            card, seconds = _card(fault.spoil(frames_TCHW, random), encoder)
            cards[fault.name].append(card)
            num_frames, cpu = num_frames + card.facts.num_frames, cpu + seconds
        print(f"{name}: {len(frames_TCHW)} frames", flush=True)
    _print_medians(cards)
    _print_moves(cards)
    _print_spread(cards[FAULTS[0].name])
    wall = time.perf_counter() - begin
    print(
        f"\n{num_frames} frames measured: {1000 * cpu / num_frames:.0f} CPU ms a frame; whole run {wall:.0f} s"
    )


def _clips(folder: Path, count: int, num_frames: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield frames TCHW from the middle of the first `count` clips that have enough, at 24 frames a second."""
    found = 0
    for path in sorted(folder.iterdir()):
        if found == count or not path.is_file():
            continue
        try:
            facts = probe(path)
            span = num_frames / _RATE
            pts = [frame.pts for frame in scan_frames(path, samples_per_second=Fraction(1))]
            start = pts[len(pts) // 3]
            end = start + round(span / facts.time_base)
            if end > pts[-1]:
                continue
            scale = min(1.0, _SIDE / min(facts.width, facts.height))
            width, height = (int(size * scale) // 2 * 2 for size in (facts.width, facts.height))
            rate = facts.frame_rate or _RATE
            own = max(8, int(span * rate)) if rate < _RATE else num_frames
            yield (
                path.name,
                decode_clip(path, start_pts=start, end_pts=end, num_frames=own, height=height, width=width),
            )
            found += 1
        except Error as exc:
            print(f"left out: {exc}", file=sys.stderr)  # rights tables lie beside the clips


def _card(frames_TCHW: NDArray[np.uint8], encoder: Encoder) -> tuple[QualityCard, float]:
    import torch

    height, width = frames_TCHW.shape[2:]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        tensor_TCHW = torch.from_numpy(np.ascontiguousarray(frames_TCHW))
        write_clip(path, tensor_TCHW, frame_rate=_RATE, height=height, width=width)
        begin = time.process_time()
        card = measure_quality(path, encoder=encoder)
        return card, time.process_time() - begin


def _flicker(frames_TCHW: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    gains_T = 1 + random.uniform(-0.06, 0.06, len(frames_TCHW))
    return np.asarray(np.clip(frames_TCHW * gains_T[:, None, None, None], 0, 255), dtype=np.uint8)


def _noise(frames_TCHW: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    grain = random.normal(0, 8, frames_TCHW.shape)
    return np.asarray(np.clip(frames_TCHW + grain, 0, 255), dtype=np.uint8)


def _shuffled(frames_TCHW: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    return frames_TCHW[random.permutation(len(frames_TCHW))]


def _kept(frames_TCHW: NDArray[np.uint8], _random: np.random.Generator) -> NDArray[np.uint8]:
    return frames_TCHW


def _frozen(frames_TCHW: NDArray[np.uint8], _random: np.random.Generator) -> NDArray[np.uint8]:
    return np.repeat(frames_TCHW[:1], len(frames_TCHW), axis=0)


def _repeated(frames_TCHW: NDArray[np.uint8], _random: np.random.Generator) -> NDArray[np.uint8]:
    return frames_TCHW[[number - (number % 4 == 3) for number in range(len(frames_TCHW))]]


def _dropped(frames_TCHW: NDArray[np.uint8], _random: np.random.Generator) -> NDArray[np.uint8]:
    return frames_TCHW[[number for number in range(len(frames_TCHW)) if number % 4 != 3]]


def _melted(frames_TCHW: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Bend every frame by waves of its own, up to two pixels."""
    num_frames, _, height, width = frames_TCHW.shape
    rows, columns = np.mgrid[0:height, 0:width]
    bent = []
    for number in range(num_frames):
        phases = random.uniform(0, 2 * np.pi, 2)
        down = np.round(2 * np.sin(columns / 9 + phases[0])).astype(int)
        along = np.round(2 * np.sin(rows / 9 + phases[1])).astype(int)
        bent.append(
            frames_TCHW[number][
                :, np.clip(rows + down, 0, height - 1), np.clip(columns + along, 0, width - 1)
            ]
        )
    return np.stack(bent)


FAULTS: Sequence[Fault] = (
    Fault("as it is", _kept, {}),
    Fault("brightness +-6 %", _flicker, {"temporal_flicker": 1, "warping_error": 1, "frame_stability": -1}),
    Fault("noise sd 8", _noise, {"warping_error": 1, "frame_stability": -1, "motion_smoothness": -1}),
    Fault("shuffled", _shuffled, {"unmatched_share": 1, "motion_smoothness": -1, "dynamic_degree": 1}),
    Fault("melting", _melted, {"unmatched_share": 1, "motion_smoothness": -1, "warping_error": 1}),
    Fault(
        "every 4th repeated", _repeated, {"pace_unevenness": 1, "frozen_share": 1, "motion_smoothness": -1}
    ),
    Fault(
        "every 4th dropped", _dropped, {"pace_unevenness": 1, "motion_smoothness": -1, "dynamic_degree": 1}
    ),
    Fault("frozen", _frozen, {"frozen_share": 1, "dynamic_degree": -1, "subject_consistency": 1}),
)


def _values(cards: Sequence[QualityCard], name: str) -> list[float]:
    return [value for card in cards if (value := card.measure(name).value) is not None]


def _print_medians(cards: dict[str, list[QualityCard]]) -> None:
    print("\n| measure | " + " | ".join(cards) + " |")
    print("|" + "---|" * (len(cards) + 1))
    for definition in CLIP_DEFINITIONS:
        found = [_values(of_fault, definition.name) for of_fault in cards.values()]
        cells = [f"{np.median(values):.3g}" if values else "none" for values in found]
        print(f"| {definition.name} | " + " | ".join(cells) + " |")


def _print_moves(cards: dict[str, list[QualityCard]]) -> None:
    print("\n| fault | measures that must move, and in how many clips they do |")
    print("|---|---|")
    untouched = cards[FAULTS[0].name]
    for fault in FAULTS[1:]:
        cells = []
        for name, direction in fault.moves.items():
            pairs = [
                (after - before) * direction > 0
                for clean, spoilt in zip(untouched, cards[fault.name], strict=True)
                if (before := clean.measure(name).value) is not None
                and (after := spoilt.measure(name).value) is not None
            ]
            cells.append(f"{name} {'up' if direction > 0 else 'down'} {sum(pairs)} of {len(pairs)}")
        print(f"| {fault.name} | {'; '.join(cells)} |")


def _print_spread(cards: Sequence[QualityCard]) -> None:
    print("\n| measure | least | quarter | median | three quarters | most |")
    print("|---|---|---|---|---|---|")
    for definition in CLIP_DEFINITIONS:
        values = _values(cards, definition.name)
        if values:
            cells = [f"{value:.3g}" for value in np.percentile(values, [0, 25, 50, 75, 100])]
            print(f"| {definition.name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
