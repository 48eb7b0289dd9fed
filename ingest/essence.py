"""The essence of a file: its coded pictures and sound, whatever container they lie in."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ingest.container import opened_video

_KINDS = ("video", "audio")


def essence_digest(path: Path) -> str:
    """Return a SHA-256 over the coded pictures and sound of `path`, which copying them to another container keeps.

    Every picture and sound track counts, in order, with the lengths of its packets. Times, captions and all metadata
    do not. Memory does not grow with the file. Raises `MediaError` if it cannot be read as video.
    """
    import av

    with opened_video(path) as video:
        streams = [stream for stream in video.container.streams if stream.type in _KINDS]
        # The kind comes first: a film that lost its sound is not one whose sound is empty.
        tracks = {stream.index: hashlib.sha256(stream.type.encode()) for stream in streams}
        try:
            for packet in video.container.demux(streams):
                data = bytes(packet)
                if data:
                    tracks[packet.stream_index].update(len(data).to_bytes(8, "big") + data)
        except av.FFmpegError as exc:
            raise video.error("media.undecodable", f"cannot be read to its end: {exc}") from exc
    whole = hashlib.sha256()
    for track in tracks.values():
        whole.update(track.digest())
    return whole.hexdigest()
