"""Frames: one decode pass that serves every consumer, and the frames of one clip for training.

Shapes: HWC is height, width, channel; TCHW is frame, channel, height, width. All pixels are uint8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, dropwhile
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

import numpy as np

from db.errors import ConfigError
from ingest.errors import MediaError
from ingest.media.container import OpenVideo, opened_video
from ingest.media.decoding import DecodedFrame, Decoder
from ingest.media.raster import Rasterizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SEEK_MARGINS_SECONDS = (0, 2, 15)

Taken = TypeVar("Taken")


@dataclass(frozen=True, slots=True, eq=False)
class ScannedFrame:
    """One decoded frame of an asset."""

    pts: int
    """Its identity, in ticks of `time_base`; strictly increasing."""
    duration_pts: int
    """Ticks it is shown for, at least 1."""
    time_base: Fraction
    seconds: float
    """Since the first frame, for display and thresholds."""
    thumbnail: NDArray[np.uint8]
    """BGR HWC, the same small size for the whole asset, not turned upright."""
    image: NDArray[np.uint8] | None
    """RGB HWC, upright, on sampled frames only."""
    still: NDArray[np.uint8] | None = None
    """Grey HW, upright, on the frames of the grid of stills only."""


def scan_frames(
    source: Path | IO[bytes],
    *,
    samples_per_second: Fraction,
    stills_per_second: Fraction | None = None,
    image_short_side: int = 320,
    still_short_side: int = 160,
    thumbnail_side: int = 64,
    name: str | None = None,
) -> Iterator[ScannedFrame]:
    """Decode `source` once and yield every frame, with an image on those that are sampled.

    Sampled is the first frame at or after each tick of a grid of `samples_per_second` that starts at the
    first frame, so frames that come at a varying rate are sampled evenly in time. With `stills_per_second`
    the frames of a second such grid carry a small grey still, many times cheaper than an image. Images and
    stills have a short side of at most `image_short_side` and `still_short_side`, thumbnails a long side of
    `thumbnail_side`. Memory does not grow with the length of the file. `name` is how messages call a stream,
    which is left open.

    Raises `MediaError`, possibly after frames have been yielded: what was seen by then counts for nothing,
    the asset is not known. Codes: those of `probe`, and `media.truncated` or `media.undecodable` as
    `ingest.media.decoding` says.
    """
    if samples_per_second <= 0 or (stills_per_second is not None and stills_per_second <= 0):
        raise ConfigError("the rates of samples and of stills must be positive")
    if min(image_short_side, still_short_side, thumbnail_side) < 1:
        raise ConfigError("the sizes of images, stills and thumbnails must be positive")
    with opened_video(source, name) as video:
        decoder = Decoder(video)
        rasterizer = Rasterizer(video.sample_aspect_ratio)
        grid = SamplingGrid(video.time_base * samples_per_second)
        stills = SamplingGrid(video.time_base * (stills_per_second or 0))
        thumbnail_size: tuple[int, int] | None = None
        for frame in decoder.frames():
            thumbnail_size = thumbnail_size or _fit(frame, thumbnail_side)
            yield ScannedFrame(
                pts=frame.pts,
                duration_pts=frame.duration_pts,
                time_base=video.time_base,
                seconds=float(grid.ticks_since_first(frame.pts) * video.time_base),
                thumbnail=rasterizer.thumbnail(frame.picture, thumbnail_size),
                image=rasterizer.picture(frame.picture, image_short_side) if grid.takes(frame.pts) else None,
                still=rasterizer.grey(frame.picture, still_short_side)
                if stills_per_second is not None and stills.takes(frame.pts)
                else None,
            )
        decoder.check_is_whole()


class SamplingGrid:
    """Decides exactly, in integers, which frames are sampled: the first at or after each tick."""

    def __init__(self, samples_per_tick: Fraction) -> None:
        self._numerator, self._denominator = samples_per_tick.as_integer_ratio()
        self._first: int | None = None
        self._last_cell = -1

    def ticks_since_first(self, pts: int) -> int:
        """Return the ticks of the stream's time base from the first frame asked about to `pts`."""
        self._first = pts if self._first is None else self._first
        return pts - self._first

    def takes(self, pts: int) -> bool:
        """Whether the frame at `pts` is sampled; ask once for each frame, in order."""
        cell = self.ticks_since_first(pts) * self._numerator // self._denominator
        is_taken = cell > self._last_cell
        self._last_cell = cell
        return is_taken


