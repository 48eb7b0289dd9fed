"""Why a clip is in or out: everything one screen needs, gathered for reading."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy.orm import Session

from db import queries
from db.clock import earliest, utc_now
from db.decisions import decisions_on_clip, ruling_by_id
from db.errors import ConfigError
from db.files import path_of, path_text
from db.records import AssetEvidence, ClipRecord, DecisionRecord, GrantRecord, MatchRecord
from db.reviews import reviews_on
from db.rights_records import ReviewRecord
from governance.decisions.clearance import decide_clip
from governance.decisions.reviewed import review_scopes
from governance.facts.clips import days_until
from governance.facts.matches import (
    Comparison,
    is_title_conflict,
    is_unclaimed_copy,
    less_than_copies_on,
    matches_on,
)
from governance.policy.policy import Policy

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
    reviews: tuple[ReviewRecord, ...] = ()
    """What reviewers said of it, oldest first."""

    @property
    def current(self) -> tuple[DecisionRecord, ...]:
        """The newest decision under each policy, most recent policy first."""
        newest: dict[str, DecisionRecord] = {}
        for decision in self.decisions:
            newest.setdefault(decision.ruling.policy_name, decision)
        return tuple(newest.values())


def find_clips(session: Session, text: str, at_seconds: float | None) -> list[ClipRecord]:
    """Return the clips that `text` names: one by its id or the start of it, or those of a file.

    Of several files that lay at one path over time it is the one that lies there now, as its size tells, or else the
    last. `at_seconds` picks the clip of a file at that time. Raises `ConfigError` if nothing is named so, or an id's
    start is not unique.
    """
    path = path_text(Path(text))
    asset_id = _asset_at(session, path)
    if asset_id is None:
        asset_id = _asset_at(session, _other_way(session, path) or path)
    clips = [] if asset_id is None else list(queries.clips_of_asset(session, asset_id))
    if at_seconds is not None:
        clips = [clip for clip in clips if clip.start_seconds <= at_seconds < clip.end_seconds]
    if clips:
        return clips
    return [_by_id(session, text)]


def _other_way(session: Session, path: str) -> str | None:
    """Return the recorded path that leads to the same place as `path`: through a link, or by way of `..`."""
    place = os.path.realpath(path_of(path))
    names = {text.rpartition("/")[2] for text in (path, path_text(Path(place)))}
    known = (text for name in sorted(names) for text in queries.paths_named(session, name))
    return next((text for text in known if os.path.realpath(path_of(text)) == place), None)


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
    decisions = tuple(_with_own_term(decision) for decision in decisions_on_clip(session, clip.id))
    return Explanation(
        clip=clip,
        evidence=evidence,
        decisions=decisions,
        matches=_explained(
            session, [*matches_on(clip, evidence), *less_than_copies_on(clip, evidence)], evidence
        ),
        comparison=comparison,
        reviews=_reviews(
            session, clip, evidence, sorted({decision.ruling.policy_name for decision in decisions})
        ),
    )


def explain_anew(
    session: Session,
    clip: ClipRecord,
    comparison: Comparison,
    policy: Policy,
    *,
    as_of: dt.datetime,
    known_on: dt.datetime | None,
) -> Explanation:
    """Explain what `policy` would say of a clip at `as_of` on what was on record at `known_on`; roll back after."""
    decided, evidence = decide_clip(session, policy, comparison, clip, as_of=as_of, known_on=known_on)
    grants = {grant.id: grant for grant in all_grants(evidence)}
    new = decided.basis
    decision = DecisionRecord(
        clip=clip,
        asset_sha256=evidence.asset.sha256,
        ruling=ruling_by_id(session, new.ruling_id),
        grant=None if new.grant_id is None else grants[new.grant_id],
        as_of=as_of,
        expires_at=new.expires_at,
        recorded_at=utc_now(),
        upper_grants=tuple(grants[grant_id] for grant_id in new.upper_grant_ids),
    )
    return Explanation(
        clip=clip,
        evidence=evidence,
        decisions=(_with_own_term(decision),),
        matches=_explained(
            session, [*matches_on(clip, evidence), *less_than_copies_on(clip, evidence)], evidence
        ),
        comparison=comparison,
        reviews=_reviews(session, clip, evidence, [policy.name], known_on),
    )


def all_grants(evidence: AssetEvidence) -> tuple[GrantRecord, ...]:
    """Return every grant that speaks of an asset, of rights tables and catalogues, at any level."""
    scoped = (item.grant for item in evidence.rights.grants)
    return tuple({grant.id: grant for grant in (*evidence.claims, *scoped)}.values())


def _reviews(
    session: Session,
    clip: ClipRecord,
    evidence: AssetEvidence,
    policies: Sequence[str],
    known_on: dt.datetime | None = None,
) -> tuple[ReviewRecord, ...]:
    scopes = review_scopes(clip, evidence)
    found = [
        review
        for name in policies
        for rows in reviews_on(session, scopes, name, known_on=known_on).values()
        for review in rows
    ]
    return tuple(sorted(found, key=lambda review: review.id))


def _with_own_term(decision: DecisionRecord) -> DecisionRecord:
    """Put the days that were left of this clip's grants on the day of its decision among the facts.

    A ruling is stored once for all clips whose facts are equal but for the days left, with the days of the first.
    """
    if decision.grant is None or "days_left" not in decision.ruling.facts.get("grant", {}):
        return decision
    ends = earliest(*(grant.valid_to for grant in (decision.grant, *decision.upper_grants)))
    facts = dict(decision.ruling.facts)
    facts["grant"] = facts["grant"] | {"days_left": days_until(ends, decision.as_of)}
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
