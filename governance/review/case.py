"""A case: everything a reviewer needs to see of one clip, gathered for reading."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from db import queries
from db.errors import ConfigError
from db.records import AssetRecord, ClipRecord, MatchRecord
from db.review_queue import QueueItem, current_items
from db.reviews import change_marks, clip_scope, ingesters_of
from db.vocabularies import Outcome
from governance.decisions.explanation import ExplainedMatch, Explanation, explain_clip
from governance.facts.matches import Comparison, is_compared
from governance.policy.policy import FLOOR_CODES
from governance.review.footage import Side
from governance.review.history import HistoryEntry, history_on
from governance.review.requests import Reviewer
from governance.review.scopes import scopes_of_clips, wider_scopes
from ingest.encoders.encoder import EncoderIdentity


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Seconds of the clip and the seconds of other footage that they match."""

    explained: ExplainedMatch
    near: Side
    far: Side
    rate: float
    """How fast the far side runs while the near side runs at its own speed."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One clip, as the desk shows it."""

    explanation: Explanation
    item: QueueItem | None
    """Its current decision under the desk's policy; `None`: never decided."""
    whole: Side
    """The clip itself."""
    pairs: tuple[Pair, ...]
    history: tuple[HistoryEntry, ...]
    """Newest first."""
    scopes: tuple[str, ...]
    """From the narrowest to the widest."""
    ingested_by: frozenset[str]
    seen_id: int
    """The newest review there was when this was read."""

    @property
    def clip(self) -> ClipRecord:
        """The clip."""
        return self.explanation.clip

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the current decision rests on, with the days that are left of this clip's own grant."""
        mine = [d for d in self.explanation.current if self.item and d.ruling.id == self.item.ruling.id]
        return mine[0].ruling.facts if mine else {}

    @property
    def waivable(self) -> tuple[str, ...]:
        """The reasons that hold it and may be waived."""
        if self.item is None or self.item.ruling.outcome is not Outcome.HOLD:
            return ()
        codes = dict.fromkeys(reason["code"] for reason in self.item.ruling.reasons)
        return tuple(code for code in codes if code not in FLOOR_CODES and not code.startswith("policy."))

    @property
    def is_compared(self) -> bool:
        """Whether a copy in this clip would have been looked for, and could have been found."""
        return is_compared(self.clip, self.explanation.evidence, self.explanation.comparison)

    @property
    def can_approve(self) -> bool:
        """Whether an approval would make sense."""
        if self.item is None or self.item.ruling.outcome is not Outcome.HOLD:
            return False
        return not FLOOR_CODES & {reason["code"] for reason in self.item.ruling.reasons}

    @property
    def to_confirm(self) -> tuple[HistoryEntry, ...]:
        """What waits for a second person, newest first."""
        return tuple(entry for entry in self.history if entry.awaits_second)


def find_clip(session: Session, clip_id: str) -> ClipRecord:
    """Return the clip with this id. Raises `ConfigError` if there is none."""
    found = [clip for clip in queries.clips_by_prefix(session, clip_id, limit=2) if clip.clip_id == clip_id]
    if not found:
        raise ConfigError(f"no clip is called {clip_id[:32]!r}")
    return found[0]


def read_case(
    session: Session, clip_id: str, reviewer: Reviewer, comparison: Comparison, *, now: dt.datetime
) -> Case:
    """Gather one clip for its reviewer. Raises `ConfigError` if there is no such clip."""
    _, seen_id = change_marks(session)
    explanation = explain_clip(session, find_clip(session, clip_id), comparison)
    sha256 = explanation.evidence.asset.sha256
    item = current_items(session, reviewer.policy_name, [clip_id]).get(clip_id)
    scopes = scopes_of_clips(session, {clip_id: sha256})[clip_id] | {clip_scope(clip_id)}
    ingested_by = ingesters_of(session, [sha256]).get(sha256, frozenset())
    found = history_on(session, reviewer, scopes, now=now, asset_sha256=sha256)
    history = sorted((e for entries in found.values() for e in entries), key=lambda e: -e.review.id)
    return Case(
        explanation=explanation,
        item=item,
        whole=whole_clip(explanation),
        pairs=pairs_of(session, explanation),
        history=tuple(history),
        scopes=tuple(wider_scopes(scopes)),
        ingested_by=ingested_by,
        seen_id=seen_id,
    )


def whole_clip(explanation: Explanation) -> Side:
    """Return the clip's own seconds."""
    clip, evidence = explanation.clip, explanation.evidence
    return Side(
        asset=evidence.asset,
        paths=evidence.paths,
        first_pts=_first_pts(evidence.asset, [clip]),
        start_seconds=clip.start_seconds,
        end_seconds=clip.end_seconds,
    )


def newest_comparison(session: Session) -> Comparison:
    """Return the comparison whose matches and stills are shown.

    Whether it covers every reference set is not looked into, as `present_comparison` does: pictures cannot wait for it.
    """
    encoder, name, detector = queries.latest_comparison(session) or (None, None, None)
    return Comparison(
        encoder_digest=encoder, encoder_name=name, detector_digest=detector, is_reference_covered=False
    )


def encoder_identity(session: Session) -> EncoderIdentity | None:
    """Return the encoder under which stills were kept; `None` if nothing was compared yet."""
    digest = newest_comparison(session).encoder_digest
    if digest is None:
        return None
    columns = queries.encoder_columns(session, digest)
    return EncoderIdentity(
        name=str(columns["name"]),
        weights_sha256=str(columns["weights_sha256"]),
        preprocessing=str(columns["preprocessing"]),
        dim=int(columns["dim"]),
    )


def pairs_of(session: Session, explanation: Explanation) -> tuple[Pair, ...]:
    """Return the matches of a clip with the seconds of both sides, as `explain_clip` orders them."""
    whole = whole_clip(explanation)
    others = sorted({item.match.other_id for item in explanation.matches})
    assets = {other: queries.get_asset(session, other) for other in others}
    paths = queries.asset_paths(session, others)
    first = {other: _first_pts(assets[other], queries.clips_of_asset(session, other)) for other in others}
    return tuple(
        _pair(whole, item, assets[item.match.other_id], paths, first) for item in explanation.matches
    )


def _pair(
    whole: Side,
    item: ExplainedMatch,
    other: AssetRecord,
    paths: Mapping[int, Sequence[str]],
    first_pts: Mapping[int, int],
) -> Pair:
    """Return the part of a match that lies in the clip, and where that is on the other side."""
    match = item.match
    start = max(whole.start_seconds, match.start_seconds)
    end = min(whole.end_seconds, match.end_seconds)
    far_start, far_end = _across(match, start), _across(match, end)
    near = Side(
        asset=whole.asset, paths=whole.paths, first_pts=whole.first_pts, start_seconds=start, end_seconds=end
    )
    far = Side(
        asset=other,
        paths=tuple(paths.get(other.id, ())),
        first_pts=first_pts[other.id],
        start_seconds=far_start,
        end_seconds=far_end,
    )
    return Pair(explained=item, near=near, far=far, rate=(far_end - far_start) / (end - start))


def _across(match: MatchRecord, seconds: float) -> float:
    """Return the time on the other side at which what is shown here at `seconds` is shown."""
    share = (seconds - match.start_seconds) / (match.end_seconds - match.start_seconds)
    return match.other_start_seconds + share * (match.other_end_seconds - match.other_start_seconds)


def _first_pts(asset: AssetRecord, clips: Sequence[ClipRecord]) -> int:
    """Return the pts of an asset's first frame: seconds count from it."""
    return clips[0].start_pts - round(clips[0].start_seconds / asset.time_base) if clips else 0
