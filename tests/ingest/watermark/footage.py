"""Frames of real footage, as the tests of this folder mark them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ingest.media.container import opened_video
from ingest.media.decoding import Decoder
from ingest.media.raster import Rasterizer

if TYPE_CHECKING:
    from numpy.typing import NDArray


def first_frames(path: Path, num_frames: int) -> list[NDArray[np.uint8]]:
    """Return the first frames of a film, RGB, short side at most 256."""
    with opened_video(path) as video:
        rasterizer = Rasterizer(video.sample_aspect_ratio)
        frames = islice(Decoder(video).frames(), num_frames)
        return [rasterizer.picture(frame.picture, 256)[:256, :454] for frame in frames]
