"""Clearance: the facts of every clip, put to a policy, recorded as decisions.

Equal facts are decided once. A decision is appended only where it differs from the current one, so that clearing an
unchanged library again writes nothing.
"""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from db import decisions, holdings, queries
from db.canonical import digest_of
from db.clock import earliest, rfc3339
from db.decisions import NewDecision
from db.events import record_event
from db.files import path_of
from db.project import Project
from db.records import AssetEvidence, ClipRecord, GrantRecord, MatchRecord
from db.vocabularies import Outcome
from governance.copies import copies_in, sound_copies_in, unsure_in
from governance.facts import Facts, MatchFacts, MediaFacts, grant_facts
from governance.policy import Policy, PolicyDecision, decide

_NO_COMPARISON = "0" * 64
MIN_COMPARED_ROWS = 3
"""Sampled frames with texture below which no detector can find a copy in a file: `min_samples` of `ingest.matches`."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Which near-duplicate search counts: the newest one's encoder and detector. `None`: there was none."""

    encoder_digest: str | None
    encoder_name: str | None
    detector_digest: str | None
    is_reference_covered: bool
    """Every asset of every reference set has been searched, no set is empty, and all its footage could be read."""

    @property
    def encoder(self) -> str:
        """The encoder digest, or one that no encoder has."""
        return self.encoder_digest or _NO_COMPARISON

    @property
    def detector(self) -> str:
        """The detector digest, or one that no detector has."""
        return self.detector_digest or _NO_COMPARISON


@dataclass
class ClearanceReport:
    """What `clear` did."""

    num_changed: int = 0
    num_clips: Counter[Outcome] = field(default_factory=Counter)
    seconds: dict[Outcome, float] = field(default_factory=lambda: defaultdict(float))
    codes: Counter[str] = field(default_factory=Counter)


def present_comparison(project: Project) -> Comparison:
    """Return the comparison that decisions taken now rest on."""
    with project.session() as session:
        newest = queries.latest_comparison(session)
        if newest is None:
            return Comparison(
                encoder_digest=None, encoder_name=None, detector_digest=None, is_reference_covered=False
            )
        encoder, name, detector = newest
        num_missing = queries.num_unsearched_reference_assets(session, encoder, detector)
        # Footage that somebody wants kept out and that could not be read was compared with nothing.
        is_covered = not (num_missing or holdings.empty_reference_sets(session) or unread_references(session))
    return Comparison(
        encoder_digest=encoder, encoder_name=name, detector_digest=detector, is_reference_covered=is_covered
    )


def unread_references(session: Session) -> list[str]:
    """Return the files that were offered for a reference set, could not be read, and are still there."""
    rejected = holdings.rejected_reference_files(session)
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
        rulings = _Rulings(session, policy)
        for evidence in queries.library_evidence(session, comparison.encoder, comparison.detector):
            decided = [rulings.decide(clip, evidence, comparison, as_of) for clip in evidence.clips]
            report.num_changed += _record_changes(session, policy.name, decided, as_of)
            _count(report, evidence, decided, rulings)
            on_progress(len(decided))
        payload = {"policy": policy.name, "as_of": rfc3339(as_of), "num_changed": report.num_changed}
        if report.num_changed:
            record_event(session, "library.decided", policy.digest, payload)
    return report


def num_stale_clips(project: Project, policy: Policy, comparison: Comparison, *, as_of: dt.datetime) -> int:
    """Count library clips whose recorded decision is missing or is not the one today's facts give."""
    num_stale = 0
    with project.session() as session:
        rulings = _Rulings(session, policy)
        for evidence in queries.library_evidence(session, comparison.encoder, comparison.detector):
            decided = [rulings.decide(clip, evidence, comparison, as_of) for clip in evidence.clips]
            num_stale += len(_changed(session, policy.name, decided))
        session.rollback()
    return num_stale


