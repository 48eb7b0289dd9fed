"""Consistency: whether what is shown, and what surrounds it, stays itself over a clip, by embeddings of its pictures.

The formula is VBench's (Huang et al. 2024, arXiv 2311.17982, section 3.1): the mean over samples of the mean of the
cosine to the first sample and of the cosine to the one before. The encoder is whichever is given, and is named with the
number: VBench takes DINO and CLIP, so these numbers are not to be compared with its own.

Shapes: H, W pixels, C = 3 colours, D embedding. Pictures are RGB uint8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.quality.definitions import BACKGROUND_CONSISTENCY, SUBJECT_CONSISTENCY, Definition, Measure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.encoders.encoder import Encoder

SAMPLES_PER_SECOND = 4
_MIN_SIDE = 6


class ConsistencyTally:
    """Is shown samples of a clip in order. Holds the first and the last embedding of each part of the picture."""

    def __init__(self, encoder: Encoder | None) -> None:
        self._encoder = encoder
        self._first: NDArray[np.float32] | None = None
        self._last: NDArray[np.float32] | None = None
        self._sums_2 = np.zeros(2)
        self._num_samples = 0
        self._is_too_small = False

    def add(self, picture_HWC: NDArray[np.uint8]) -> None:
        """Take the next sample."""
        self._num_samples += 1
        self._is_too_small = min(picture_HWC.shape[:2]) < _MIN_SIDE
        if self._encoder is None or self._is_too_small:
            return
        unit_2D = self._encoder.embed([picture_HWC, corners(picture_HWC)])
        if self._first is None or self._last is None:
            self._first = unit_2D
        else:
            to_first_2 = np.clip((self._first * unit_2D).sum(axis=1), 0, 1)
            to_last_2 = np.clip((self._last * unit_2D).sum(axis=1), 0, 1)
            self._sums_2 += (to_first_2 + to_last_2) / 2
        self._last = unit_2D

    def measures(self) -> list[Measure]:
        """Return how consistent the samples so far are."""
        return [
            self._measure(SUBJECT_CONSISTENCY, self._sums_2[0]),
            self._measure(BACKGROUND_CONSISTENCY, self._sums_2[1]),
        ]

    def _measure(self, definition: Definition, total: float) -> Measure:
        if self._encoder is None:
            return definition.missing("no encoder of pictures was given")
        if self._is_too_small:
            return definition.missing(f"the picture is less than {_MIN_SIDE} pixels high or wide")
        if self._num_samples < 2:
            return definition.missing("the clip is too short to give two samples")
        encoder = self._encoder.identity
        method = f"{definition.method} Encoder: {encoder.name}, weights {encoder.weights_sha256[:12]}."
        return definition.value(float(total) / (self._num_samples - 1), method=method)


def corners(picture_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the four corners of a picture, a third of each side, put together as one picture."""
    height, width = (size // 3 for size in picture_HWC.shape[:2])
    top, bottom = picture_HWC[:height], picture_HWC[-height:]
    return np.ascontiguousarray(
        np.concatenate(
            [np.concatenate([part[:, :width], part[:, -width:]], axis=1) for part in (top, bottom)]
        )
    )
