"""Motion: what changes from frame to frame, summed up over a clip in bounded memory.

Shapes: H and W pixels, Y and X blocks. Pictures are grey uint8 of one size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from training.quality import definitions as d
from training.quality.flow import MIN_SIDE, carried, flow_between, halfway, matched

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.quality.definitions import Definition, Measure

_BLOCK = 16
_MIN_MATCHED = 0.5
"""Of a block's pixels: a mean over fewer says little about the block."""
_SAME_PICTURE = 0.1
"""Grey levels: repeated pictures differ by less than this after x264 has encoded them, and pictures of footage that
moves at all by more (docs/quality.md)."""
_NO_MOTION = 0.002
"""Diagonals a second: below this the speed is mostly the noise of the flow, and its changes mean nothing."""


@dataclass
class _Mean:
    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.total += value
        self.count += 1

    def measure(self, definition: Definition, reason: str) -> Measure:
        return definition.value(self.total / self.count) if self.count else definition.missing(reason)


@dataclass(frozen=True, eq=False)
class _Step:
    """What was found between the last two frames."""

    speed: float
    """Diagonals a second."""
    change_YX: NDArray[np.float32]
    """Mean change of brightness along the motion, of each block; NaN where too little is matched."""


@dataclass
class MotionTally:
    """Is shown every frame of a clip in order and sums up how it moves. Holds two frames and a few numbers."""

    _before: NDArray[np.uint8] | None = None
    """The last frame of an even number, for interpolation."""
    _last: NDArray[np.uint8] | None = None
    _last_seconds: float = 0.0
    _step: _Step | None = None
    _speed_before: float | None = None
    """Of the step before the last."""
    _num_frames: int = 0
    _seconds: float = 0.0
    _travel: float = 0.0
    _warping: _Mean = field(default_factory=_Mean)
    _unmatched: _Mean = field(default_factory=_Mean)
    _difference: _Mean = field(default_factory=_Mean)
    _frozen: _Mean = field(default_factory=_Mean)
    _flicker: _Mean = field(default_factory=_Mean)
    _interpolation: _Mean = field(default_factory=_Mean)
    _odd_speed: _Mean = field(default_factory=_Mean)

    def add(self, picture_HW: NDArray[np.uint8], seconds: float) -> None:
        """Take the next frame, shown from `seconds` on."""
        if min(picture_HW.shape) < MIN_SIDE:
            self._num_frames += 1
            self._last = picture_HW
            return
        if self._last is not None:
            self._add_pair(self._last, picture_HW, seconds - self._last_seconds)
        if self._num_frames % 2 == 0:
            if self._before is not None and self._last is not None:
                middle_HW = halfway(self._before, picture_HW)
                self._interpolation.add(float(np.abs(middle_HW - self._last).mean()))
            self._before = picture_HW
        self._last, self._last_seconds = picture_HW, seconds
        self._num_frames += 1

    def measures(self) -> list[Measure]:
        """Return what the frames so far amount to."""
        two, three, four = self._why_not(2), self._why_not(3), self._why_not(4)
        return [
            self._flicker.measure(d.TEMPORAL_FLICKER, three or "no block of pixels can be followed over three frames"),
            self._warping.measure(d.WARPING_ERROR, two or "no pixel can be followed from frame to frame"),
            self._unmatched.measure(d.UNMATCHED_SHARE, two),
            _as_score(self._difference.measure(d.FRAME_STABILITY, two)),
            _as_score(self._interpolation.measure(d.MOTION_SMOOTHNESS, three)),
            self._unevenness(four),
            self._frozen.measure(d.FROZEN_SHARE, two),
            d.DYNAMIC_DEGREE.missing(two) if two else d.DYNAMIC_DEGREE.value(self._travel / self._seconds),
        ]  # fmt: skip

    def _why_not(self, num_frames: int) -> str:
        if self._last is not None and min(self._last.shape) < MIN_SIDE:
            return f"the picture is less than {MIN_SIDE} pixels high or wide"
        if self._num_frames < num_frames:
            return f"the clip has {self._num_frames} of the {num_frames} frames that it takes"
        return ""

    def _unevenness(self, reason: str) -> Measure:
        if reason:
            return d.PACE_UNEVENNESS.missing(reason)
        speed = self._travel / self._seconds
        if speed < _NO_MOTION:
            return d.PACE_UNEVENNESS.missing(f"hardly anything moves: {speed:.2g} diagonals a second")
        return d.PACE_UNEVENNESS.value(self._odd_speed.total / self._odd_speed.count / speed)

    def _add_pair(self, old_HW: NDArray[np.uint8], new_HW: NDArray[np.uint8], seconds: float) -> None:
        difference = float(np.abs(new_HW.astype(np.float32) - old_HW).mean())
        self._difference.add(difference)
        self._frozen.add(float(difference < _SAME_PICTURE))
        back_HW2 = flow_between(new_HW, old_HW)
        is_matched_HW = matched(back_HW2, flow_between(old_HW, new_HW))
        self._unmatched.add(1.0 - float(is_matched_HW.mean()))
        change_HW = new_HW - carried(old_HW, back_HW2)
        if is_matched_HW.any():
            self._warping.add(float(np.abs(change_HW[is_matched_HW]).mean()))
        travel = float(np.hypot(back_HW2[..., 0], back_HW2[..., 1]).mean()) / math.hypot(*new_HW.shape)
        self._travel += travel
        self._seconds += seconds
        step = _Step(travel / seconds, _block_means(change_HW, is_matched_HW))
        if self._step is not None:
            self._add_change(self._step, step)
        self._step = step

    def _add_change(self, last: _Step, step: _Step) -> None:
        if self._speed_before is not None:
            middle = sorted((self._speed_before, last.speed, step.speed))[1]
            self._odd_speed.add(abs(last.speed - middle))
        self._speed_before = last.speed
        turn_YX = np.abs(step.change_YX - last.change_YX) / 2
        if np.isfinite(turn_YX).any():
            self._flicker.add(float(np.nanmean(turn_YX)))


def _as_score(measure: Measure) -> Measure:
    """Turn a mean difference in grey levels into VBench's score: 1 for none, 0 for black against white."""
    return measure if measure.value is None else measure.definition.value((255.0 - measure.value) / 255.0)


def _block_means(values_HW: NDArray[np.float32], is_counted_HW: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the mean over the counted pixels of each whole block YX; NaN where they are too few."""
    counts_YX = _block_sums(is_counted_HW.astype(np.float32))
    sums_YX = _block_sums(np.where(is_counted_HW, values_HW, np.float32(0)))
    is_enough_YX = counts_YX >= _MIN_MATCHED * _BLOCK * _BLOCK
    means_YX = np.full(counts_YX.shape, np.nan, dtype=np.float32)
    means_YX[is_enough_YX] = sums_YX[is_enough_YX] / counts_YX[is_enough_YX]
    return means_YX


def _block_sums(values_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = (size // _BLOCK for size in values_HW.shape)
    whole_HW = values_HW[: rows * _BLOCK, : columns * _BLOCK]
    return np.asarray(whole_HW.reshape(rows, _BLOCK, columns, _BLOCK).sum(axis=(1, 3)))
