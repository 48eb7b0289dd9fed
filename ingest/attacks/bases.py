"""Bases: the clips that a calibration disguises, looked at beforehand; none is left out without a reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import MediaError
from ingest.media.container import opened_video
from ingest.media.digests import file_digest
from ingest.media.probe import probe
from ingest.media.sources import printable_path

SHORTEST_SECONDS = 2.0
"""A copy of less has too few frames to be told from chance."""


@dataclass(frozen=True, kw_only=True)
class Base:
    """A clip that copies are made of, or that serves as something else to compare with."""

    path: Path
    sha256: str
    group: str
    """Clips of one group may show the same; of different groups they must not."""
    seconds: float
    """That are there, as far as was looked."""


@dataclass(frozen=True, kw_only=True)
class RefusedBase:
    """A clip that takes no part."""

    path: Path
    code: str
    """`base.short`, `base.duplicate`, or the code of the `MediaError`."""
    reason: str


def survey_bases(
    files: Iterable[tuple[Path, str]], *, look_seconds: float = 150.0
) -> Iterator[Base | RefusedBase]:
    """Look at each (file, group) and yield it as a base, or why it is none; damage further in shows only on use.

    What is there is counted in packets, up to `look_seconds`: a header may declare more. Of files with
    the same bytes the first one counts.
    """
    seen: dict[str, Path] = {}
    for path, group in files:
        try:
            sha256 = file_digest(path).sha256
            probe(path)
            seconds = _seconds_there(path, look_seconds)
        except MediaError as exc:
            yield RefusedBase(path=path, code=exc.code, reason=str(exc))
            continue
        name = printable_path(path)
        if sha256 in seen:
            reason = f"{name}: the same bytes as {printable_path(seen[sha256])}"
            yield RefusedBase(path=path, code="base.duplicate", reason=reason)
        elif seconds < SHORTEST_SECONDS:
            reason = f"{name}: {seconds:.2f} s long, at least {SHORTEST_SECONDS:g} s are needed"
            yield RefusedBase(path=path, code="base.short", reason=reason)
        else:
            yield Base(path=path, sha256=sha256, group=group, seconds=seconds)
        seen.setdefault(sha256, path)


def _seconds_there(path: Path, look_seconds: float) -> float:
    """Return how many seconds of pictures `path` holds, or more than `look_seconds`. Nothing is decoded."""
    import av

    with opened_video(path) as video:
        first, end = None, 0
        try:
            for packet in video.container.demux(video.stream):
                if packet.pts is None or packet.is_discard:  # by an edit list: decoded, but never shown
                    continue
                first = packet.pts if first is None else min(first, packet.pts)
                end = max(end, packet.pts + (packet.duration or 0))
                if float((end - first) * video.time_base) > look_seconds:
                    break
        except av.FFmpegError as exc:
            raise video.error(
                "media.undecodable", f"the container cannot be read on ({exc.strerror})"
            ) from exc
    return 0.0 if first is None else float((end - first) * video.time_base)
