"""Cadence: whether the frames of an asset come at a steady rate, known only once all have been seen."""

from __future__ import annotations

from db.vocabularies import Tri


class CadenceMeter:
    """Fed the pts of every frame in order, tells whether the frame rate varies. Holds three numbers."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._shortest: int | None = None
        self._longest: int | None = None

    def push(self, pts: int) -> None:
        """Take the next frame's time stamp."""
        if self._last is not None:
            step = pts - self._last
            self._shortest = step if self._shortest is None else min(step, self._shortest)
            self._longest = step if self._longest is None else max(step, self._longest)
        self._last = pts

    @property
    def is_variable(self) -> Tri:
        """Unknown below two frames. Steps that differ by one tick or by 5 % are rounding, not variation."""
        if self._shortest is None or self._longest is None:
            return Tri.UNKNOWN
        tolerance = max(1, self._shortest // 20)
        return Tri.YES if self._longest - self._shortest > tolerance else Tri.NO
