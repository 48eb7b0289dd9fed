"""Keeping Python's cycle collector out of passes that make millions of short-lived objects."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG_OBJECTS = 200_000
"""Objects between two looks at the youngest: a hundred times the default."""


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Have the collector look rarely, and not at what is there already.

    Records are freed when the last name for them goes; looking through all of them for cycles took two fifths of the
    time of deciding a million clips (docs/benchmarks.md).
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
