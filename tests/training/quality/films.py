"""A film that moves, and the ways to spoil it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.media import moving_scene, write_video

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUM_FRAMES = 24
SHORT_FRAMES = 7
NEAR_LOSSLESS = {"preset": "ultrafast", "crf": "4"}


def film(num_frames: int = NUM_FRAMES, seed: int = 3) -> list[NDArray[np.uint8]]:
    """Return frames HWC of a textured ground that pans under moving discs."""
    return list(moving_scene(seed, num_frames))


def write_film(path: Path, frames: list[NDArray[np.uint8]], **options: object) -> Path:
    """Encode frames with hardly any loss, 24 a second."""
    return write_video(path, frames, options=NEAR_LOSSLESS, **options)  # type: ignore[arg-type]


def flickering(frames: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Return the film with every second frame 8 % brighter."""
    return [
        np.asarray(np.clip(frame * (1.08 if number % 2 else 1.0), 0, 255), dtype=np.uint8)
        for number, frame in enumerate(frames)
    ]


def fading(frames: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Return the film as it gets darker by 1 % of its brightness a frame, steadily."""
    return [np.asarray(frame * (1 - number / 100), dtype=np.uint8) for number, frame in enumerate(frames)]


def noisy(frames: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Return the film with noise of its own on every frame."""
    random = np.random.default_rng(1)
    return [
        np.asarray(np.clip(frame + random.normal(0, 10, frame.shape), 0, 255), dtype=np.uint8)
        for frame in frames
    ]


def shuffled(frames: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Return the frames in another order."""
    return [frames[number] for number in np.random.default_rng(2).permutation(len(frames))]


def repeating(frames: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Return the film with every fourth frame replaced by the one before."""
    return [frames[number - (number % 4 == 3)] for number in range(len(frames))]


def dropping(frames: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Return the film without every fourth frame."""
    return [frame for number, frame in enumerate(frames) if number % 4 != 3]


def frozen(frames: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Return the first frame over and over."""
    return [frames[0]] * len(frames)


def melting(frames: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Return the film with every frame bent by waves of its own."""
    random = np.random.default_rng(4)
    bent = []
    for frame in frames:
        height, width = frame.shape[:2]
        rows, columns = np.mgrid[0:height, 0:width]
        down = np.round(3 * np.sin(columns / 6 + random.uniform(0, 6))).astype(int)
        along = np.round(3 * np.sin(rows / 6 + random.uniform(0, 6))).astype(int)
        bent.append(frame[np.clip(rows + down, 0, height - 1), np.clip(columns + along, 0, width - 1)])
    return bent
