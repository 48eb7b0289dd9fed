"""The essence of a file: its coded pictures and sound, how they are decoded, and how fast they are shown.

Copying it to another container keeps the essence. What a viewer would notice changes it: other packets, other settings
of the decoder (a crop, other colours), another tempo, subtitles that were added.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.media.container import opened_video

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN = ("video", "audio", "subtitle")
_STEPS_PER_OCTAVE = 12
"""How finely a duration counts: containers round times to milliseconds, so not to the last digit."""


def essence_digest(path: Path) -> str:
    """Return a SHA-256 over what `path` shows and sounds, which copying it to another container keeps.

    Every track of pictures, sound or text counts, in order: its codec, the settings of its decoder, its packets with
    their lengths; of pictures also the order they are shown in and how long that takes, to 6 %. Metadata do not. A
    container that rounds a duration across such a step has another essence: a miss, never a false match.

    Memory grows with the number of packets alone. Raises `MediaError` if it cannot be read as video.
    """
    import av

    with opened_video(path) as video:
        streams = [stream for stream in video.container.streams if stream.type in _SHOWN]
        tracks = {stream.index: _track(stream) for stream in streams}
        times: dict[int, list[float]] = {stream.index: [] for stream in streams if stream.type == "video"}
        try:
            for packet in video.container.demux(streams):
                data = bytes(packet)
                if data:
                    tracks[packet.stream_index].update(len(data).to_bytes(8, "big") + data)
                    if packet.stream_index in times and packet.pts is not None:
                        times[packet.stream_index].append(float(packet.pts * packet.time_base))
        except av.FFmpegError as exc:
            raise video.error("media.undecodable", f"cannot be read to its end: {exc}") from exc
    whole = hashlib.sha256()
    for index, track in tracks.items():
        if index in times:
            track.update(_pace(times[index]))
        whole.update(track.digest())
    return whole.hexdigest()


def _track(stream: Any) -> Any:
    """Return a digest that begins with what the track is and how it is decoded."""
    # The kind comes first: a film that lost its sound is not one whose sound is empty.
    extradata = stream.codec_context.extradata or b""
    start = f"{stream.type} {stream.codec_context.name} {len(extradata)} ".encode()
    return hashlib.sha256(start + (extradata if stream.type == "video" else b""))


def _pace(times: Sequence[float]) -> bytes:
    """Return the order in which pictures are shown, and in which step of a scale the time that takes lies."""
    order = sorted(range(len(times)), key=lambda index: times[index])
    seconds = max(times, default=0.0) - min(times, default=0.0)
    step = round(_STEPS_PER_OCTAVE * math.log2(seconds)) if seconds > 0 else None
    return f"{step} {order}".encode()
