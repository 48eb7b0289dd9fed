"""Why a clip is in or out: everything one screen needs, gathered for reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from db import queries
from db.clock import rfc3339
from db.decisions import decisions_on_clip
from db.errors import ConfigError
from db.files import path_of, path_text
from db.grants import grant_content
from db.records import AssetEvidence, ClipRecord, DecisionRecord, GrantRecord, MatchRecord
from governance.clearance import (
    Comparison,
    is_compared,
    is_title_conflict,
    is_unclaimed_copy,
    less_than_copies_on,
    matches_on,
)
from governance.facts import grant_facts

_MIN_PREFIX = 4


@dataclass(frozen=True, kw_only=True)
class ExplainedMatch:
    """A copied span and what the other side is."""

    match: MatchRecord
    other_path: str
    other_holders: tuple[str, ...]
    role: str
    """`reference` (with the set's name), `title conflict`, or `same holder`."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What is known of one clip."""

    clip: ClipRecord
    evidence: AssetEvidence
    decisions: tuple[DecisionRecord, ...]
    """Every decision on the clip, newest first."""
    matches: tuple[ExplainedMatch, ...]
    comparison: Comparison

    @property
    def current(self) -> tuple[DecisionRecord, ...]:
        """The newest decision under each policy, most recent policy first."""
        newest: dict[str, DecisionRecord] = {}
        for decision in self.decisions:
            newest.setdefault(decision.ruling.policy_name, decision)
        return tuple(newest.values())

    def as_json(self) -> dict[str, Any]:
        """Return the explanation as JSON values."""
        return {
            "clip_id": self.clip.clip_id,
            "asset_sha256": self.evidence.asset.sha256,
            "paths": list(self.evidence.paths),
            "start_seconds": self.clip.start_seconds,
            "end_seconds": self.clip.end_seconds,
            "grants": [_grant_json(grant) for grant in self.evidence.claims],
            "compared": is_compared(self.clip, self.evidence, self.comparison),
            "encoder": self.comparison.encoder_name,
            "matches": [_match_json(item) for item in self.matches],
            "decisions": [_decision_json(decision) for decision in self.current],
        }


def find_clips(session: Session, text: str, at_seconds: float | None) -> list[ClipRecord]:
    """Return the clips that `text` names: one by its id or the start of it, or those of a file.

    Of several files that lay at one path over time it is the one that lies there now, as its size tells, or else the
    last. `at_seconds` picks the clip of a file at that time. Raises `ConfigError` if nothing is named so, or an id's
    start is not unique.
    """
    asset_id = _asset_at(session, path_text(Path(text)))
    clips = [] if asset_id is None else list(queries.clips_of_asset(session, asset_id))
    if at_seconds is not None:
        clips = [clip for clip in clips if clip.start_seconds <= at_seconds < clip.end_seconds]
    if clips:
        return clips
    return [_by_id(session, text)]


def _asset_at(session: Session, path: str) -> int | None:
    """Return the id of the asset that lies at a path now, else of the newest that was recorded there."""
    recorded = queries.assets_at(session, path)
    file = path_of(path)
    size_bytes = file.stat().st_size if len(recorded) > 1 and file.is_file() else None
    present = [asset_id for asset_id, size in recorded if size == size_bytes]
    return next(iter(present), recorded[0][0] if recorded else None)


def _by_id(session: Session, text: str) -> ClipRecord:
    is_id = len(text) >= _MIN_PREFIX and all(character in "0123456789abcdef" for character in text)
    found = queries.clips_by_prefix(session, text, limit=2) if is_id else []
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"clip id {text!r} is not unique; give more digits")
    raise ConfigError(
        f"no clip is called {text!r}",
        hint="give a clip id (`audit --json` lists them) or the path of an ingested file, with --at SECONDS",
    )


def explain_clip(session: Session, clip: ClipRecord, comparison: Comparison) -> Explanation:
    """Gather what is known of a clip."""
    asset = queries.get_asset(session, clip.asset_id)
    (evidence,) = queries.evidence_on(session, [asset], comparison.encoder, comparison.detector)
    return Explanation(
        clip=clip,
        evidence=evidence,
        decisions=tuple(_with_own_term(decision) for decision in decisions_on_clip(session, clip.id)),
        matches=_explained(
            session, [*matches_on(clip, evidence), *less_than_copies_on(clip, evidence)], evidence
        ),
        comparison=comparison,
    )


def _with_own_term(decision: DecisionRecord) -> DecisionRecord:
    """Put the days that were left of this clip's grant on the day of its decision among the facts.

    A ruling is stored once for all clips whose facts are equal but for the days left, with the days of the first.
    """
    own = {"days_left": grant_facts(decision.grant, decision.as_of).days_left}
    facts = dict(decision.ruling.facts)
    if decision.grant is None:
        return decision
    facts["grant"] = facts["grant"] | own
    return replace(decision, ruling=replace(decision.ruling, facts=facts))


def _explained(
    session: Session, matches: Sequence[MatchRecord], evidence: AssetEvidence
) -> tuple[ExplainedMatch, ...]:
    paths = queries.asset_paths(session, sorted({match.other_id for match in matches}))
    return tuple(
        ExplainedMatch(
            match=match,
            other_path=paths.get(match.other_id, ("(no path)",))[0],
            other_holders=tuple(
                sorted({g.rights_holder for g in evidence.other_claims.get(match.other_id, ())})
            ),
            role=_role(match, evidence),
        )
        for match in matches
    )


def _role(match: MatchRecord, evidence: AssetEvidence) -> str:
    if match.other_collections:
        return f"reference set {', '.join(match.other_collections)}"
    if is_title_conflict(match, evidence):
        return "title conflict"
    return "nobody has a grant" if is_unclaimed_copy(match, evidence) else "same footage in the library"


def _grant_json(grant: GrantRecord) -> dict[str, Any]:
    row = {
        "table_sha256": grant.table_sha256,
        "row_number": grant.row_number,
        "evidence_path": grant.evidence_path,
    }
    return grant_content(grant) | {"digest": grant.digest} | row


def _match_json(item: ExplainedMatch) -> dict[str, Any]:
    match = item.match
    return {
        "role": item.role,
        "other_path": item.other_path,
        "other_holders": list(item.other_holders),
        "start_seconds": match.start_seconds,
        "end_seconds": match.end_seconds,
        "other_start_seconds": match.other_start_seconds,
        "other_end_seconds": match.other_end_seconds,
        "kind": match.kind.value,
        "tier": match.tier.value,
        "score": match.score,
        "num_votes": match.num_votes,
        "speed": match.speed,
        "is_mirrored": match.is_mirrored,
        "evidence": dict(match.evidence),
    }


def _decision_json(decision: DecisionRecord) -> dict[str, Any]:
    ruling = decision.ruling
    return {
        "policy": ruling.policy_name,
        "policy_version": ruling.policy_version,
        "policy_digest": ruling.policy_digest,
        "outcome": ruling.outcome.value,
        "reasons": [dict(reason) for reason in ruling.reasons],
        "facts": dict(ruling.facts),
        "as_of": rfc3339(decision.as_of),
        "expires_at": None if decision.expires_at is None else rfc3339(decision.expires_at),
        "recorded_at": rfc3339(decision.recorded_at),
    }
