"""Rasters: decoded frames as small upright pixel arrays.

"Upright" means as a player shows it: the display matrix (rotation and mirroring) and the sample aspect ratio are
applied.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import numpy as np

if TYPE_CHECKING:
    from av.sidedata.sidedata import SideData
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Orientation:
    """How stored pixels become upright: transpose first if so, then flip."""

    is_transposed: bool = False
    flips_columns: bool = False
    flips_rows: bool = False

    @property
    def rotation_degrees(self) -> int:
        """Clockwise turn, 0, 90, 180 or 270, that is left when the upright picture is mirrored back."""
        flips_columns = self.flips_columns != self.is_mirrored
        if self.is_transposed:
            return 90 if flips_columns else 270
        return 180 if flips_columns else 0

    @property
    def is_mirrored(self) -> bool:
        """Whether the picture is shown as in a mirror."""
        return (self.flips_columns != self.flips_rows) != self.is_transposed

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return `pixels` (HWC or HW) upright, contiguous."""
        upright = pixels.swapaxes(0, 1) if self.is_transposed else pixels
        upright = upright[:: -1 if self.flips_rows else 1, :: -1 if self.flips_columns else 1]
        return np.ascontiguousarray(upright)


def orientation_of(frame: VideoFrame) -> Orientation:
    """Return the orientation that the display matrix of `frame` asks for, to the nearest quarter turn."""
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV cannot list the side data when one is of a kind it does not know.
        return _TURNS[round(-frame.rotation / 90) % 4]
    if matrix is None:
        return Orientation()
    # 16.16 fixed point, row major: x' = a x + c y, y' = b x + d y (libavutil/display.h).
    # The stub of `Mapping.get` forgets that the values are buffers.
    a, b, _, c, d = struct.unpack("=5i", bytes(cast("SideData", matrix))[:20])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, flips_columns=a < 0, flips_rows=d < 0)
    return Orientation(True, flips_columns=c < 0, flips_rows=b < 0)


_TURNS = (
    Orientation(),
    Orientation(True, flips_columns=True),
    Orientation(False, flips_columns=True, flips_rows=True),
    Orientation(True, flips_rows=True),
)


def display_size(frame: VideoFrame, sample_aspect_ratio: Fraction) -> tuple[int, int]:
    """Return the (width, height) of `frame` with square pixels, before it is turned upright."""
    return max(1, round(frame.width * sample_aspect_ratio)), frame.height


class Rasterizer:
    """Scales frames of one stream. Holds one scaler for each output, which is what makes scaling cheap."""

    def __init__(self, sample_aspect_ratio: Fraction) -> None:
        from av.video.reformatter import Interpolation, VideoReformatter

        self._ratio = sample_aspect_ratio
        self._thumbnails = VideoReformatter()
        self._pictures = VideoReformatter()
        self._greys = VideoReformatter()
        # Bit-exact, so that the same bytes give the same fingerprint on every machine.
        self._exact_area = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
        self._bilinear = Interpolation.BILINEAR

    def thumbnail(self, frame: VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return `frame` as BGR uint8 HWC of `size` (width, height), not turned upright."""
        width, height = size
        small = self._thumbnails.reformat(
            frame, width, height, "bgr24", interpolation=self._bilinear, threads=1
        )
        return _pixels(small)

    def picture(self, frame: VideoFrame, short_side: int) -> NDArray[np.uint8]:
        """Return `frame` upright as RGB uint8 HWC, its short side at most `short_side`, never enlarged."""
        return self._upright(frame, *self._small_size(frame, short_side))

    def grey(self, frame: VideoFrame, short_side: int) -> NDArray[np.uint8]:
        """Return the luma of `frame` upright as uint8 HW, its short side at most `short_side`, never enlarged.

        Of films in Y'CbCr only the luma plane is scaled, and no colour is converted.
        """
        width, height = self._small_size(frame, short_side)
        scaled = self._greys.reformat(frame, width, height, "gray", interpolation=self._exact_area, threads=1)
        return orientation_of(frame).apply(_pixels(scaled))

    def _small_size(self, frame: VideoFrame, short_side: int) -> tuple[int, int]:
        width, height = display_size(frame, self._ratio)
        scale = min(Fraction(1), Fraction(short_side, min(width, height)))
        return max(1, round(width * scale)), max(1, round(height * scale))

    def centre_crop(self, frame: VideoFrame, height: int, width: int) -> NDArray[np.uint8]:
        """Return the middle of `frame`, upright, as RGB uint8 HWC of exactly `height` x `width`."""
        orientation = orientation_of(frame)
        shown_width, shown_height = display_size(frame, self._ratio)
        if orientation.is_transposed:
            shown_width, shown_height = shown_height, shown_width
        scale = max(Fraction(width, shown_width), Fraction(height, shown_height))
        cover_width = max(width, round(shown_width * scale))
        cover_height = max(height, round(shown_height * scale))
        if orientation.is_transposed:
            upright = self._upright(frame, cover_height, cover_width)
        else:
            upright = self._upright(frame, cover_width, cover_height)
        top, left = (cover_height - height) // 2, (cover_width - width) // 2
        return np.ascontiguousarray(upright[top : top + height, left : left + width])

    def _upright(self, frame: VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
        scaled = self._pictures.reformat(
            frame, width, height, "rgb24", interpolation=self._exact_area, threads=1
        )
        return orientation_of(frame).apply(_pixels(scaled))


def _pixels(frame: VideoFrame) -> NDArray[np.uint8]:
    # For 24-bit packed formats PyAV returns uint8 HWC, for grey HW; its stub cannot say so.
    return np.asarray(frame.to_ndarray(), dtype=np.uint8)
