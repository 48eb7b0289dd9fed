"""Marked films for the tests of this folder: one key, one id, one scene."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ingest.watermark.keys import WatermarkKey
from ingest.watermark.marking import mark_frames
from tests.media import moving_scene, write_video

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEY = WatermarkKey(secret=bytes(range(32)))
OTHER_KEY = WatermarkKey(secret=bytes(range(1, 33)))
MARK_ID = 0x0123_4567_89AB_CDEF
SIDE = 256


def scene_frames(num_frames: int, side: int = SIDE) -> list[NDArray[np.uint8]]:
    """Return a textured scene in motion, RGB."""
    return list(moving_scene(5, num_frames, side, side))


def marked_frames(num_frames: int, side: int = SIDE) -> list[NDArray[np.uint8]]:
    """Return the same scene with the mark of `MARK_ID` in it."""
    return list(mark_frames(scene_frames(num_frames, side), MARK_ID, KEY))


def encoded(
    path: Path, frames: list[NDArray[np.uint8]], *, crf: int = 18, codec: str = "libx264", rate: int = 24
) -> Path:
    """Write `frames` with an encoder as people have it, one thread."""
    options = {"preset": "veryfast", "crf": str(crf), "threads": "1"}
    if codec == "libx265":
        options["x265-params"] = "log-level=none:pools=1:frame-threads=1"
    return write_video(path, frames, rate=rate, codec=codec, options=options)
