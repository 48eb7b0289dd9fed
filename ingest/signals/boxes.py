"""Finding XMP packets in MP4 and MOV files (ISO/IEC 14496-12; XMP Specification Part 3, 1.2.7).

Walks the headers of boxes and reads nothing else: a `uuid` box on the top level or in `moov`, and `XMP_` in `udta`.
Boxes, depth and packet size are bounded. Where the boxes cannot be followed, that is said: a reservation may lie
behind the break.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from ingest.signals.safe_xml import MAX_XML_BYTES

_XMP_UUID = uuid.UUID("BE7ACFCB-97A9-42E8-9C71-999491E3AFAC").bytes
_FIRST_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp", b"pnot"})
_DESCENDED = frozenset({b"moov", b"trak", b"udta"})
_MAX_DEPTH = 4
MAX_BOXES = 500_000
"""A day of one-second fragments has 172,800 boxes."""


@dataclass(frozen=True, slots=True)
class Packet:
    """An XMP packet and where it lies."""

    carrier: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Break:
    """Why the boxes could not be followed to their end."""

    reason: str


def is_box_file(stream: IO[bytes]) -> bool:
    """Whether `stream` starts with a box that such files start with."""
    stream.seek(0)
    return stream.read(8)[4:] in _FIRST_BOXES


def find_packets(stream: IO[bytes]) -> Iterator[Packet | Break]:
    """Yield the XMP packets of an MP4 or MOV file in their order, and whatever stopped the walk."""
    walk = _Walk(stream)
    yield from walk.level(0, stream.seek(0, 2), depth=0, parent="")


class _Walk:
    """One walk through a file, with what is left of its bounds."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._num_left = MAX_BOXES

    def level(self, position: int, end: int, *, depth: int, parent: str) -> Iterator[Packet | Break]:
        """Walk the boxes between `position` and `end`."""
        while end - position >= 8:
            self._num_left -= 1
            if self._num_left < 0:
                yield Break(f"more than {MAX_BOXES} boxes")
                return
            header = self._read(position, 32)
            if not header.strip(b"\0"):
                return  # Padding, also the four zeros that end a QuickTime user data list.
            kind, start, stop = _extent(header, position, end)
            if start > stop:
                yield Break(f"the box at byte {position} has a size that cannot be")
                return
            if stop > end:
                where = f"in {parent}" if parent else "of the file"
                yield Break(f"the box at byte {position} goes beyond the end {where}")
                stop = end
            yield from self._inside(header, kind, start, stop, depth=depth, parent=parent)
            position = stop

    def _inside(
        self, header: bytes, kind: bytes, start: int, stop: int, *, depth: int, parent: str
    ) -> Iterator[Packet | Break]:
        if kind == b"uuid":
            if self._read(start, 16) == _XMP_UUID:
                yield self._packet("MP4 uuid box", start + 16, stop)
        elif kind == b"XMP_" and parent == "udta":
            yield self._packet("udta XMP_", start, stop)
        elif kind in _DESCENDED and depth < _MAX_DEPTH:
            yield from self.level(start, stop, depth=depth + 1, parent=kind.decode("ascii"))

    def _packet(self, carrier: str, start: int, stop: int) -> Packet | Break:
        if stop - start > MAX_XML_BYTES:
            return Break(f"the XMP packet at byte {start} has {stop - start} bytes")
        return Packet(carrier, self._read(start, stop - start))

    def _read(self, position: int, num_bytes: int) -> bytes:
        self._stream.seek(position)
        return self._stream.read(num_bytes)


def _extent(header: bytes, position: int, end: int) -> tuple[bytes, int, int]:
    """Return kind, first byte of the content, and the byte after the box; content after its end is impossible."""
    size, kind, head = int.from_bytes(header[:4], "big"), header[4:8], 8
    if size == 1:
        size, head = int.from_bytes(header[8:16], "big"), 16
    if size == 0:
        return kind, position + head, end
    return kind, position + head, position + size
