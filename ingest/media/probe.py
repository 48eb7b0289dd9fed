"""Probing: what a file says it is, confirmed by decoding its first frame."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO

from db.vocabularies import Tri
from ingest.media.container import OpenVideo, opened_video
from ingest.media.decoding import Decoder
from ingest.media.raster import display_size, orientation_of


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFacts:
    """The technical facts of one asset."""

    container: str
    """FFmpeg's name of the demuxer, such as `mov,mp4,m4a,3gp,3g2,mj2`."""
    video_codec: str
    pixel_format: str
    width: int
    """As shown: square pixels, after rotation."""
    height: int
    rotation_degrees: int
    """Clockwise turn from the stored picture to the shown one: 0, 90, 180 or 270."""
    is_mirrored: bool
    """Whether the stored picture is also mirrored to be shown."""
    frame_rate: Fraction | None
    """Average frames per second, exact; None where the file does not say."""
    is_variable_frame_rate: Tri
    """Unknown until every frame has been seen: see `ingest.media.cadence`."""
    time_base: Fraction
    """Seconds per tick of every pts of this asset."""
    duration_seconds: float | None
    """As declared or estimated by the container; None where it cannot tell."""
    has_audio: bool
    audio_codec: str | None
    video_stream_index: int


def probe(source: Path | IO[bytes], *, name: str | None = None) -> MediaFacts:
    """Return the facts of `source`, decoding up to its first sound frame; `name` is how messages call a stream.

    Raises `MediaError`: `media.unreadable`, `media.empty`, `media.not_video`, `media.no_video_stream`,
    `media.truncated` (the index of the file is missing with its end) or `media.undecodable`.
    """
    with opened_video(source, name) as video:
        picture = next(Decoder(video).frames()).picture
        orientation = orientation_of(picture)
        width, height = display_size(picture, video.sample_aspect_ratio)
        if orientation.is_transposed:
            width, height = height, width
        audio_codec = _audio_codec(video)
        return MediaFacts(
            container=video.container.format.name,
            video_codec=video.stream.codec_context.codec.canonical_name,
            pixel_format=picture.format.name,
            width=width,
            height=height,
            rotation_degrees=orientation.rotation_degrees,
            is_mirrored=orientation.is_mirrored,
            frame_rate=video.frame_rate,
            is_variable_frame_rate=Tri.UNKNOWN,
            time_base=video.time_base,
            duration_seconds=_duration_seconds(video),
            has_audio=len(video.container.streams.audio) > 0,
            audio_codec=audio_codec,
            video_stream_index=video.stream.index,
        )


def _audio_codec(video: OpenVideo) -> str | None:
    streams = video.container.streams.audio
    if not streams:
        return None
    # A sound track whose codec FFmpeg does not know has no context; it is still sound, and voices may be heard in it.
    context = streams[0].codec_context
    return context.codec.canonical_name if context else "unknown"


def _duration_seconds(video: OpenVideo) -> float | None:
    if video.stream.duration:
        return float(video.stream.duration * video.time_base)
    if video.container.duration:
        return video.container.duration / 1_000_000
    return None
