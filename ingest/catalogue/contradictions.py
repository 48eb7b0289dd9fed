"""Grants that contradict each other: one prohibits what another permits, of the same footage, place and time.

Both are recorded; nobody but a person can say which holds, and until somebody does the decision holds the footage.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from db.stated_grants import RivalGrants, rival_grants
from ingest.rights.territories import WORLD

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

MAX_SHOWN = 100


def contradictions(session: Session, table_path: str) -> list[str]:
    """Describe the contradictions that the grants of `table_path` are part of, at most `MAX_SHOWN`."""
    found: dict[str, None] = {}
    for pair in rival_grants(session, table_path):
        for text in _described(pair):
            found[text] = None
        if len(found) >= MAX_SHOWN:
            break
    return list(found)


def _described(pair: RivalGrants) -> Iterator[str]:
    uses = sorted({*pair.prohibited_uses} & {*pair.permitted_uses})
    if (
        uses
        and _share_a_place(pair.places, pair.other_places)
        and _share_a_time(pair.times, pair.other_times)
    ):
        yield f"{pair.grant_ref} prohibits {', '.join(uses)}, {pair.other_ref} permits it: {pair.scope}"


def _share_a_place(some: Sequence[str], others: Sequence[str]) -> bool:
    """An unstated territory may be any."""
    if not some or not others or WORLD in some or WORLD in others:
        return True
    return any(_is_within(one, other) or _is_within(other, one) for one in some for other in others)


def _is_within(place: str, other: str) -> bool:
    """A part of a country is within it."""
    return place == other or place.startswith(f"{other}-")


_Times = tuple[dt.datetime | None, dt.datetime | None]


def _share_a_time(some: _Times, others: _Times) -> bool:
    return _begins_before(some[0], others[1]) and _begins_before(others[0], some[1])


def _begins_before(start: dt.datetime | None, end: dt.datetime | None) -> bool:
    return start is None or end is None or start < end