class _Rulings:
    """Rulings met in one pass over the library, each evaluated and stored once."""

    def __init__(self, session: Session, policy: Policy) -> None:
        self._session = session
        self._policy = policy
        self._decided: dict[str, tuple[int, PolicyDecision]] = {}
        self.by_id: dict[int, PolicyDecision] = {}

    def decide(
        self, clip: ClipRecord, evidence: AssetEvidence, comparison: Comparison, as_of: dt.datetime
    ) -> NewDecision:
        grant = grant_relied_on(evidence)
        facts = clip_facts(clip, evidence, comparison, purpose=self._policy.purpose, as_of=as_of)
        ruling_id, ruling = self._rule(facts)
        until = grant.valid_to if grant is not None and ruling.outcome is Outcome.CLEARED else None
        return NewDecision(
            clip_id=clip.id,
            ruling_id=ruling_id,
            grant_id=None if grant is None else grant.id,
            expires_at=earliest(until),
        )

    def _rule(self, facts: Facts) -> tuple[int, PolicyDecision]:
        plain = facts.as_cel()
        key = digest_of(plain)
        if key not in self._decided:
            ruling = decide(self._policy, facts)
            ruling_id = decisions.ensure_ruling(self._session, _ruling_columns(self._policy, plain, ruling))
            self._decided[key] = (ruling_id, ruling)
            self.by_id[ruling_id] = ruling
        return self._decided[key]


def _ruling_columns(policy: Policy, facts: dict[str, Any], ruling: PolicyDecision) -> dict[str, Any]:
    lasting = {**facts, "grant": {k: v for k, v in facts["grant"].items() if k != "days_left"}}
    reasons = [reason.as_dict() for reason in ruling.reasons]
    basis = {
        "facts": lasting,
        "outcome": ruling.outcome.value,
        "rules": [reason["rule"] for reason in reasons],
    }
    return {
        "policy_name": policy.name,
        "policy_version": policy.version,
        "policy_digest": policy.digest,
        "basis_digest": digest_of(basis),
        "facts": facts,
        "outcome": ruling.outcome,
        "reasons": reasons,
    }


def clip_facts(
    clip: ClipRecord, evidence: AssetEvidence, comparison: Comparison, *, purpose: str, as_of: dt.datetime
) -> Facts:
    """Return the facts of one clip at the time `as_of`."""
    return Facts(
        grant=grant_facts(grant_relied_on(evidence), as_of),
        # An asset is recorded only when every frame was decoded. Tenths of a second keep equal facts equal.
        media=MediaFacts(fully_decoded=True, duration_seconds=round(clip.duration_seconds, 1)),
        matches=match_facts(clip, evidence, comparison),
        purpose=purpose,
    )


def grant_relied_on(evidence: AssetEvidence) -> GrantRecord | None:
    """Return the one grant of an asset; `None` if there is none, or if several contradict each other.

    Of several that say the same, one whose document is on record comes first.
    """
    if len({_terms(grant) for grant in evidence.claims}) != 1:
        return None
    return next((grant for grant in evidence.claims if grant.evidence_sha256), evidence.claims[0])


def _terms(grant: GrantRecord) -> tuple[Any, ...]:
    return (
        grant.rights_holder,
        grant.license_expression,
        grant.permitted_uses,
        grant.territories,
        grant.valid_from,
        grant.valid_to,
    )


def match_facts(clip: ClipRecord, evidence: AssetEvidence, comparison: Comparison) -> MatchFacts:
    """Return what the near-duplicate search says of the clip's seconds."""
    overlapping = list(matches_on(clip, evidence))
    references = [match for match in overlapping if match.other_collections]
    sets = {name for match in references for name in match.other_collections} | set(
        evidence.exact_reference_sets
    )
    conflicts = [match for match in overlapping if is_title_conflict(match, evidence)]
    unclaimed = [match for match in overlapping if is_unclaimed_copy(match, evidence)]
    same_holder = [match for match in overlapping if _is_of_same_holder(match, evidence)]
    other_terms = [match for match in same_holder if has_other_terms(match, evidence)]
    unsure = [match for match in _on(clip, unsure_in(evidence)) if _is_of_others(match, evidence)]
    sounds = [match for match in _on(clip, sound_copies_in(evidence)) if _is_of_others(match, evidence)]
    competing = max(len({_terms(grant) for grant in evidence.claims}) - 1, 0)
    return MatchFacts(
        compared=is_compared(clip, evidence, comparison),
        detector=comparison.detector_digest or "",
        num_reference_copies=len(references) + len(evidence.exact_reference_sets),
        reference_sets=tuple(sorted(sets)),
        num_title_conflicts=len(conflicts) + competing,
        num_unclaimed_copies=len(unclaimed),
        num_other_terms_copies=len(other_terms),
        num_unsure_copies=len(unsure),
        num_reference_sounds=len(sounds),
        num_same_holder_copies=len(same_holder) - len(other_terms),
    )


