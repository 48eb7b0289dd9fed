"""Errors of the quality card."""

from __future__ import annotations

from db.errors import UndecidedError


class NotMeasurable(UndecidedError):
    """A clip is too long or too large for a card, or its card cannot be used."""
