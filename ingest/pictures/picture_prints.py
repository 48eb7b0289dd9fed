"""Fingerprints of some pictures of a file, by which it is known again after it was encoded anew."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from ingest.media.frames import scan_frames
from ingest.pictures.pdq import MIN_QUALITY, fingerprint

MAX_PRINTS = 64
_PER_SECOND = Fraction(2)


def picture_prints(path: Path) -> tuple[bytes, ...]:
    """Return PDQ fingerprints (32 bytes) of pictures spread evenly over `path`, at most `MAX_PRINTS`.

    Pictures without enough detail to be told by are left out. Raises `MediaError` if the file cannot be read.
    """
    kept: list[bytes] = []
    stride, position = 1, 0
    for frame in scan_frames(path, samples_per_second=Fraction(1, 3600), stills_per_second=_PER_SECOND):
        if frame.still is None:
            continue
        if position % stride == 0:
            found = fingerprint(frame.still)
            if found.quality >= MIN_QUALITY:
                kept.append(found.bits)
        position += 1
        if len(kept) > MAX_PRINTS:
            kept, stride = kept[::2], stride * 2
    return tuple(kept)
