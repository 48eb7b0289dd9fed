"""Cleared seconds as a file of their own: H.264 without loss in MP4, every decoded picture the same bits.

The original cannot leave as a whole: it may hold seconds that were never cleared. So the frames of the span are decoded
as training decodes them and encoded again with x264 at quantiser 0. What was written is decoded once more and must
give the same raw frames, or it is refused. Colour tags are kept as far as H.264 has words for them: limited range is
what a file means that does not say. Sound is left behind: what was cleared are the pictures.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from db.errors import UndecidedError
from ingest.media.container import OpenVideo, opened_video
from ingest.media.decoding import DecodedFrame, Decoder
from ingest.media.digests import file_digest
from ingest.media.frames import read_span
from ingest.media.raster import orientation_of

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from governance.snapshots.snapshot import ClearedSpan

_CODECS = {
    **dict.fromkeys(
        (
            *("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p"),
            *("yuv420p10le", "yuv422p10le", "yuv444p10le"),
        ),
        "libx264",
    ),
    "gbrp": "libx264rgb",
}
"""By pixel format: the encoder that keeps every bit of it."""
_KEY_FRAME_EVERY = 24
"""So that a loader that picks frames decodes few others."""


@dataclass(frozen=True, kw_only=True)
class ExportedVideo:
    """A file that was written and found to hold the frames of its span."""

    path: Path
    sha256: str
    """Of the file."""
    size_bytes: int
    frames_sha256: str
    """Of the raw decoded frames one after the other, which are those of the original: planar, no padding."""
    num_frames: int
    width: int
    """As stored, before it is turned."""
    height: int
    pixel_format: str
    rotation_degrees: int
    """Clockwise turn that the file tells a player to make."""
    is_mirrored: bool


def can_be_lossless(pixel_format: str) -> bool:
    """Return whether frames of this format can be written without loss."""
    return pixel_format in _CODECS


def write_span(source: BinaryIO, path: Path, span: ClearedSpan, *, name: str) -> ExportedVideo:
    """Write the frames of `span` in `source` to `path`, times counted from the start of the span.

    Encoded by one thread without date or version marks, so the same span gives the same bytes with the same
    libraries. `name` is how messages call the source.

    Raises `MediaError` if the span cannot be decoded or its format cannot be kept, `UndecidedError` if encoding fails
    or what was written does not decode to the same frames.
    """
    import av

    try:
        written = read_span(
            source,
            lambda video, frames: _write(path, video, frames, span.start_pts),
            start_pts=span.start_pts,
            end_pts=span.end_pts,
            name=name,
        )
    except av.FFmpegError as exc:
        raise UndecidedError(f"clip {span.clip_id}: cannot be encoded: {exc}") from exc
    with opened_video(path) as video:
        again = _RawFrames()
        for frame in Decoder(video).frames():
            again.update(frame.picture)
    if (again.num_frames, again.hexdigest()) != (written.num_frames, written.frames_sha256):
        raise UndecidedError(f"clip {span.clip_id} of {name} does not survive encoding bit for bit")
    return written


def _write(path: Path, video: OpenVideo, frames: Iterator[DecodedFrame], start_pts: int) -> ExportedVideo:
    import av

    first = next(frames, None)
    if first is None:
        raise video.error("media.undecodable", "no frame starts in the span of the clip")
    picture = first.picture
    pixel_format, orientation = picture.format.name, orientation_of(picture)
    if not can_be_lossless(pixel_format):
        raise video.error("media.undecodable", f"pixel format {pixel_format} cannot be written without loss")
    raw = _RawFrames()
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream = _add_stream(container, video, picture)
        stream.set_display_rotation(-orientation.rotation_degrees, hflip=orientation.is_mirrored)
        _encode(container, stream, _noted(first, frames, raw), start_pts)
    digest = file_digest(path)
    return ExportedVideo(
        path=path,
        sha256=digest.sha256,
        size_bytes=digest.size_bytes,
        frames_sha256=raw.hexdigest(),
        num_frames=raw.num_frames,
        width=picture.width,
        height=picture.height,
        pixel_format=pixel_format,
        rotation_degrees=orientation.rotation_degrees,
        is_mirrored=orientation.is_mirrored,
    )


def _noted(first: DecodedFrame, rest: Iterable[DecodedFrame], raw: _RawFrames) -> Iterator[DecodedFrame]:
    """Pass frames on, and their raw bytes to the digest."""
    for frame in itertools.chain([first], rest):
        raw.update(frame.picture)
        yield frame


def _add_stream(container: OutputContainer, video: OpenVideo, picture: VideoFrame) -> VideoStream:
    import av

    codec = _CODECS[picture.format.name]
    stream = container.add_stream(codec, rate=video.frame_rate or Fraction(25))
    assert isinstance(stream, av.VideoStream)
    stream.width, stream.height = picture.width, picture.height
    stream.pix_fmt = "rgb24" if codec == "libx264rgb" else picture.format.name
    context = stream.codec_context
    stream.time_base = context.time_base = video.time_base
    context.thread_count = 1
    if video.stream.sample_aspect_ratio:
        context.sample_aspect_ratio = video.stream.sample_aspect_ratio
    context.color_range, context.colorspace = picture.color_range, picture.colorspace
    context.color_primaries, context.color_trc = picture.color_primaries, picture.color_trc
    # A quantiser of 0 is x264's lossless mode; without B-frames no frame is shown before it is decoded.
    context.options = {
        "qp": "0",
        "preset": "superfast",
        "bf": "0",
        "g": str(_KEY_FRAME_EVERY),
        "flags": "+bitexact",
    }
    return stream


def _encode(
    container: OutputContainer, stream: VideoStream, frames: Iterable[DecodedFrame], start_pts: int
) -> None:
    from av.video.frame import PictureType

    for frame in frames:
        picture = frame.picture
        if stream.pix_fmt == "rgb24":
            picture = picture.reformat(format="rgb24")
        picture.pts, picture.time_base = frame.pts - start_pts, stream.codec_context.time_base
        # What kind of picture it was in the source is no order to the encoder.
        picture.pict_type = PictureType.NONE
        container.mux(stream.encode(picture))
    container.mux(stream.encode())


class _RawFrames:
    """The digest of frames as raw video, one after the other."""

    def __init__(self) -> None:
        self.num_frames = 0
        self._hasher = hashlib.sha256()

    def update(self, picture: VideoFrame) -> None:
        from av.codec import CodecContext

        raw = CodecContext.create("rawvideo", "w")
        raw.width, raw.height = picture.width, picture.height
        raw.pix_fmt, raw.time_base = picture.format.name, Fraction(1, 25)
        for packet in raw.encode(picture):
            self._hasher.update(packet)
        self.num_frames += 1

    def hexdigest(self) -> str:
        return self._hasher.hexdigest()
