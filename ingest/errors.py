"""Errors of the ingest layer."""

from __future__ import annotations

from functools import partial
from typing import Any

from db.errors import ConfigError, UndecidedError


class MediaError(UndecidedError):
    """A file could not be read as video. `code` is a stable dotted reason such as `media.truncated`."""

    def __init__(self, message: str, *, code: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it travel between processes: `code` is given by name alone."""
        return partial(MediaError, code=self.code, hint=self.hint), self.args


class DigestMismatch(UndecidedError):
    """The bytes on disk are not the bytes that were recorded."""


class EncoderError(ConfigError):
    """An encoder is unknown, its weights are missing, or an index belongs to another encoder."""


class RightsTableError(ConfigError):
    """A rights table cannot be used at all (unreadable, empty, required columns missing)."""
