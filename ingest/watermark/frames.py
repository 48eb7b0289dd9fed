"""The frames of a film that a mark is read from: those of its first seconds."""

from __future__ import annotations

from collections.abc import Iterator

from db.errors import ConfigError
from ingest.media.container import OpenVideo
from ingest.media.decoding import DecodedFrame, Decoder

_MOST_DECODED_PER_SECOND = 240
"""A film with more frames than that is read less far, so that the time stays bounded."""


def check_seconds(max_seconds: float) -> None:
    """Raise `ConfigError` unless `max_seconds` is positive and finite."""
    if not 0 < max_seconds < float("inf"):
        raise ConfigError(
            f"cannot read {max_seconds} seconds of a film", hint="give a positive number of seconds"
        )


def first_frames(video: OpenVideo, max_seconds: float) -> Iterator[tuple[DecodedFrame, float]]:
    """Yield the frames that start in the first `max_seconds`, each with the second in which it ends.

    Raises `MediaError` where the film cannot be decoded; nobody asks whether the rest is whole.
    """
    most_decoded = max(1, round(max_seconds * _MOST_DECODED_PER_SECOND))
    first: int | None = None
    for index, frame in enumerate(Decoder(video).frames()):
        first = frame.pts if first is None else first
        start = float((frame.pts - first) * video.time_base)
        if start >= max_seconds or index >= most_decoded:
            return
        yield frame, start + float(frame.duration_pts * video.time_base)
