"""The search: how the canvas lies on the pattern, found by the pilot.

A similarity of the picture (scale, rotation, shift) moves each line of the pattern's spectrum to a known place: for
every scale and rotation of a grid the pilot's lines are taken from one big spectrum, and one small inverse transform
scores all shifts at once. The best places are then refined with the two axes scaled apart and a shear.

A score is the sum of the levelled pilot lines, turned to agree, over its deviation without a mark: about standard
normal at a place chosen beforehand. Shapes: G places of the grid, P pilot lines, D data lines.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ingest.watermark.canvas import box_mean
from ingest.watermark.pattern import TILE, Carriers
from ingest.watermark.polar import NUM_CODED

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIDE = 1024
"""Of the spectrum. At most four times as fine as the lines are wide, so the nearest value is near enough."""
_NEIGHBOURHOOD = 61
"""Bins over which the loudness of the spectrum is levelled: about eight lines."""
_SCALES = tuple(float(scale) for scale in np.exp(np.arange(np.log(0.78), np.log(1.34), 0.0125)))
_TURNS = tuple(float(turn) for turn in np.deg2rad(np.arange(-7.8, 7.81, 0.6)))
_SEPARATION = (0.03, np.deg2rad(1.5))
"""Places nearer than this in scale and rotation are one candidate."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """An affine map from the pattern to the canvas, and the pilot's score there."""

    matrix: tuple[float, float, float, float]
    """Row major; the identity where nothing was done to the picture."""
    shift: tuple[float, float]
    """Cells (x, y) by which the tile has moved, each in [-64, 64)."""
    score: float

    @property
    def scale(self) -> float:
        """How many times larger the pattern is than on an untouched picture's canvas."""
        a, b, c, d = self.matrix
        return float(abs(a * d - b * c) ** 0.5)

    @property
    def rotation_degrees(self) -> float:
        """How far the picture was turned, clockwise as it is looked at."""
        a, b, c, d = self.matrix
        return float(np.rad2deg(np.arctan2(c - b, a + d)))


