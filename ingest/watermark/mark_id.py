"""The number that a clip is marked with."""

from __future__ import annotations

from db.errors import ConfigError

ID_BITS = 64


def check_mark_id(mark_id: int) -> None:
    """Raise `ConfigError` unless `mark_id` fits 64 bits."""
    if not 0 <= mark_id < 1 << ID_BITS:
        raise ConfigError(f"the watermark id {mark_id} is not an unsigned number of {ID_BITS} bits")
