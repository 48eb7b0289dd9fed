"""Views: the parts of a picture that may be a picture of their own, found without knowing of what.

An inset, the halves of a split screen and the sharp middle of a blurred pad are other people's footage inside a frame,
and no vector of the whole frame shows them. What gives them away is their outline: straight, along the rows and
columns, and there in every frame while both sides of it move. Edges of things filmed are rarely all of that.

Shapes: T frames of one size, H and W pixels, Y and X cells of 8 by 8 of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

VIEW_RULES = "outlines-2"
"""Names the rules of this module; part of what makes stored vectors comparable."""

_LONG_SIDE = 160
_MIN_STEP = 6.0
"""Grey levels between neighbours from which there is an edge; coding noise is below at this size."""
_NUM_LINES = 12
_MIN_SIDE = 0.2
"""Of the frame: a smaller inset has too few pixels left to be recognised by."""
_MAX_AREA = 0.9
"""Of the frame: a larger part is the whole with a rim."""
_MIN_OUTLINE = 0.25
_FURTHER_SIDE = 0.1
"""What each further side with an outline is worth: a door may have two by chance, an inset has four."""
_MIN_CHANGE = 0.35
"""Mean change in grey levels below which a part stands still: half of what verification asks for, so that nothing is
lost by it that could have become a match."""
_CELL = 8
_BESIDE = 3
_MAX_SHARED = 0.7
_MAX_BOXES = 3


@dataclass(frozen=True)
class ViewBox:
    """A part of the picture, as shares of its height and width, end exclusive."""

    top: float
    bottom: float
    left: float
    right: float

    @property
    def area(self) -> float:
        """Share of the picture."""
        return (self.bottom - self.top) * (self.right - self.left)

    def crop(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return this part of `image` (HWC or HW) as a contiguous array, without the pixels of its outline."""
        height, width = image.shape[:2]
        top, bottom = _inside(self.top, self.bottom, height)
        left, right = _inside(self.left, self.right, width)
        return np.ascontiguousarray(image[top:bottom, left:right])

    def overlap(self, other: ViewBox) -> float:
        """Return the area of the intersection over that of the union."""
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        width = min(self.right, other.right) - max(self.left, other.left)
        shared = max(0.0, height) * max(0.0, width)
        return shared / (self.area + other.area - shared)


WHOLE = ViewBox(0.0, 1.0, 0.0, 1.0)


def _inside(start: float, end: float, size: int) -> tuple[int, int]:
    first = min(size - 1, round(start * size) + (start > 0))
    return first, max(first + 1, round(end * size) - (end < 1))


def find_boxes(frames: Sequence[NDArray[np.uint8]]) -> list[ViewBox]:
    """Find up to three parts with an outline that all `frames` (grey HW, one size, in order of time) share.

    The clearest outline with most sides comes first. A part in which nothing moves is a wall, a window or a logo and
    no footage, whatever its outline.
    """
    small_THW = np.stack([_small(frame) for frame in frames]).astype(np.float32)
    columns_HX, rows_YW = _outlines(small_THW)
    return _distinct(_boxes(columns_HX, rows_YW.T), _coarse(small_THW))


