"""Boxes of an ISO base media file (ISO/IEC 14496-12:2022, section 4.2), read without trusting any length.

Only headers and the tables somebody asks for are read, never the media: a file of any size costs little
memory. The number of boxes is bounded and nothing recurses, so a hostile file costs a bounded time.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from governance.errors import VerificationError

# A fragmented film of two hours has some 20 000 boxes; ten times that is a bomb.
_MAX_BOXES = 200_000
_TABLE_CHUNK_ENTRIES = 8192


@dataclass(frozen=True)
class Box:
    """One box: where its payload lies in the file, end exclusive."""

    kind: str
    start: int
    payload_start: int
    end: int

    @property
    def payload_size(self) -> int:
        """Size of the payload in bytes."""
        return self.end - self.payload_start

    def __str__(self) -> str:
        return f"box {self.kind!r} at byte {self.start}"


class BoxReader:
    """Reads boxes from one open file, counting them against the limit."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._num_boxes = 0
        self.size = file.seek(0, os.SEEK_END)

    def top_level(self) -> list[Box]:
        """Return the boxes of the file itself. Raises `VerificationError` where one does not fit."""
        return list(self._boxes(0, self.size, "the file", may_extend_to_end=True))

    def children(self, parent: Box, *, skip: int = 0) -> list[Box]:
        """Return the boxes inside `parent`, after `skip` bytes of its own fields."""
        return list(
            self._boxes(parent.payload_start + skip, parent.end, str(parent), may_extend_to_end=False)
        )

    def _boxes(self, start: int, end: int, where: str, *, may_extend_to_end: bool) -> Iterator[Box]:
        position = start
        while position < end:
            # QuickTime closes some lists with a 32-bit zero instead of a box.
            if end - position == 4 and not may_extend_to_end and self.bytes_at(position, 4) == bytes(4):
                return
            box = self._box(position, end, where, may_extend_to_end=may_extend_to_end)
            yield box
            position = box.end

    def _box(self, start: int, limit: int, where: str, *, may_extend_to_end: bool) -> Box:
        self._num_boxes += 1
        if self._num_boxes > _MAX_BOXES:
            raise VerificationError(f"container: more than {_MAX_BOXES} boxes")
        if limit - start < 8:
            raise VerificationError(f"container: {limit - start} stray bytes at byte {start} of {where}")
        size, name = struct.unpack(">I4s", self.bytes_at(start, 8))
        kind, header = name.decode("latin-1"), 8
        if size == 1:
            if limit - start < 16:
                raise VerificationError(f"container: box {kind!r} at byte {start} has no room for its length")
            (size,), header = struct.unpack(">Q", self.bytes_at(start + 8, 8)), 16
        elif size == 0 and may_extend_to_end:
            size = limit - start
        if not header <= size <= limit - start:
            raise VerificationError(
                f"container: box {kind!r} at byte {start} says {size} bytes, {where} has {limit - start} left"
            )
        return Box(kind, start, start + header, start + size)

    def bytes_at(self, offset: int, size: int) -> bytes:
        """Return exactly `size` bytes. Raises `VerificationError` if the file ends before."""
        self._file.seek(offset)
        data = self._file.read(size)
        if len(data) != size:
            raise VerificationError(f"container: the file ends inside {size} bytes at byte {offset}")
        return data

    def fields(self, box: Box, layout: str, *, offset: int = 0) -> tuple[int, ...]:
        """Unpack big-endian fields of `box` at `offset` of its payload; `layout` is `struct`'s, without `>`.

        Raises `VerificationError` if the box is too short.
        """
        size = struct.calcsize(">" + layout)
        if offset + size > box.payload_size:
            raise VerificationError(f"container: {box} is too short for its fields")
        return struct.unpack(">" + layout, self.bytes_at(box.payload_start + offset, size))

    def table(self, box: Box, layout: str, count: int, *, offset: int) -> Iterator[tuple[int, ...]]:
        """Yield `count` rows of `layout` from `offset` of the payload on, a bounded piece at a time.

        Raises `VerificationError` if the box is too short for that many.
        """
        row = struct.Struct(">" + layout)
        if offset + count * row.size > box.payload_size:
            raise VerificationError(f"container: {box} announces {count} entries and has no room for them")
        for first in range(0, count, _TABLE_CHUNK_ENTRIES):
            rows = min(_TABLE_CHUNK_ENTRIES, count - first)
            data = self.bytes_at(box.payload_start + offset + first * row.size, rows * row.size)
            yield from row.iter_unpack(data)

    def is_zero(self, box: Box, *, chunk_bytes: int = 1 << 20) -> bool:
        """Whether the payload holds nothing but zero bytes."""
        for start in range(box.payload_start, box.end, chunk_bytes):
            if any(self.bytes_at(start, min(chunk_bytes, box.end - start))):
                return False
        return True
