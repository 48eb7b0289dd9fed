"""Clearance: the facts of every clip, put to a policy, recorded as decisions.

A clip may have several grants to rely on; the alternative with the best outcome is the one that counts. Each distinct
set of facts is decided once. A decision is appended only where it differs from the current one, so that clearing an
unchanged library again writes nothing.
"""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from sqlalchemy.orm import Session

from db import decisions, holdings, queries
from db.clock import earliest
from db.collector import collector_at_rest
from db.decisions import Basis
from db.events import record_event
from db.files import path_of
from db.project import Project
from db.records import AssetEvidence, ClipRecord
from db.statistics import refresh_statistics
from db.vocabularies import Outcome
from db.write_behind import writing_behind
from governance.decisions.last_pass import is_as_it_was, pass_state
from governance.decisions.review_basis import evidence_digest
from governance.decisions.reviewed import Verdicts
from governance.decisions.rulings import Ruling, Rulings
from governance.facts.clips import MAX_SHARED, Alternative, FactsOfClips
from governance.facts.matches import Comparison
from governance.policy.policy import Policy


@dataclass
class ClearanceReport:
    """What `clear` did."""

    num_changed: int = 0
    num_clips: Counter[Outcome] = field(default_factory=Counter)
    seconds: dict[Outcome, float] = field(default_factory=lambda: defaultdict(float))
    codes: Counter[str] = field(default_factory=Counter)


def present_comparison(project: Project) -> Comparison:
    """Return the comparison that decisions taken now rest on."""
    return comparison_known_on(project, None)


def comparison_known_on(project: Project, known_on: dt.datetime | None) -> Comparison:
    """Return the comparison that decisions rest on, by what was on record at `known_on`; `None`: now.

    Whether a file that could not be read is still there is not recorded: that is asked of the disk of today.
    """
    with project.session() as session:
        newest = queries.latest_comparison(session, known_on=known_on)
        if newest is None:
            return Comparison(
                encoder_digest=None, encoder_name=None, detector_digest=None, is_reference_covered=False
            )
        encoder, name, detector = newest
        # Footage that somebody wants kept out and that could not be read was compared with nothing.
        is_covered = not (
            queries.num_unsearched_reference_assets(session, encoder, detector, known_on=known_on)
            or holdings.empty_reference_sets(session, known_on=known_on)
            or unread_references(session, known_on=known_on)
        )
    return Comparison(
        encoder_digest=encoder, encoder_name=name, detector_digest=detector, is_reference_covered=is_covered
    )


def unread_references(session: Session, *, known_on: dt.datetime | None = None) -> list[str]:
    """Return the files that were offered for a reference set, could not be read, and are still there."""
    rejected = holdings.rejected_reference_files(session, known_on=known_on)
    return [path for path in rejected if os.path.lexists(path_of(path))]


def clear_library(
    project: Project,
    policy: Policy,
    comparison: Comparison,
    *,
    as_of: dt.datetime,
    on_progress: Callable[[int], None],
) -> ClearanceReport:
    """Decide every clip of the library under `policy` as of a time, in one transaction."""
    report = ClearanceReport()
    with project.session() as session:
        refresh_statistics(session)
    with project.session() as session:
        # Taken first: what others record during the pass is no part of what it decided on.
        state = pass_state(session, policy, comparison, as_of)
        with writing_behind(session) as behind:
            pages = decided_pages(behind.reading, policy, comparison, as_of=as_of, recording=behind.settle)
            for page in pages:
                changed = _changed(behind.reading, policy.name, page)
                add = partial(
                    decisions.add_decisions, policy_name=policy.name, decisions=changed, as_of=as_of
                )
                behind.write(add)
                report.num_changed += len(changed)
                _count(report, page)
                on_progress(len(page))
        if report.num_changed or not is_as_it_was(session, policy, comparison, as_of):
            record_event(session, "library.decided", policy.name, state | {"num_changed": report.num_changed})
    return report


