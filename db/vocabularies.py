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


class CollectionKind(enum.StrEnum):
    """Why we hold an asset: to use it, or to make sure that nothing we use contains it."""

    LIBRARY = "library"
    REFERENCE = "reference"
