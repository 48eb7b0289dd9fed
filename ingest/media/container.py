"""Containers: opening a file as video, without trusting it, and what the container says of its picture track.

Files are opened by content, never by name: FFmpeg sees bytes only, may use no protocol, and only the demuxers
listed here, so that a playlist dressed as a film cannot make it read other files or addresses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ingest.errors import MediaError
from ingest.media.sources import printable_path

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_DEMUXERS = (
    "aac,ac3,aiff,amr,apng,asf,avi,dirac,dv,evc,flac,flv,gif,h261,h263,h264,hevc,ivf,m4v,matroska,webm,"
    "mov,mp4,m4a,3gp,3g2,mj2,mjpeg,mp3,mpeg,mpegts,mpegvideo,mxf,nut,obu,av1,ogg,rm,swf,vc1,wav,wtv,yuv4mpegpipe"
)
_READ_BYTES = 1 << 18
_HEADER_BYTES = 1 << 16

# First bytes of the containers people have, to tell a damaged film from a file that never was one.
_EBML = b"\x1aE\xdf\xa3"
_MAGIC = {
    0: (_EBML, b"OggS", b"FLV\x01", b"0&\xb2u", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"GIF8"),
    4: (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"),
    8: (b"AVI ",),
}


@dataclass(frozen=True, slots=True)
class OpenVideo:
    """An open container and the stream in it that is the picture."""

    container: InputContainer
    stream: VideoStream
    time_base: Fraction
    name: str
    """How messages name the file."""
    has_declared_duration: bool
    """Whether the header states the duration, which FFmpeg otherwise guesses from the bit rate. Known for
    Matroska only; False elsewhere."""

    def error(self, code: str, detail: str, hint: str | None = None) -> MediaError:
        """Return a `MediaError` that names this file."""
        return MediaError(f"{self.name}: {detail}", code=code, hint=hint)

    @property
    def frame_rate(self) -> Fraction | None:
        """Average frames per second as the container states it, exact."""
        stream = self.stream
        return stream.average_rate or stream.guessed_rate or stream.base_rate or None

    @property
    def sample_aspect_ratio(self) -> Fraction:
        """Width of a stored pixel over its height; 1 where the file says nothing or nothing believable."""
        ratio = self.stream.sample_aspect_ratio
        return ratio if ratio and Fraction(1, 8) <= ratio <= 8 else Fraction(1)


class _BareReader:
    """A binary file without a name, so that FFmpeg can guess nothing from it, and which it cannot close."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.read = stream.read
        self.seek = stream.seek
        self.tell = stream.tell


@contextmanager
def opened_video(source: Path | IO[bytes], name: str | None = None) -> Iterator[OpenVideo]:
    """Open `source` and find its picture track; a stream is read from its start and left open.

    Raises `MediaError`: `media.unreadable`, `media.empty`, `media.not_video`, `media.truncated`,
    `media.undecodable` or `media.no_video_stream`.
    """
    label = name if name is not None else _name_of(source)
    try:
        if isinstance(source, Path):
            with source.open("rb") as stream, _opened(stream, label) as video:
                yield video
        else:
            with _opened(source, label) as video:
                yield video
    except OSError as exc:
        # Also a read that fails while the caller decodes, inside the `with` block.
        raise MediaError(f"{label}: cannot be read: {exc.strerror or exc}", code="media.unreadable") from exc


def _name_of(source: Path | IO[bytes]) -> str:
    name = source if isinstance(source, Path) else getattr(source, "name", None)
    return printable_path(name) if isinstance(name, str | Path) else "(unnamed stream)"


@contextmanager
def _opened(stream: IO[bytes], name: str) -> Iterator[OpenVideo]:
    import av

    size_bytes = stream.seek(0, 2)
    stream.seek(0)
    has_declared_duration = _matroska_states_duration(stream.read(_HEADER_BYTES))
    stream.seek(0)
    if size_bytes == 0:
        raise MediaError(f"{name}: the file is empty (zero bytes)", code="media.empty")
    options = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "none"}
    try:
        container = av.open(
            _BareReader(stream),
            "r",
            container_options=options,
            metadata_errors="replace",
            buffer_size=_READ_BYTES,
        )
    except av.FFmpegError as exc:
        raise _cannot_open(stream, size_bytes, name, exc) from exc
    with container:
        pictures = _picture_stream(container)
        if pictures is None or pictures.time_base is None:
            raise MediaError(f"{name}: there is no video stream in it", code="media.no_video_stream")
        pictures.thread_type = "AUTO"
        yield OpenVideo(container, pictures, pictures.time_base, name, has_declared_duration)


def _picture_stream(container: InputContainer) -> VideoStream | None:
    """Return the first moving picture; the cover art of a sound file is not one."""
    from av.stream import Disposition

    stills = Disposition.attached_pic | Disposition.timed_thumbnails
    return next((stream for stream in container.streams.video if not stream.disposition & stills), None)


def _cannot_open(stream: IO[bytes], size_bytes: int, name: str, exc: Exception) -> MediaError:
    stream.seek(0)
    head = stream.read(16)
    if not any(head[at:].startswith(marks) for at, marks in _MAGIC.items()):
        return MediaError(f"{name}: not a video file", code="media.not_video")
    if (end := _mp4_boxes_end(stream)) > size_bytes:
        missing = f"{end - size_bytes} of its {end} bytes are missing"
        return MediaError(f"{name}: the file is cut short: {missing}", code="media.truncated")
    return MediaError(f"{name}: looks like a video but cannot be opened: {exc}", code="media.undecodable")


def _matroska_states_duration(head: bytes) -> bool:
    """Whether an Info element in `head` holds a Duration element of 4 or 8 bytes (RFC 9559, 5.1.2.10)."""
    start = head.find(b"\x15\x49\xa9\x66")
    if not head.startswith(_EBML) or start < 0:
        return False
    info = head[start : start + 4096]
    return b"\x44\x89\x84" in info or b"\x44\x89\x88" in info


def _mp4_boxes_end(stream: IO[bytes]) -> int:
    """Return where the top-level boxes end by their own account (ISO/IEC 14496-12, 4.2); 0 if there are none."""
    position = 0
    while True:
        stream.seek(position)
        header = stream.read(16)
        size, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if len(header) < 8 or not kind.isalnum():
            return position
        if size == 1:
            size = int.from_bytes(header[8:16], "big")
        if size < 8:  # 0: the box runs to the end of the file, whatever that is.
            return position
        position += size
