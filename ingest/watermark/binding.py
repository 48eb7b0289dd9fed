"""Soft bindings: what every method that hides an id in the picture can be asked, ours, and which one a project has.

A soft binding (C2PA 2.4, 9.3) finds the credentials of a film that lost them. It proves nothing: it says which record
to look at, and the pictures must then be compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from db.errors import ConfigError
from db.project import Project
from ingest.watermark.keys import WATERMARK_KEY_FILE, WatermarkKey, load_watermark_key
from ingest.watermark.mark_reading import MarkReading
from ingest.watermark.marking import mark_frames
from ingest.watermark.reading import PatternReading, read_mark
from ingest.watermark.trustmark_payload import TRUSTMARK_VARIANTS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPREAD_SPECTRUM_ALG = "org.cleartitle.ss1"
"""The name in the soft-binding assertion; not on C2PA's list of algorithms. A change to the pattern gets a new name."""

DEFAULT_SPEC = "default"
_TRUSTMARK_SPEC = re.compile(rf"trustmark:([{''.join(TRUSTMARK_VARIANTS)}])@(.+)")


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

    def read_mark(self, path: Path, *, max_seconds: float = 30) -> PatternReading:
        """Read a mark; raises as `ingest.watermark.reading.read_mark`."""
        return read_mark(path, self.key, max_seconds=max_seconds)


def open_soft_binding(project: Project) -> SoftBinding:
    """Open the method that clips of `project` are marked with.

    Raises `ConfigError` if the setting is not understood, or what it needs (our key, TrustMark's files) is not there,
    `UndecidedError` as `ingest.watermark.trustmark.open_trustmark`.
    """
    trustmark = open_project_trustmark(project)
    return trustmark or SpreadSpectrum(key=load_watermark_key(project.keys / WATERMARK_KEY_FILE))


def open_project_trustmark(project: Project) -> SoftBinding | None:
    """Open TrustMark if clips of `project` are marked with it. Raises as `open_soft_binding`."""
    spec = project.settings.watermark
    if spec == DEFAULT_SPEC:
        return None
    match = _TRUSTMARK_SPEC.fullmatch(spec)
    if match is None:
        raise ConfigError(
            f"watermark {spec!r} is not understood",
            hint="write 'default', or 'trustmark:P@FOLDER' where FOLDER holds the weights (P, Q or C)",
        )
    from ingest.encoders.compute import choose_compute
    from ingest.watermark.trustmark import open_trustmark

    return open_trustmark(match[1], project.root / Path(match[2]).expanduser(), str(choose_compute().device))
