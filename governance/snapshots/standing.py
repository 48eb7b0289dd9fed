"""Whether the clips of a sealed snapshot are still cleared: asked while a run goes on, and cheap while nothing changes.

A clip can be withdrawn without its snapshot being recalled: a correction of the rights table, an agreement that was
ended, a signal that was read, a reviewer's verdict. All of those add rows. So today's facts are put to the policy of
the snapshot, as its document has it and with the near-duplicate search that it states, when a row was added or a day
ended since the last time, and not otherwise. What is not cleared any more, whether excluded or held, is withdrawn.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from db import queries
from db.marks import does_a_day_end_between, evidence_marks
from db.project import Project
from db.records import AssetRecord
from db.vocabularies import Outcome
from governance.decisions.clearance import Decider
from governance.decisions.reviewed import Verdicts
from governance.decisions.rulings import Ruling, Rulings
from governance.facts.clips import FactsOfClips
from governance.facts.matches import Comparison
from governance.policy.policy import Policy
from governance.policy.reading import parse_policy
from governance.snapshots.snapshot import Snapshot, find_record, verified_document

_PAGE = 200


@dataclass(frozen=True, kw_only=True)
class Withdrawal:
    """A clip that was sealed as cleared and is not any more."""

    clip_id: str
    outcome: Outcome
    code: str
    """Of the first reason."""
    because: str

    def __str__(self) -> str:
        """Say it in a line."""
        return (
            f"clip {self.clip_id} is not cleared any more ({self.outcome.value}, {self.code}: {self.because})"
        )


class Standing:
    """Today's standing of the clips of one snapshot that a run may train on."""

    def __init__(self, project: Project, snapshot: Snapshot) -> None:
        """Prepare to ask. Raises `SnapshotError` or `VerificationError` if the document does not hold."""
        self._project = project
        document = verified_document(project, find_record(project, snapshot.name))
        text, name = document["policy"]["text"], document["policy"]["name"]
        self._policy: Policy = parse_policy(text.encode(), name)
        self._comparison = _comparison(document["comparison"])
        self._clip_ids = {span.clip_id for span in snapshot.clips}
        self._assets = sorted({span.asset_sha256 for span in snapshot.clips})
        self._asked_at: dt.datetime | None = None
        self._marks: Mapping[str, int] = {}
        self._withdrawn: tuple[Withdrawal, ...] = ()

    def withdrawn(self, now: dt.datetime) -> tuple[Withdrawal, ...]:
        """Return the clips that today's facts do not clear, in order of id; records nothing."""
        with self._project.session() as session:
            marks = evidence_marks(session)
            if not self._is_as_it_was(session, marks, now):
                found = sorted(self._ask(session, now), key=lambda withdrawal: withdrawal.clip_id)
                self._withdrawn, self._marks, self._asked_at = tuple(found), marks, now
            session.rollback()  # of rulings that only this question needed
        return self._withdrawn

    def _is_as_it_was(self, session: Session, marks: Mapping[str, int], now: dt.datetime) -> bool:
        if self._asked_at is None or marks != self._marks:
            return False
        return not does_a_day_end_between(session, self._asked_at, now)

    def _ask(self, session: Session, now: dt.datetime) -> Iterator[Withdrawal]:
        facts = FactsOfClips(
            self._comparison,
            purpose=self._policy.purpose,
            use=self._policy.use,
            as_of=now,
            wanted=self._policy.fact_names,
        )
        decider = Decider(facts, Rulings(lambda: session, self._policy), Verdicts(session, self._policy, now))
        for start in range(0, len(self._assets), _PAGE):
            assets = [_asset(session, sha256) for sha256 in self._assets[start : start + _PAGE]]
            page = queries.evidence_on(session, assets, self._comparison.encoder, self._comparison.detector)
            for clip, ruling, _ in decider.decide(page):
                if clip.clip_id in self._clip_ids and ruling.outcome is not Outcome.CLEARED:
                    yield _withdrawal(clip.clip_id, ruling)


def _comparison(stated: Mapping[str, Any]) -> Comparison:
    """Return the search that the snapshot rests on; one made since is no reason to doubt what was cleared with it."""
    return Comparison(
        encoder_digest=stated["encoder"],
        encoder_name=stated["encoder_name"],
        detector_digest=stated["detector"],
        is_reference_covered=stated["covers_reference_sets"],
    )


def _asset(session: Session, sha256: str) -> AssetRecord:
    asset = queries.find_asset(session, sha256)
    assert asset is not None, "the snapshot was opened, which looks for every asset"
    return asset


def _withdrawal(clip_id: str, ruling: Ruling) -> Withdrawal:
    first = ruling.decision.reasons[0]
    return Withdrawal(clip_id=clip_id, outcome=ruling.outcome, code=first.code, because=first.because)
