"""A polar code (Arikan 2009) with successive-cancellation list decoding (Tal & Vardy 2015), in numpy.

The N positions are ranked by polarisation weight with beta = 2^(1/4) (He et al. 2017, "Beta-expansion", the rule behind
the sequence of 5G), which depends on no channel. Metrics are those of the min-sum decoder on log-likelihood ratios
(Balatsoukas-Stimming et al. 2015, equation 11b).

Shapes: N coded bits, K information bits, L paths of the list. A ratio above 0 speaks for bit 0.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUM_CODED = 512
_STAGES = 9


@cache
def _information_positions(num_information: int) -> tuple[int, ...]:
    """Return the most reliable positions, ascending."""
    weights = [
        sum(2 ** (stage / 4) for stage in range(_STAGES) if position >> stage & 1)
        for position in range(NUM_CODED)
    ]
    ranked = sorted(range(NUM_CODED), key=lambda position: weights[position])
    return tuple(sorted(ranked[-num_information:]))


def encode(bits_K: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the 512 coded bits of `bits_K`."""
    word = np.zeros(NUM_CODED, np.uint8)
    word[list(_information_positions(len(bits_K)))] = bits_K
    return _transform(word)


def _transform(word: NDArray[np.uint8]) -> NDArray[np.uint8]:
    coded = word.copy()
    for stage in range(_STAGES):
        pairs = coded.reshape(-1, 2, 1 << stage)
        pairs[:, 0] ^= pairs[:, 1]
    return coded


def decode(ratios_N: NDArray[np.float32], num_information: int, num_paths: int) -> NDArray[np.uint8]:
    """Return the `num_paths` (a power of 2) most likely information words as LK, the best first."""
    decoder = _ListDecoder(ratios_N.astype(np.float32), num_information, num_paths)
    return decoder.run()


class _ListDecoder:
    """Walks the code tree once. Node arrays are LN-shaped; every path owns one row of each."""

    def __init__(self, ratios_N: NDArray[np.float32], num_information: int, num_paths: int) -> None:
        self._is_information = np.zeros(NUM_CODED, bool)
        self._is_information[list(_information_positions(num_information))] = True
        self._num_paths = num_paths
        self._metrics = np.zeros(1, np.float32)
        # By stage: the ratios that came down, and the left child's coded bits that wait for the right's.
        self._ratios: dict[int, NDArray[np.float32]] = {_STAGES: ratios_N[None]}
        self._left: dict[int, NDArray[np.uint8]] = {}
        self._decided: list[NDArray[np.uint8]] = []

    def run(self) -> NDArray[np.uint8]:
        """Return the information words, best metric first."""
        self._visit(_STAGES, 0)
        order = np.argsort(self._metrics, kind="stable")
        return np.stack(self._decided, axis=1)[order]

    def _visit(self, stage: int, start: int) -> NDArray[np.uint8]:
        """Decide the 2^stage positions from `start` on; returns their coded bits, one row a path."""
        size = 1 << stage
        if not self._is_information[start : start + size].any():
            ratios = self._ratios[stage]
            # Every bit of a frozen subtree is 0; what the ratios say against it is the price.
            self._metrics = self._metrics + np.maximum(-ratios, 0).sum(axis=1)
            return np.zeros((len(ratios), size), np.uint8)
        if stage == 0:
            return self._fork()
        half = size // 2
        ratios = self._ratios[stage]
        first, second = ratios[:, :half], ratios[:, half:]
        self._ratios[stage - 1] = np.sign(first) * np.sign(second) * np.minimum(np.abs(first), np.abs(second))
        self._left[stage] = self._visit(stage - 1, start)
        # Paths may have been forked below: take the rows anew.
        ratios, left = self._ratios[stage], self._left[stage]
        self._ratios[stage - 1] = ratios[:, half:] + (1 - 2 * left.astype(np.float32)) * ratios[:, :half]
        right = self._visit(stage - 1, start + half)
        return np.concatenate([self._left.pop(stage) ^ right, right], axis=1)

    def _fork(self) -> NDArray[np.uint8]:
        """Decide one information bit both ways and keep the best paths."""
        ratio = self._ratios[0][:, 0]
        metrics = np.concatenate(
            [self._metrics + np.maximum(-ratio, 0), self._metrics + np.maximum(ratio, 0)]
        )
        keep = np.sort(np.argsort(metrics, kind="stable")[: self._num_paths])
        rows, bits = keep % len(ratio), (keep >= len(ratio)).astype(np.uint8)
        self._metrics = metrics[keep]
        self._ratios = {stage: ratios[rows] for stage, ratios in self._ratios.items()}
        self._left = {stage: left[rows] for stage, left in self._left.items()}
        self._decided = [decided[rows] for decided in self._decided] + [bits]
        return bits[:, None]
