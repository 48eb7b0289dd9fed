"""The current time, in one place."""

from __future__ import annotations

import datetime as dt


def utc_now() -> dt.datetime:
    """Return the current time in UTC, to the second: times are signed and shown, not measured with."""
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


def rfc3339(time: dt.datetime) -> str:
    """Return `time` (aware) as RFC 3339 text in UTC, such as `2026-11-22T10:00:00Z`."""
    return time.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def earliest(*times: dt.datetime | None) -> dt.datetime | None:
    """Return the earliest of the times that are stated, `None` if none is."""
    stated = [time for time in times if time is not None]
    return min(stated) if stated else None
