"""Assertions inside a manifest store, byte for byte: JUMBF boxes (ISO 19566-5) as C2PA lays them out (section 11.1).

A manifest store is a super-box of manifests, a manifest one of parts, its assertion store one of assertions, and an
assertion one of content boxes. Each begins with a description that gives its label.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from governance.errors import VerificationError

ASSERTION_STORE_LABEL = "c2pa.assertions"
# Says only which kind of file an embedded file is.
_MEDIA_TYPE_BOX = b"bfdb"
_HAS_LABEL = 0x02
_TYPE_BYTES = 16


@dataclass(frozen=True)
class JumbfBox:
    """One box."""

    kind: bytes
    payload: bytes

    def encoded(self) -> bytes:
        """Return the box as it stands in the file, with its header in the usual short form."""
        return struct.pack(">I4s", 8 + len(self.payload), self.kind) + self.payload


def assertion_contents(store: bytes, manifest_label: str, label: str) -> tuple[JumbfBox, ...]:
    """Return the boxes with the content of one assertion; none if the manifest has no assertion of that label.

    Raises `VerificationError` if the store is malformed on the way there.
    """
    found = _inside(_boxes(store), manifest_label, ASSERTION_STORE_LABEL, label)
    return tuple(box for box in found if box.kind != _MEDIA_TYPE_BOX)


def _inside(store: Iterator[JumbfBox], *path: str) -> list[JumbfBox]:
    """Follow labels down from the inside of the outermost super-box."""
    boxes = [child for box in store if box.kind == b"jumb" for child in _content(box)[1]]
    for label in path:
        found = [_content(box) for box in boxes if box.kind == b"jumb"]
        boxes = [child for name, children in found if name == label for child in children]
    return boxes


def _content(box: JumbfBox) -> tuple[str, list[JumbfBox]]:
    """Return the label of a super-box and what is inside, without its description."""
    description, *children = _boxes(box.payload)
    fields = description.payload
    if description.kind != b"jumd" or len(fields) <= _TYPE_BYTES:
        raise VerificationError("manifest store: a box without its description")
    if not fields[_TYPE_BYTES] & _HAS_LABEL:
        return "", children
    label, _zero, _rest = fields[_TYPE_BYTES + 1 :].partition(b"\0")
    return label.decode("utf-8", "replace"), children


def _boxes(data: bytes) -> Iterator[JumbfBox]:
    position = 0
    if not data:
        raise VerificationError("manifest store: an empty box where a description belongs")
    while position < len(data):
        if len(data) - position < 8:
            raise VerificationError(f"manifest store: {len(data) - position} stray bytes")
        size, kind = struct.unpack_from(">I4s", data, position)
        header = 8
        if size == 1 and len(data) - position >= 16:
            (size,), header = struct.unpack_from(">Q", data, position + 8), 16
        if not header <= size <= len(data) - position:
            raise VerificationError(f"manifest store: box {kind!r} says {size} bytes and does not fit")
        yield JumbfBox(kind, data[position + header : position + size])
        position += size
