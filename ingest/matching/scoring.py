"""Scoring: one probability from all evidence on a segment, and the word for how sure that is.

The detector is a logistic regression whose weights, threshold and measured recall come from a calibration
(`ingest.matching.calibration`). Each kind of evidence is written so that more of it means surer, and its weight is
never negative: no further evidence for a copy can make one look less like a copy.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property

from db.canonical import digest_of
from db.vocabularies import MatchTier

SCORING_RULES = "evidence-1"
"""Names the kinds of evidence; part of a detector's digest."""
HASH_DISTANCE = 31
"""Bits of 256 within which two PDQ fingerprints match (ThreatExchange's recommended threshold)."""
_SAME_SCENE_INLIERS = 15
_SAME_SCENE_TEXTURE = 0.5
_OTHER_MOTION = 0.4


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What speaks for a copy along one segment."""

    similarity: float
    """Mean of the three best inner products on the line."""
    num_votes: int
    """Distinct views (runs of still frames count once) of the query that lie on the line."""
    coverage: float
    """Share of the query's samples in the span that have a hit on the line."""
    num_inliers: int
    """Keypoints that support the map at one moment; 0 for an assumed map."""
    texture: float
    motion: float
    """Agreement of the pictures, `ingest.matching.geometry.Agreement`."""
    overlap: float
    correlation: float
    """Of what changes on both sides; 0 where nothing moves."""
    is_moving: bool
    speed: float
    """Seconds of the other side per second of the query: copies mostly keep their pace, chance alignments do not."""
    pdq_distance: float
    """Median Hamming distance, of 256, along the line; 128, as of unrelated pictures, where there is none."""

    @property
    def is_same_scene(self) -> bool:
        """Whether the pictures fit each other, but not what moves in them."""
        fits = self.num_inliers >= _SAME_SCENE_INLIERS and self.texture >= _SAME_SCENE_TEXTURE
        return fits and (self.correlation if self.is_moving else self.motion) < _OTHER_MOTION

    def features(self) -> tuple[float, ...]:
        """Return the numbers that are weighed, in the order of `FEATURES`."""
        return (
            self.similarity,
            math.log1p(self.num_votes),
            self.coverage,
            math.log1p(self.num_inliers),
            self.texture,
            self.motion,
            min(self.texture, self.motion),
            self.overlap,
            # Where nothing moves there is nothing to correlate, and the pictures alone must say it.
            max(0.0, self.correlation) if self.is_moving else min(self.texture, self.motion),
            max(0.0, 1 - 2 * abs(math.log(self.speed))),
            1 - self.pdq_distance / 128,
        )


FEATURES = (
    "similarity",
    "log_votes",
    "coverage",
    "log_inliers",
    "texture",
    "motion",
    "least_agreement",
    "overlap",
    "correlation",
    "steadiness",
    "pdq",
)


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A logistic regression over `FEATURES`."""

    intercept: float
    coefficients: tuple[float, ...]

    def probability(self, evidence: Evidence) -> float:
        """Return the probability of a copy."""
        terms = zip(self.coefficients, evidence.features(), strict=True)
        logit = self.intercept + sum(weight * value for weight, value in terms)
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, logit))))


@dataclass(frozen=True, kw_only=True)
class Detector:
    """Every threshold of the detection. They hold for one encoder and never carry over to another."""

    name: str
    min_similarity: float
    """Inner product from which two frames nominate each other."""
    min_samples: int
    """Query samples that a segment needs: three, half a second apart, are the shortest copy reported."""
    max_failures: int
    """Segments of one pair of assets whose pictures may disagree before no further one is looked at."""
    weights: Weights
    min_probability: float
    """From which a segment is a copy."""
    min_candidate: float
    """From which a person should look."""
    rules: str
    """Names the rules of the modules that take part."""
    calibration_sha256: str | None
    """Digest of the calibration that chose the numbers; None: they were chosen to be safe."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of all fields."""
        return digest_of(dataclasses.asdict(self))

    def tier(self, evidence: Evidence, probability: float) -> MatchTier | None:
        """Say how sure a match is; None: it is none."""
        if probability >= self.min_probability:
            return MatchTier.HASH if evidence.pdq_distance <= HASH_DISTANCE else MatchTier.VERIFIED
        if evidence.is_same_scene:
            return MatchTier.SAME_SCENE
        return MatchTier.CANDIDATE if probability >= self.min_candidate else None
