"""Errors of catalogues."""

from __future__ import annotations

from db.errors import ConfigError


class CatalogueError(ConfigError):
    """A catalogue cannot be used at all: no sheet that is known, a column missing or not known, changed meanwhile."""
