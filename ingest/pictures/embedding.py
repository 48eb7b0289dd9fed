"""Embedding: the frames of one asset become the rows and stills of its views while they are decoded.

Sampled pictures are taken in batches. Of each batch the borders are cut off, the parts with an outline of their own
are found, and of every view only the pictures that differ from the one before are embedded.

Shapes: H and W pixels, D dimensions. Pictures are RGB HWC or grey HW, uint8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ingest.encoders.encoder import Encoder
from ingest.media.borders import ContentBox, content_box, is_textured, luma
from ingest.media.frames import ScannedFrame, scan_frames
from ingest.pictures.pdq import NUM_BYTES, Pdq, fingerprint
from ingest.pictures.stills import STILLS_PER_SECOND, StillsWriter
from ingest.pictures.vectors import FrameVectors, VectorStore
from ingest.pictures.views import WHOLE, ViewBox, find_boxes

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHORT_SIDE = 320
_BATCH_FRAMES = 32
_MAX_VIEWS = 8
_SAME_BOX = 0.85
_STILL_SIDE = 32
_STILL_STEP = 4
"""Grey levels that no 32nd of the picture may change by while it stands still: less than any motion one can see."""


@dataclass(frozen=True, eq=False)
class SampledPicture:
    """One sampled frame."""

    pts: int
    seconds: float
    image: NDArray[np.uint8]
    """RGB HWC."""


@dataclass
class _Rows:
    """The rows of one view so far."""

    box: ViewBox
    pts: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    end_seconds: list[float] = field(default_factory=list)
    is_textured: list[bool] = field(default_factory=list)
    vectors: list[NDArray[np.float16]] = field(default_factory=list)
    prints: list[Pdq] = field(default_factory=list)
    strip: NDArray[np.int16] | None = None
    """The first picture of the present run, tiny and grey."""


class VectorsBuilder:
    """Takes the pictures of one asset in order of time; holds one batch of them, and the rows.

    Stills go to a writer at once. The frames of one asset have one shape.
    """

    def __init__(self, encoder: Encoder, stills: StillsWriter) -> None:
        self._encoder = encoder
        self._stills = stills
        self._waiting: list[SampledPicture] = []
        self._waiting_stills: list[tuple[float, NDArray[np.uint8]]] = []
        self._views: list[_Rows] = [_Rows(WHOLE)]
        self._textured_pts: list[int] = []

    def take(self, frame: ScannedFrame) -> None:
        """Take what the next frame of `scan_pictures` carries."""
        if frame.still is not None:
            self.push_still(frame.seconds, frame.still)
        if frame.image is not None:
            self.push(SampledPicture(frame.pts, frame.seconds, frame.image))

    def push(self, picture: SampledPicture) -> None:
        """Take the next sampled frame."""
        if len(self._waiting) == _BATCH_FRAMES:
            self._take_waiting()
        self._waiting.append(picture)

    def push_still(self, seconds: float, grey_HW: NDArray[np.uint8]) -> None:
        """Take the next grey picture; pictures of both kinds come in one order of time."""
        self._waiting_stills.append((seconds, grey_HW))

    def finish(self) -> FrameVectors:
        """Embed what is left and return all rows."""
        self._take_waiting()
        views = [view for view in self._views if view.pts] or self._views[:1]
        dim = self._encoder.identity.dim
        empty = np.empty((0, dim), np.float16)
        return FrameVectors(
            boxes=tuple(view.box for view in self._views),
            view_N=np.repeat(
                np.array([self._views.index(view) for view in views], dtype=np.int16),
                [len(view.pts) for view in views],
            ),
            pts_N=np.array([pts for view in views for pts in view.pts], dtype=np.int64),
            seconds_N=np.array([seconds for view in views for seconds in view.seconds], dtype=np.float64),
            end_seconds_N=np.array([end for view in views for end in view.end_seconds], dtype=np.float64),
            is_textured_N=np.array([is_ for view in views for is_ in view.is_textured], dtype=np.bool_),
            vectors_ND=np.concatenate([empty, *(vector for view in views for vector in view.vectors)]),
            pdq_N32=_bits(mark.bits for view in views for mark in view.prints),
            pdq_mirrored_N32=_bits(mark.mirrored_bits for view in views for mark in view.prints),
            pdq_quality_N=np.array([mark.quality for view in views for mark in view.prints], np.int16),
        )

    @property
    def textured_pts(self) -> Sequence[int]:
        """The pts of every sampled frame whose whole picture has texture, known once `finish` was called."""
        return self._textured_pts

    def _take_waiting(self) -> None:
        """Find the views of the batch and keep its rows and stills."""
        if not self._waiting:
            return
        # Bars that all of a batch share are bars, not a dark scene.
        borders = content_box([picture.image for picture in self._waiting])
        insides = [borders.crop(picture.image) for picture in self._waiting]
        self._keep_rows(self._views[0], self._waiting, insides)
        self._keep_stills(0, [borders])
        for box in find_boxes([luma(inside) for inside in insides]):
            view = self._view_of(box)
            if view is not None:
                # Half as many samples: parts cost as much as wholes, and are mostly windows and doors.
                parts = [self._views[view].box.crop(inside) for inside in insides[::2]]
                inner = content_box(parts)
                self._keep_rows(self._views[view], self._waiting[::2], [inner.crop(part) for part in parts])
                self._keep_stills(view, [borders, self._views[view].box, inner])
        self._waiting.clear()
        self._waiting_stills.clear()

    def _view_of(self, box: ViewBox) -> int | None:
        """Return the number of a known view that is the same part, or of a new one; None if there are too many."""
        for number, view in enumerate(self._views[1:], start=1):
            if view.box.overlap(box) >= _SAME_BOX:
                return number
        if len(self._views) == _MAX_VIEWS:
            return None
        self._views.append(_Rows(box))
        return len(self._views) - 1

    def _keep_rows(
        self, view: _Rows, pictures: Sequence[SampledPicture], insides: Sequence[NDArray[np.uint8]]
    ) -> None:
        fresh: list[int] = []
        for number, (picture, inside) in enumerate(zip(pictures, insides, strict=True)):
            strip = _strip(inside)
            has_texture = is_textured(inside)
            if view is self._views[0] and has_texture:
                self._textured_pts.append(picture.pts)
            if view.strip is not None and bool((np.abs(strip - view.strip) <= _STILL_STEP).all()):
                view.end_seconds[-1] = picture.seconds
                continue
            view.strip = strip
            view.pts.append(picture.pts)
            view.seconds.append(picture.seconds)
            view.end_seconds.append(picture.seconds)
            view.is_textured.append(has_texture)
            view.prints.append(fingerprint(luma(inside)))
            fresh.append(number)
        if fresh:
            vectors_ND = self._encoder.embed([insides[number] for number in fresh])
            view.vectors.append(vectors_ND.astype(np.float16))

    def _keep_stills(self, view: int, cuts: Sequence[ContentBox | ViewBox]) -> None:
        for seconds, grey_HW in self._waiting_stills:
            part = grey_HW
            for cut in cuts:
                part = cut.crop(part)
            self._stills.push(view, seconds, part)


def embed_file(
    path: Path, sha256: str, store: VectorStore, encoder: Encoder, *, samples_per_second: int
) -> FrameVectors:
    """Decode, embed and store one file, and nothing else of what `ingest.intake.intake` finds out about it.

    Raises `MediaError` if it cannot be read whole; nothing is stored then.
    """
    with store.writing_stills(sha256, encoder.identity) as stills:
        builder = VectorsBuilder(encoder, stills)
        for frame in scan_pictures(path, samples_per_second=samples_per_second):
            builder.take(frame)
        vectors = builder.finish()
    store.write(sha256, encoder.identity, vectors)
    return vectors


def scan_pictures(path: Path, *, samples_per_second: int) -> Iterator[ScannedFrame]:
    """Decode a file with the pictures that a builder takes."""
    return scan_frames(
        path,
        samples_per_second=Fraction(samples_per_second),
        stills_per_second=STILLS_PER_SECOND,
        image_short_side=_SHORT_SIDE,
        still_short_side=_SHORT_SIDE,
    )


def _bits(prints: Iterable[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(prints), dtype=np.uint8).reshape(-1, NUM_BYTES)


def _strip(inside: NDArray[np.uint8]) -> NDArray[np.int16]:
    from PIL import Image

    small = Image.fromarray(inside).convert("L").resize((_STILL_SIDE, _STILL_SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.int16)
