"""Errors of the package that reads rights signals."""

from __future__ import annotations

from db.errors import ConfigError


class CaptureError(ConfigError):
    """A capture folder cannot be used: no index, or a line of it that is not a capture."""


class UnreadableError(Exception):
    """Something was said, and it is not known what. It never leaves the package: readers make a signal of it."""
