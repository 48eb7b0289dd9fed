"""Pace: how much a film changes from still to still, a signal that survives cropping, mirroring and recolouring.

Where the camera shakes or pans, a wrong offset and a wrong map make up for each other. The pace of both sides needs no
map: it places cuts and jerks to a tenth of a second before the pictures are registered.

Shapes: T moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ingest.timeline import Line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.reel import Reel

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
    best, score = line, _correlation(near_T, other, line.at(seconds_T))
    shifts = np.arange(round(low_seconds / _STEP_SECONDS), round(high_seconds / _STEP_SECONDS) + 1)
    for speed in _SPEEDS:
        turned = line.turned(speed * line.speed, middle)
        found = [
            (_correlation(near_T, other, turned.shifted(float(shift) * _STEP_SECONDS).at(seconds_T)), shift)
            for shift in shifts
        ]
        top, shift = max(found)
        if top >= max(score + _GAIN, _MIN_CORRELATION):
            best, score = turned.shifted(float(shift) * _STEP_SECONDS), top
    return best


def _correlation(near_T: NDArray[np.float32], other: Reel, seconds_T: NDArray[np.float64]) -> float:
    stills_S = other.seconds_S
    is_there = (seconds_T >= stills_S[0]) & (seconds_T <= stills_S[-1])
    if is_there.sum() < _MIN_MOMENTS:
        return 0.0
    first = max(0, int(np.searchsorted(stills_S, seconds_T[is_there].min())) - 1)
    last = min(len(stills_S), int(np.searchsorted(stills_S, seconds_T[is_there].max())) + 2)
    far_T = np.interp(seconds_T[is_there], stills_S[first:last], other.pace(range(first, last)))
    near = near_T[is_there] - near_T[is_there].mean()
    far = far_T - far_T.mean()
    energy = float(np.square(near).sum() * np.square(far).sum())
    return float((near * far).sum()) / energy**0.5 if energy > 0 else 0.0
