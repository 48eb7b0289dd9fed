"""Cuts MP4 files open for tests of what must be noticed."""

from __future__ import annotations

import struct

C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def top_boxes(data: bytes) -> list[tuple[str, int, int]]:
    """Return (kind, start, end) of every top-level box; 64-bit sizes do not occur in our small files."""
    boxes, position = [], 0
    while position < len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        boxes.append((kind.decode("latin-1"), position, position + size))
        position += size
    return boxes


def span_of(data: bytes, kind: str) -> tuple[int, int]:
    """Return (start, end) of the first top-level box of this kind."""
    return next((start, end) for name, start, end in top_boxes(data) if name == kind)


def box(kind: str, payload: bytes) -> bytes:
    """Make one box."""
    return struct.pack(">I4s", 8 + len(payload), kind.encode("latin-1")) + payload


def flip(data: bytes, position: int, *, mask: int = 0x01) -> bytes:
    """Flip bits of one byte."""
    return data[:position] + bytes([data[position] ^ mask]) + data[position + 1 :]


def manifest_span(data: bytes) -> tuple[int, int]:
    """Return (start, end) of the `uuid` box that holds the manifest store."""
    start, end = span_of(data, "uuid")
    assert data[start + 8 : start + 24] == C2PA_UUID
    return start, end


def shift_chunk_offsets(data: bytes, amount: int) -> bytes:
    """Add `amount` to every entry of every `stco`."""
    result, position = bytearray(data), 0
    while (position := data.find(b"stco", position)) != -1:
        (count,) = struct.unpack_from(">I", data, position + 8)
        for entry in range(position + 12, position + 12 + 4 * count, 4):
            struct.pack_into(">I", result, entry, struct.unpack_from(">I", data, entry)[0] + amount)
        position += 4
    return bytes(result)


def strip_manifest(data: bytes) -> bytes:
    """Take the manifest store out as if it had never been there."""
    start, end = manifest_span(data)
    return shift_chunk_offsets(data[:start] + data[end:], start - end)


def rename_box(data: bytes, old: str, new: str) -> bytes:
    """Give the first top-level box called `old` another name."""
    start, _end = span_of(data, old)
    return data[: start + 4] + new.encode("latin-1") + data[start + 8 :]
