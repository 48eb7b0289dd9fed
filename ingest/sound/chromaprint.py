"""Chromaprint: the adapter to the engine that fingerprints sound (pyacoustid and the shared library libchromaprint).

The library is optional: where it, or the package, is missing, nothing here fails on import, and `open_engine` says so.

The numbers are those of its default algorithm, read from its sources (`fingerprinter_configuration`,
`fingerprint_calculator`, `chroma_filter`) and confirmed on library 1.5.1: mono sound at 11,025 Hz is cut into frames of
4,096 samples, each 1,365 samples (123.8 ms) after the last; five neighbouring frames are smoothed into one chroma
vector; an item is 16 two-bit answers to questions about the chroma vectors from its own on. Each question looks at a
number of vectors of its own, 16 at most: an item covers 20 frames, 2.72 s from its start.

Shapes: N items; K samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALGORITHM = "chromaprint test2"
SAMPLE_RATE = 11_025
FRAME_SAMPLES = 4_096
HOP_SAMPLES = 1_365
_SMOOTHED_FRAMES = 5
_QUESTION_VECTORS = (15, 15, 16, 12, 8, 5, 9, 4, 16, 2, 15, 10, 14, 4, 12, 14)
"""How many chroma vectors each question looks at; the first question is the two highest bits of an item."""
FRAMES_BY_BIT = tuple(vectors + _SMOOTHED_FRAMES - 1 for vectors in _QUESTION_VECTORS for _ in range(2))
"""How many frames, counted from the item's own, decide each bit; the highest bit comes first."""
ITEM_FRAMES = max(FRAMES_BY_BIT)
ITEM_SAMPLES = (ITEM_FRAMES - 1) * HOP_SAMPLES + FRAME_SAMPLES
HOP_SECONDS = HOP_SAMPLES / SAMPLE_RATE
ITEM_SECONDS = ITEM_SAMPLES / SAMPLE_RATE


class EngineMissing(Exception):
    """Sound cannot be fingerprinted on this machine; the message says what to install."""


class Engine:
    """Fingerprints one stream of sound; holds its items only, however long it is."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._printer = module.Fingerprinter(module.Fingerprinter.ALGORITHM_TEST2)
        self._printer.start(SAMPLE_RATE, 1)

    def feed(self, samples_K: NDArray[np.int16]) -> None:
        """Take the next samples, mono at `SAMPLE_RATE`."""
        self._printer.feed(samples_K.astype("=i2", copy=False).tobytes())

    def finish(self) -> NDArray[np.uint32]:
        """Return the items: item i begins with sample i * `HOP_SAMPLES`; none if there are under `ITEM_SAMPLES`."""
        items, _ = self._module.decode_fingerprint(self._printer.finish())
        return np.array(items, dtype=np.uint32)


def open_engine() -> Engine:
    """Start a fingerprint; raises `EngineMissing` without the package or its library."""
    try:
        import chromaprint
    except ImportError as exc:
        what = (
            "the package pyacoustid" if isinstance(exc, ModuleNotFoundError) else "the library libchromaprint"
        )
        raise EngineMissing(f"{what} is missing: install pyacoustid and, on Debian, libchromaprint1") from exc
    return Engine(chromaprint)
