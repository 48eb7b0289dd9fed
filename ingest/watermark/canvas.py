"""The canvas: a small picture of fixed area, in whose cells the pattern is put and looked for.

Whatever the size of a film, its picture has about 92,000 cells: half the size gives the same canvas, and a mark costs
the same work to find. Shapes: H and W are the film's pixels, h and w the canvas's cells.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CELLS = 304 * 304
"""Chosen between 256 x 256 (better at half size and CRF 28) and 362 x 362 (better otherwise); see docs/watermark.md."""
_LONGEST = 1000
"""So that it fits the reader's transform whatever the shape."""


def canvas_size(height: int, width: int) -> tuple[int, int]:
    """Return (h, w) of the canvas for a picture with square pixels."""
    scale = min((_CELLS / (height * width)) ** 0.5, _LONGEST / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


@lru_cache(maxsize=16)
def resampling(num_from: int, num_to: int) -> NDArray[np.float32]:
    """Return the matrix that resamples a line of `num_from` values to `num_to`: tent filter, rows sum to 1.

    The tent is as wide as the coarser of the two grids, so that nothing aliases.
    """
    ratio = num_from / num_to
    centres = (np.arange(num_to) + 0.5) * ratio - 0.5
    distance = np.abs(np.arange(num_from)[None, :] - centres[:, None]) / max(ratio, 1.0)
    weights = np.maximum(0.0, 1.0 - distance)
    matrix: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return matrix


def resampled(plane: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return `plane` at `size` (height, width)."""
    if plane.shape == size:
        return plane
    rows, columns = resampling(plane.shape[0], size[0]), resampling(plane.shape[1], size[1])
    return np.asarray(rows @ plane @ columns.T, np.float32)


def box_mean(plane: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Return the mean of the `side` x `side` cells (odd) around each; the border is repeated outwards."""
    height, width = plane.shape
    padded = np.pad(plane, side // 2, mode="edge")
    # Sums of shifted planes: for windows this small quicker than running sums, and exact enough in single precision.
    across = padded[:, :width].copy()
    for shift in range(1, side):
        across += padded[:, shift : shift + width]
    down = across[:height].copy()
    for shift in range(1, side):
        down += across[shift : shift + height]
    down /= side * side
    return down


def evened(
    plane: NDArray[np.float32], *, blur_side: int, deviation_side: int, floor: float
) -> NDArray[np.float32]:
    """Return `plane` less its local mean, over its local deviation: loud and quiet places then count alike."""
    detail = plane - box_mean(plane, blur_side)
    power = np.maximum(box_mean(detail * detail, deviation_side), 0)
    return (detail / np.sqrt(power + np.float32(floor * floor))).astype(np.float32)
