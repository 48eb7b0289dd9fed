"""What becomes of a clip, given its matches and what was not compared (pure)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from db.vocabularies import MatchTier
from ingest.lookup.find import Gap
from training.screening.result import BLOCKING, Against, ScreenMatch, ScreenOutcome, ScreenResult

_GRAVEST_FIRST = (ScreenOutcome.REFUSED, ScreenOutcome.HELD, ScreenOutcome.PASSED)
_SAME_SHARE = 0.5
"""Of its seconds in the clip, that a match has in common with a surer one of the same footage to be told once."""


def outcome_of(
    matches: Sequence[ScreenMatch], gaps: Sequence[Gap], *, is_too_like: bool = False
) -> ScreenOutcome:
    """Return what the gravest match leads to; without one, whether all was compared, and whether it is too like."""
    worst = matches[0].outcome if matches else ScreenOutcome.PASSED
    if worst is not ScreenOutcome.PASSED:
        return worst
    if any(gap.code in BLOCKING for gap in gaps):
        return ScreenOutcome.NOT_COMPARABLE
    return ScreenOutcome.HELD if is_too_like else ScreenOutcome.PASSED


def gravest_first(found: Sequence[ScreenMatch]) -> list[ScreenMatch]:
    """Sort matches, the gravest first, and keep the surest of those that two tempos tell of the same seconds."""
    tiers, sides = list(MatchTier), list(Against)
    kept: list[ScreenMatch] = []
    for match in sorted(found, key=lambda match: (tiers.index(match.tier), -match.probability)):
        if not any(_is_same(match, known) for known in kept):
            kept.append(match)
    return sorted(
        kept,
        key=lambda match: (
            _GRAVEST_FIRST.index(match.outcome),
            tiers.index(match.tier),
            sides.index(match.against),
            -match.probability,
        ),
    )


def _is_same(match: ScreenMatch, known: ScreenMatch) -> bool:
    start = max(match.start_seconds, known.start_seconds)
    end = min(match.end_seconds, known.end_seconds)
    is_mostly = end - start > _SAME_SHARE * (match.end_seconds - match.start_seconds)
    return is_mostly and (match.asset_sha256, match.against) == (known.asset_sha256, known.against)


def held_instead(result: ScreenResult) -> ScreenResult:
    """Return a refused clip as held for a person, if only footage that the model was trained on speaks against it.

    Who trains on footage may have the right to show it again; who keeps a reference set has said that nobody has.
    """
    refusing = [match for match in result.matches if match.outcome is ScreenOutcome.REFUSED]
    is_training = refusing and all(match.against is Against.TRAINING for match in refusing)
    return dataclasses.replace(result, outcome=ScreenOutcome.HELD) if is_training else result
