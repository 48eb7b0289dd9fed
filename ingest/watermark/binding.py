"""Soft bindings: what every method that hides an id in the picture can be asked, and ours.

A soft binding (C2PA 2.4, 9.3) finds the credentials of a film that lost them. It proves nothing: it says which record
to look at, and the pictures must then be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ingest.watermark.keys import WatermarkKey
from ingest.watermark.marking import mark_frames
from ingest.watermark.reading import MarkReading, read_mark

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPREAD_SPECTRUM_ALG = "org.cleartitle.ss1"
"""The name in the soft-binding assertion; not on C2PA's list of algorithms. A change to the pattern gets a new name."""


class SoftBinding(Protocol):
    """A method of hiding a 64-bit id in the picture."""

    @property
    def alg(self) -> str:
        """The name of the method in a manifest."""
        ...

    def mark_frames(self, frames: Iterable[NDArray[np.uint8]], mark_id: int) -> Iterator[NDArray[np.uint8]]:
        """Yield `frames` (uint8 RGB HWC) with `mark_id` in them, one by one."""
        ...

    def read_mark(self, path: Path, *, max_seconds: float = 30) -> MarkReading:
        """Look for an id in the film at `path`."""
        ...


@dataclass(frozen=True, kw_only=True)
class SpreadSpectrum:
    """Our keyed spread-spectrum mark behind that interface."""

    key: WatermarkKey

    @property
    def alg(self) -> str:
        """The name of the method in a manifest."""
        return SPREAD_SPECTRUM_ALG

    def mark_frames(self, frames: Iterable[NDArray[np.uint8]], mark_id: int) -> Iterator[NDArray[np.uint8]]:
        """Yield marked frames; raises as `ingest.watermark.marking.mark_frames`."""
        return mark_frames(frames, mark_id, self.key)

    def read_mark(self, path: Path, *, max_seconds: float = 30) -> MarkReading:
        """Read a mark; raises as `ingest.watermark.reading.read_mark`."""
        return read_mark(path, self.key, max_seconds=max_seconds)
