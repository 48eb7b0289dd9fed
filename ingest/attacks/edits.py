"""Picture edits of the attack maker: what is done to every picture of a film alike.

Measures are shares of the picture, so that an edit means the same at any resolution.

Shapes: pictures are RGB uint8 HWC.
"""

from __future__ import annotations

import enum
import functools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ingest.attacks.film import scaled

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TALL = Fraction(9, 16)
_INK = (255, 255, 255)
_BAR = (12, 12, 12)


class PictureEdit(Protocol):
    """An edit done to every picture alike."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the edited picture; its size depends on the size of `image` alone."""


class Corner(enum.StrEnum):
    """A corner of the picture."""

    TOP_LEFT = "top-left"
    TOP_RIGHT = "top-right"
    BOTTOM_LEFT = "bottom-left"
    BOTTOM_RIGHT = "bottom-right"

    def paste(self, patch: NDArray[np.uint8], canvas: NDArray[np.uint8], margin: int) -> None:
        """Write `patch` into this corner of `canvas`, `margin` pixels away from its edges."""
        rows, columns = patch.shape[:2]
        is_bottom = self in {Corner.BOTTOM_LEFT, Corner.BOTTOM_RIGHT}
        is_right = self in {Corner.TOP_RIGHT, Corner.BOTTOM_RIGHT}
        top = canvas.shape[0] - rows - margin if is_bottom else margin
        left = canvas.shape[1] - columns - margin if is_right else margin
        canvas[top : top + rows, left : left + columns] = patch


@dataclass(frozen=True)
class Mirror:
    """Swap left and right."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the mirrored picture."""
        return image[:, ::-1]


@dataclass(frozen=True)
class Crop:
    """Keep `fraction` of the width and of the height: the middle, unless told otherwise."""

    fraction: float
    x: float = 0.5
    """Where the kept part lies: 0 at the left edge, 1 at the right."""
    y: float = 0.5
    """0 at the upper edge, 1 at the lower."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the kept part."""
        height, width = image.shape[:2]
        rows, columns = max(2, round(height * self.fraction)), max(2, round(width * self.fraction))
        return _cut(image, rows, columns, x=self.x, y=self.y)


@dataclass(frozen=True)
class CropToAspect:
    """Keep the largest part of this `aspect` (width over height), as tall-screen versions of a film do."""

    aspect: Fraction = _TALL
    position: float = 0.5
    """Where it lies along the side that is cut: 0 at the left or upper edge, 1 at the other."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the kept part."""
        height, width = image.shape[:2]
        columns = max(2, min(width, round(height * self.aspect)))
        rows = max(2, min(height, round(width / self.aspect)))
        return _cut(image, rows, columns, x=self.position, y=self.position)


@dataclass(frozen=True)
class Resize:
    """Scale width and height by `fraction`."""

    fraction: float

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the scaled picture."""
        height, width = image.shape[:2]
        return scaled(image, max(2, round(width * self.fraction)), max(2, round(height * self.fraction)))


@dataclass(frozen=True)
class Rotate:
    """Turn the picture anticlockwise about its middle inside its own frame; the corners go black."""

    degrees: float

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the turned picture, of unchanged size."""
        from PIL import Image

        return np.asarray(Image.fromarray(image).rotate(self.degrees, Image.Resampling.BILINEAR))


@dataclass(frozen=True)
class Caption:
    """Write `text` in white on a dark bar across the picture."""

    text: str
    top: float = 0.78
    """Where the bar begins, as a share of the height."""
    height: float = 0.14
    """Of the bar, as a share of the picture's."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the picture with its caption."""
        top, bottom = round(image.shape[0] * self.top), round(image.shape[0] * (self.top + self.height))
        captioned = image.copy()
        bar = captioned[top:bottom]
        bar[:] = _label(self.text, bar.shape[1], bar.shape[0], _BAR)
        return captioned


