"""Timeline: when exactly a copy runs, from a grid of places watched on both sides ten times a second.

Sampled frames place a copy to half a second. Once the pictures are registered, the grey levels of a few hundred places
are two bundles of signals over time. Where the scene moves they fit at one offset and one speed alone; two takes by one
camera fit at none, however alike their pictures are.

Shapes: P places, S stills of one side, T moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ingest.matching.geometry import Registration, levels_at
from ingest.pictures.reel import Reel

if TYPE_CHECKING:
    from numpy.typing import NDArray

TIMELINE_RULES = "places-1"
"""Names the rules of this module; part of a detector's digest."""

_GRID = 24
_MIN_PLACES = 12
_MARGIN = 0.02
_STEP_SECONDS = 0.1
_COARSE_STEPS = 4
_FINE_SECONDS = 0.6
_SPEED_FACTORS = (0.8, 0.9, 1.1, 1.25)
_SURE_CORRELATION = 0.97
"""What only the right line has: no other speed is tried."""
_FASTER_GAIN = 0.02
"""What another speed must be better by: copies mostly keep theirs."""
_SLOWEST, _FASTEST = 0.4, 2.5
"""Beyond these a drift between the ends of a short stretch is chance, and may even run backwards."""
_MIN_COVERED = 0.6
"""Of the moments compared, the share that both sides must have."""
_STILL_CHANGE = 0.7
"""Mean change in grey levels below which nothing moves that would tell one moment from another."""
_MIN_CORRELATION = 0.4
"""Below it the best offset is a chance one, and the line is left as it was."""
_BLOCK_SECONDS = 4.0
_MAX_WHOLE_SECONDS = 12.0
_LOOK_SECONDS = 4.0
_DROP = 0.25
"""A copy has ended where the places agree this much less than they do inside it..."""
_NUM_DROPPED = 4
"""... in so many stills on end."""
_FLAT = 4.0
"""Deviation in grey levels over the places below which a picture is dark or plain and says nothing."""


