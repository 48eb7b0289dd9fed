"""The base of every error cleartitle raises on purpose.

Three families decide what the process answers (the numbers themselves are set in `cleartitle.py` alone):
`RefusedError` is a definite no, `ConfigError` a mistake in usage or configuration, `UndecidedError` means
that the question could not be answered. Anything else that escapes is our bug.
"""

from __future__ import annotations


class Error(Exception):
    """An error with a message for the user and, where the user can do something about it, a hint."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class RefusedError(Error):
    """The answer is no: a finding, a failed verification, a refusal."""


class ConfigError(Error):
    """The request itself is wrong: an unknown name, a bad table, a bad configuration file."""


class UndecidedError(Error):
    """The question could not be decided: unreadable media, no manifest, a missing database or dependency."""


class ConflictError(UndecidedError):
    """Another process recorded the same thing at the same moment; nothing was written, and trying again helps."""


class AnsweredNo(RefusedError):
    """The answer is no and has already been printed; nothing more is to be said."""


class AnsweredMisuse(ConfigError):
    """The request was partly wrong and that has already been printed; what was right has been done."""


class AnsweredUndecided(UndecidedError):
    """The question stays open and that has already been printed; nothing more is to be said."""
