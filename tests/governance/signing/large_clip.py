"""MP4 files of any size without encoding them: a small clip whose media box is grown with bytes that nothing plays."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from tests.governance.mp4_surgery import shift_chunk_offsets, top_boxes

_LARGE_HEADER_BYTES = 16
_PIECE_BYTES = 1 << 20


def write_large_clip(small: Path, large: Path, *, num_bytes: int) -> None:
    """Write a copy of the progressive clip `small` with its `mdat` last and grown, so that the file has `num_bytes`.

    The padding is random: nothing could take a shortcut over it.
    """
    content = small.read_bytes()
    boxes = {kind: content[start:end] for kind, start, end in top_boxes(content)}
    media_start = next(start for kind, start, _end in top_boxes(content) if kind == "mdat")
    samples = boxes.pop("mdat")[8:]
    head = b"".join(boxes.values())
    moved_by = len(head) + _LARGE_HEADER_BYTES - (media_start + 8)
    size = num_bytes - len(head)
    with large.open("wb") as file:
        file.write(shift_chunk_offsets(head, moved_by))
        file.write(struct.pack(">I4sQ", 1, b"mdat", size) + samples)
        left = size - _LARGE_HEADER_BYTES - len(samples)
        while left > 0:
            file.write(os.urandom(min(left, _PIECE_BYTES)))
            left -= _PIECE_BYTES