def survey_library(
    project: Project,
    policy: Policy,
    comparison: Comparison,
    *,
    as_of: dt.datetime,
    known_on: dt.datetime | None,
    on_progress: Callable[[int], None],
) -> ClearanceReport:
    """Return what `clear_library` would decide, on what was on record at `known_on`, and record nothing."""
    report = ClearanceReport()
    with project.session() as session:
        refresh_statistics(session)
    with project.session() as session:
        for page in decided_pages(session, policy, comparison, as_of=as_of, known_on=known_on):
            report.num_changed += len(_changed(session, policy.name, page))
            _count(report, page)
            on_progress(len(page))
        session.rollback()
    return report


def num_stale_clips(project: Project, policy: Policy, comparison: Comparison, *, as_of: dt.datetime) -> int:
    """Count library clips whose recorded decision is missing or is not the one today's facts give."""
    num_stale = 0
    with project.session() as session:
        for page in decided_pages(session, policy, comparison, as_of=as_of):
            num_stale += len(_changed(session, policy.name, page))
        session.rollback()
    return num_stale


class Decided(NamedTuple):
    """A clip, the ruling on it and what the decision to be recorded rests on."""

    clip: ClipRecord
    ruling: Ruling
    basis: Basis


def decide_clip(
    session: Session,
    policy: Policy,
    comparison: Comparison,
    clip: ClipRecord,
    *,
    as_of: dt.datetime,
    known_on: dt.datetime | None = None,
) -> tuple[Decided, AssetEvidence]:
    """Return what would be decided of one clip at another time, on what was on record then; the caller rolls back."""
    asset = queries.get_asset(session, clip.asset_id)
    page = queries.evidence_on(session, [asset], comparison.encoder, comparison.detector, known_on=known_on)
    facts = FactsOfClips(
        comparison, purpose=policy.purpose, use=policy.use, as_of=as_of, wanted=policy.fact_names
    )
    verdicts = Verdicts(session, policy, as_of, known_on=known_on)
    decided = Decider(facts, Rulings(lambda: session, policy), verdicts).decide(page)
    return next(item for item in decided if item.clip.id == clip.id), page[0]


class Decider:
    """Decides clip after clip under one policy."""

    def __init__(self, facts: FactsOfClips, rulings: Rulings, verdicts: Verdicts) -> None:
        self._facts = facts
        self._rulings = rulings
        self._verdicts = verdicts
        self._shared: dict[int, tuple[tuple[Alternative, ...], _Choice]] = {}

    def decide(self, page: Sequence[AssetEvidence]) -> list[Decided]:
        """Decide every clip of some assets."""
        self._verdicts.read(page)
        return [self._decide(clip, evidence) for evidence in page for clip in evidence.clips]

    def _decide(self, clip: ClipRecord, evidence: AssetEvidence) -> Decided:
        choice = self._choose(self._facts.of(clip, evidence), clip, evidence)
        if not self._verdicts.are_any:
            return Decided(clip, choice.ruling, choice.basis)
        reviewed = self._verdicts.apply(
            choice.ruling,
            choice.basis.evidence_digest,
            choice.alternative.facts,
            clip,
            evidence,
            self._rulings,
        )
        basis = choice.basis._replace(
            ruling_id=reviewed.ruling.id,
            expires_at=_expiry(choice.alternative, reviewed.ruling, reviewed.expires_at),
            review_id=reviewed.review_id,
        )
        return Decided(clip, reviewed.ruling, basis)

    def _choose(
        self, alternatives: tuple[Alternative, ...], clip: ClipRecord, evidence: AssetEvidence
    ) -> _Choice:
        """Return the best alternative. Those that clips share are met a million times and ruled on once."""
        known = self._shared.get(id(alternatives))
        # Shared alternatives stay in memory, and an id that is used again belongs to another tuple.
        if known is not None and known[0] is alternatives:
            return known[1]
        ruled = [(alternative, self._rulings.rule(alternative.facts)) for alternative in alternatives]
        choice = _choice(*min(ruled, key=_preference), clip, evidence)
        if alternatives[0].is_shared:
            if len(self._shared) >= MAX_SHARED:
                self._shared.clear()
            self._shared[id(alternatives)] = alternatives, choice
        return choice


