"""Disguised copies: the product's own maker of the edits that people hide a copied clip behind.

The demo, the tests and the benchmarks measure the detector with it. Sound is not carried over.

Shapes: pictures are RGB uint8 HWC.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from db.errors import ConfigError
from db.files import durable_file
from ingest.frames import ScannedFrame, scan_frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EVERY_FRAME = Fraction(1000)
_FULL_SIZE = 10_000
_DEFAULT_CRF = 23


class PictureEdit(Protocol):
    """An edit done to every picture alike."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the edited picture; its size depends on the size of `image` alone."""


@dataclass(frozen=True)
class Mirror:
    """Swap left and right."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the mirrored picture."""
        return image[:, ::-1]


@dataclass(frozen=True)
class Crop:
    """Keep the middle: `fraction` of the width and of the height."""

    fraction: float

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the middle of the picture."""
        height, width = image.shape[:2]
        rows, columns = max(2, round(height * self.fraction)), max(2, round(width * self.fraction))
        top, left = (height - rows) // 2, (width - columns) // 2
        return image[top : top + rows, left : left + columns]


@dataclass(frozen=True)
class Resize:
    """Scale width and height by `fraction`."""

    fraction: float

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the scaled picture."""
        from PIL import Image

        height, width = image.shape[:2]
        size = (max(2, round(width * self.fraction)), max(2, round(height * self.fraction)))
        return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


@dataclass(frozen=True)
class Caption:
    """Write `text` in white on a dark bar across the lower part of the picture."""

    text: str

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the picture with its caption."""
        from PIL import Image, ImageDraw, ImageFont

        picture = Image.fromarray(image)
        height = picture.height
        bar = (0, round(height * 0.78), picture.width, round(height * 0.92))
        draw = ImageDraw.Draw(picture)
        draw.rectangle(bar, fill=(12, 12, 12))
        font = ImageFont.load_default(size=max(8, round(height * 0.09)))
        middle = (picture.width // 2, (bar[1] + bar[3]) // 2)
        draw.text(middle, self.text, fill=(255, 255, 255), font=font, anchor="mm")
        return np.asarray(picture)


@dataclass(frozen=True)
class Letterbox:
    """Add black bars above and below, each `fraction` of the picture's height."""

    fraction: float

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the picture between its bars."""
        bar = round(image.shape[0] * self.fraction)
        return np.pad(image, ((bar, bar), (0, 0), (0, 0)))


@dataclass(frozen=True)
class Grey:
    """Remove the colour."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the picture in greys, still RGB."""
        from PIL import Image

        return np.asarray(Image.fromarray(image).convert("L").convert("RGB"))


@dataclass(frozen=True)
class Excerpt:
    """Keep only `seconds` of the footage, from `start_seconds` after its first frame."""

    start_seconds: float
    seconds: float


@dataclass(frozen=True)
class Reencode:
    """Compress with constant rate factor `crf` (H.264; 23 is ordinary, 40 is poor)."""

    crf: int


Transform = Mirror | Crop | Resize | Caption | Letterbox | Grey | Excerpt | Reencode


def write_copy(source: Path, destination: Path, *, transforms: Sequence[Transform]) -> int:
    """Write `source` as an H.264 MP4 with `transforms` done to it in order; return the number of frames.

    Time stamps keep their distances. The file appears under its name only when it is complete.

    Raises `MediaError` if `source` cannot be read, `ConfigError` if an excerpt holds no frame of it.
    """
    edits = [edit for edit in transforms if not isinstance(edit, Excerpt | Reencode)]
    excerpts = [edit for edit in transforms if isinstance(edit, Excerpt)]
    crf = next((edit.crf for edit in transforms if isinstance(edit, Reencode)), _DEFAULT_CRF)
    with durable_file(destination) as staged:
        num_frames = _encode(_excerpted(source, excerpts), edits, staged, crf)
        if num_frames == 0:
            raise ConfigError(f"no frame of {source.name} lies inside {excerpts}")
    return num_frames


def _excerpted(source: Path, excerpts: Sequence[Excerpt]) -> Iterator[ScannedFrame]:
    for frame in scan_frames(source, samples_per_second=_EVERY_FRAME, image_short_side=_FULL_SIZE):
        if any(frame.seconds >= excerpt.start_seconds + excerpt.seconds for excerpt in excerpts):
            return
        if all(frame.seconds >= excerpt.start_seconds for excerpt in excerpts):
            yield frame


def _encode(frames: Iterator[ScannedFrame], edits: Sequence[PictureEdit], destination: Path, crf: int) -> int:
    import av

    num_frames = 0
    with av.open(str(destination), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(30))
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(crf), "preset": "veryfast"}
        first_pts = 0
        for scanned in frames:
            if scanned.image is None:
                continue
            image = _even(_edited(scanned.image, edits))
            if num_frames == 0:
                stream.height, stream.width = image.shape[:2]
                stream.codec_context.time_base = scanned.time_base
                first_pts = scanned.pts
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = scanned.pts - first_pts, scanned.time_base
            container.mux(stream.encode(picture))
            num_frames += 1
        if num_frames:
            container.mux(stream.encode(None))
    return num_frames


def _edited(image: NDArray[np.uint8], edits: Sequence[PictureEdit]) -> NDArray[np.uint8]:
    for edit in edits:
        image = edit.apply(image)
    return image


def _even(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Drop the last row or column of an odd-sized picture: 4:2:0 video cannot carry it."""
    height, width = image.shape[:2]
    return np.ascontiguousarray(image[: height - height % 2, : width - width % 2])
