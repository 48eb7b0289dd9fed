"""Hosted edits of the attack maker: a copy hidden in another film, the host.

The finished film has the host's picture size. Where both are seen at once it keeps the copy's pictures, one for
one, and ends with the shorter of the two.

Shapes: pictures are RGB uint8 HWC.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from db.errors import ConfigError
from ingest.attacks.edits import Corner
from ingest.attacks.film import Picture, clipped, exact_seconds, fitted, scaled

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Host:
    """The film that a copy is hidden in, and from which of its seconds on."""

    path: Path
    start_seconds: float = 0.0


class Side(enum.StrEnum):
    """A half of the picture."""

    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True)
class Insert:
    """Show the host, then the copy, whole, between black bars if need be, then the host again."""

    before_seconds: float
    after_seconds: float

    def over(self, film: Iterable[Picture], host: Iterable[Picture]) -> Iterator[Picture]:
        """Yield the joined film. Raises `ConfigError` if the host does not go on after the copy."""
        before = exact_seconds(self.before_seconds)
        rest = clipped(host, Fraction(0), before + exact_seconds(self.after_seconds))
        cut: Picture | None = None
        for cut in rest:
            if cut.end > before:
                break
            yield cut
        if cut is None or cut.end <= before:
            raise ConfigError(f"the host is not longer than the {self.before_seconds:g} s before the copy")
        if cut.begin < before:
            yield replace(cut, end=before)
        height, width = cut.image.shape[:2]
        now = before
        for picture in film:
            now = before + picture.end
            yield Picture(before + picture.begin, now, fitted(picture.image, width, height))
        for picture in chain([cut], rest):
            begin = now + max(picture.begin - before, Fraction(0))
            yield replace(picture, begin=begin, end=now + picture.end - before)


@dataclass(frozen=True)
class Inset:
    """Show the copy as a picture in the picture of the host."""

    width: float
    """Of the inset, as a share of the host's. Less where it would not fit between the upper and the lower edge."""
    corner: Corner = Corner.BOTTOM_RIGHT
    margin: float = 0.03
    """Between the inset and the edges, as a share of the host's short side."""

    def over(self, film: Iterable[Picture], host: Iterable[Picture]) -> Iterator[Picture]:
        """Yield the host with the copy in its corner."""
        for picture, backdrop in _together(film, host):
            height, width = backdrop.shape[:2]
            margin = round(self.margin * min(height, width))
            columns, rows = self._size(picture.image.shape[:2], (height - 2 * margin, width))
            canvas = backdrop.copy()
            self.corner.paste(scaled(picture.image, columns, rows), canvas, margin)
            yield replace(picture, image=canvas)

    def _size(self, copy: tuple[int, int], room: tuple[int, int]) -> tuple[int, int]:
        """Return (width, height) of the inset: its share of the width, less if it would not fit below the edge."""
        scale = min(self.width * room[1] / copy[1], room[0] / copy[0])
        return max(2, round(copy[1] * scale)), max(2, round(copy[0] * scale))


@dataclass(frozen=True)
class SideBySide:
    """Show the copy in one half of the picture and the host in the other, both whole, between black bars."""

    side: Side = Side.LEFT
    """Where the copy is."""

    def over(self, film: Iterable[Picture], host: Iterable[Picture]) -> Iterator[Picture]:
        """Yield the two beside each other."""
        for picture, backdrop in _together(film, host):
            height, width = backdrop.shape[:2]
            halves = [fitted(image, width // 2, height) for image in (picture.image, backdrop)]
            if self.side is Side.RIGHT:
                halves.reverse()
            yield replace(picture, image=np.concatenate(halves, axis=1))


def _together(
    film: Iterable[Picture], host: Iterable[Picture]
) -> Iterator[tuple[Picture, NDArray[np.uint8]]]:
    """Yield each picture of `film` with the host's picture that is on when it appears."""
    rest = iter(host)
    backdrop = next(rest, None)
    for picture in film:
        while backdrop is not None and backdrop.end <= picture.begin:
            backdrop = next(rest, None)
        if backdrop is None:
            return
        yield picture, backdrop.image
