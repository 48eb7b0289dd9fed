"""Films for the attack maker: pictures with exact times, read from a video and written as one.

A film is an iterator of pictures that follow each other without a gap from second 0 on. Its times are fractions,
so that what a disguised copy shows at any moment can be told from its edits alone.

Shapes: pictures are RGB uint8 HWC.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from db.files import durable_file
from ingest.media.container import opened_video
from ingest.media.decoding import DecodedFrame, Decoder
from ingest.media.raster import Rasterizer

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

_TICKS_PER_SECOND = 90_000
"""Divided without rest by the usual frame rates; the clock of MPEG-2 systems (ISO/IEC 13818-1, 2.4.2)."""
_X264_OPTIONS = {
    "preset": "veryfast",
    # A fixed number: x264 gives other bytes for another number of threads.
    "threads": "2",
    # With its look-ahead x264 gave two or three different streams for the same pictures; without, always one.
    "x264-params": "mbtree=0:rc-lookahead=0",
}


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One picture of a film and when it is shown."""

    begin: Fraction
    """Seconds since the film began."""
    end: Fraction
    """When the next picture takes its place."""
    image: NDArray[np.uint8]


def exact_seconds(seconds: float) -> Fraction:
    """Return the fraction that was meant by `seconds`, to the microsecond: 2/5 for 0.4."""
    return Fraction(seconds).limit_denominator(1_000_000)


def read_film(
    source: Path, *, short_side: int, start_seconds: float = 0.0, seconds: float | None = None
) -> Iterator[Picture]:
    """Yield the pictures of `source` from `start_seconds` after its first frame on, for at most `seconds`.

    Upright, with square pixels, the short side at most `short_side`; second 0 is `start_seconds`, when the picture is
    on that was shown then. Everything before is decoded too: no seek is trusted. Yields nothing where
    the footage has ended by `start_seconds`.

    Raises `MediaError`: as `ingest.media.frames.scan_frames`, for damage in the part that was decoded.
    """
    start = exact_seconds(start_seconds)
    end = None if seconds is None else start + exact_seconds(seconds)
    with opened_video(source) as video:
        decoder = Decoder(video)
        rasterizer = Rasterizer(video.sample_aspect_ratio)
        size: tuple[int, int] | None = None
        for frame, begin, until in _timed(decoder.frames(), video.time_base):
            if end is not None and begin >= end:
                return
            if until <= start:
                continue
            image = rasterizer.picture(frame.picture, short_side)
            size = size or (image.shape[1], image.shape[0])
            shown_until = until if end is None else min(until, end)
            yield Picture(max(begin, start) - start, shown_until - start, scaled(image, *size))
        decoder.check_is_whole()


def clipped(film: Iterable[Picture], start: Fraction, end: Fraction) -> Iterator[Picture]:
    """Yield the part of `film` inside [start, end), its times counted from `start`."""
    for picture in film:
        if picture.begin >= end:
            return
        if picture.end > start:
            begin, until = max(picture.begin, start), min(picture.end, end)
            yield replace(picture, begin=begin - start, end=until - start)


def scaled(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return `image` in exactly this size."""
    from PIL import Image

    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def fitted(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return `image` whole and as large as it goes in the middle of a black picture of this size."""
    scale = min(width / image.shape[1], height / image.shape[0])
    columns = min(width, max(1, round(image.shape[1] * scale)))
    rows = min(height, max(1, round(image.shape[0] * scale)))
    canvas = np.zeros((height, width, 3), dtype=np.uint8)
    top, left = (height - rows) // 2, (width - columns) // 2
    canvas[top : top + rows, left : left + columns] = scaled(image, columns, rows)
    return canvas


def write_film(film: Iterable[Picture], destination: Path, *, crf: int) -> int:
    """Write `film`, which must not be empty, as a silent H.264 MP4 and return the number of its pictures.

    All pictures have the size of the first. The file appears under its name only when it is complete.
    """
    import av

    with durable_file(destination) as staged, av.open(str(staged), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(30))
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(crf), **_X264_OPTIONS}
        stream.codec_context.time_base = Fraction(1, _TICKS_PER_SECOND)
        return _encode(film, container, stream)


def _encode(film: Iterable[Picture], container: OutputContainer, stream: VideoStream) -> int:
    converter = _Converter()
    durations: dict[int | None, int] = {}
    for picture in film:
        pts = round(picture.begin * _TICKS_PER_SECOND)
        if pts in durations:  # the one before is shown for less than a tick
            continue
        image = _even(picture.image)
        if not durations:
            stream.height, stream.width = image.shape[:2]
        durations[pts] = max(1, round(picture.end * _TICKS_PER_SECOND) - pts)
        _mux(container, stream.encode(converter.frame(image, pts)), durations)
    _mux(container, stream.encode(None), durations)
    return len(durations)


def _mux(
    container: OutputContainer, packets: Iterable[Packet[VideoStream]], durations: dict[int | None, int]
) -> None:
    for packet in packets:
        # The encoder does not pass it on; without it the last picture is shown as long as the one before.
        packet.duration = durations.get(packet.pts, 0)
        container.mux(packet)


class _Converter:
    """Turns pictures into frames for the encoder, the same on every machine."""

    def __init__(self) -> None:
        from av.video.reformatter import Interpolation, VideoReformatter

        self._reformatter = VideoReformatter()
        self._exact = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT

    def frame(self, image: NDArray[np.uint8], pts: int) -> VideoFrame:
        import av

        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        height, width = image.shape[:2]
        planar = self._reformatter.reformat(
            frame, width, height, "yuv420p", interpolation=self._exact, threads=1
        )
        planar.pts, planar.time_base = pts, Fraction(1, _TICKS_PER_SECOND)
        return planar


def _even(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Drop the last row or column of an odd-sized picture: 4:2:0 video cannot carry it."""
    height, width = image.shape[:2]
    return np.ascontiguousarray(image[: height - height % 2, : width - width % 2])


def _timed(
    frames: Iterable[DecodedFrame], time_base: Fraction
) -> Iterator[tuple[DecodedFrame, Fraction, Fraction]]:
    """Yield each frame with the seconds from which and to which it is shown."""
    first_pts, shown = None, None
    for frame in frames:
        first_pts = frame.pts if first_pts is None else first_pts
        if shown is not None:
            yield shown, (shown.pts - first_pts) * time_base, (frame.pts - first_pts) * time_base
        shown = frame
    if shown is not None and first_pts is not None:
        begin = (shown.pts - first_pts) * time_base
        yield shown, begin, begin + shown.duration_pts * time_base
