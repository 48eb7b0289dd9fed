"""Charts as inline SVG: bars and a time line, drawn in the page's own colours so that they print and turn dark with it.

Everything is a shape or a text; nothing refers to anything outside.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from db.terminal import safe_text

_WIDTH = 720
_ROW = 26
_BAR = 14
_LABEL = 250
_VALUE = 130
_LABEL_CHARACTERS = 36
_TIMELINE_HEIGHT = 132
_AXIS = 92
_MARGIN = 12
_LANES = 4
_TICKS = 5
"""Days along the time line, besides today, that there is room to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: what it is of, how long it is, and the words at its end."""

    label: str
    value: float
    text: str
    style: str = "plain"
    """The class of the bar, which the page colours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something at a day of the time line."""

    day: float
    """Days from the left end."""
    weight: float
    """What decides its size, such as clips."""
    style: str
    label: str


def bars(rows: Sequence[Bar], *, title: str) -> str:
    """Draw horizontal bars, the longest as wide as there is room; `title` is read to those who cannot see it."""
    longest = max((row.value for row in rows), default=0.0) or 1.0
    room = _WIDTH - _LABEL - _VALUE
    parts = []
    for number, row in enumerate(rows):
        top = number * _ROW + (_ROW - _BAR) / 2
        # What is there is seen, however little it is.
        width = max(1.5, room * row.value / longest) if row.value > 0 else 0.0
        baseline = number * _ROW + _ROW / 2 + 4.5
        parts.append(
            f'<text class="label" x="{_LABEL - 10}" y="{baseline:.1f}" text-anchor="end">{_short(row.label)}</text>'
            f'<rect class="{row.style}" x="{_LABEL}" y="{top:.1f}" width="{width:.1f}" height="{_BAR}"/>'
            f'<text class="value" x="{_LABEL + width + 8:.1f}" y="{baseline:.1f}">{_safe(row.text)}</text>'
        )
    axis = f'<line class="axis" x1="{_LABEL}" x2="{_LABEL}" y1="0" y2="{len(rows) * _ROW}"/>'
    return _svg("".join(parts) + axis, len(rows) * _ROW, title)


def timeline(marks: Sequence[Mark], *, begin: dt.date, days: int, title: str) -> str:
    """Draw marks along some days, with a line at every thirty; the area of a mark goes with its weight."""
    room = _WIDTH - 2 * _MARGIN
    heaviest = max((mark.weight for mark in marks), default=0.0) or 1.0
    parts = [f'<line class="axis" x1="{_MARGIN}" x2="{_WIDTH - _MARGIN}" y1="{_AXIS}" y2="{_AXIS}"/>']
    for day in _ticks(days):
        x = _MARGIN + room * day / max(days, 1)
        anchor = "start" if day == 0 else "end" if day == days else "middle"
        date = begin + dt.timedelta(days=day)
        words = "today" if day == 0 else f"{day} days"
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="8" y2="{_AXIS + 5}"/>'
            f'<text class="label" x="{x:.1f}" y="{_AXIS + 20}" text-anchor="{anchor}">{words}</text>'
            f'<text class="soft" x="{x:.1f}" y="{_AXIS + 35}" text-anchor="{anchor}">{date.isoformat()}</text>'
        )
    for number, mark in enumerate(sorted(marks, key=lambda m: m.day)):
        x = _MARGIN + room * min(max(mark.day, 0.0), days) / max(days, 1)
        y = _AXIS - 12 - (number % _LANES) * 19
        radius = 4 + 5 * (mark.weight / heaviest) ** 0.5
        parts.append(
            f'<circle class="{mark.style}" cx="{x:.1f}" cy="{y}" r="{radius:.1f}">'
            f"<title>{_safe(mark.label)}</title></circle>"
        )
    return _svg("".join(parts), _TIMELINE_HEIGHT, title)


def _ticks(days: int) -> list[int]:
    """Return today, every thirty days while there is room for the words, and the last day."""
    step = 30 * max(1, -(-days // (30 * _TICKS)))
    inner = [day for day in range(step, days, step) if days - day > 0.8 * step]
    return sorted({0, *inner, days})


def _svg(content: str, height: float, title: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {height:.0f}" role="img" aria-label="{_safe(title)}">'
        f"{content}</svg>"
    )


def _short(text: str) -> str:
    shown = safe_text(text)
    return escape(shown if len(shown) <= _LABEL_CHARACTERS else f"{shown[: _LABEL_CHARACTERS - 1]}…")


def _safe(text: str) -> str:
    return escape(safe_text(text))
