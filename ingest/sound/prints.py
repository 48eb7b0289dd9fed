"""Sound: the fingerprint of an asset's first sound track, on the time line of its pictures.

Sound that could not be compared is not sound without a match: it is a `SoundNotCompared` with its reason.

Shapes: N items.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from ingest.errors import MediaError
from ingest.media.container import opened_video
from ingest.media.decoding import Decoder
from ingest.sound.chromaprint import (
    HOP_SAMPLES,
    HOP_SECONDS,
    ITEM_FRAMES,
    ITEM_SECONDS,
    SAMPLE_RATE,
    EngineMissing,
    open_engine,
)
from ingest.sound.samples import SoundTrack

if TYPE_CHECKING:
    from numpy.typing import NDArray

SOUND_RULES = 1
"""Number of the rules by which items are gated and placed; fingerprints of other rules are made again."""
SHORTEST_ITEMS = 8
"""Items that a match needs at least. Among fewer, different sounds agree by chance: see `ingest.sound.lines`."""
SHORTEST_SECONDS = ITEM_SECONDS + (SHORTEST_ITEMS - 1) * HOP_SECONDS
"""The same in seconds of sound: 3.6."""

_SILENCE_RMS = 32_768 * 10 ** (-80 / 20)
"""Root mean square of a hop at -80 dBFS, 3.3 steps of 16 bits. A recording turned down to -73 dBFS still differs from
itself in only 2 % of its bits."""
_SOUNDING_SHARE = 0.75


@dataclass(frozen=True, eq=False)
class SoundFingerprint:
    """The items of one asset, one each 123.8 ms."""

    start_seconds: float
    """When the first item begins, since the first video frame: below 0 where sound starts before the pictures."""
    items_N: NDArray[np.uint32]
    is_sounding_N: NDArray[np.bool_]
    """Whether at least three quarters of the item's 2.72 s are louder than -80 dBFS; others are never compared."""

    @property
    def num_items(self) -> int:
        """Number of items."""
        return len(self.items_N)

    @property
    def num_sounding_items(self) -> int:
        """Number of items that can be compared; 0 in silence."""
        return int(self.is_sounding_N.sum())

    @property
    def seconds_of_items(self) -> NDArray[np.float64]:
        """When each item begins, since the first video frame."""
        return np.asarray(self.start_seconds + np.arange(self.num_items) * HOP_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundNotCompared:
    """There is no fingerprint: nothing is known of the copies that the sound may hold, unless there is no sound."""

    code: str
    """`sound.none` (no sound track), `sound.too_short`, `sound.undecodable` or `sound.engine_missing`."""
    reason: str


def read_sound(source: Path | IO[bytes], *, name: str | None = None) -> SoundFingerprint | SoundNotCompared:
    """Fingerprint the first sound track of `source`; memory grows by 5 bytes for each 0.12 s.

    `name` is how messages call a stream, which is left open. Further tracks (other languages) are not looked at.

    Raises `MediaError` as `probe` does where the file or its pictures cannot be read; damage to the sound is returned.
    """
    with opened_video(source, name) as video:
        if not video.container.streams.audio:
            return SoundNotCompared(code="sound.none", reason="there is no sound track")
        try:
            printer = SoundPrinter()
        except EngineMissing as exc:
            return SoundNotCompared(code="sound.engine_missing", reason=str(exc))
        first = next(Decoder(video).frames())
        pictures_start = first.pts * video.time_base
    # A fresh container: not every demuxer finds back to its own beginning.
    with opened_video(source, name) as video:
        track = SoundTrack(video, sample_rate=SAMPLE_RATE)
        try:
            for samples_K in track.blocks():
                printer.push(samples_K)
        except MediaError as exc:
            return SoundNotCompared(code=exc.code, reason=str(exc))
    assert track.start_seconds is not None, "a track that was read without an error has a first sample"
    return printer.finish(float(track.start_seconds - pictures_start))


class SoundPrinter:
    """Fingerprints samples, and notes how loud each hop is. Raises `EngineMissing` when made without the engine."""

    def __init__(self) -> None:
        self._engine = open_engine()
        self._rest_K = np.empty(0, np.int16)
        self._is_loud: list[NDArray[np.bool_]] = []

    def push(self, samples_K: NDArray[np.int16]) -> None:
        """Take the next samples, mono at `ingest.sound.chromaprint.SAMPLE_RATE`."""
        self._engine.feed(samples_K)
        samples_K = np.concatenate([self._rest_K, samples_K])
        num_hops = len(samples_K) // HOP_SAMPLES
        hops = samples_K[: num_hops * HOP_SAMPLES].reshape(num_hops, HOP_SAMPLES).astype(np.float32)
        self._is_loud.append(np.square(hops).mean(axis=1) > _SILENCE_RMS**2)
        self._rest_K = samples_K[num_hops * HOP_SAMPLES :]

    def finish(self, start_seconds: float) -> SoundFingerprint | SoundNotCompared:
        """Return the fingerprint of sound whose first sample is heard at `start_seconds`, if there is enough of it."""
        items_N = self._engine.finish()
        if len(items_N) < SHORTEST_ITEMS:
            reason = f"less than {SHORTEST_SECONDS:.1f} s of sound, too little to be told from chance"
            return SoundNotCompared(code="sound.too_short", reason=reason)
        return SoundFingerprint(start_seconds, items_N, self._is_sounding(len(items_N)))

    def _is_sounding(self, num_items: int) -> NDArray[np.bool_]:
        num_loud = np.concatenate([[0], np.cumsum(np.concatenate(self._is_loud))])
        first = np.arange(num_items)
        return np.asarray(num_loud[first + ITEM_FRAMES] - num_loud[first] >= _SOUNDING_SHARE * ITEM_FRAMES)
