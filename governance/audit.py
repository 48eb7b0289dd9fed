"""The audit: what the library holds, what is wrong with it, and what was not checked.

An audit collects findings and never raises for bad data. Finding codes are dotted and stable; every finding says what
would settle it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy.orm import Session

from db import holdings, queries
from db.clock import rfc3339
from db.decisions import current_decisions
from db.files import path_of
from db.project import Project
from db.records import AssetEvidence, DecisionRecord, GrantRecord
from db.terminal import clock_text
from db.vocabularies import CollectionKind, Outcome
from governance.clearance import MIN_COMPARED_ROWS, Comparison, clip_facts, grant_relied_on
from ingest.detectors import measurement_of
from ingest.encoders import EncoderIdentity
from ingest.nomination import index_statement

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
    index_statement: str | None
    """What an approximate index may leave out; None: every row was compared."""
    measurement: Mapping[str, Any] | None
    """What the detector was measured to find; None: nobody measured it, or there was no search."""

    def miss_rate(self) -> str:
        """Return in words how many copies the search misses."""
        if self.measurement is None:
            return "not measured: how many copies the search misses is not known (`cleartitle calibrate`)"
        recall = self.measurement["recall"]
        worst = min(self.measurement["recall_by_attack"], key=lambda row: row["recall"])
        threshold = self.measurement["threshold"]
        return (
            f"misses {1 - recall['recall']:.1%} of disguised copies, at most {1 - recall['low']:.1%} with 95 % "
            f"confidence (worst: {worst['name']}, {1 - worst['recall']:.0%}); threshold {threshold:.3f}; "
            f"measured on {self.measurement['num_queries']} queries of {self.measurement['num_clips']} clips"
        )

    def caveats(self) -> Iterator[str]:
        """Yield, in plain words, what this audit did not check."""
        if not self.reference_sets:
            yield "no reference set: the library was compared with itself only, not with footage it must not contain"
        if self.comparison.encoder_digest is None:
            yield "no near-duplicate search has been made"
        elif self.reference_sets and not self.comparison.is_reference_covered:
            yield "part of the reference sets was not searched, so no file counts as compared with them"
        if self.reference_sets:
            yield "footage that was offered for a reference set and could not be read is in none of them"
        yield "persons, voices, music, places and marks in the picture or sound were not examined"
        yield "sound was compared only where a file has any and the fingerprinting library is installed"
        yield "insets below a fifth of the frame, re-filmed screens and redrawn footage were not looked for"
        if self.index_statement is not None:
            yield self.index_statement
        yield "whether a rights holder really owns what a rights table says was not examined"
        yield "the documents named as evidence were hashed when the table was read, not opened or hashed again"
        yield "whether a policy was edited after it was applied: `clear` and `snapshot seal` notice that"
        yield "the footage on disk was not hashed again (`snapshot verify --media` does that)"


def read_coverage(session: Session, comparison: Comparison, project: Project) -> Coverage:
    """Return what the search covered, and how well it is known to find copies."""
    sizes = queries.collection_sizes(session)
    sets = tuple(
        (name, count, seconds) for name, kind, count, seconds in sizes if kind is CollectionKind.REFERENCE
    )
    if comparison.encoder_digest is None or comparison.detector_digest is None:
        return Coverage(comparison, sets, None, None)
    identity = EncoderIdentity(**queries.encoder_columns(session, comparison.encoder_digest))  # type: ignore[arg-type]
    return Coverage(
        comparison,
        sets,
        index_statement(project, identity),
        measurement_of(comparison.detector_digest, project.calibrations),
    )


def list_findings(
    session: Session, policy_name: str | None, comparison: Comparison, *, now: dt.datetime
) -> Iterator[Finding]:
    """Yield every finding: rejected intake, reference sets, each asset's own, and decisions that keep clips out."""
    yield from _intake_findings(session)
    yield from _reference_findings(session, comparison)
    decided = _DecidedAssets(() if policy_name is None else current_decisions(session, policy_name))
    for evidence in queries.library_evidence(session, comparison.encoder, comparison.detector):
        yield from _asset_findings(evidence, now)
        if policy_name is not None:
            yield from _currency_findings(evidence, decided.of(evidence.asset.id), comparison, now)
    if policy_name is None:
        yield Finding(
            "decision.missing", "library", "no clip has been decided", "run `cleartitle clear --policy NAME`"
        )
        return
    by_asset = groupby(current_decisions(session, policy_name), key=lambda decision: decision.clip.asset_id)
    for asset_id, decisions in by_asset:
        kept_out = [decision for decision in decisions if decision.ruling.outcome is not Outcome.CLEARED]
        paths = queries.asset_paths(session, [asset_id]) if kept_out else {}
        for decision in kept_out:
            yield from _decision_findings(decision, paths.get(asset_id, (decision.asset_sha256[:16],))[0])


