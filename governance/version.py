"""The version that signed artefacts name as their generator."""

from __future__ import annotations

from importlib.metadata import version

VERSION = version("cleartitle")
