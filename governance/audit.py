"""The audit: what the library holds, what is wrong with it, and what was not checked.

An audit collects findings and never raises for bad data. Finding codes are dotted and stable; every finding says what
would settle it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy.orm import Session

from db import holdings, queries
from db.clock import rfc3339
from db.decisions import current_decisions
from db.files import path_of
from db.records import AssetEvidence, DecisionRecord, GrantRecord
from db.terminal import clock_text
from db.vocabularies import CollectionKind, Outcome
from governance.clearance import Comparison

EXPIRY_NOTICE = dt.timedelta(days=30)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, in one place."""

    code: str
    subject: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Coverage:
    """What the near-duplicate search compared the library with."""

    comparison: Comparison
    reference_sets: tuple[tuple[str, int, float], ...]
    """Name, number of assets, seconds."""

    def caveats(self) -> Iterator[str]:
        """Yield, in plain words, what this audit did not check."""
        if not self.reference_sets:
            yield "no reference set: the library was compared with itself only, not with footage it must not contain"
        if self.comparison.encoder_digest is None:
            yield "no near-duplicate search has been made"
        yield "persons, voices, music, places and marks in the picture or sound were not examined"
        yield "sound was not compared"
        yield "whether a rights holder really owns what a rights table says was not examined"
        yield "the footage on disk was not hashed again (`snapshot verify --media` does that)"


def read_coverage(session: Session, comparison: Comparison) -> Coverage:
    """Return what the search covered."""
    sizes = queries.collection_sizes(session)
    sets = tuple(
        (name, count, seconds) for name, kind, count, seconds in sizes if kind is CollectionKind.REFERENCE
    )
    return Coverage(comparison, sets)


def list_findings(
    session: Session, policy_name: str | None, comparison: Comparison, *, now: dt.datetime
) -> Iterator[Finding]:
    """Yield every finding: rejected intake, each asset's own, and decisions that keep clips out."""
    yield from _intake_findings(session)
    for evidence in queries.library_evidence(session, comparison.encoder, comparison.detector):
        yield from _asset_findings(evidence, now)
    if policy_name is None:
        yield Finding(
            "decision.missing", "library", "no clip has been decided", "run `cleartitle clear --policy NAME`"
        )
        return
    for decision in current_decisions(session, policy_name):
        yield from _decision_findings(decision)


def _intake_findings(session: Session) -> Iterator[Finding]:
    for file in holdings.rejected_files(session):
        yield Finding(file.code, file.subject, file.detail, "repair or replace the file and ingest it again")
    for row in holdings.rejected_rows(session):
        yield Finding(row.code, row.subject, row.detail, "correct the row and ingest again with the table")


def _asset_findings(evidence: AssetEvidence, now: dt.datetime) -> Iterator[Finding]:
    subject = evidence.paths[0] if evidence.paths else evidence.asset.sha256[:16]
    if not any(path_of(path).is_file() for path in evidence.paths):
        yield Finding(
            "source.missing", subject, "the footage is gone from every recorded place", "put it back"
        )
    if not evidence.claims:
        yield Finding(
            "license.missing", subject, "no rights row speaks of this file", "add a row to a rights table"
        )
    if not evidence.is_searched:
        yield Finding(
            "match.not_compared", subject, "the near-duplicate search does not cover it", "run ingest again"
        )
    elif evidence.num_textured_rows == 0:
        yield Finding("match.no_texture", subject, "its pictures are too flat to compare", "review it by eye")
    for grant in evidence.claims:
        yield from _term_findings(subject, grant, now)


def _term_findings(subject: str, grant: GrantRecord, now: dt.datetime) -> Iterator[Finding]:
    if grant.valid_to is None:
        return
    until = rfc3339(grant.valid_to)
    if grant.valid_to <= now:
        yield Finding(
            "grant.expired", subject, f"the grant of {grant.rights_holder} ended {until}", "renew the grant"
        )
    elif grant.valid_to <= now + EXPIRY_NOTICE:
        yield Finding(
            "grant.expiring", subject, f"the grant of {grant.rights_holder} ends {until}", "renew the grant"
        )


def _decision_findings(decision: DecisionRecord) -> Iterator[Finding]:
    if decision.ruling.outcome is Outcome.CLEARED:
        return
    clip = decision.clip
    span = f"clip {clip.clip_id} ({clock_text(clip.start_seconds)} to {clock_text(clip.end_seconds)})"
    for reason in decision.ruling.reasons:
        yield Finding(reason["code"], span, reason["because"], reason["remedy"])


def count_by_code(findings: Iterable[Finding]) -> dict[str, int]:
    """Count findings by code, most frequent first."""
    counts: dict[str, int] = {}
    for finding in findings:
        counts[finding.code] = counts.get(finding.code, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