def _intake_findings(session: Session) -> Iterator[Finding]:
    for file in holdings.rejected_files(session):
        yield Finding(file.code, file.subject, file.detail, "repair or replace the file and ingest it again")
    for row in holdings.rejected_rows(session):
        yield Finding(row.code, row.subject, row.detail, "correct the row and ingest again with the table")


def _reference_findings(session: Session, comparison: Comparison) -> Iterator[Finding]:
    for name in holdings.empty_reference_sets(session):
        subject = f"reference set {name}"
        yield Finding("reference.empty", subject, "it holds no footage at all", "ingest its footage")
    for asset_id, sha256, num_rows in holdings.reference_texture(session, comparison.encoder):
        if num_rows < MIN_COMPARED_ROWS:
            paths = queries.asset_paths(session, [asset_id]).get(asset_id, (sha256[:16],))
            message = "this reference footage is too short or too flat: no copy of it can be found"
            yield Finding("reference.not_comparable", paths[0], message, "look for copies of it by eye")


class _DecidedAssets:
    """The current decisions by asset, read along with the library: both come in order of asset id."""

    def __init__(self, decisions: Iterable[DecisionRecord]) -> None:
        self._groups = groupby(decisions, key=lambda decision: decision.clip.asset_id)
        self._next = self._read()

    def of(self, asset_id: int) -> Mapping[int, DecisionRecord]:
        """Return the decisions on an asset by clip; ask for assets in ascending order."""
        while self._next is not None and self._next[0] < asset_id:
            self._next = self._read()
        is_there = self._next is not None and self._next[0] == asset_id
        return self._next[1] if self._next is not None and is_there else {}

    def _read(self) -> tuple[int, dict[int, DecisionRecord]] | None:
        found = next(self._groups, None)
        return None if found is None else (found[0], {decision.clip.id: decision for decision in found[1]})


def _currency_findings(
    evidence: AssetEvidence, decided: Mapping[int, DecisionRecord], comparison: Comparison, now: dt.datetime
) -> Iterator[Finding]:
    """Say which decisions are missing, or were taken on facts that are no longer the facts."""
    subject, again = _subject(evidence), "run `cleartitle clear --policy NAME`"
    if num_missing := sum(clip.id not in decided for clip in evidence.clips):
        yield Finding("decision.missing", subject, f"{num_missing} of its clips have not been decided", again)
    num_stale = sum(_is_stale(decision, evidence, comparison, now) for decision in decided.values())
    if num_stale:
        message = f"the decisions on {num_stale} of its clips rest on facts that have changed since"
        yield Finding("decision.stale", subject, message, again)


def _is_stale(
    decision: DecisionRecord, evidence: AssetEvidence, comparison: Comparison, now: dt.datetime
) -> bool:
    recorded, grant = decision.ruling.facts, grant_relied_on(evidence)
    facts = clip_facts(decision.clip, evidence, comparison, purpose=recorded["purpose"], as_of=now).as_cel()
    was = None if decision.grant is None else decision.grant.id
    return _lasting(facts) != _lasting(recorded) or was != (None if grant is None else grant.id)


def _lasting(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts without the days left, which change daily and are stored with those of another clip."""
    return {**facts, "grant": {**facts["grant"], "days_left": None}}


def _subject(evidence: AssetEvidence) -> str:
    return evidence.paths[0] if evidence.paths else evidence.asset.sha256[:16]


def _source_finding(evidence: AssetEvidence) -> Finding | None:
    there = [path for path in map(path_of, evidence.paths) if path.is_file()]
    if not there:
        message = "the footage is gone from every recorded place"
        return Finding("source.missing", _subject(evidence), message, "put it back")
    if not any(path.stat().st_size == evidence.asset.size_bytes for path in there):
        message = "another file lies in its place: the size is not that of what was ingested"
        return Finding(
            "source.changed", _subject(evidence), message, "put the footage back, or ingest what is there"
        )
    return None


def _asset_findings(evidence: AssetEvidence, now: dt.datetime) -> Iterator[Finding]:
    subject = _subject(evidence)
    if (source := _source_finding(evidence)) is not None:
        yield source
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
    elif evidence.num_textured_rows < MIN_COMPARED_ROWS:
        message = f"it has fewer than {MIN_COMPARED_ROWS} sampled pictures with texture: too few to compare"
        yield Finding("match.too_short", subject, message, "review it by eye")
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


def _decision_findings(decision: DecisionRecord, path: str) -> Iterator[Finding]:
    clip = decision.clip
    span = f"{clock_text(clip.start_seconds)} to {clock_text(clip.end_seconds)}"
    for reason in decision.ruling.reasons:
        yield Finding(
            reason["code"], f"clip {clip.clip_id}, {span} of {path}", reason["because"], reason["remedy"]
        )


def count_by_code(findings: Iterable[Finding]) -> dict[str, int]:
    """Count findings by code, most frequent first."""
    counts: dict[str, int] = {}
    for finding in findings:
        counts[finding.code] = counts.get(finding.code, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