class _Choice(NamedTuple):
    """The alternative that counts, before any verdict; what clips that share their facts share too."""

    alternative: Alternative
    ruling: Ruling
    basis: Basis


def _choice(alternative: Alternative, ruling: Ruling, clip: ClipRecord, evidence: AssetEvidence) -> _Choice:
    grants = alternative.ground.grants
    is_held = ruling.outcome is Outcome.HOLD
    basis = Basis(
        ruling_id=ruling.id,
        grant_id=grants[0].id if grants else None,
        expires_at=_expiry(alternative, ruling, None),
        upper_grant_ids=tuple(grant.id for grant in grants[1:]),
        evidence_digest=evidence_digest(ruling.basis_digest, grants, clip, evidence) if is_held else "",
    )
    return _Choice(alternative, ruling, basis)


def _expiry(
    alternative: Alternative, ruling: Ruling, verdicts_end_at: dt.datetime | None
) -> dt.datetime | None:
    """Return when what a cleared clip rests on ends first."""
    is_cleared = ruling.outcome is Outcome.CLEARED
    return earliest(alternative.ground.expires_at, verdicts_end_at) if is_cleared else None


_BEST_FIRST = (Outcome.CLEARED, Outcome.HOLD, Outcome.EXCLUDED)


def _preference(ruled: tuple[Alternative, Ruling]) -> tuple[int, bool, float, tuple[int, ...]]:
    """Order alternatives: best outcome, then the longest term, then the oldest grants."""
    alternative, ruling = ruled
    until = alternative.ground.expires_at
    ids = tuple(grant.id for grant in alternative.ground.grants)
    return (
        _BEST_FIRST.index(ruling.outcome),
        until is not None,
        0.0 if until is None else -until.timestamp(),
        ids,
    )


def decided_pages(
    session: Session,
    policy: Policy,
    comparison: Comparison,
    *,
    as_of: dt.datetime,
    known_on: dt.datetime | None = None,
    recording: Callable[[], Session] | None = None,
) -> Iterator[list[Decided]]:
    """Yield the decisions on the library page by page. New rulings are written, decisions are not.

    `recording` gives the session for new rulings, if it is another than the one that is read from.
    """
    facts = FactsOfClips(
        comparison, purpose=policy.purpose, use=policy.use, as_of=as_of, wanted=policy.fact_names
    )
    verdicts = Verdicts(session, policy, as_of, known_on=known_on)
    rulings = Rulings(
        recording or (lambda: session), policy, decisions.recorded_rulings(session, policy.digest)
    )
    decider = Decider(facts, rulings, verdicts)
    with collector_at_rest():
        for page in queries.library_pages(
            session, comparison.encoder, comparison.detector, known_on=known_on
        ):
            yield decider.decide(page)


def _changed(session: Session, policy_name: str, page: list[Decided]) -> list[tuple[int, Basis]]:
    current = decisions.current_basis(session, policy_name, [item.clip.id for item in page])
    return [(clip.id, basis) for clip, _, basis in page if current.get(clip.id) != basis]


def _count(report: ClearanceReport, page: list[Decided]) -> None:
    by_ruling: dict[int, list[Decided]] = defaultdict(list)
    for item in page:
        by_ruling[item.ruling.id].append(item)
    for items in by_ruling.values():
        ruling = items[0].ruling
        report.num_clips[ruling.outcome] += len(items)
        report.seconds[ruling.outcome] += sum(item.clip.duration_seconds for item in items)
        if ruling.outcome is not Outcome.CLEARED:
            for code in ruling.codes:
                report.codes[code] += len(items)
