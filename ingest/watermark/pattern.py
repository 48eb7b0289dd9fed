"""The pattern: a keyed tile of 128 x 128 cells that repeats over the whole picture, the same in every frame.

Because it repeats in space, a crop only shifts it; because it stands still in time, neither an excerpt nor another
frame rate changes it. Its spectrum is a set of lines, at the frequencies k / 128 cycles per cell for whole vectors k in
a ring: above what pictures are full of, and below what half the size or a codec takes away. A keyed part of the lines
is the pilot, by which a reader finds scale, rotation and shift; the others carry the codeword.

Every line is a sinusoid whose complex amplitude is one of (+-1 +-i) / sqrt(2). Shapes: P pilot lines, D data lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ingest.watermark.codeword import codeword_of
from ingest.watermark.keys import WatermarkKey
from ingest.watermark.polar import NUM_CODED

if TYPE_CHECKING:
    from numpy.typing import NDArray

TILE = 128
_RING = (6.0, 22.0)
_NUM_DATA_LINES = 512
"""Two values a line, so that each coded bit is carried twice."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Carriers:
    """Where one key puts its lines."""

    pilot_P2: NDArray[np.float64]
    """Line vectors k as (x, y)."""
    pilot_P: NDArray[np.complex64]
    """The amplitudes of the pilot, known to whoever has the key."""
    data_D2: NDArray[np.float64]
    chips_D2: NDArray[np.float32]
    """Signs of the real and the imaginary part of each data line."""
    bits_D2: NDArray[np.intp]
    """Which coded bit each part carries."""


def carriers_of(key: WatermarkKey) -> Carriers:
    """Return the lines of `key`."""
    ring = _ring_lines()
    order = key.order("lines", len(ring))
    data, pilot = ring[order[:_NUM_DATA_LINES]], ring[order[_NUM_DATA_LINES:]]
    signs_P2 = key.signs("pilot", 2 * len(pilot)).reshape(-1, 2)
    return Carriers(
        pilot_P2=pilot,
        pilot_P=_amplitudes(signs_P2),
        data_D2=data,
        chips_D2=key.signs("chips", 2 * _NUM_DATA_LINES).reshape(-1, 2),
        bits_D2=(key.order("bits", 2 * _NUM_DATA_LINES) % NUM_CODED).reshape(-1, 2),
    )


def _ring_lines() -> NDArray[np.float64]:
    """Return one of each pair (k, -k) of line vectors in the ring.

    Those along the axes are left out: edges of the picture, black bars and coding blocks are loud there.
    """
    reach = int(_RING[1])
    grid = [(x, y) for y in range(1, reach + 1) for x in range(-reach, reach + 1) if x]
    return np.array([k for k in grid if _RING[0] <= np.hypot(*k) <= _RING[1]], np.float64)


def _amplitudes(signs_L2: NDArray[np.float32]) -> NDArray[np.complex64]:
    return np.asarray((signs_L2[:, 0] + 1j * signs_L2[:, 1]) / np.sqrt(2), np.complex64)


def tile_of(mark_id: int, key: WatermarkKey) -> NDArray[np.float32]:
    """Return the tile that carries `mark_id`: TILE x TILE, mean 0, standard deviation 1.

    Raises `ConfigError` if the id does not fit 64 bits.
    """
    carriers = carriers_of(key)
    signs_D2 = codeword_of(mark_id, key)[carriers.bits_D2] * carriers.chips_D2
    spectrum = np.zeros((TILE, TILE), np.complex64)
    for lines_L2, values_L in (
        (carriers.pilot_P2, carriers.pilot_P),
        (carriers.data_D2, _amplitudes(signs_D2)),
    ):
        columns, rows = lines_L2.astype(int).T
        spectrum[rows, columns] = values_L
        spectrum[-rows, -columns] = values_L.conj()
    tile = np.fft.ifft2(spectrum).real
    return np.asarray(tile / tile.std(), np.float32)