def is_compared(clip: ClipRecord, evidence: AssetEvidence, comparison: Comparison) -> bool:
    """Return whether a copy in this clip would have been looked for, and could have been found."""
    is_comparable = evidence.num_textured_rows >= MIN_COMPARED_ROWS and clip.num_textured_samples > 0
    return comparison.is_reference_covered and evidence.is_searched and is_comparable


def matches_on(clip: ClipRecord, evidence: AssetEvidence) -> Iterator[MatchRecord]:
    """Yield the copies that share seconds with a clip."""
    return _on(clip, copies_in(evidence))


def less_than_copies_on(clip: ClipRecord, evidence: AssetEvidence) -> Iterator[MatchRecord]:
    """Yield what else the search says of a clip's seconds: pictures that are alike, the same scene, the same sound."""
    return _on(clip, (match for match in evidence.matches if not match.is_copy))


def _on(clip: ClipRecord, matches: Iterable[MatchRecord]) -> Iterator[MatchRecord]:
    for match in matches:
        if match.start_seconds < clip.end_seconds and match.end_seconds > clip.start_seconds:
            yield match


def _is_of_others(match: MatchRecord, evidence: AssetEvidence) -> bool:
    """Return whether the other side is forbidden, or somebody else's, or nobody's as far as is known."""
    is_mine = _is_of_same_holder(match, evidence)
    return bool(match.other_collections) or (match.is_other_in_library and not is_mine)


def is_title_conflict(match: MatchRecord, evidence: AssetEvidence) -> bool:
    """Return whether the other side is in the library and another holder claims it.

    A copy that nobody claims is no competing claim (`is_unclaimed_copy`). Two holders without a name are not taken
    for the same one.
    """
    mine, theirs = _holders(match, evidence)
    return match.is_other_in_library and bool(theirs) and bool(mine) and (theirs != mine or "" in mine)


def is_unclaimed_copy(match: MatchRecord, evidence: AssetEvidence) -> bool:
    """Return whether the other side is in the library and nobody's grant for it is in force.

    Its row may be missing, rejected or contradicted: whoever delivered it may well own what is claimed here.
    """
    return match.is_other_in_library and not evidence.other_claims.get(match.other_id)


def has_other_terms(match: MatchRecord, evidence: AssetEvidence) -> bool:
    """Return whether the two sides of a match stand under different terms."""
    theirs = evidence.other_claims.get(match.other_id, ())
    return {_terms(grant) for grant in theirs} != {_terms(grant) for grant in evidence.claims}


def _is_of_same_holder(match: MatchRecord, evidence: AssetEvidence) -> bool:
    mine, theirs = _holders(match, evidence)
    return match.is_other_in_library and theirs == mine and bool(mine) and "" not in mine


def _holders(match: MatchRecord, evidence: AssetEvidence) -> tuple[set[str], set[str]]:
    """Return who claims the asset and who claims the other side of a match."""
    theirs = evidence.other_claims.get(match.other_id, ())
    return {grant.rights_holder for grant in evidence.claims}, {grant.rights_holder for grant in theirs}


def _changed(session: Session, policy_name: str, decided: list[NewDecision]) -> list[NewDecision]:
    current = decisions.current_basis(session, policy_name, [decision.clip_id for decision in decided])
    return [decision for decision in decided if current.get(decision.clip_id) != decision]


def _record_changes(
    session: Session, policy_name: str, decided: list[NewDecision], as_of: dt.datetime
) -> int:
    changed = _changed(session, policy_name, decided)
    decisions.add_decisions(session, policy_name, changed, as_of=as_of)
    return len(changed)


def _count(
    report: ClearanceReport, evidence: AssetEvidence, decided: list[NewDecision], rulings: _Rulings
) -> None:
    for clip, decision in zip(evidence.clips, decided, strict=True):
        ruling = rulings.by_id[decision.ruling_id]
        report.num_clips[ruling.outcome] += 1
        report.seconds[ruling.outcome] += clip.duration_seconds
        report.codes.update(
            {reason.code for reason in ruling.reasons} if ruling.outcome != Outcome.CLEARED else ()
        )
