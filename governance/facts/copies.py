"""Copies: what follows from the matches on record. A copy of a copy of reference footage is a copy of that footage."""

from __future__ import annotations

from dataclasses import replace

from db.records import AssetEvidence, MatchRecord
from db.vocabularies import MatchKind, MatchTier


def copies_in(evidence: AssetEvidence) -> tuple[MatchRecord, ...]:
    """Return an asset's copied pictures, and the copies of reference footage that only the footage in between shows."""
    copies = [match for match in evidence.matches if match.is_copy]
    added: list[MatchRecord] = []
    for near in copies:
        for far in evidence.reference_matches.get(near.other_id, ()):
            if not far.is_copy or far.other_id == near.asset_id or not _share_seconds(near, far):
                continue
            seen = _seen_through(near, far)
            if not any(_is_same_copy(seen, known) for known in (*copies, *added)):
                added.append(seen)
    return (*copies, *added)


def unsure_in(evidence: AssetEvidence) -> tuple[MatchRecord, ...]:
    """Return the matches of pictures that may be copies, where no copy of the same footage covers the seconds."""
    copies = [match for match in evidence.matches if match.is_copy]
    return tuple(
        match
        for match in evidence.matches
        if match.kind is MatchKind.PICTURE
        and match.tier is MatchTier.CANDIDATE
        and not any(_is_same_copy(match, copy) for copy in copies)
    )


def sound_copies_in(evidence: AssetEvidence) -> tuple[MatchRecord, ...]:
    """Return the matches of sound."""
    return tuple(match for match in evidence.matches if match.kind is MatchKind.SOUND)


def _share_seconds(near: MatchRecord, far: MatchRecord) -> bool:
    return far.start_seconds < near.other_end_seconds and far.end_seconds > near.other_start_seconds


def _is_same_copy(one: MatchRecord, other: MatchRecord) -> bool:
    is_overlapping = one.start_seconds < other.end_seconds and one.end_seconds > other.start_seconds
    return one.other_id == other.other_id and is_overlapping


def _seen_through(near: MatchRecord, far: MatchRecord) -> MatchRecord:
    """Return what `near.asset_id` shares with `far.other_id`, given what both share with the asset in between."""
    start = max(near.other_start_seconds, far.start_seconds)
    end = min(near.other_end_seconds, far.end_seconds)
    return replace(
        far,
        asset_id=near.asset_id,
        start_seconds=_mapped(
            start, near.other_start_seconds, near.other_end_seconds, near.start_seconds, near.end_seconds
        ),
        end_seconds=_mapped(
            end, near.other_start_seconds, near.other_end_seconds, near.start_seconds, near.end_seconds
        ),
        other_start_seconds=_mapped(
            start, far.start_seconds, far.end_seconds, far.other_start_seconds, far.other_end_seconds
        ),
        other_end_seconds=_mapped(
            end, far.start_seconds, far.end_seconds, far.other_start_seconds, far.other_end_seconds
        ),
        score=min(near.score, far.score),
        num_votes=min(near.num_votes, far.num_votes),
    )


def _mapped(seconds: float, start: float, end: float, to_start: float, to_end: float) -> float:
    """Map a time in a span to the time at the same share of another span."""
    return to_start + (seconds - start) * (to_end - to_start) / (end - start)
