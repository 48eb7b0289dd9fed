"""Reading: whether a film carries a mark of a key, and which.

1. The luma of up to 30 frames a second is scaled to the canvas, and each place brought to the same loudness: what the
   pictures show then counts as noise of one strength.
2. The frames are added up. What moves averages out; the pattern stands still. The sum is evened once more.
3. The pilot is looked for where an untouched picture has it, then at all scales and rotations of the search.
4. At each place found the codeword is decoded, and the first id whose checksum fits is the answer.

At most `_NUM_ATTEMPTS` places are decoded, each to a list of `NUM_PATHS` words, each of which passes its checksum by
chance once in 2^32: `FALSE_POSITIVE_BOUND` holds for any film made without knowledge of the key, whatever it shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ingest.media.container import OpenVideo, opened_video
from ingest.media.decoding import DecodedFrame
from ingest.media.frames import SamplingGrid
from ingest.media.raster import Orientation, display_size, orientation_of
from ingest.watermark.canvas import canvas_size, evened
from ingest.watermark.codeword import CHECK_BITS, NUM_PATHS, codeword_of, decode_id
from ingest.watermark.frames import check_seconds, first_frames
from ingest.watermark.keys import WatermarkKey
from ingest.watermark.mark_reading import MarkReading
from ingest.watermark.pattern import carriers_of
from ingest.watermark.search import LevelSpectrum, Place, searched_places, soft_bits, untouched_places

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UNTOUCHED_ATTEMPTS = 2
_SEARCHED_ATTEMPTS = 14
_NUM_ATTEMPTS = _UNTOUCHED_ATTEMPTS + _SEARCHED_ATTEMPTS
FALSE_POSITIVE_BOUND = _NUM_ATTEMPTS * NUM_PATHS / 2**CHECK_BITS
"""Chance, over the choice of the key, that a film without its mark is read as having one: 6e-8."""
_FRAMES_PER_SECOND = 30


@dataclass(frozen=True, kw_only=True)
class PatternReading(MarkReading):
    """What was read, and where the pattern was."""

    score: float
    """The pilot's, in deviations of a film without a mark, at the place read; without a mark the best one met."""
    codeword_score: float | None
    """The same of the whole codeword, where an id was read: little below 13 can be decoded."""
    scale: float | None
    """How many times larger the pattern was found than it was put in, on canvases of one area."""
    rotation_degrees: float | None
    """Clockwise."""
    shift: tuple[float, float] | None
    """By which the pattern has moved, in cells of the canvas (x, y), each in [-64, 64): the tile repeats."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Impression:
    """What a film leaves on the canvas; any key can be looked for in it."""

    spectrum: LevelSpectrum
    seconds_read: float
    num_frames: int


def read_mark(path: Path, key: WatermarkKey, *, max_seconds: float = 30) -> PatternReading:
    """Look for a mark of `key` in the first `max_seconds` of the film at `path`.

    Raises `MediaError` if the file cannot be read or decoded so far (as `ingest.media.frames.scan_frames`, except that
    nobody asks whether the rest is whole), and `ConfigError` if `max_seconds` is not positive.
    """
    return read_impression(impression_of(path, max_seconds=max_seconds), key)


def impression_of(path: Path, *, max_seconds: float = 30) -> Impression:
    """Decode the film once (steps 1 and 2). Raises as `read_mark`."""
    check_seconds(max_seconds)
    with opened_video(path) as video:
        return _Gatherer(video, max_seconds).gathered()


class _Gatherer:
    """Adds up the frames of one film."""

    def __init__(self, video: OpenVideo, max_seconds: float) -> None:
        from av.video.reformatter import VideoReformatter

        self._video = video
        self._max_seconds = max_seconds
        self._scaler = VideoReformatter()
        self._size: tuple[int, int] | None = None
        self._orientation = Orientation()

    def gathered(self) -> Impression:
        grid = SamplingGrid(self._video.time_base * _FRAMES_PER_SECOND)
        total: NDArray[np.float32] | None = None
        num_frames, seconds = 0, 0.0
        for frame, end_seconds in first_frames(self._video, self._max_seconds):
            seconds = end_seconds
            if grid.takes(frame.pts):
                layer = evened(self._canvas(frame), blur_side=5, deviation_side=7, floor=0.3)
                total = layer if total is None else total + layer
                num_frames += 1
        assert total is not None  # a decoder that gives no frame raises
        mean: NDArray[np.float32] = total / np.float32(num_frames)
        even = evened(mean, blur_side=15, deviation_side=11, floor=0.02)
        return Impression(
            spectrum=LevelSpectrum(even), seconds_read=min(seconds, self._max_seconds), num_frames=num_frames
        )

    def _canvas(self, frame: DecodedFrame) -> NDArray[np.float32]:
        """Return the luma of `frame`, upright with square pixels, as cells."""
        from av.video.reformatter import Interpolation

        picture = frame.picture
        if self._size is None:
            width, height = display_size(picture, self._video.sample_aspect_ratio)
            self._size = canvas_size(height, width)
            self._orientation = orientation_of(picture)
        # A film that changes its size or orientation half-way keeps the canvas of its beginning.
        height, width = self._size
        shrinks = picture.width >= width and picture.height >= height
        way = Interpolation.AREA if shrinks else Interpolation.BICUBIC
        grey = self._scaler.reformat(picture, width, height, "gray", interpolation=way, threads=1)
        return self._orientation.apply(np.asarray(grey.to_ndarray(), np.uint8)).astype(np.float32)


def read_impression(impression: Impression, key: WatermarkKey) -> PatternReading:
    """Look for a mark of `key` (steps 3 and 4)."""
    carriers = carriers_of(key)
    spectrum = impression.spectrum
    best: Place | None = None
    for place in chain(
        untouched_places(spectrum, carriers, _UNTOUCHED_ATTEMPTS),
        searched_places(spectrum, carriers, _SEARCHED_ATTEMPTS),
    ):
        soft_N = soft_bits(spectrum, carriers, place)
        mark_id = decode_id(soft_N, key)
        if mark_id is not None:
            codeword_score = float(soft_N @ codeword_of(mark_id, key)) / len(soft_N) ** 0.5
            return _found(impression, place, mark_id, codeword_score)
        if best is None or place.score > best.score:
            best = place
    assert best is not None
    return _not_found(impression, best)


def _found(impression: Impression, place: Place, mark_id: int, codeword_score: float) -> PatternReading:
    return PatternReading(
        mark_id=mark_id,
        score=place.score,
        codeword_score=codeword_score,
        false_positive_bound=FALSE_POSITIVE_BOUND,
        scale=place.scale,
        rotation_degrees=place.rotation_degrees,
        shift=place.shift,
        seconds_read=impression.seconds_read,
        num_frames=impression.num_frames,
    )


def _not_found(impression: Impression, best: Place) -> PatternReading:
    return PatternReading(
        mark_id=None,
        score=best.score,
        codeword_score=None,
        false_positive_bound=FALSE_POSITIVE_BOUND,
        scale=None,
        rotation_degrees=None,
        shift=None,
        seconds_read=impression.seconds_read,
        num_frames=impression.num_frames,
    )
