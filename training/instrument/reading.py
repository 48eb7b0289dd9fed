"""Reading a clip: which colour, shape and direction it shows, and how constant the velocity is.

The object is what differs from the ground, the median colour of the frame, by at least half as much as the pixels that
differ most. Everything else follows from that mask. A clip that shows nothing is read as nothing. Shapes as in
`training.instrument.scenes`.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from training.instrument.scenes import COLOURS, DIRECTIONS, SHAPES, cover

_Floats = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]

# The smallest shape of the set covers 4.5 % of the frame.
_PEAK_SHARE = 0.02
# Grey levels, as a distance in RGB; frames below hold no object. The four colours are 160 and more from the ground.
_LEAST_CONTRAST = 24.0
# Of the frame's side, over the whole clip; the slowest scene goes 0.25.
_LEAST_TRAVEL = 0.02


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """What a clip shows; `None` where that cannot be told because there is no object or it does not move."""

    colour: str | None
    shape: str | None
    direction: str | None
    constant_velocity_r2: float
    """Share of the variance of the object's place that a constant velocity explains, 0 to 1; 0 where nothing moves."""
    shape_overlap: float
    """Intersection over union of the object with the best shape of its place and area, mean over the frames."""

    @property
    def caption(self) -> str:
        """What the clip shows, in the words of the set."""
        return f"a {self.colour} {self.shape} moving {self.direction}"


NOTHING = Reading(colour=None, shape=None, direction=None, constant_velocity_r2=0.0, shape_overlap=0.0)
"""The reading of a clip without an object."""


def read_clip(frames_TCHW: npt.NDArray[np.uint8]) -> Reading:
    """Read uint8 RGB frames TCHW; frames without an object are left out, and fewer than three others are `NOTHING`."""
    pixels_TCHW = frames_TCHW.astype(np.float64)
    ground_TC11 = np.median(pixels_TCHW, axis=(2, 3), keepdims=True)
    difference_THW = np.sqrt(((pixels_TCHW - ground_TC11) ** 2).sum(axis=1))
    times, masks = [], []
    for time, difference_HW in enumerate(difference_THW):
        peak = _peak(difference_HW)
        if peak >= _LEAST_CONTRAST:
            times.append(time)
            masks.append(difference_HW > 0.5 * peak)
    if len(times) < 3:
        return NOTHING
    centres_T2 = np.array([_centre(mask_HW) for mask_HW in masks])
    direction, r2 = _read_motion(np.array(times, dtype=np.float64), centres_T2 / frames_TCHW.shape[-1])
    shape, overlap = _read_shape(masks, centres_T2)
    colours_TC = [
        pixels_TCHW[time][:, mask_HW].mean(axis=1) for time, mask_HW in zip(times, masks, strict=True)
    ]
    return Reading(
        colour=_nearest_colour(np.mean(colours_TC, axis=0)),
        shape=shape,
        direction=direction,
        constant_velocity_r2=r2,
        shape_overlap=overlap,
    )


def _peak(difference_HW: _Floats) -> float:
    """Return the mean of the largest differences."""
    count = max(1, round(_PEAK_SHARE * difference_HW.size))
    return float(np.partition(difference_HW.ravel(), -count)[-count:].mean())


def _centre(mask_HW: _Mask) -> tuple[float, float]:
    """Return the centre of mass (column, row) in pixels."""
    rows, columns = np.nonzero(mask_HW)
    return float(columns.mean()) + 0.5, float(rows.mean()) + 0.5


def _read_motion(times_T: _Floats, places_T2: _Floats) -> tuple[str | None, float]:
    """Fit a straight walk through the places by least squares, both axes in one measure."""
    centred_T = times_T - times_T.mean()
    centred_T2 = places_T2 - places_T2.mean(axis=0)
    velocity_2 = centred_T @ centred_T2 / (centred_T @ centred_T)
    travel_2 = velocity_2 * (times_T[-1] - times_T[0])
    if float(np.hypot(*travel_2)) < _LEAST_TRAVEL:
        return None, 0.0
    residual_T2 = centred_T2 - centred_T[:, None] * velocity_2
    r2 = 1.0 - float((residual_T2**2).sum() / (centred_T2**2).sum())
    direction = max(DIRECTIONS, key=lambda name: float(travel_2 @ np.array(DIRECTIONS[name])))
    return direction, r2


def _read_shape(masks: list[_Mask], centres_T2: _Floats) -> tuple[str, float]:
    """Lay each shape over the object, at its place and with its area, and take the one that fits best on average."""
    overlaps = dict.fromkeys(SHAPES, 0.0)
    for mask_HW, (column, row) in zip(masks, centres_T2, strict=True):
        radius = math.sqrt(int(mask_HW.sum()) / math.pi)
        for shape in SHAPES:
            laid_HW = cover(shape, (float(column), float(row)), radius, mask_HW.shape) > 0.5
            union = int((mask_HW | laid_HW).sum())
            overlaps[shape] += int((mask_HW & laid_HW).sum()) / union / len(masks)
    best = max(SHAPES, key=lambda shape: overlaps[shape])
    return best, overlaps[best]


def _nearest_colour(colour_C: _Floats) -> str:
    """Name the colour of the set with the nearest hue, so that a paler or darker one is still that colour."""
    hue_C = colour_C - colour_C.mean()

    def likeness(name: str) -> float:
        named_C = np.array(COLOURS[name]) - np.mean(COLOURS[name])
        return float(hue_C @ named_C / np.linalg.norm(named_C))

    return max(COLOURS, key=likeness)
