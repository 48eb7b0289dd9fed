"""Errors of base models and adapters."""

from __future__ import annotations

from db.errors import ConfigError, RefusedError


class BaseModelError(ConfigError):
    """A folder, or what is said of it, cannot be taken on record as a base model."""


class BaseModelChanged(RefusedError):
    """A base model is not, file by file, the one that is on record."""


class BaseModelRefused(RefusedError):
    """A policy forbids what is to be done with a base model; the message names the clause."""
