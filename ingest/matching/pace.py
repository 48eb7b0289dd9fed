"""Pace: how much a film changes from still to still, a signal that survives cropping, mirroring and recolouring.

Where the camera shakes or pans, a wrong offset and a wrong map make up for each other. The pace of both sides needs no
map: it places cuts and jerks to a tenth of a second before the pictures are registered.

Shapes: T moments, K lines, S stills.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ingest.matching.timeline import Line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.pictures.reel import Reel

_STEP_SECONDS = 0.1
_SPEEDS = (1.0, 0.67, 0.8, 0.9, 1.1, 1.25, 1.5)
_MIN_MOMENTS = 12
_MIN_CORRELATION = 0.6
"""Below it the two paces have nothing in common that would tell the offset."""
_GAIN = 0.05
"""What a line must be better by than one that is nearer to what the frames said."""


def paced(
    query: Reel, other: Reel, positions: Sequence[int], line: Line, *, low_seconds: float, high_seconds: float
) -> Line:
    """Return the line near a given one along which both sides change alike, or that line if none stands out."""
    if len(positions) < _MIN_MOMENTS or len(other.seconds_S) == 0:
        return line
    near_T = query.pace(positions)
    seconds_T = query.seconds_S[list(positions)]
    middle = float(np.median(seconds_T))
    track = _Track(other)
    best, score = line, float(track.correlations(near_T, line.at(seconds_T)[None])[0])
    steps = np.arange(round(low_seconds / _STEP_SECONDS), round(high_seconds / _STEP_SECONDS) + 1)
    shifts_K = steps * _STEP_SECONDS
    for speed in _SPEEDS:
        turned = line.turned(speed * line.speed, middle)
        found_K = track.correlations(near_T, turned.at(seconds_T) + shifts_K[:, None])
        # Of equal ones the latest.
        top = len(found_K) - 1 - int(found_K[::-1].argmax())
        if found_K[top] >= max(score + _GAIN, _MIN_CORRELATION):
            best, score = turned.shifted(float(shifts_K[top])), float(found_K[top])
    return best


class _Track:
    """The pace of one side at any time."""

    def __init__(self, reel: Reel) -> None:
        self._reel = reel

    def correlations(
        self, near_T: NDArray[np.float32], seconds_KT: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return how well another pace fits along each of K lines, from -1 to 1; 0 where too little is there."""
        stills_S = self._reel.seconds_S
        is_there_KT = (seconds_KT >= stills_S[0]) & (seconds_KT <= stills_S[-1])
        num_K = is_there_KT.sum(axis=1)
        if num_K.max() < _MIN_MOMENTS:
            return np.zeros(len(seconds_KT))
        inside = seconds_KT[is_there_KT]
        first = max(0, int(np.searchsorted(stills_S, inside.min())) - 1)
        last = min(len(stills_S), int(np.searchsorted(stills_S, inside.max())) + 2)
        far_KT = np.interp(seconds_KT, stills_S[first:last], self._reel.pace(range(first, last)))
        near_KT = _centred(np.broadcast_to(near_T, far_KT.shape), is_there_KT, num_K)
        far_KT = _centred(far_KT, is_there_KT, num_K)
        energy_K = np.square(near_KT).sum(axis=1) * np.square(far_KT).sum(axis=1)
        is_told_K = (num_K >= _MIN_MOMENTS) & (energy_K > 0)
        return np.where(
            is_told_K, (near_KT * far_KT).sum(axis=1) / np.sqrt(np.where(is_told_K, energy_K, 1)), 0
        )


def _centred(
    values_KT: NDArray[np.floating], is_there_KT: NDArray[np.bool_], num_K: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Subtract each line's mean over what is there; what is not becomes 0."""
    mean_K = np.where(is_there_KT, values_KT, 0).sum(axis=1) / np.maximum(num_K, 1)
    return np.where(is_there_KT, values_KT - mean_K[:, None], 0)
