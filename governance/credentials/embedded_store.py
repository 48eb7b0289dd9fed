"""The manifest store inside an MP4 or MOV, byte for byte (C2PA 2.4, appendix A.5)."""

from __future__ import annotations

from pathlib import Path

from governance.credentials.boxes import Box, BoxReader
from governance.errors import NoManifest, VerificationError

_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_FULL_BOX_BYTES = 4
_PURPOSE = b"manifest\0"
_OFFSET_BYTES = 8
"""After the purpose: where an auxiliary box begins."""


def extract_store(path: Path) -> bytes:
    """Return the manifest store that is embedded in `path`; nothing is validated.

    Raises `NoManifest` if there is none, `VerificationError` if there are several or it does not fit its box.
    """
    with path.open("rb") as file:
        reader = BoxReader(file)
        found = [box for box in reader.top_level() if _is_store(reader, box)]
        if not found:
            raise NoManifest(f"{path}: carries no Content Credentials")
        if len(found) > 1:
            raise VerificationError(f"{path}: carries {len(found)} manifest stores")
        (box,) = found
        start = box.payload_start + len(_C2PA_UUID) + _FULL_BOX_BYTES + len(_PURPOSE) + _OFFSET_BYTES
        if start + 8 > box.end:
            raise VerificationError(f"{path}: its manifest store is cut off")
        size = int.from_bytes(reader.bytes_at(start, 4), "big")
        if not 8 <= size <= box.end - start:
            raise VerificationError(f"{path}: its manifest store does not fit its box")
        return reader.bytes_at(start, size)


def _is_store(reader: BoxReader, box: Box) -> bool:
    skip = len(_C2PA_UUID) + _FULL_BOX_BYTES
    if box.kind != "uuid" or box.payload_size < skip + len(_PURPOSE):
        return False
    head = reader.bytes_at(box.payload_start, skip + len(_PURPOSE))
    return head.startswith(_C2PA_UUID) and head[skip:] == _PURPOSE
