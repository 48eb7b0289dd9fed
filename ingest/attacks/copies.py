"""Disguised copies: the product's own maker of the edits that people hide a copied clip behind.

The demo, the tests, the benchmarks and the calibration measure the detector with it. Sound is not carried over.
Edits of the picture are in `ingest.attacks.edits`, of the times in `ingest.attacks.times`, those that need a second
film in `ingest.attacks.hosts`; here they are put together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from db.errors import ConfigError
from ingest.attacks.edits import (
    Blur,
    BlurredPadding,
    Caption,
    Corner,
    Crop,
    CropToAspect,
    Grey,
    Letterbox,
    Logo,
    Mirror,
    PictureEdit,
    Recolour,
    Resize,
    Rotate,
)
from ingest.attacks.film import Picture, read_film, write_film
from ingest.attacks.hosts import Host, Insert, Inset, Side, SideBySide
from ingest.attacks.times import Excerpt, FrameRate, Noise, Speed

__all__ = [
    "Blur",
    "BlurredPadding",
    "Caption",
    "Corner",
    "Crop",
    "CropToAspect",
    "Excerpt",
    "FrameRate",
    "Grey",
    "Host",
    "Insert",
    "Inset",
    "Letterbox",
    "Logo",
    "Mirror",
    "Noise",
    "PictureEdit",
    "Recolour",
    "Reencode",
    "Resize",
    "Rotate",
    "Side",
    "SideBySide",
    "Speed",
    "Transform",
    "copied_seconds",
    "disguise",
    "encoding_crf",
    "write_copy",
]

_FULL_SIZE = 10_000
_DEFAULT_CRF = 23


@dataclass(frozen=True)
class Reencode:
    """Compress with constant rate factor `crf` (H.264; 23 is ordinary, 40 is poor)."""

    crf: int


PixelEdit = (
    Mirror
    | Crop
    | CropToAspect
    | Resize
    | Rotate
    | Caption
    | Logo
    | Letterbox
    | BlurredPadding
    | Grey
    | Recolour
    | Blur
)
TimeEdit = Excerpt | Speed | FrameRate | Noise
HostedEdit = Insert | Inset | SideBySide
Transform = PixelEdit | TimeEdit | HostedEdit | Reencode


def write_copy(
    source: Path,
    destination: Path,
    *,
    transforms: Sequence[Transform],
    host: Host | None = None,
    short_side: int = _FULL_SIZE,
) -> int:
    """Write `source` as an H.264 MP4 with `transforms` done to it in order; return the number of frames.

    Both films are first reduced to a short side of at most `short_side`. Unless told otherwise pictures keep
    their times. The file appears under its name only when it is complete.

    Raises `MediaError` if a film cannot be read, `ConfigError` if an excerpt holds no frame of it, or if a transform
    needs a host and there is none.
    """
    film = read_film(source, short_side=short_side)
    if transforms and isinstance(cut := transforms[0], Excerpt):
        # The same pictures, but those before the excerpt are not even converted.
        film = read_film(source, short_side=short_side, start_seconds=cut.start_seconds, seconds=cut.seconds)
        transforms = transforms[1:]
    host_film = None
    if host is not None:
        host_film = read_film(host.path, short_side=short_side, start_seconds=host.start_seconds)
    copy = iter(disguise(film, transforms, host_film))
    first = next(copy, None)
    if first is None:
        raise ConfigError(f"no frame of {source.name} lies inside the excerpt")
    return write_film(chain([first], copy), destination, crf=encoding_crf(transforms))


def disguise(
    film: Iterable[Picture], transforms: Sequence[Transform], host_film: Iterable[Picture] | None
) -> Iterable[Picture]:
    """Return `film` with `transforms` done to it in order; how it is encoded is not seen to here.

    Raises `ConfigError` unless there is one hosted edit at most, and a host for it.
    """
    if sum(isinstance(edit, HostedEdit) for edit in transforms) > 1:
        raise ConfigError("a copy can be hidden in one host only")
    for edit in transforms:
        if isinstance(edit, HostedEdit):
            if host_film is None:
                raise ConfigError(f"{type(edit).__name__} needs a host film")
            film = edit.over(film, host_film)
        elif isinstance(edit, TimeEdit):
            film = edit.over(film)
        elif not isinstance(edit, Reencode):
            film = _edited(film, edit)
    return film


def encoding_crf(transforms: Iterable[Transform]) -> int:
    """Return the constant rate factor to write a copy with."""
    return next((edit.crf for edit in transforms if isinstance(edit, Reencode)), _DEFAULT_CRF)


def copied_seconds(transforms: Iterable[Transform], seconds: float) -> tuple[float, float]:
    """Return from when to when a copy with these `transforms`, excerpts aside, shows the `seconds` it was made from.

    Exact, give or take one picture where a `FrameRate` is among them; a host is taken to be long enough.
    """
    start, end = 0.0, seconds
    for edit in transforms:
        if isinstance(edit, Speed):
            start, end = start / edit.factor, end / edit.factor
        elif isinstance(edit, Insert):
            start, end = start + edit.before_seconds, end + edit.before_seconds
    return start, end


def _edited(film: Iterable[Picture], edit: PictureEdit) -> Iterator[Picture]:
    for picture in film:
        yield replace(picture, image=edit.apply(picture.image))
