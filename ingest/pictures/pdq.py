"""PDQ fingerprints of pictures: 256 bits that re-encoding, scaling and colour changes hardly move.

Implements "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" (Facebook, 2019) from grey
pictures. Everything up to the threshold is linear and separable, so the published sliding windows become one matrix for
the rows and one for the columns. The reference code's running sums round differently: a coefficient that lies on the
median may fall on its other side. `docs/decisions/0007-pdq-in-numpy.md` says how often.

Shapes: N and M fingerprints, H and W pixels. Bits are 32 bytes in the order of the published hexadecimal text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUM_BYTES = 32
NUM_BITS = 256
MIN_QUALITY = 50
"""Fingerprints of pictures below this quality are not to be compared (the paper's recommendation)."""

_SIDE = 64
_FREQUENCIES = 16
_NUM_PASSES = 2
"""Box filters in each direction; two of them make a tent."""
_MIN_PICTURE_SIDE = 5
_BLOCK_DISTANCES = 1 << 15


@dataclass(frozen=True, kw_only=True)
class Pdq:
    """The fingerprint of one picture, and that of its mirror image."""

    bits: bytes
    """32 bytes; `bits.hex()` is the text that other PDQ programs exchange."""
    mirrored_bits: bytes
    """The bits of the picture mirrored left to right."""
    quality: int
    """0 (no gradients: the bits mean nothing) to 100."""


def fingerprint(grey_HW: NDArray[np.uint8]) -> Pdq:
    """Fingerprint a grey picture (BT.601 luma) of any size. Below 5 pixels a side: no bits, quality 0."""
    assert grey_HW.ndim == 2
    assert grey_HW.dtype == np.uint8
    height, width = grey_HW.shape
    if min(height, width) < _MIN_PICTURE_SIDE:
        return Pdq(bits=bytes(NUM_BYTES), mirrored_bits=bytes(NUM_BYTES), quality=0)
    # The costly product of the two serves the mirror image as well. Negating coefficients, as the paper does, would not
    # yield quite its bits, for the 64 columns that are picked do not lie symmetrically.
    short_64W = _reduction(height) @ grey_HW.astype(np.float32)
    small_6464 = short_64W @ _reduction(width).T
    mirrored_6464 = short_64W @ _reduction(width)[:, ::-1].T
    return Pdq(bits=_bits(small_6464), mirrored_bits=_bits(mirrored_6464), quality=_quality(small_6464))


def fingerprints(pictures: Iterable[NDArray[np.uint8]]) -> list[Pdq]:
    """Fingerprint grey pictures (each HW uint8, sizes may differ), in order."""
    # Stacking pictures of one size was measured to be no faster: each is large enough by itself.
    return [fingerprint(grey_HW) for grey_HW in pictures]


def hamming(a_N32: NDArray[np.uint8], b_M32: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Count the bits in which each fingerprint of `a_N32` differs from each of `b_M32`: uint16 NM, 0 to 256."""
    a_N4, b_M4 = _words(a_N32), _words(b_M32)
    distances_NM = np.empty((len(a_N4), len(b_M4)), dtype=np.uint16)
    # Blocks bound the memory of what lies between, and keep it in the processor's cache.
    step = max(1, _BLOCK_DISTANCES // max(1, len(b_M4)))
    for start in range(0, len(a_N4), step):
        block = distances_NM[start : start + step]
        block[:] = 0
        for word in range(a_N4.shape[1]):
            block += np.bitwise_count(a_N4[start : start + step, word, None] ^ b_M4[None, :, word])
    return distances_NM


def _words(bits_N32: NDArray[np.uint8]) -> NDArray[np.uint64]:
    assert bits_N32.dtype == np.uint8
    assert bits_N32.shape[1:] == (NUM_BYTES,)
    return np.ascontiguousarray(bits_N32).view(np.uint64)


def _bits(small_6464: NDArray[np.float32]) -> bytes:
    """Say of 16 x 16 frequencies which lie above their median."""
    coefficients_256 = (_dct() @ small_6464 @ _dct().T).reshape(NUM_BITS)
    # The lower one of the two middle values, as in the reference code.
    middle = NUM_BITS // 2 - 1
    median = np.partition(coefficients_256, middle)[middle]
    # The published text begins with the last bit.
    return np.packbits((coefficients_256 > median)[::-1]).tobytes()


def _quality(small_6464: NDArray[np.float32]) -> int:
    """Sum the steps between neighbours, each rounded down to percent of the range, so that only clear ones count."""
    percents = (np.abs(np.diff(small_6464, axis=axis)) * np.float32(100) / np.float32(255) for axis in (0, 1))
    total = sum(int(percent.astype(np.int64).sum()) for percent in percents)
    # 90 is the paper's heuristic scale.
    return min(total // 90, 100)


@cache
def _dct() -> NDArray[np.float32]:
    """Return the rows 1 to 16 of the 64-point DCT-II, 16 x 64."""
    frequency, position = np.arange(1, _FREQUENCIES + 1)[:, None], np.arange(_SIDE)[None, :]
    waves = np.cos(np.pi / 2 / _SIDE * frequency * (2 * position + 1))
    return np.asarray(np.sqrt(2 / _SIDE) * waves, dtype=np.float32)


@lru_cache(maxsize=256)
def _reduction(side: int) -> NDArray[np.float32]:
    """Return the matrix, 64 x side, that filters a line of `side` pixels twice and picks 64 of them."""
    picked_64 = ((np.arange(_SIDE) + 0.5) * side / _SIDE).astype(np.int64)
    weights_64S = np.zeros((_SIDE, side))
    weights_64S[np.arange(_SIDE), picked_64] = 1
    for _ in range(_NUM_PASSES):
        weights_64S = _boxed(weights_64S)
    return weights_64S.astype(np.float32)


def _boxed(weights_64S: NDArray[np.float64]) -> NDArray[np.float64]:
    """Replace each pixel of a line by the mean of a window of 1/128 of the line, rounded up.

    At the ends the window is cut off, not padded; a window of even width reaches further to the right.
    """
    side = weights_64S.shape[1]
    window = -(-side // (2 * _SIDE))
    ahead = (window + 2) // 2
    spread_64S = np.zeros_like(weights_64S)
    for position in range(side):
        first, end = max(0, position + ahead - window), min(side, position + ahead)
        spread_64S[:, first:end] += weights_64S[:, position, None] / (end - first)
    return spread_64S
