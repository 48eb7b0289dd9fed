"""Decisions that are out of date: today's facts would give another."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator

from sqlalchemy.orm import Session

from db import decisions
from governance.decisions.clearance import decided_pages
from governance.decisions.last_pass import is_as_it_was
from governance.facts.matches import Comparison
from governance.policy.policy import Policy


def stale_by_asset(
    session: Session, policy: Policy, comparison: Comparison, *, as_of: dt.datetime
) -> Iterator[tuple[int, int]]:
    """Yield (asset id, number of its clips whose decision is not the one that the facts give), in order of id.

    Clips without a decision are no part of it. Rulings that nobody met before are written: roll the session back.
    """
    if is_as_it_was(session, policy, comparison, as_of):
        return
    for page in decided_pages(session, policy, comparison, as_of=as_of):
        current = decisions.current_basis(session, policy.name, [item.clip.id for item in page])
        stale = Counter(clip.asset_id for clip, _, basis in page if basis != current.get(clip.id, basis))
        yield from sorted(stale.items())
