"""Tempo: a model that was shown ten seconds in sixteen frames plays them again in two seconds.

The detector finds copies between half and twice the speed of the original (`ingest.matching.alignment.SPEEDS`). A clip
in which training footage may run faster than that is therefore looked for a second time, slowed down: the same coded
pictures with their times stretched.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from db.errors import UndecidedError
from db.files import durable_file

STEP = 4
"""From one tempo to the next: each covers half to twice its own."""
_FASTEST_FOUND = 2.0


def tempos(clip_seconds: float, footage_seconds: Iterable[float]) -> tuple[int, ...]:
    """Return how often slower a clip has to be looked for, 1 first.

    `footage_seconds` are the durations of the training clips, each of which the model was shown in as many frames as
    `clip_seconds` hold.
    """
    fastest = max(footage_seconds, default=0.0) / clip_seconds
    found = [1]
    while found[-1] * _FASTEST_FOUND < fastest:
        found.append(found[-1] * STEP)
    return tuple(found)


def is_lapsed(clip_seconds: float, footage_seconds: float, tempo: int) -> bool:
    """Return whether a training clip of this duration may run in a generated one too fast for the tempo before."""
    return footage_seconds > clip_seconds * tempo / STEP * _FASTEST_FOUND


def write_slowed(clip: Path, slowed: Path, tempo: int) -> None:
    """Write the pictures of a clip so that they last `tempo` times as long; nothing is decoded or encoded.

    Raises `UndecidedError` if the clip cannot be read.
    """
    import av

    with durable_file(slowed) as staged:
        try:
            with av.open(str(clip)) as source, av.open(str(staged), "w", format="mp4") as target:
                pictures = target.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(video=0):
                    if packet.pts is None or packet.dts is None:  # the packet that ends the stream
                        continue
                    packet.pts, packet.dts = packet.pts * tempo, packet.dts * tempo
                    packet.duration = (packet.duration or 0) * tempo
                    packet.stream = pictures
                    target.mux(packet)
        except av.FFmpegError as exc:
            raise UndecidedError(f"{clip}: cannot be slowed down to be screened: {exc}") from exc
