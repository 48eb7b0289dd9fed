"""The last time that the library was decided: what was on record then, and whether that still holds.

While nothing was added to any table of evidence, and no day ended for any recorded term, the decisions of then are
those of now.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy.orm import Session

from db.clock import rfc3339
from db.events import newest_event
from db.marks import does_a_day_end_between, evidence_marks
from governance.facts.facts import SCHEMA_VERSION
from governance.facts.matches import Comparison
from governance.policy.policy import Policy
from governance.version import VERSION
from ingest.signals.protocols import protocol_list


def pass_state(
    session: Session, policy: Policy, comparison: Comparison, as_of: dt.datetime
) -> dict[str, Any]:
    """Return what the decisions of a pass over the library follow from, as the event of the pass records it."""
    return {
        # Another version may make other facts of the same evidence.
        "version": VERSION,
        "facts_schema": SCHEMA_VERSION,
        "protocols": protocol_list().version,
        "policy_digest": policy.digest,
        "encoder": comparison.encoder_digest,
        "detector": comparison.detector_digest,
        "is_reference_covered": comparison.is_reference_covered,
        "marks": evidence_marks(session),
        "as_of": rfc3339(as_of),
    }


def is_as_it_was(session: Session, policy: Policy, comparison: Comparison, as_of: dt.datetime) -> bool:
    """Return whether the last pass under `policy` would give the same decisions now, without making it again."""
    event = newest_event(session, kind="library.decided", subject=policy.name)
    if event is None or "marks" not in event.payload:
        return False
    then = dict(event.payload)
    now = pass_state(session, policy, comparison, as_of)
    if any(then.get(name) != now[name] for name in now.keys() - {"as_of"}):
        return False
    return not does_a_day_end_between(session, dt.datetime.fromisoformat(then["as_of"]), as_of)