def _small(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from PIL import Image

    picture = Image.fromarray(frame)
    scale = _LONG_SIDE / max(picture.size)
    size = (max(8, round(picture.width * scale)), max(8, round(picture.height * scale)))
    return np.asarray(picture.resize(size, Image.Resampling.BOX))


def _outlines(small_THW: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rate each place from 0 to 1 as part of an upright outline (between columns) and of a level one (between rows).

    A place counts by how often there is an edge, less how often there is one a little beside it, so that texture
    does not count.
    """
    return _upright(small_THW), _upright(small_THW.transpose(0, 2, 1)).T


def _upright(small_THW: NDArray[np.float32]) -> NDArray[np.float32]:
    step_THX = np.abs(np.diff(small_THW, axis=2))
    often_HX = (step_THX > _MIN_STEP).mean(axis=0, dtype=np.float32)
    # An edge between two pixels spreads over two steps when the picture was scaled.
    wide_HX = np.maximum(often_HX, np.pad(often_HX, ((0, 0), (0, 1)))[:, 1:])
    beside = [_shifted(often_HX, shift) for shift in (-_BESIDE - 1, -_BESIDE, _BESIDE, _BESIDE + 1)]
    return np.asarray(wide_HX - np.mean(beside, axis=0), dtype=np.float32)


def _shifted(values_HX: NDArray[np.float32], shift: int) -> NDArray[np.float32]:
    return np.asarray(np.roll(values_HX, shift, axis=1))


def _boxes(columns_HX: NDArray[np.float32], rows_WY: NDArray[np.float32]) -> list[tuple[float, ViewBox]]:
    """Combine lines to rated boxes; a side on the edge of the frame needs no outline, but one side must have one."""
    height, width = columns_HX.shape[0], rows_WY.shape[0]
    lefts = _lines(columns_HX)
    tops = _lines(rows_WY)
    column_sums = np.pad(np.cumsum(columns_HX, axis=0), ((1, 0), (0, 0)))
    row_sums = np.pad(np.cumsum(rows_WY, axis=0), ((1, 0), (0, 0)))
    found: list[tuple[float, ViewBox]] = []
    for left, right in _pairs(lefts, width):
        for top, bottom in _pairs(tops, height):
            if (right - left) * (bottom - top) > _MAX_AREA * width * height:
                continue
            sides = [
                (column_sums[bottom, x - 1] - column_sums[top, x - 1]) / (bottom - top)
                for x in (left, right)
                if 0 < x < width
            ]
            sides += [
                (row_sums[right, y - 1] - row_sums[left, y - 1]) / (right - left)
                for y in (top, bottom)
                if 0 < y < height
            ]
            least = float(min(sides))
            if least >= _MIN_OUTLINE:
                box = ViewBox(top / height, bottom / height, left / width, right / width)
                found.append((least + _FURTHER_SIDE * (len(sides) - 1), box))
    return found


def _lines(strength: NDArray[np.float32]) -> list[int]:
    """Return the positions of the clearest lines, each the end of the pixels before it, and both ends of the frame."""
    size, num = strength.shape
    best = np.zeros(num, dtype=np.float32)
    sums = np.pad(np.cumsum(strength, axis=0), ((1, 0), (0, 0)))
    for share in (0.25, 0.4, 0.7, 1.0):
        run = max(1, round(size * share))
        best = np.maximum(best, (sums[run:] - sums[:-run]).max(axis=0) / run)
    kept: list[int] = []
    for position in np.argsort(-best, kind="stable"):
        if len(kept) == _NUM_LINES or best[position] < _MIN_OUTLINE:
            break
        if all(abs(int(position) - other) > 1 for other in kept):
            kept.append(int(position))
    return sorted({0, num + 1, *(position + 1 for position in kept)})


def _pairs(positions: Sequence[int], size: int) -> list[tuple[int, int]]:
    return [
        (start, end)
        for number, start in enumerate(positions)
        for end in positions[number + 1 :]
        if end - start >= _MIN_SIDE * size
    ]


def _distinct(found: Sequence[tuple[float, ViewBox]], coarse_TYX: NDArray[np.float32]) -> list[ViewBox]:
    """Keep the best rated that differ from each other and move."""
    kept: list[ViewBox] = []
    for _, box in sorted(found, key=lambda item: (-item[0], -item[1].area)):
        if len(kept) == _MAX_BOXES:
            break
        if all(box.overlap(other) < _MAX_SHARED for other in kept) and _is_moving(box, coarse_TYX):
            kept.append(box)
    return kept


def _is_moving(box: ViewBox, coarse_TYX: NDArray[np.float32]) -> bool:
    """Say whether the cells inside a box ever differ from their mean, beyond what all of them do at once."""
    height, width = coarse_TYX.shape[1:]
    rows = slice(math.ceil(box.top * height), math.floor(box.bottom * height))
    columns = slice(math.ceil(box.left * width), math.floor(box.right * width))
    inside_TYX = coarse_TYX[:, rows, columns]
    if inside_TYX.size == 0:
        return True
    changes_TYX = inside_TYX - inside_TYX.mean(axis=0)
    changes_TYX -= changes_TYX.mean(axis=(1, 2), keepdims=True)
    return bool(np.abs(changes_TYX).mean(axis=(1, 2)).max() >= _MIN_CHANGE)


def _coarse(small_THW: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the means of square cells: coding noise is not motion."""
    num, height, width = small_THW.shape
    rows, columns = height // _CELL, width // _CELL
    cells = small_THW[:, : rows * _CELL, : columns * _CELL].reshape(num, rows, _CELL, columns, _CELL)
    return np.asarray(cells.mean(axis=(2, 4)), dtype=np.float32)
