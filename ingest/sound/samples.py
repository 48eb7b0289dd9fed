"""Samples of sound: the first sound track of an open video as one unbroken line of mono samples.

What the track leaves out between two of its frames is filled with silence and what it says twice is dropped, so that
the place of a sample is its time. The rule for damage is that of `ingest.media.decoding`: passed over before the first
sound frame, the end after the last, and a reason to use nothing in between.

Shapes: K samples, int16.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from ingest.errors import MediaError
from ingest.media.container import OpenVideo

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.resampler import AudioResampler
    from av.audio.stream import AudioStream
    from numpy.typing import NDArray

_BLOCK_SAMPLES = 1 << 16
_SLACK_SECONDS = Fraction(1, 20)
"""Time stamps may stray this far from the count of samples: containers round them, Matroska to a millisecond, and
capture clocks drift. Less than half of the step between two items of a fingerprint."""
_LONGEST_REPEAT_SECONDS = 10
_LONGEST_GAP_SECONDS = 6 * 3600
_LONGEST_MISSING_END_SECONDS = 1
_HINT = "nothing of damaged sound is used: encode it again or bring a sound copy"


class SoundTrack:
    """Decodes the first sound track of an open video, which must have one, to mono at `sample_rate`."""

    def __init__(self, video: OpenVideo, *, sample_rate: int) -> None:
        self._video = video
        self._stream: AudioStream = video.container.streams.audio[0]
        self._rate = sample_rate
        self._resampler: AudioResampler | None = None
        self._format: tuple[str, str, int] | None = None
        self._damage: str | None = None
        self._packets_end = Fraction(0)
        self._drop = 0
        """Samples still to be left out, because they were heard before."""
        self.start_seconds: Fraction | None = None
        """Time stamp of the first sample in the container's own time; known once a block has been yielded."""
        self._next_seconds = Fraction(0)
        """Where the samples decoded so far end."""

    def blocks(self) -> Iterator[NDArray[np.int16]]:
        """Yield the samples in order, in blocks of bounded size.

        Raises `MediaError` with code `sound.undecodable` where sound is damaged, missing at the end, or its time
        stamps jump, and if there is no decoder for it.
        """
        if self._stream.codec_context is None:
            raise self._undecodable("its codec is not known")
        for frame in self._frames():
            yield from self._placed(frame)
        yield from self._flushed()
        if self.start_seconds is None:
            raise self._undecodable(self._damage or "the decoder gives no sound")
        if self._packets_end - self._next_seconds > _LONGEST_MISSING_END_SECONDS:
            raise self._undecodable(self._damage or "the decoder gives less sound than there is")

    def _frames(self) -> Iterator[AudioFrame]:
        import av

        try:
            for packet in self._video.container.demux(self._stream):
                if packet.pts is not None and packet.time_base is not None:
                    end = (packet.pts + (packet.duration or 0)) * packet.time_base
                    self._packets_end = max(self._packets_end, end)
                if packet.is_corrupt:
                    self._damage = "a packet is corrupt"
                    continue
                try:
                    frames = self._stream.decode(packet)
                except av.error.EOFError:
                    continue
                except av.FFmpegError:
                    self._damage = f"the {self._stream.codec_context.name} decoder rejects a packet"
                    continue
                yield from self._sound_ones(frames)
        except av.FFmpegError as exc:
            raise self._undecodable(f"the container cannot be read on ({exc.strerror})") from exc

    def _sound_ones(self, frames: list[AudioFrame]) -> Iterator[AudioFrame]:
        for frame in frames:
            if frame.is_corrupt:
                self._damage = "a frame is corrupt"
                continue
            if self._damage is not None and self.start_seconds is not None:
                raise self._undecodable(self._damage)
            self._damage = None
            yield frame

    def _placed(self, frame: AudioFrame) -> Iterator[NDArray[np.int16]]:
        """Yield the samples of `frame`, after silence where it starts late."""
        seconds = self._next_seconds
        if frame.pts is not None and frame.time_base is not None:
            seconds = frame.pts * frame.time_base
        if self.start_seconds is None:
            self.start_seconds = self._next_seconds = seconds
        gap = seconds - self._next_seconds
        if abs(gap) > _SLACK_SECONDS:
            yield from self._flushed()
            yield from self._bridged(gap)
        self._next_seconds += Fraction(frame.samples, frame.sample_rate)
        yield from self._resampled(frame)

    def _bridged(self, gap: Fraction) -> Iterator[NDArray[np.int16]]:
        if not -_LONGEST_REPEAT_SECONDS <= gap <= _LONGEST_GAP_SECONDS:
            raise self._undecodable(
                f"time stamps jump by {float(gap):.1f} s at {float(self._next_seconds):.1f} s"
            )
        self._next_seconds += gap
        num_samples = round(gap * self._rate)
        if num_samples < 0:
            self._drop += -num_samples
            return
        heard_again = min(num_samples, self._drop)
        self._drop -= heard_again
        num_samples -= heard_again
        while num_samples > 0:
            yield np.zeros(min(num_samples, _BLOCK_SAMPLES), np.int16)
            num_samples -= _BLOCK_SAMPLES

    def _resampled(self, frame: AudioFrame) -> Iterator[NDArray[np.int16]]:
        import av

        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._format:
            yield from self._flushed()
            self._format = shape
        if self._resampler is None:
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=self._rate)
        # A resampler fills gaps by itself where it sees time stamps.
        frame.pts = None
        yield from self._kept(self._resampler.resample(frame))

    def _flushed(self) -> Iterator[NDArray[np.int16]]:
        if self._resampler is not None:
            yield from self._kept(self._resampler.resample(None))
            self._resampler = None

    def _kept(self, frames: list[AudioFrame]) -> Iterator[NDArray[np.int16]]:
        for frame in frames:
            samples_K = frame.to_ndarray()[0].astype(np.int16, copy=False)
            heard_before = min(self._drop, len(samples_K))
            self._drop -= heard_before
            if heard_before < len(samples_K):
                yield samples_K[heard_before:]

    def _undecodable(self, what: str) -> MediaError:
        return self._video.error("sound.undecodable", f"sound: {what}", hint=_HINT)
