"""Key frames: a fast look at large libraries, which decodes only the pictures that stand for themselves.

A key frame comes every few seconds, so this costs a small part of decoding everything, and the file says, not the
caller, when the pictures come. All pixels are uint8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from db.errors import ConfigError
from ingest.media.container import opened_video
from ingest.media.decoding import KeyFrameDecoder
from ingest.media.frames import SamplingGrid
from ingest.media.raster import Rasterizer

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class KeyFrame:
    """One key frame of an asset."""

    pts: int
    """Its identity, in ticks of `time_base`; strictly increasing, and the same as in `scan_frames`."""
    time_base: Fraction
    seconds: float
    """Since the first key frame, with which all but recordings that start in mid-picture begin."""
    image: NDArray[np.uint8]
    """RGB HWC, upright."""


def scan_keyframes(
    source: Path | IO[bytes],
    *,
    max_per_second: Fraction = Fraction(2),
    image_short_side: int = 320,
    name: str | None = None,
) -> Iterator[KeyFrame]:
    """Read `source` once and yield its sound key frames, at most `max_per_second` of them.

    Where every frame is a key frame (intra-only codecs), the first at or after each tick of that rate is taken. The
    damage that full decoding finds between key frames stays unseen: who needs to know decodes everything.

    Raises `MediaError`, possibly after frames have been yielded, which then count for nothing: codes as
    `scan_frames`, and `media.undecodable` if no key frame is sound. Such an asset was not compared.
    """
    if max_per_second <= 0 or image_short_side < 1:
        raise ConfigError("the rate of key frames and the size of their images must be positive")
    with opened_video(source, name) as video:
        decoder = KeyFrameDecoder(video)
        rasterizer = Rasterizer(video.sample_aspect_ratio)
        grid = SamplingGrid(video.time_base * max_per_second)
        for frame in decoder.frames():
            if grid.takes(frame.pts):
                yield KeyFrame(
                    pts=frame.pts,
                    time_base=video.time_base,
                    seconds=float(grid.ticks_since_first(frame.pts) * video.time_base),
                    image=rasterizer.picture(frame.picture, image_short_side),
                )
        decoder.check_is_whole()
