"""Previews: a few frames of a clip as a small moving picture that fits into a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.media.frames import scan_frames

if TYPE_CHECKING:
    from PIL.Image import Image

_PER_SECOND = 6
_NUM_PICTURES = 12
_SHORT_SIDE = 120
_MAX_SIDE = 400
_QUALITY = 55


@dataclass(frozen=True)
class Preview:
    """Two data: URIs of WebP pictures, together about 30 kilobytes."""

    moving: str
    """The first two seconds, repeated."""
    still: str
    """For readers who asked their system for less motion."""


def preview_of(clip: Path) -> Preview:
    """Return a preview of `clip`. Raises `MediaError` if its first two seconds cannot be decoded."""
    from PIL import Image

    scanned = scan_frames(
        clip, samples_per_second=Fraction(_PER_SECOND), image_short_side=_SHORT_SIDE, thumbnail_side=1
    )
    samples = (frame.image for frame in scanned if frame.image is not None)
    pictures = [Image.fromarray(image) for image in islice(samples, _NUM_PICTURES)]
    for picture in pictures:
        picture.thumbnail((_MAX_SIDE, _MAX_SIDE))
    return Preview(moving=_uri(pictures), still=_uri(pictures[len(pictures) // 2 :][:1]))


def _uri(pictures: list[Image]) -> str:
    buffer = io.BytesIO()
    pictures[0].save(
        buffer,
        format="WEBP",
        quality=_QUALITY,
        save_all=True,
        append_images=pictures[1:],
        duration=1000 // _PER_SECOND,
        loop=0,
    )
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
