"""Spans: stretches of two assets that show the same pictures."""

from __future__ import annotations

from dataclasses import dataclass

from db.vocabularies import MatchTier
from ingest.matching.scoring import Evidence


@dataclass(frozen=True, kw_only=True)
class MatchSpan:
    """A stretch of the query asset that shows the same pictures as a stretch of the other asset."""

    query_sha256: str
    other_sha256: str
    query_start_seconds: float
    query_end_seconds: float
    other_start_seconds: float
    other_end_seconds: float
    tier: MatchTier
    probability: float
    evidence: Evidence
    speed: float
    """Seconds of the other asset per second of the query."""
    is_mirrored: bool
    query_view: int
    other_view: int
    """Which part of the picture shows it; 0 is the whole."""
