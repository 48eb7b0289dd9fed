"""Errors of the governance layer."""

from __future__ import annotations

from db.errors import ConfigError, RefusedError, UndecidedError


class PolicyError(ConfigError):
    """A policy file is malformed; the message names the file and the place."""


class VerificationError(RefusedError):
    """A signature, digest or link in the chain of title does not hold."""


class NoManifest(UndecidedError):
    """The file carries no Content Credentials: nothing can be said of it, which is never a pass."""


class SnapshotError(RefusedError):
    """A snapshot must not be used: tampered, expired, recalled or empty."""


class SigningError(UndecidedError):
    """A manifest could not be signed; nothing was written."""
