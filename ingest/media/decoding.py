"""Decoding: the frames of an open video in display order, each with an exact time stamp, and only sound ones.

The rule for damage. Frames that the decoder flags as corrupt, and packets that it or the container rejects,
are never used. Before the first sound frame they are passed over (a broadcast recording starts in
mid-picture), and after the last one they end the video. Damage with sound frames on both sides means that
there is a part nobody has seen: the whole file is refused, `media.undecodable`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from ingest.errors import MediaError
from ingest.media.container import OpenVideo

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame

_REPAIR_HINT = "nothing of a damaged file is used: repair it, encode it again or bring a sound copy"


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """One sound frame."""

    picture: VideoFrame
    pts: int
    """Strictly increasing, in the stream's time base."""
    duration_pts: int
    """How long it is shown, at least 1; where the file does not say, one period of the average frame rate."""
    is_pts_own: bool
    """Whether `pts` is the file's own, and not made up from what came before it."""


class FrameClock:
    """Gives frames in display order a strictly increasing pts: the file's own wherever it has one."""

    def __init__(self, video: OpenVideo) -> None:
        self._video = video
        rate = video.frame_rate or Fraction(25)
        self._period = max(1, round(1 / (rate * video.time_base)))
        self._last: int | None = None

    def stamp(self, picture: VideoFrame) -> DecodedFrame:
        """Return `picture` with its time stamp; raises `MediaError` if time runs backwards."""
        pts = picture.pts if picture.pts is not None else picture.dts
        is_own = picture.pts is not None
        if self._last is None:
            pts = 0 if pts is None else pts
        elif pts is None:
            pts = self._last + self._period
        elif pts <= self._last:
            pts, is_own = self._after_last(pts), False
        self._last = pts
        return DecodedFrame(picture, pts, picture.duration or self._period, is_own)

    def _after_last(self, pts: int) -> int:
        assert self._last is not None
        if self._last - pts > self._period:
            seconds = float((self._last - pts) * self._video.time_base)
            detail = f"time stamps run backwards by {seconds:.3f} s at pts {self._last}"
            raise self._video.error("media.undecodable", detail, hint="remux or encode the file again")
        return self._last + 1


class Decoder:
    """Decodes an open video from where it stands, and remembers enough to tell whether the file is whole."""

    _NOTHING = "the decoder gives no frame"

    def __init__(self, video: OpenVideo) -> None:
        self._video = video
        self._clock = FrameClock(video)
        self._damage: str | None = None
        self._damage_pts: int | None = None
        """Where it is, if it was met in a packet: sound frames before it may still be inside the decoder."""
        self._num_frames = 0
        self._last: DecodedFrame | None = None
        self._packet_ends: dict[int, int] = {}
        """By stream: where its packets read so far end, in its own time base."""
        self._last_dts: int | None = None

    def frames(self) -> Iterator[DecodedFrame]:
        """Yield the sound frames up to the end of the file.

        Raises `MediaError`: `media.undecodable` at damage with sound frames on both sides, and if no frame
        decodes.
        """
        for packet in self._packets():
            for picture in self._decode(packet):
                if picture.is_corrupt:
                    self._note_damage("a frame is corrupt")
                    continue
                self._refuse_hole_before(picture)
                self._num_frames += 1
                self._last = self._clock.stamp(picture)
                yield self._last
        if self._last is None:
            self._note_damage(self._NOTHING)
            raise self._undecodable()

    def check_is_whole(self) -> None:
        """Compare what `frames` yielded, to its end, with what the packets hold and the container declares.

        Only ISO base media (MP4, MOV), AVI and Matroska (WebM) declare an end that can be trusted: in other
        containers (MPEG program and transport streams, Ogg, FLV) a cut shows only as a shorter film.

        Raises `MediaError`: `media.truncated` where the file ends more than 1 s and more than 5 % before its
        declared end, and `media.undecodable` where the frames end that much before the packets, or more than
        0.5 s (the shortest shot) before them after visible damage.
        """
        self._check_declared_end()
        packets_end = self._packet_ends.get(self._video.stream.index)
        if self._last is None or not self._last.is_pts_own or packets_end is None:
            return
        frames_end = self._last.pts + self._last.duration_pts
        time_base = self._video.time_base
        extent = Extent(declared=float(packets_end * time_base), seen=float(frames_end * time_base))
        if extent.is_short or (self._damage and extent.declared - extent.seen > 0.5):
            self._note_damage(self._NOTHING)
            raise self._undecodable()

    def _check_declared_end(self) -> None:
        extent = _file_extent(self._video, self._packet_ends, self._last_dts)
        if extent is not None and extent.is_short:
            there = f"{extent.seen:.1f} s of the declared {extent.declared:.1f} s are there"
            hint = "bring the whole file; nothing of this one is used"
            raise self._video.error("media.truncated", f"the file is cut short: {there}", hint)

    def _refuse_hole_before(self, picture: VideoFrame) -> None:
        """Refuse `picture` if there is damage between it and a sound frame; forget damage before the first."""
        if self._damage is None or (self._damage_pts is not None and (picture.pts or 0) <= self._damage_pts):
            return
        if self._last is not None:
            raise self._undecodable()
        self._damage = self._damage_pts = None

    def _packets(self) -> Iterator[Packet[Stream]]:
        import av

        try:
            # The sound is read along, not decoded: it tells a still ending from a file that has been cut.
            for packet in self._video.container.demux():
                self._note_extent(packet)
                if packet.stream.index != self._video.stream.index:
                    continue
                if packet.is_corrupt:
                    self._note_damage("a packet is corrupt", packet.pts)
                    continue
                yield packet
        except av.FFmpegError as exc:
            self.check_is_whole()
            self._note_damage(f"the container cannot be read on ({exc.strerror})")
            raise self._undecodable() from exc

    def _decode(self, packet: Packet[Stream]) -> list[VideoFrame]:
        """Return what `packet` brings out of the decoder, which may be frames of earlier packets."""
        import av

        try:
            return self._video.stream.decode(packet)
        except av.error.EOFError:
            return []
        except av.FFmpegError:
            self._note_damage(f"the {self._video.stream.codec_context.name} decoder rejects it")
            return []

    def _note_extent(self, packet: Packet[Stream]) -> None:
        if packet.pts is not None:
            end = packet.pts + (packet.duration or 0)
            index = packet.stream.index
            self._packet_ends[index] = max(end, self._packet_ends.get(index, end))
        if packet.dts is not None and packet.stream.index == self._video.stream.index:
            self._last_dts = packet.dts

    def _note_damage(self, what: str, pts: int | None = None) -> None:
        if self._damage is None:
            self._damage, self._damage_pts = what, pts

    def _undecodable(self) -> MediaError:
        where = f"after frame {self._num_frames}" if self._num_frames else "from the start"
        return self._video.error("media.undecodable", f"{self._damage}, {where}", hint=_REPAIR_HINT)