@dataclass(frozen=True)
class Line:
    """The time of the other side for each time of the query: other = speed * query + offset."""

    speed: float
    offset_seconds: float

    def at(self, query_seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map query times."""
        return np.asarray(self.speed * query_seconds + self.offset_seconds)

    def shifted(self, seconds: float) -> Line:
        """Return the line so much later on the other side."""
        return Line(self.speed, self.offset_seconds + seconds)

    def turned(self, speed: float, query_seconds: float) -> Line:
        """Return the line of another speed through the same point at a query time."""
        return Line(speed, self.offset_seconds + (self.speed - speed) * query_seconds)


@dataclass(frozen=True)
class Fit:
    """The best line near a given one."""

    line: Line
    correlation: float
    """Of what changes on both sides, from -1 to 1; where nothing moves only of noise, and never below 0."""
    is_moving: bool
    """Whether enough changes to tell one moment from another; if not, the offset is one of many."""


class Places:
    """A grid of places of the query's picture that the other side shows too."""

    def __init__(self, query: Reel, other: Reel, registration: Registration, *, is_mirrored: bool) -> None:
        self.query, self.other = query, other
        near_P2, far_P2 = _grid(query.size, other.size, registration.map_23)
        scale = float(np.sqrt(abs(np.linalg.det(registration.map_23[:, :2]))))
        blur = max(query.size) / _GRID
        # Registration of a mirrored copy is in the mirrored picture; its places are read where they are stored.
        if is_mirrored:
            near_P2 = np.stack([query.size[0] - 1 - near_P2[:, 0], near_P2[:, 1]], axis=1)
        self.is_enough = len(near_P2) >= _MIN_PLACES
        """Whether there are places enough to say anything."""
        self._near = _Sampler(near_P2, blur)
        self._far = _Sampler(far_P2, blur * scale)
        self._levels: dict[tuple[bool, int], NDArray[np.float32]] = {}

    def query_levels(self, positions: Sequence[int]) -> NDArray[np.float32]:
        """Return the grey levels of query stills, TP."""
        return np.stack([self._level(True, position) for position in positions])

    def other_track(self, start_seconds: float, end_seconds: float, *, stride: int = 1) -> Track:
        """Return the other side's grey levels over a stretch, every `stride`-th still of it."""
        stills_S = self.other.seconds_S
        first = max(0, int(np.searchsorted(stills_S, start_seconds)) - stride)
        last = min(len(stills_S), int(np.searchsorted(stills_S, end_seconds)) + stride)
        positions = range(first, max(last, first + 1), stride)
        levels_SP = np.stack([self._level(False, min(position, len(stills_S) - 1)) for position in positions])
        slack = self.other.reach_seconds
        return Track(stills_S[list(positions)], levels_SP, slack + (stride - 1) * self.other.period_seconds)

    def _level(self, is_query: bool, position: int) -> NDArray[np.float32]:
        key = (is_query, position)
        if key not in self._levels:
            reel, sampler = (self.query, self._near) if is_query else (self.other, self._far)
            self._levels[key] = sampler.levels(reel.pixels(position))
        return self._levels[key]


@dataclass(frozen=True, eq=False)
class Track:
    """Grey levels of all places over a stretch of time."""

    seconds_S: NDArray[np.float64]
    levels_SP: NDArray[np.float32]
    slack_seconds: float

    def at(self, seconds_T: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return the levels at any times, TP, between stills by their distance, and at which there are any, T."""
        low, high = self.seconds_S[0] - self.slack_seconds, self.seconds_S[-1] + self.slack_seconds
        is_there_T = (seconds_T >= low) & (seconds_T <= high)
        right_T = np.clip(np.searchsorted(self.seconds_S, seconds_T), 1, max(len(self.seconds_S) - 1, 1))
        right_T = np.minimum(right_T, len(self.seconds_S) - 1)
        left_T = np.maximum(right_T - 1, 0)
        gap_T = np.maximum(self.seconds_S[right_T] - self.seconds_S[left_T], 1e-9)
        share_T = np.clip((seconds_T - self.seconds_S[left_T]) / gap_T, 0, 1).astype(np.float32)[:, None]
        return (1 - share_T) * self.levels_SP[left_T] + share_T * self.levels_SP[right_T], is_there_T


@dataclass(frozen=True, eq=False)
class _Sampler:
    """Reads blurred grey levels at fixed points of pictures of one size."""

    points_P2: NDArray[np.float32]
    blur_pixels: float

    def levels(self, pixels_HW: NDArray[np.uint8]) -> NDArray[np.float32]:
        return levels_at(pixels_HW, self.points_P2, self.blur_pixels)


def _grid(
    query_size: tuple[int, int], other_size: tuple[int, int], map_23: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the places of a grid over the query's picture, and where the other side shows them, P2 each."""
    width, height = query_size
    step = max(width, height) / _GRID
    columns = np.arange(step / 2, width, step)
    rows = np.arange(step / 2, height, step)
    near_P2 = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    far_P2 = near_P2 @ map_23[:, :2].T + map_23[:, 2]
    low = _MARGIN * np.array(other_size)
    is_inside = ((far_P2 >= low) & (far_P2 <= np.array(other_size) - 1 - low)).all(axis=1)
    return near_P2[is_inside].astype(np.float32), far_P2[is_inside].astype(np.float32)


def moments(reel: Reel, start_seconds: float, end_seconds: float) -> list[int]:
    """Choose the stills of a stretch to watch: all of a short one, three blocks of a long one."""
    first = int(np.searchsorted(reel.seconds_S, start_seconds - 1e-6))
    last = int(np.searchsorted(reel.seconds_S, end_seconds + 1e-6))
    if end_seconds - start_seconds <= _MAX_WHOLE_SECONDS:
        return list(range(first, last))
    length = max(1, int(_BLOCK_SECONDS / reel.period_seconds))
    chosen: set[int] = set()
    for share in (0.0, 0.5, 1.0):
        start = first + round(share * max(0, last - first - length))
        chosen.update(range(start, min(start + length, last)))
    return sorted(chosen)


def fit_line(
    places: Places, positions: Sequence[int], line: Line, *, low_seconds: float, high_seconds: float
) -> Fit:
    """Find the line near a given one along which changes agree best.

    Its offset may lie from `low_seconds` (below zero) to `high_seconds` beyond the given one; wide ranges are
    searched coarsely first. Then other speeds are tried, and what drift is left is taken out.
    """
    watch = _Watch(places, positions)
    if not watch.is_moving:
        return Fit(line, max(0.0, watch.correlation(line)), is_moving=False)
    coarse = _COARSE_STEPS * _STEP_SECONDS
    start = line
    if high_seconds - low_seconds > 4 * _FINE_SECONDS:
        shifts = np.arange(round(low_seconds / coarse), round(high_seconds / coarse) + 1) * coarse
        start, _ = watch.best_shift(line, shifts, stride=_COARSE_STEPS)
    best = watch.fine(start)
    if best[1] < _SURE_CORRELATION:
        turned = [watch.fine(best[0].turned(factor * line.speed, watch.middle)) for factor in _SPEED_FACTORS]
        fastest = max(turned, key=lambda found: found[1])
        best = fastest if fastest[1] > best[1] + _FASTER_GAIN else best
    straight = watch.straightened(best[0])
    best = straight if straight[1] > best[1] + _FASTER_GAIN else best
    if best[1] < _MIN_CORRELATION:
        return Fit(line, max(0.0, watch.correlation(line)), is_moving=True)
    return Fit(best[0], best[1], is_moving=True)


class _Watch:
    """The query's stills that are watched, and how well lines fit them."""

    def __init__(self, places: Places, positions: Sequence[int]) -> None:
        self._places = places
        self._seconds_T = places.query.seconds_S[list(positions)]
        self._near_TP = places.query_levels(positions)
        self.is_moving = bool(np.abs(self._own_changes).mean() >= _STILL_CHANGE)
        self.middle = float(np.median(self._seconds_T))

    def correlation(self, line: Line) -> float:
        """Return how well what changes agrees along a line."""
        return self.best_shift(line, np.zeros(1))[1]

    def fine(self, line: Line) -> tuple[Line, float]:
        """Find the best offset near a line's."""
        steps = round(_FINE_SECONDS / _STEP_SECONDS)
        return self.best_shift(line, np.arange(-steps, steps + 1) * _STEP_SECONDS)

    def best_shift(self, line: Line, shifts: NDArray[np.floating], *, stride: int = 1) -> tuple[Line, float]:
        """Find the best of some shifts of a line, and where around it the peak lies."""
        ends = line.at(self._seconds_T[[0, -1]])
        track = self._places.other_track(
            float(ends.min() + shifts[0]), float(ends.max() + shifts[-1]), stride=stride
        )
        scores = np.array([self._score(track, line.shifted(shift)) for shift in shifts])
        best = int(scores.argmax())
        step = float(shifts[1] - shifts[0]) if len(shifts) > 1 else 0.0
        return line.shifted(float(shifts[best]) + step * _vertex(scores, best)), float(scores[best])

    def straightened(self, line: Line) -> tuple[Line, float]:
        """Take out the drift between the first and the last third of a line."""
        third = len(self._seconds_T) // 3
        if third < 8:
            return line, 0.0
        ends = [self._part(slice(0, third)), self._part(slice(-third, None))]
        found = [part.fine(line) for part in ends]
        if min(score for _, score in found) < _MIN_CORRELATION:
            return line, 0.0
        drift = found[1][0].offset_seconds - found[0][0].offset_seconds
        speed = line.speed + drift / (ends[1].middle - ends[0].middle)
        if not _SLOWEST <= speed <= _FASTEST:
            return line, 0.0
        return self.fine(line.turned(speed, self.middle))

    def _part(self, part: slice) -> _Watch:
        watch = object.__new__(_Watch)
        watch._places, watch.is_moving = self._places, self.is_moving
        watch._seconds_T, watch._near_TP = self._seconds_T[part], self._near_TP[part]
        watch.middle = float(np.median(watch._seconds_T))
        return watch

    def _score(self, track: Track, line: Line) -> float:
        far_TP, is_there_T = track.at(line.at(self._seconds_T))
        if is_there_T.mean() < _MIN_COVERED:
            return 0.0
        if is_there_T.all():
            near, near_energy, far = self._own_changes, self._energy, _changes(far_TP)
        else:
            near, far = _changes(self._near_TP[is_there_T]), _changes(far_TP[is_there_T])
            near_energy = float(np.vdot(near, near))
        energy = near_energy * float(np.vdot(far, far))
        return float(np.vdot(near, far)) / energy**0.5 if energy > 0 else 0.0

    @cached_property
    def _own_changes(self) -> NDArray[np.float32]:
        return _changes(self._near_TP)

    @cached_property
    def _energy(self) -> float:
        return float(np.vdot(self._own_changes, self._own_changes))


def _changes(levels_TP: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what differs from each place's own mean, less what the whole picture does at once."""
    residual = levels_TP - levels_TP.mean(axis=0)
    return np.asarray(residual - residual.mean(axis=1, keepdims=True))


def _vertex(scores: NDArray[np.float64], best: int) -> float:
    """Return where between its neighbours the peak lies, in steps: the vertex of the parabola through the three."""
    if best in (0, len(scores) - 1):
        return 0.0
    left, middle, right = scores[best - 1 : best + 2]
    curve = left - 2 * middle + right
    return float(np.clip(0.5 * (left - right) / curve, -0.5, 0.5)) if curve < 0 else 0.0


def find_ends(places: Places, line: Line, start_seconds: float, end_seconds: float) -> tuple[float, float]:
    """Return when the copy begins and ends in query time, given a stretch that lies mostly inside it.

    From well inside, the stills are walked outwards until some on end disagree. Dark and plain ones on both sides say
    nothing: a copy goes on through a fade.
    """
    inside = _judged(places, line, moments(places.query, start_seconds, end_seconds))
    # The upper quartile, in case the stretch runs on into footage that is merely alike.
    usual = float(np.percentile(inside[inside > _SILENT], 75)) if (inside > _SILENT).any() else 0.0
    start = _end(places, line, start_seconds, usual - _DROP, direction=-1)
    end = _end(places, line, end_seconds, usual - _DROP, direction=1)
    return max(0.0, start), max(end, start + places.query.period_seconds)


_SILENT = -2.0
"""Stands for stills that say nothing, which lies below any correlation; -1 stands for ones that one side lacks."""


def _judged(places: Places, line: Line, positions: Sequence[int]) -> NDArray[np.float32]:
    """Return how far the places agree in each still, from -1 to 1, or `_SILENT`."""
    if not positions:
        return np.empty(0, np.float32)
    near_TP = places.query_levels(positions)
    seconds_T = line.at(places.query.seconds_S[list(positions)])
    far_TP, is_there_T = places.other_track(float(seconds_T.min()), float(seconds_T.max())).at(seconds_T)
    near = near_TP - near_TP.mean(axis=1, keepdims=True)
    far = far_TP - far_TP.mean(axis=1, keepdims=True)
    deviations = near.std(axis=1), far.std(axis=1)
    agreement = (near * far).mean(axis=1) / np.maximum(deviations[0] * deviations[1], 1e-6)
    is_flat = np.maximum(*deviations) < _FLAT
    return np.where(~is_there_T, -1.0, np.where(is_flat, _SILENT, agreement)).astype(np.float32)


def _end(places: Places, line: Line, seconds: float, bar: float, *, direction: int) -> float:
    """Walk in one direction; the end is half a still beyond the last that agrees; silent ones do not count."""
    reel = places.query
    count = len(reel.seconds_S)
    block = max(1, int(_LOOK_SECONDS / reel.period_seconds))
    at = int(np.clip(np.searchsorted(reel.seconds_S, seconds), 0, count - 1))
    position = int(np.clip(at - direction * block // 2, 0, count - 1))
    last: int | None = None
    num_dropped = 0
    while 0 <= position < count:
        positions = [p for p in range(position, position + direction * block, direction) if 0 <= p < count]
        for still, agreement in zip(positions, _judged(places, line, positions), strict=True):
            if agreement >= bar:
                last, num_dropped = still, 0
            elif agreement > _SILENT:
                num_dropped += 1
            if num_dropped >= _NUM_DROPPED and (still - at) * direction >= 0:
                return _edge(reel, last, seconds, direction)
        position += direction * block
    return _edge(reel, last, seconds, direction)


def _edge(reel: Reel, last: int | None, seconds: float, direction: int) -> float:
    if last is None:
        return seconds
    return float(reel.seconds_S[last]) + direction * 0.5 * reel.period_seconds
