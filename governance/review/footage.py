"""Footage for reviewers' eyes: the intact file of an asset, and rows of pictures of a span of it.

Nothing is shown as an asset that does not have its bytes. Where the file is gone or has changed, the small grey
pictures that were kept of it are shown instead, and the row says so.

Shapes: pictures are RGB HWC, uint8.
"""

from __future__ import annotations

import io
import os
import stat
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from db.files import path_of
from db.records import AssetRecord
from ingest.encoders.encoder import EncoderIdentity
from ingest.errors import EncoderError, MediaError
from ingest.lookup.strips import NUM_MOMENTS
from ingest.media.digests import file_digest
from ingest.media.frames import decode_clip
from ingest.pictures.vectors import VectorStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TILE_WIDTH, _TILE_HEIGHT = 208, 117
_ONE_PASS_SECONDS = 60.0
"""A longer span is not decoded throughout for a few pictures: each is sought by itself."""
_SEEK_SECONDS = 2.0
_PLAYED_CODECS = frozenset({"h264", "vp8", "vp9", "av1"})
"""What today's browsers decode by themselves, in a container that they read."""
_MEDIA_TYPES = {"mov,mp4": "video/mp4", "matroska,webm": "video/webm"}


@dataclass(frozen=True, kw_only=True)
class Side:
    """A span of an asset that is shown; seconds count from its first frame."""

    asset: AssetRecord
    paths: tuple[str, ...]
    """Where the asset was seen, newest first."""
    first_pts: int
    start_seconds: float
    end_seconds: float

    @property
    def media_type(self) -> str:
        """The media type, if browsers play such files; else empty."""
        if self.asset.video_codec not in _PLAYED_CODECS:
            return ""
        return next((t for start, t in _MEDIA_TYPES.items() if self.asset.container.startswith(start)), "")

    def moments(self) -> list[float]:
        """Return the middles of up to eight equal parts of the span, no more than there are frames."""
        rate = self.asset.frame_rate
        length = self.end_seconds - self.start_seconds
        num = NUM_MOMENTS if rate is None else max(1, min(NUM_MOMENTS, int(length * rate)))
        return [self.start_seconds + length / num * (index + 0.5) for index in range(num)]


class Footage:
    """Finds and reads files. One object serves a whole desk and remembers which files it has digested."""

    def __init__(self, vectors: Path) -> None:
        self._store = VectorStore(vectors)
        self._digests: dict[tuple[str, int, int, int], str] = {}
        self._lock = threading.Lock()

    def intact_file(self, asset: AssetRecord, paths: Sequence[str]) -> Path | None:
        """Return the first recorded path where a regular file with the asset's bytes lies."""
        for text in paths:
            path = path_of(text)
            with suppress(OSError, MediaError):
                if self._digest(path, asset.size_bytes) == asset.sha256:
                    return path
        return None

    def _digest(self, path: Path, size_bytes: int) -> str | None:
        """Return the digest of a file of this size; a file is read once for as long as it stays as it is."""
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size != size_bytes:
            return None
        key = (os.fspath(path), found.st_ino, found.st_size, found.st_mtime_ns)
        with self._lock:
            if key not in self._digests:
                self._digests[key] = file_digest(path).sha256
            return self._digests[key]

    def row(self, side: Side, identity: EncoderIdentity | None) -> tuple[bytes, bool] | None:
        """Return the pictures of a span beside one another as JPEG, and whether they are only what was kept.

        `None`: there is nothing to show any more.
        """
        path = self.intact_file(side.asset, side.paths)
        if path is not None:
            with suppress(MediaError):
                return _jpeg(_decoded(path, side)), False
        if identity is None:
            return None
        try:
            stills = self._store.stills(side.asset.sha256, identity, 0)
            nearest = [int(np.abs(stills.seconds_S - seconds).argmin()) for seconds in side.moments()]
            pictures = [np.repeat(stills.picture(index)[..., None], 3, axis=2) for index in nearest]
        except (EncoderError, ValueError):  # an asset without a single still has no nearest one
            return None
        return _jpeg(pictures), True

    def thumbnail(self, sha256: str, identity: EncoderIdentity, seconds: float) -> bytes | None:
        """Return the small picture that was kept nearest to a moment, as JPEG."""
        try:
            stills = self._store.stills(sha256, identity, 0)
            return stills.jpeg(int(np.abs(stills.seconds_S - seconds).argmin()))
        except (EncoderError, ValueError):
            return None


def _decoded(path: Path, side: Side) -> list[NDArray[np.uint8]]:
    """Return the frames shown at the moments. Raises `MediaError` where there are none."""
    asset, moments = side.asset, side.moments()
    scale = min(1.0, _TILE_WIDTH / asset.width, _TILE_HEIGHT / asset.height)
    height, width = max(1, round(asset.height * scale)), max(1, round(asset.width * scale))

    def read(start: float, end: float, num_frames: int) -> NDArray[np.uint8]:
        start_pts = side.first_pts + round(start / asset.time_base)
        end_pts = max(start_pts + 1, side.first_pts + round(end / asset.time_base))
        return decode_clip(
            path, start_pts=start_pts, end_pts=end_pts, num_frames=num_frames, height=height, width=width
        ).transpose(0, 2, 3, 1)

    if side.end_seconds - side.start_seconds <= _ONE_PASS_SECONDS:
        # Every second of twice as many: the first falls on the start, where no frame need begin.
        return list(read(side.start_seconds, side.end_seconds, 2 * len(moments))[1::2])
    return [read(seconds, seconds + _SEEK_SECONDS, 1)[0] for seconds in moments]


def _jpeg(pictures: Sequence[NDArray[np.uint8]]) -> bytes:
    """Put pictures beside one another, each in the middle of a black tile of the same size."""
    from PIL import Image

    sheet = Image.new("RGB", (_TILE_WIDTH * NUM_MOMENTS, _TILE_HEIGHT))
    for number, picture in enumerate(pictures):
        tile = Image.fromarray(picture)
        tile.thumbnail((_TILE_WIDTH - 4, _TILE_HEIGHT))
        left = number * _TILE_WIDTH + (_TILE_WIDTH - tile.width) // 2
        sheet.paste(tile, (left, (_TILE_HEIGHT - tile.height) // 2))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
