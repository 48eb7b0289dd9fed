"""Marking: frames in, the same frames with the pattern in their luma out, one at a time.

The same whole numbers are added to every frame of a clip, as many as a PSNR of `MIN_PSNR_DB` allows: equally strong all
over, since codecs take away what is put into busy places, and equally strong in flat frames, since H.265 smooths those
(measured: docs/watermark.md). What is cut off at black and white only lowers the error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from db.errors import ConfigError
from ingest.watermark.canvas import canvas_size, resampled
from ingest.watermark.keys import WatermarkKey
from ingest.watermark.mark_id import check_mark_id
from ingest.watermark.pattern import TILE, tile_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_PSNR_DB = 42.0
MIN_SIDE = 64
"""Pixels: below, too little of the pattern fits."""
_BUDGET = 255.0**2 / 10 ** (MIN_PSNR_DB / 10)


def mark_frames(
    frames: Iterable[NDArray[np.uint8]], mark_id: int, key: WatermarkKey
) -> Iterator[NDArray[np.uint8]]:
    """Yield `frames` (uint8, RGB HWC or luma HW, square pixels, all of one size) with `mark_id` in them.

    Frames are taken and given one by one; the given ones are new arrays. Each has a PSNR of at least `MIN_PSNR_DB`
    against the frame it was made from.

    Raises `ConfigError` at once if the id does not fit 64 bits, and while yielding for a frame that is no such array.
    """
    check_mark_id(mark_id)
    return _marked(frames, tile_of(mark_id, key))


def _marked(frames: Iterable[NDArray[np.uint8]], tile: NDArray[np.float32]) -> Iterator[NDArray[np.uint8]]:
    shape: tuple[int, ...] | None = None
    change = np.zeros(0, np.int16)
    for frame in frames:
        check_frame(frame)
        if shape is None:
            shape = frame.shape
            change = _change(tile, *frame.shape[:2])
        elif frame.shape != shape:
            raise ConfigError(f"a frame of shape {frame.shape} among frames of shape {shape}")
        grey = change if frame.ndim == 2 else change[..., None]
        yield np.asarray(np.clip(frame + grey, 0, 255), np.uint8)


def check_frame(frame: NDArray[np.uint8]) -> None:
    """Raise `ConfigError` unless `frame` is a picture, and large enough to mark."""
    is_picture = frame.ndim == 2 or (frame.ndim == 3 and frame.shape[2] == 3)
    if not is_picture or frame.dtype != np.uint8:
        raise ConfigError(
            f"a frame is {frame.dtype} of shape {frame.shape}, expected uint8 RGB HWC or luma HW"
        )
    if min(frame.shape[:2]) < MIN_SIDE:
        raise ConfigError(
            f"a frame of {frame.shape[1]}x{frame.shape[0]} is too small to mark: {MIN_SIDE} pixels at least"
        )


def _change(tile: NDArray[np.float32], height: int, width: int) -> NDArray[np.int16]:
    """Return what is added to frames of that size: HW, whole levels, mean square just under the budget."""
    size = canvas_size(height, width)
    # From the middle, where the reader's spectrum has its origin: an untouched picture then has no shift.
    rows, columns = ((np.arange(side) - side // 2) % TILE for side in size)
    change = resampled(tile[np.ix_(rows, columns)], (height, width))
    # Rounding to whole levels adds a mean square of about 1/12.
    scale = ((_BUDGET - 1 / 12) / float(np.mean(change * change))) ** 0.5
    while True:
        whole = np.asarray(np.rint(change * np.float32(scale)), np.int16)
        if float(np.mean(whole.astype(np.float64) ** 2)) <= _BUDGET:
            return whole
        scale *= 0.998