class LevelSpectrum:
    """The spectrum of a canvas, every neighbourhood brought to the same loudness."""

    def __init__(self, canvas_hw: NDArray[np.float32]) -> None:
        height, width = canvas_hw.shape
        # The middle of the picture is the origin: phases then turn slowly from bin to bin.
        sheet = np.zeros((_SIDE, _SIDE), np.float32)
        sheet[:height, :width] = canvas_hw
        sheet = np.roll(sheet, (-(height // 2), -(width // 2)), axis=(0, 1))
        # Lines lie below a quarter of the sampling rate, even those of a pattern scaled by 0.78.
        spectrum = np.fft.fft2(sheet)
        half = _SIDE // 2
        centred = np.fft.fftshift(spectrum)[half // 2 : half + half // 2, half // 2 : half + half // 2]
        power = box_mean((np.abs(centred) ** 2).astype(np.float32), _NEIGHBOURHOOD)
        self._values = (centred / np.sqrt(power / 2 + np.float32(1e-12))).astype(np.complex64)

    def lines(
        self, lines_L2: NDArray[np.float64], matrix: tuple[float, float, float, float]
    ) -> NDArray[np.complex64]:
        """Return the values at the lines `lines_L2` of the pattern under `matrix`."""
        bins = np.rint(lines_L2 @ _frequency_map(matrix) * (_SIDE / TILE)).astype(np.intp) + _SIDE // 4
        bins = np.clip(bins, 0, _SIDE // 2 - 1)
        return self._values[bins[:, 1], bins[:, 0]]


def _frequency_map(matrix: tuple[float, float, float, float]) -> NDArray[np.float64]:
    """Return what multiplies line vectors from the right: points move by A, frequencies by its inverse transposed."""
    return np.linalg.inv(np.array(matrix).reshape(2, 2))


def _similarity(scale: float, turn: float) -> tuple[float, float, float, float]:
    cosine, sine = scale * float(np.cos(turn)), scale * float(np.sin(turn))
    return (cosine, -sine, sine, cosine)


_UNTOUCHED = _similarity(1.0, 0.0)


def untouched_places(spectrum: LevelSpectrum, carriers: Carriers, num_places: int) -> Iterator[Place]:
    """Yield the best places on a picture that was neither scaled against its canvas nor turned, refined."""
    scores = _shift_scores(spectrum, carriers, _UNTOUCHED)
    for _ in range(num_places):
        row, column = divmod(int(scores.argmax()), TILE)
        yield refined(
            spectrum, carriers, Place(matrix=_UNTOUCHED, shift=(column, row), score=float(scores.max()))
        )
        rows, columns = (np.arange(at - 4, at + 5) % TILE for at in (row, column))
        scores[np.ix_(rows, columns)] = -np.inf


def searched_places(spectrum: LevelSpectrum, carriers: Carriers, num_places: int) -> Iterator[Place]:
    """Yield the best places over all scales and rotations of the grid, refined."""
    places = [_best_place(spectrum, carriers, _similarity(*at)) for at in itertools.product(_SCALES, _TURNS)]
    chosen: list[Place] = []
    for place in sorted(places, key=lambda place: place.score, reverse=True):
        if len(chosen) == num_places:
            return
        if not any(_is_near(place, other) for other in chosen):
            chosen.append(place)
            yield refined(spectrum, carriers, place)


def _is_near(place: Place, other: Place) -> bool:
    turn = np.deg2rad(abs(place.rotation_degrees - other.rotation_degrees))
    return bool(abs(np.log(place.scale / other.scale)) < _SEPARATION[0] and turn < _SEPARATION[1])


def _best_place(
    spectrum: LevelSpectrum, carriers: Carriers, matrix: tuple[float, float, float, float]
) -> Place:
    scores = _shift_scores(spectrum, carriers, matrix)
    row, column = divmod(int(scores.argmax()), TILE)
    return Place(matrix=matrix, shift=(column, row), score=float(scores[row, column]))


def _shift_scores(
    spectrum: LevelSpectrum, carriers: Carriers, matrix: tuple[float, float, float, float]
) -> NDArray[np.float32]:
    """Return the pilot's score at each shift of whole cells, TILE x TILE by (y, x)."""
    agreement = spectrum.lines(carriers.pilot_P2, matrix) * carriers.pilot_P.conj()
    sheet = np.zeros((TILE, TILE // 2 + 1), np.complex64)
    columns, rows = carriers.pilot_P2.astype(np.intp).T
    # A real transform wants x >= 0; the line at -k is the conjugate of that at k.
    is_left = columns < 0
    sheet[np.where(is_left, -rows, rows), np.abs(columns)] = np.where(is_left, agreement.conj(), agreement)
    return np.asarray(
        np.fft.irfft2(sheet, s=(TILE, TILE)) * (TILE * TILE / 2 / len(agreement) ** 0.5), np.float32
    )


def refined(spectrum: LevelSpectrum, carriers: Carriers, place: Place) -> Place:
    """Climb from `place` to the nearest peak: shift, then the four numbers of the matrix, in shrinking steps."""
    numbers = np.array([*place.matrix, *place.shift])
    steps = np.array([0.006, 0.006, 0.006, 0.006, 0.5, 0.5])
    best = _score(spectrum, carriers, numbers)
    for _ in range(4):
        is_climbing = True
        while is_climbing:
            is_climbing = False
            for move in _moves():
                moved = numbers + move * steps
                score = _score(spectrum, carriers, moved)
                if score > best + 1e-6:
                    numbers, best, is_climbing = moved, score, True
        steps = steps / 2
    a, b, c, d, x, y = (float(number) for number in numbers)
    return Place(matrix=(a, b, c, d), shift=(_wrapped(x), _wrapped(y)), score=best)


def _wrapped(shift: float) -> float:
    return (shift + TILE / 2) % TILE - TILE / 2


@cache
def _moves() -> tuple[NDArray[np.float64], ...]:
    """Return the directions tried: shifts, growing, turning, stretching and shearing, each both ways."""
    ways = [
        (0, 0, 0, 0, 1, 0),
        (0, 0, 0, 0, 0, 1),
        (1, 0, 0, 1, 0, 0),
        (0, -1, 1, 0, 0, 0),
        (1, 0, 0, -1, 0, 0),
        (0, 1, 1, 0, 0, 0),
    ]
    return tuple(sign * np.array(way, np.float64) for way in ways for sign in (1, -1))


def _score(spectrum: LevelSpectrum, carriers: Carriers, numbers: NDArray[np.float64]) -> float:
    a, b, c, d, x, y = (float(number) for number in numbers)
    values = spectrum.lines(carriers.pilot_P2, (a, b, c, d)) * carriers.pilot_P.conj()
    return float((values * _turned_back(carriers.pilot_P2, (x, y))).real.sum() / len(values) ** 0.5)


def soft_bits(spectrum: LevelSpectrum, carriers: Carriers, place: Place) -> NDArray[np.float32]:
    """Return the 512 soft values at `place`, about standard normal each without a mark."""
    values = spectrum.lines(carriers.data_D2, place.matrix) * _turned_back(carriers.data_D2, place.shift)
    parts_D2 = np.stack([values.real, values.imag], axis=1) * carriers.chips_D2
    soft = np.bincount(carriers.bits_D2.ravel(), parts_D2.ravel(), NUM_CODED)
    return np.asarray(soft / (carriers.bits_D2.size / NUM_CODED) ** 0.5, np.float32)


def _turned_back(lines_L2: NDArray[np.float64], shift: tuple[float, float]) -> NDArray[np.complex64]:
    return np.asarray(np.exp(2j * np.pi / TILE * (lines_L2 @ np.array(shift))), np.complex64)
