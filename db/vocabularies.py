"""Controlled vocabularies. The stored value is the text on the right; it never changes once released."""

from __future__ import annotations

import enum


class Outcome(enum.StrEnum):
    """What a policy decided about a clip."""

    CLEARED = "cleared"
    EXCLUDED = "excluded"
    HOLD = "hold"


class Tri(enum.StrEnum):
    """Three-valued truth. `UNKNOWN` is neither permission nor prohibition."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Use(enum.StrEnum):
    """Uses of footage, by the names of the CAWG Training and Data Mining assertion 1.1."""

    AI_GENERATIVE_TRAINING = "cawg.ai_generative_training"
    AI_TRAINING = "cawg.ai_training"
    AI_INFERENCE = "cawg.ai_inference"
    DATA_MINING = "cawg.data_mining"


class MatchTier(enum.StrEnum):
    """How a match was established, the surest first."""

    EXACT = "exact"
    """The same bytes."""
    HASH = "hash"
    """Perceptual fingerprints agree along the line, and the pictures do."""
    VERIFIED = "verified"
    """Registered pictures agree, as surely as the calibration asks for."""
    CANDIDATE = "candidate"
    """Alike over time, but less sure than the calibration asks for: a person must look."""
    SAME_SCENE = "same-scene"
    """The same place or camera, but what moves there differs: not a copy."""


COPY_TIERS = frozenset({MatchTier.EXACT, MatchTier.HASH, MatchTier.VERIFIED})


class MatchKind(enum.StrEnum):
    """What of the footage is the same."""

    PICTURE = "picture"
    SOUND = "sound"


class CollectionKind(enum.StrEnum):
    """Why we hold an asset: to use it, or to make sure that nothing we use contains it."""

    LIBRARY = "library"
    REFERENCE = "reference"
