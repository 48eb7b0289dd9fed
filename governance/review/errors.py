"""Errors of the review desk."""

from __future__ import annotations

from db.errors import ConflictError, RefusedError


class ReviewRefused(RefusedError):
    """A verdict that this person, or nobody, may give."""


class DecidedMeanwhile(ConflictError):
    """Somebody recorded a verdict on the same footage after it was looked at; nothing was written."""