def _fit(frame: DecodedFrame, long_side: int) -> tuple[int, int]:
    width, height = frame.picture.width, frame.picture.height
    scale = Fraction(long_side, max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def decode_clip(
    source: Path | IO[bytes],
    *,
    start_pts: int,
    end_pts: int,
    num_frames: int,
    height: int,
    width: int,
    name: str | None = None,
) -> NDArray[np.uint8]:
    """Return `num_frames` frames evenly spaced over [start_pts, end_pts) as upright RGB TCHW, centre-cropped.

    The frame at time t is the one shown at t, but never one that starts outside the span: what lies before
    and after may not be cleared. Seeks to a key frame at or before `start_pts`; where the file does not let
    itself be sought so, decodes it from its beginning, so that the frames are the ones that `scan_frames`
    saw.

    Raises `MediaError`: as `probe`, and `media.undecodable` if the span holds no frame.
    """
    if end_pts <= start_pts or min(num_frames, height, width) < 1:
        raise ConfigError(f"no clip of {num_frames} frames, {width}x{height}, in [{start_pts}, {end_pts})")
    times = [start_pts + (end_pts - start_pts) * index // num_frames for index in range(num_frames)]
    return read_span(
        source,
        lambda video, frames: _clip_at(video, frames, times, end_pts, (height, width)),
        start_pts=start_pts,
        end_pts=end_pts,
        name=name,
    )


def read_span(
    source: Path | IO[bytes],
    take: Callable[[OpenVideo, Iterator[DecodedFrame]], Taken],
    *,
    start_pts: int,
    end_pts: int,
    name: str | None = None,
) -> Taken:
    """Return what `take` makes of the frames that start in [start_pts, end_pts), in display order.

    Sought as `decode_clip` says; if damage is met on the way that was sought, `take` is called again, with the frames
    from the beginning of the file. What it returns the last time counts.

    Raises `MediaError`: as `probe`, and what `take` raises.
    """
    with opened_video(source, name) as video:
        sought = _frames_from_key(video, start_pts)
        if sought is not None:
            # Damage met after a seek may come of the seek: only the way from the beginning decides.
            with suppress(MediaError):
                return take(video, _in_span(sought, start_pts, end_pts))
    # A fresh container: not every demuxer finds back to its own beginning.
    with opened_video(source, name) as video:
        return take(video, _in_span(Decoder(video).frames(), start_pts, end_pts))


def _frames_from_key(video: OpenVideo, start_pts: int) -> Iterator[DecodedFrame] | None:
    """Return the frames from a key frame at or before `start_pts`; None where no seek arrives at one."""
    import av

    for margin in _SEEK_MARGINS_SECONDS:
        target = start_pts - round(margin / video.time_base)
        try:
            video.container.seek(target, stream=video.stream)
            # Frames shown before the first key frame may refer to others that were not decoded.
            frames = dropwhile(lambda frame: not frame.picture.key_frame, Decoder(video).frames())
            first = next(frames, None)
        except (av.FFmpegError, MediaError):
            return None
        if first is not None and first.is_pts_own and first.pts <= start_pts:
            return chain([first], frames)
    return None


def _clip_at(
    video: OpenVideo, frames: Iterable[DecodedFrame], times: list[int], end_pts: int, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return the frame shown at each of `times` (ascending, the first is the start of the span) as TCHW."""
    rasterizer = Rasterizer(video.sample_aspect_ratio)
    pending = list(reversed(times))
    pictures: list[NDArray[np.uint8]] = []
    shown: DecodedFrame | None = None
    for frame in frames:
        if shown is not None:
            pictures += _repeat_until(rasterizer, shown, pending, frame.pts, size)
        shown = frame
        if not pending:
            break
    if shown is None:
        raise video.error("media.undecodable", f"no frame starts in [{times[0]}, {end_pts})")
    pictures += _repeat_until(rasterizer, shown, pending, end_pts, size)
    return np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2))


def _in_span(frames: Iterable[DecodedFrame], start_pts: int, end_pts: int) -> Iterator[DecodedFrame]:
    for frame in frames:
        if frame.pts >= end_pts:
            return
        if frame.pts >= start_pts:
            yield frame


def _repeat_until(
    rasterizer: Rasterizer, shown: DecodedFrame, pending: list[int], until: int, size: tuple[int, int]
) -> list[NDArray[np.uint8]]:
    """Take the times before `until` off `pending` and return the picture of `shown` once for each."""
    count = 0
    while pending and pending[-1] < until:
        pending.pop()
        count += 1
    return [rasterizer.centre_crop(shown.picture, *size)] * count if count else []
