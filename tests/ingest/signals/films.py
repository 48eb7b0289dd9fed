"""Films that say something about their rights: XMP boxes put into real MP4 files, and tags written by a muxer."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path

from tests.media import moving_scene, write_video

XMP_UUID = uuid.UUID("BE7ACFCB-97A9-42E8-9C71-999491E3AFAC").bytes


def write_film(path: Path) -> Path:
    """Write a short film without any tags of rights."""
    return write_video(path, moving_scene(1, 4, 48, 64), rate=4)


def with_tags(source: Path, path: Path, tags: Mapping[str, str], **options: str) -> Path:
    """Copy the film at `source` to `path` with `tags` of the container."""
    import av

    with av.open(str(source)) as film, av.open(str(path), "w", options=options) as copy:
        copy.metadata.update(tags)
        stream = copy.add_stream_from_template(film.streams.video[0])
        for packet in film.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    return path


def box(kind: bytes, content: bytes) -> bytes:
    """Return an MP4 box."""
    return (len(content) + 8).to_bytes(4, "big") + kind + content


def append_box(path: Path, kind: bytes, content: bytes) -> Path:
    """Append a box to the top level of the film at `path`."""
    path.write_bytes(path.read_bytes() + box(kind, content))
    return path


def append_to_movie(path: Path, kind: bytes, content: bytes) -> Path:
    """Append a box to the `moov` of the film at `path`, which must be its last box: muxers write it so."""
    data = path.read_bytes()
    start = data.rindex(b"moov") - 4
    assert start + int.from_bytes(data[start : start + 4], "big") == len(data)
    path.write_bytes(data[:start] + box(b"moov", data[start + 8 :] + box(kind, content)))
    return path
