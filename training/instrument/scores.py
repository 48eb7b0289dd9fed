"""Scores of a set of clips: how often each says what its caption says."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from training.instrument.reading import read_clip
from training.instrument.scenes import COLOURS, DIRECTIONS, SHAPES

CHANCE = {"colour": 1 / len(COLOURS), "direction": 1 / len(DIRECTIONS), "shape": 1 / len(SHAPES)}
"""What guessing scores."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scores:
    """Shares of clips that show what was asked for, and means over all clips."""

    num_clips: int
    colour: float
    direction: float
    shape: float
    constant_velocity_r2: float
    shape_overlap: float
    all_three: float
    """Share of clips with colour, direction and shape right at once."""


def score_clips(clips: Iterable[tuple[str, npt.NDArray[np.uint8]]]) -> Scores:
    """Score pairs of caption and uint8 frames TCHW. Raises `ValueError` for none, or for a caption of another set."""
    rows = [_score_one(caption, frames_TCHW) for caption, frames_TCHW in clips]
    if not rows:
        raise ValueError("there are no clips to score")
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return Scores(num_clips=len(rows), **means)


def _score_one(caption: str, frames_TCHW: npt.NDArray[np.uint8]) -> dict[str, float]:
    colour, shape, direction = _asked_for(caption)
    reading = read_clip(frames_TCHW)
    right = {
        "colour": float(reading.colour == colour),
        "direction": float(reading.direction == direction),
        "shape": float(reading.shape == shape),
    }
    return {
        **right,
        "all_three": min(right.values()),
        "constant_velocity_r2": reading.constant_velocity_r2,
        "shape_overlap": reading.shape_overlap,
    }


def _asked_for(caption: str) -> tuple[str, str, str]:
    words = caption.split()
    found = [next((word for word in words if word in known), None) for known in (COLOURS, SHAPES, DIRECTIONS)]
    if None in found or len(words) != len("a colour shape moving direction".split()):
        raise ValueError(f"{caption!r} is no caption of the procedural set")
    return found[0], found[1], found[2]  # type: ignore[return-value]
