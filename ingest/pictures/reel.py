"""Reels: the stored pictures of one view of an asset, by time.

Shapes: S stills, H and W pixels. Pictures are grey uint8, all of one size.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ingest.matching.geometry import Picture, shrunk
from ingest.pictures.stills import STILL_SHORT_SIDE, Stills

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KEPT_PIXELS = 384
"""Pictures of some 30 kB: as many as one comparison of two films watches, so that none is decoded twice for it."""
_KEPT_PICTURES = 24
"""Of some 600 kB with their keypoints and those of their mirrored selves."""
_KEPT_STEPS = 16_384
_TINY = 16


class Reel:
    """One view's stills; holds the ones used last, whatever the length of the film."""

    def __init__(self, stills: Stills) -> None:
        self._stills = stills
        self.seconds_S = stills.seconds_S
        gaps = np.diff(self.seconds_S) if len(self.seconds_S) > 1 else np.array([0.1])
        self.period_seconds = float(np.median(gaps))
        # Ten stills out of twelve frames come unevenly: most times must have a still near enough all the same.
        self.reach_seconds = 0.55 * float(np.percentile(gaps, 90))
        self.pixels = lru_cache(maxsize=_KEPT_PIXELS)(self._pixels)
        self._step = lru_cache(maxsize=_KEPT_STEPS)(self._new_step)
        self._tiny = lru_cache(maxsize=_KEPT_PIXELS)(self._new_tiny)
        self._picture = lru_cache(maxsize=_KEPT_PICTURES)(self._new_picture)

    def nearest(self, seconds: float) -> int | None:
        """Return the position of the still nearest in time, if it is no further than between two of them."""
        if len(self.seconds_S) == 0:
            return None
        right = min(int(np.searchsorted(self.seconds_S, seconds)), len(self.seconds_S) - 1)
        left = max(right - 1, 0)
        near = min(left, right, key=lambda position: abs(float(self.seconds_S[position]) - seconds))
        is_near = abs(float(self.seconds_S[near]) - seconds) <= self.reach_seconds
        return near if is_near else None

    def picture(self, position: int) -> Picture:
        """Return the still at a position with what is computed from it."""
        return self._picture(position)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height of all pictures: borders may be found a little differently along the way."""
        from PIL import Image

        with Image.open(io.BytesIO(self._stills.jpeg(0))) as first:
            scale = min(1.0, STILL_SHORT_SIDE / min(first.size))
            return max(1, round(first.width * scale)), max(1, round(first.height * scale))

    def pace(self, positions: Sequence[int]) -> NDArray[np.float32]:
        """Return how much each still differs from the one before, T: square root of the mean step in grey levels."""
        return np.array([self._step(position) for position in positions], dtype=np.float32)

    def _new_step(self, position: int) -> float:
        if position == 0:
            return 0.0
        step = self._tiny(position) - self._tiny(position - 1)
        return float(np.sqrt(np.abs(step - step.mean()).mean()))

    def _new_tiny(self, position: int) -> NDArray[np.float32]:
        return shrunk(self.pixels(position), _TINY)

    def _new_picture(self, position: int) -> Picture:
        return Picture(self.pixels(position))

    def _pixels(self, position: int) -> NDArray[np.uint8]:
        """Decode the still at a position, HW."""
        from PIL import Image

        pixels_HW = self._stills.picture(position)
        if pixels_HW.shape != (self.size[1], self.size[0]):
            picture = Image.fromarray(pixels_HW).resize(self.size, Image.Resampling.BILINEAR)
            pixels_HW = np.asarray(picture)
        return pixels_HW
