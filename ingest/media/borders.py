"""Borders and empty frames: what is cut off a frame, or kept out of the index, before it is compared.

Letterbox and pillarbox bars would otherwise be a large part of what the encoder sees, and frames without
texture (black, fades, a bare wall) look like each other whatever film they come from.

Shapes: T frames, H and W pixels; boxes are (top, bottom, left, right), end exclusive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME_RULES = "borders-2"
"""Names the rules of this module; vectors prepared under other rules are not comparable."""

_BAR_DARK = 30
_BAR_LIGHT = 232
"""Bars are nearly black (limited-range black is 16, plus coding noise) or nearly white, in 8-bit luma."""
_BAR_SPREAD = 6
"""The most that 98 % of the pixels of a bar's row differ from each other."""
_MIN_CONTENT = 0.3
"""A box narrower or lower than this share of the frame is a dark scene, not a frame with bars."""
_GATE_SIDE = 64
_MIN_TEXTURE = 2.0
"""Mean absolute luma step between neighbours at 64 x 64. Chosen by looking: blank walls, fades and skies are below."""


@dataclass(frozen=True)
class ContentBox:
    """The part of a frame inside its borders, in pixels, end exclusive."""

    top: int
    bottom: int
    left: int
    right: int

    def crop(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the inside of `image` (HWC or HW) as a contiguous array."""
        return np.ascontiguousarray(image[self.top : self.bottom, self.left : self.right])


def luma(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the BT.601 luma of an RGB picture, HWC uint8 to HW uint8."""
    from PIL import Image

    return np.asarray(Image.fromarray(image).convert("L"))


def content_box(images: Sequence[NDArray[np.uint8]]) -> ContentBox:
    """Find the box inside the bars that all `images` (RGB HWC, one shape, at least one) share.

    A bar must be there in every frame: dark scenes are cut no further than the brightest of them.
    """
    height, width = images[0].shape[:2]
    top, bottom, left, right = height, 0, width, 0
    for image in images:
        grey_HW = luma(image)
        first_row, end_row = _inside(grey_HW)
        first_column, end_column = _inside(grey_HW.T)
        top, bottom = min(top, first_row), max(bottom, end_row)
        left, right = min(left, first_column), max(right, end_column)
    if bottom - top < _MIN_CONTENT * height:
        top, bottom = 0, height
    if right - left < _MIN_CONTENT * width:
        left, right = 0, width
    return ContentBox(top=top, bottom=bottom, left=left, right=right)


def texture(image: NDArray[np.uint8]) -> float:
    """Measure the texture of an RGB picture: mean absolute luma step between neighbours at 64 x 64."""
    from PIL import Image

    small = Image.fromarray(luma(image)).resize((_GATE_SIDE, _GATE_SIDE), Image.Resampling.BOX)
    grey = np.asarray(small, dtype=np.int16)
    return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())


def is_textured(image: NDArray[np.uint8]) -> bool:
    """Say whether an RGB picture has enough in it to be recognised by."""
    return texture(image) >= _MIN_TEXTURE


def _inside(grey_HW: NDArray[np.uint8]) -> tuple[int, int]:
    """Return the first row that is no bar and the end of the last; all bars: an empty box at the middle."""
    height = len(grey_HW)
    first = next((row for row in range(height) if not _is_bar(grey_HW[row])), None)
    if first is None:
        return height // 2, height // 2
    # Mostly there is no bar: then this looks at one row from either side.
    return first, next(row for row in range(height, 0, -1) if not _is_bar(grey_HW[row - 1]))


def _is_bar(grey_W: NDArray[np.uint8]) -> bool:
    """Say whether a bar could consist of this row: nearly one colour, and that nearly black or white."""
    ordered_W = np.sort(grey_W)
    last = len(ordered_W) - 1
    low, middle, high = (int(ordered_W[round(last * share)]) for share in (0.01, 0.5, 0.99))
    return high - low <= _BAR_SPREAD and (middle <= _BAR_DARK or middle >= _BAR_LIGHT)
