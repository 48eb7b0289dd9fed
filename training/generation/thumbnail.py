"""A small picture of a clip, for its credentials."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LONG_SIDE = 256
_QUALITY = 80


def thumbnail_jpeg(frames_TCHW: Tensor) -> bytes:
    """Return the frame in the middle of a uint8 RGB clip as JPEG, its longer side at most `LONG_SIDE` pixels."""
    from PIL import Image

    middle_HWC = frames_TCHW[len(frames_TCHW) // 2].permute(1, 2, 0).contiguous().numpy()
    picture = Image.fromarray(middle_HWC)
    picture.thumbnail((LONG_SIDE, LONG_SIDE))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()