class KeyFrameDecoder(Decoder):
    """Decodes the sound key frames of an open video and nothing else.

    What lies between two of them is read but not decoded, so damage there shows only where the container marks it.
    """

    _NOTHING = "there is no sound key frame"

    def __init__(self, video: OpenVideo) -> None:
        super().__init__(video)
        video.stream.codec_context.skip_frame = "NONKEY"

    def check_is_whole(self) -> None:
        """Compare what the packets hold with what the container declares; raises as `Decoder.check_is_whole`."""
        self._check_declared_end()

    def _decode(self, packet: Packet[Stream]) -> list[VideoFrame]:
        # Not every decoder heeds `skip_frame`. The empty packet at the end flushes.
        if packet.size and not packet.is_keyframe:
            return []
        return [picture for picture in super()._decode(packet) if picture.key_frame]


@dataclass(frozen=True, slots=True)
class Extent:
    """How long something should be and how much of it was seen, in seconds from the same zero."""

    declared: float
    seen: float

    @property
    def is_short(self) -> bool:
        """Whether more than 1 s and more than 5 % of it is missing."""
        return self.declared - self.seen > max(1.0, 0.05 * self.declared)


def _file_extent(video: OpenVideo, packet_ends: dict[int, int], last_dts: int | None) -> Extent | None:
    """Return what the container declares and what its packets reach; None if it declares nothing sure."""
    demuxers = video.container.format.name.split(",")
    if "mov" in demuxers and len(video.stream.index_entries) > 0 and last_dts is not None:
        # The sample table, with edit lists already applied to it: exact, and fair to trimmed films.
        declared = video.stream.index_entries[-1].timestamp - video.stream.index_entries[0].timestamp
        seen = last_dts - video.stream.index_entries[0].timestamp
        return Extent(float(declared * video.time_base), float(seen * video.time_base))
    if "avi" in demuxers and video.stream.frames and last_dts is not None:
        # The frame count in the header: FFmpeg corrects the duration itself to what it finds.
        return Extent(float(video.stream.frames * video.time_base), float((last_dts + 1) * video.time_base))
    if "matroska" in demuxers and video.container.duration and video.has_declared_duration:
        ends = [float(end * (video.container.streams[i].time_base or 0)) for i, end in packet_ends.items()]
        return Extent(video.container.duration / 1_000_000, max(ends, default=0.0))
    return None
