"""Reading a clip for its card: plain facts, and one decode pass that serves every measure.

Files are judged by exactly the bytes that were digested, through a private copy, in memory that does not grow with the
length of the clip.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING

from db.terminal import clock_text
from db.vocabularies import Tri
from ingest.errors import MediaError
from ingest.media.cadence import CadenceMeter
from ingest.media.container import opened_video
from ingest.media.decoding import DecodedFrame, Decoder
from ingest.media.digests import FileDigest, file_digest, verified_copy
from ingest.media.frames import SamplingGrid
from ingest.media.probe import MediaFacts, probe
from ingest.media.raster import Rasterizer
from ingest.media.sources import printable_path
from training.quality.consistency import SAMPLES_PER_SECOND
from training.quality.definitions import WORKING_SIDE
from training.quality.errors import NotMeasurable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_SECONDS = 600
MAX_PIXELS = 8192 * 4320
"""A card is for a clip. Longer and larger files are refused before hours go into them."""
_SAMPLE_SIDE = 320


@dataclass(frozen=True, kw_only=True)
class ClipFacts:
    """What a clip plainly is."""

    file_name: str
    sha256: str
    """Of the file: the card speaks of these bytes and no others."""
    size_bytes: int
    width: int
    """As shown: square pixels, upright."""
    height: int
    video_codec: str
    has_audio: bool
    num_frames: int
    duration_seconds: float
    """From the first frame to the end of the last."""
    is_variable_frame_rate: Tri

    @property
    def frame_rate(self) -> float:
        """Frames per second, on average."""
        return self.num_frames / self.duration_seconds

    @property
    def bitrate_bps(self) -> float:
        """Bits of the whole file (sound and credentials included) per second."""
        return self.size_bytes * 8 / self.duration_seconds


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredFrame:
    """One frame as the measures see it."""

    seconds: float
    """Since the first frame."""
    grey_HW: NDArray[np.uint8]
    """Luma, upright, the short side at most `WORKING_SIDE` pixels."""
    sample_HWC: NDArray[np.uint8] | None
    """RGB, upright, the short side at most 320 pixels, on the first frame at or after each quarter second."""


class ClipReader:
    """An opened clip. `frames` is read to its end once, and then there are `facts`."""

    def __init__(self, path: Path, stream: IO[bytes], digest: FileDigest, media: MediaFacts) -> None:
        self._name = printable_path(path)
        self._file_name = printable_path(path.name)
        self._stream = stream
        self._digest = digest
        self._media = media
        self._num_frames = 0
        self._seconds = 0.0
        self._cadence = CadenceMeter()

    def frames(self) -> Iterator[MeasuredFrame]:
        """Decode the clip once.

        Raises `MediaError` if it is damaged, `NotMeasurable` if it grows too long or its picture changes shape.
        """
        with opened_video(self._stream, self._name) as video:
            decoder, rasterizer = Decoder(video), Rasterizer(video.sample_aspect_ratio)
            grid = SamplingGrid(video.time_base * SAMPLES_PER_SECOND)
            shape: tuple[int, ...] | None = None
            for frame in decoder.frames():
                is_sampled = grid.takes(frame.pts)
                ticks = grid.ticks_since_first(frame.pts)
                self._note(frame, ticks, video.time_base)
                grey_HW = rasterizer.grey(frame.picture, WORKING_SIDE)
                shape = shape or grey_HW.shape
                if grey_HW.shape != shape:
                    raise NotMeasurable(
                        f"{self._name}: the shape of the picture changes in frame {self._num_frames}",
                        hint="encode it again in one size, or cut it there",
                    )
                yield MeasuredFrame(
                    seconds=float(ticks * video.time_base),
                    grey_HW=grey_HW,
                    sample_HWC=rasterizer.picture(frame.picture, _SAMPLE_SIDE) if is_sampled else None,
                )
            decoder.check_is_whole()

    def facts(self) -> ClipFacts:
        """Return what the clip is, once every frame has been read."""
        return ClipFacts(
            file_name=self._file_name,
            sha256=self._digest.sha256,
            size_bytes=self._digest.size_bytes,
            width=self._media.width,
            height=self._media.height,
            video_codec=self._media.video_codec,
            has_audio=self._media.has_audio,
            num_frames=self._num_frames,
            duration_seconds=self._seconds,
            is_variable_frame_rate=self._cadence.is_variable,
        )

    def _note(self, frame: DecodedFrame, ticks: int, time_base: Fraction) -> None:
        self._cadence.push(frame.pts)
        self._num_frames += 1
        self._seconds = float((ticks + frame.duration_pts) * time_base)
        _refuse_long(self._name, self._seconds)


@contextmanager
def opened_clip(path: Path) -> Iterator[ClipReader]:
    """Digest `path` and open a private copy of it.

    Raises `MediaError` if it is not a whole video, `NotMeasurable` if it is longer than 10 minutes or larger than
    8192 x 4320 pixels by its own account.
    """
    digest = file_digest(path)
    with verified_copy(path, digest.sha256) as stream:
        name = printable_path(path)
        media = probe(stream, name=name)
        if media.width * media.height > MAX_PIXELS:
            raise NotMeasurable(
                f"{name}: {media.width} x {media.height} pixels, at most 8192 x 4320 are measured",
                hint="scale the clip down",
            )
        _refuse_long(name, media.duration_seconds or 0.0)
        yield ClipReader(path, stream, digest, media)


def expected_frames(path: Path) -> int:
    """Return about how many frames a clip has by its own account; 0 where it does not say or cannot be opened."""
    try:
        media = probe(path)
    except MediaError:
        return 0  # whoever measures it will say why
    return round((media.duration_seconds or 0.0) * float(media.frame_rate or 0))


def _refuse_long(name: str, seconds: float) -> None:
    if seconds > MAX_SECONDS:
        raise NotMeasurable(
            f"{name}: it lasts {clock_text(seconds)}, cards are made of clips of at most {clock_text(MAX_SECONDS)}",
            hint="cut out the part in question",
        )