@dataclass(frozen=True)
class Logo:
    """Cover a corner with an opaque plate that carries a round mark and a word."""

    text: str
    corner: Corner = Corner.TOP_RIGHT
    width: float = 0.25
    """Of the plate, as a share of the picture's; it is half as high as wide, or less in a flat picture."""
    colour: tuple[int, int, int] = (30, 90, 200)

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the picture with its logo."""
        columns = max(4, round(image.shape[1] * self.width))
        rows = max(4, min(columns // 2, image.shape[0] // 3))
        branded = image.copy()
        self.corner.paste(_plate(self.text, columns, rows, self.colour), branded, min(image.shape[:2]) // 25)
        return branded


@dataclass(frozen=True)
class Letterbox:
    """Add black bars above and below, each `fraction` of the picture's height."""

    fraction: float

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the picture between its bars."""
        bar = round(image.shape[0] * self.fraction)
        return np.pad(image, ((bar, bar), (0, 0), (0, 0)))


@dataclass(frozen=True)
class BlurredPadding:
    """Set the picture, smaller, in the middle of a blurred copy of itself that is stretched to fill the frame."""

    aspect: Fraction = _TALL
    """Of the frame, width over height; its short side is that of the picture."""
    share: float = 0.9
    """Of the frame that the picture takes, along the side that it fills most."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the padded picture."""
        short = min(image.shape[:2])
        width = short if self.aspect <= 1 else round(short * self.aspect)
        height = short if self.aspect >= 1 else round(short / self.aspect)
        padded = scaled(_blurred(scaled(image, width // 8 + 1, height // 8 + 1), 2.5), width, height).copy()
        scale = self.share * min(width / image.shape[1], height / image.shape[0])
        columns, rows = max(2, round(image.shape[1] * scale)), max(2, round(image.shape[0] * scale))
        top, left = (height - rows) // 2, (width - columns) // 2
        padded[top : top + rows, left : left + columns] = scaled(image, columns, rows)
        return padded


@dataclass(frozen=True)
class Grey:
    """Remove the colour."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the picture in greys, still RGB."""
        from PIL import Image

        return np.asarray(Image.fromarray(image).convert("L").convert("RGB"))


@dataclass(frozen=True)
class Recolour:
    """Turn the hue by `hue_degrees`, then scale saturation and contrast and shift brightness."""

    hue_degrees: float = 0.0
    saturation: float = 1.0
    brightness: float = 0.0
    """Added to every channel, as a share of white; -1 to 1."""
    contrast: float = 1.0
    """About mid-grey."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the recoloured picture."""
        from PIL import Image

        matrix = self.contrast * _chroma_turn(self.hue_degrees, self.saturation)
        offset = 127.5 * (1 - self.contrast) + 255 * self.brightness
        rows = np.column_stack([matrix, np.full(3, offset)])
        return np.asarray(Image.fromarray(image).convert("RGB", tuple(float(cell) for cell in rows.ravel())))


@dataclass(frozen=True)
class Blur:
    """Blur with a Gaussian whose standard deviation is `sigma` of the picture's short side."""

    sigma: float

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the blurred picture."""
        return _blurred(image, self.sigma * min(image.shape[:2]))


def _cut(image: NDArray[np.uint8], rows: int, columns: int, *, x: float, y: float) -> NDArray[np.uint8]:
    top, left = int((image.shape[0] - rows) * y), int((image.shape[1] - columns) * x)
    return image[top : top + rows, left : left + columns]


def _blurred(image: NDArray[np.uint8], radius: float) -> NDArray[np.uint8]:
    from PIL import Image, ImageFilter

    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))


def _chroma_turn(degrees: float, saturation: float) -> NDArray[np.float64]:
    """Return the RGB matrix that turns and scales the colour difference plane (ITU-R BT.601, 2.5.1-2.5.2)."""
    difference = np.array(
        [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], dtype=np.float64
    )
    cosine = saturation * math.cos(math.radians(degrees))
    sine = saturation * math.sin(math.radians(degrees))
    turn = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]], dtype=np.float64)
    return np.asarray(np.linalg.inv(difference) @ turn @ difference)


@functools.lru_cache(maxsize=8)
def _label(text: str, width: int, height: int, ground: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return `text` in the middle of a plate of one colour, as large as it fits. Not to be written to."""
    from PIL import Image, ImageDraw, ImageFont

    plate = Image.new("RGB", (width, height), ground)
    draw = ImageDraw.Draw(plate)
    size = max(8.0, height * 0.64)
    length = draw.textlength(text, ImageFont.load_default(size=size))
    font = ImageFont.load_default(size=max(6.0, size * min(1.0, 0.94 * width / max(1.0, length))))
    draw.text((width // 2, height // 2), text, fill=_INK, font=font, anchor="mm")
    return np.asarray(plate)


@functools.lru_cache(maxsize=8)
def _plate(text: str, width: int, height: int, ground: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return a logo: a ring at the left and `text` beside it. Not to be written to."""
    from PIL import Image, ImageDraw

    plate = Image.new("RGB", (width, height), ground)
    side = min(height, width // 2)
    inset = max(1, side // 6)
    top = (height - side) // 2
    ring = (inset, top + inset, side - inset, top + side - inset)
    ImageDraw.Draw(plate).ellipse(ring, outline=_INK, width=max(1, side // 8))
    if width > side:
        word = _label(text, width - side, max(2, height // 2), ground)
        plate.paste(Image.fromarray(word), (side, height // 4))
    return np.asarray(plate)
