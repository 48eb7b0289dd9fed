"""Shots: cut-to-cut intervals of an asset, found while its frames stream by."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from db.errors import ConfigError

if TYPE_CHECKING:
    from scenedetect import AdaptiveDetector

    from ingest.media.frames import ScannedFrame

MIN_SHOT_SECONDS = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Shot:
    """An interval of an asset, end exclusive; both ends are the pts of a frame, or the end of the asset."""

    start_pts: int
    end_pts: int
    start_seconds: float
    """Since the first frame, for display."""
    end_seconds: float


class ShotCutter:
    """Takes the frames of one asset in order and divides it into shots without gap or overlap.

    Cuts come from PySceneDetect's adaptive detector (HSV change between neighbours against its local average)
    with its published defaults. Cuts that would leave a shot under 0.5 s are dropped, and shots over
    `max_clip_seconds` are split evenly at frames (a single frame shown longer than that stays whole). Keeps 8
    bytes for each frame of the asset.
    """

    def __init__(self, max_clip_seconds: Fraction | float = 10) -> None:
        if max_clip_seconds < 2 * MIN_SHOT_SECONDS:
            raise ConfigError(
                f"max_clip_seconds is {max_clip_seconds}; it must be at least {2 * MIN_SHOT_SECONDS}"
            )
        self._max_clip_seconds = Fraction(max_clip_seconds)
        self._detector = _new_detector()
        self._pts = array("q")
        self._cut_indices: list[int] = []
        self._last: ScannedFrame | None = None

    def push(self, frame: ScannedFrame) -> None:
        """Take the next frame."""
        from scenedetect import FrameTimecode

        # Frames are counted, not timed: the detector compares neighbours, and time is kept here, exactly.
        position = FrameTimecode(len(self._pts), fps=1.0)
        self._pts.append(frame.pts)
        self._cut_indices += [
            cut.frame_num for cut in self._detector.process_frame(position, frame.thumbnail)
        ]
        self._last = frame

    def shots(self) -> list[Shot]:
        """Return the shots of all frames taken so far; none if there were none."""
        if self._last is None:
            return []
        time_base, first = self._last.time_base, self._pts[0]
        bounds = self._cut_bounds(self._last.pts + self._last.duration_pts, MIN_SHOT_SECONDS / time_base)
        longest = self._max_clip_seconds / time_base
        starts = [start for pair in pairwise(bounds) for start in self._split(*pair, longest)]
        return [
            Shot(start, end, float((start - first) * time_base), float((end - first) * time_base))
            for start, end in pairwise([*starts, bounds[-1]])
        ]

    def _cut_bounds(self, end: int, shortest: Fraction) -> list[int]:
        """Return the start, the cuts worth keeping, and the end of the asset, ascending."""
        bounds = [self._pts[0]]
        for index in self._cut_indices:
            cut = self._pts[index]
            if cut - bounds[-1] >= shortest and end - cut >= shortest:
                bounds.append(cut)
        return [*bounds, end]

    def _split(self, start: int, end: int, longest: Fraction) -> list[int]:
        """Return the starts of the fewest even pieces of [start, end) that are no longer than `longest`."""
        fewest = math.ceil((end - start) / longest)
        starts = [start]
        # Pieces start at frames, which can make one too long: then one piece more. Frames held for long
        # cannot be split at all, so the search ends.
        for count in range(fewest, 2 * fewest + 1):
            starts = self._even_starts(start, end, count)
            if all(b - a <= longest for a, b in pairwise([*starts, end])):
                break
        return starts

    def _even_starts(self, start: int, end: int, count: int) -> list[int]:
        """Return the starts of `count` even pieces, each moved to the next frame of the shot, or to its last."""
        starts = [start]
        last_frame = bisect_left(self._pts, end) - 1
        for index in range(1, count):
            ideal = start + Fraction((end - start) * index, count)
            frame = self._pts[min(bisect_left(self._pts, ideal), last_frame)]
            if frame > starts[-1]:
                starts.append(frame)
        return starts


def _new_detector() -> AdaptiveDetector:
    from scenedetect import AdaptiveDetector

    # The least length of a shot is enforced here in exact time, not there in frames.
    return AdaptiveDetector(min_scene_len=1)
