"""What the three signed artefacts state, as frozen records that check themselves.

A snapshot states what it froze, a model what it was trained on, a clip which model made it. Licences are
aggregated: a clip travels to anybody, so no rights holder is named and no prompt is quoted in what it
carries.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from fractions import Fraction

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ROUNDING_SECONDS = 1e-3


@dataclass(frozen=True, kw_only=True)
class LicenseShare:
    """How much of a snapshot stands under one licence expression."""

    license_expression: str
    num_clips: int
    duration_seconds: float

    def __post_init__(self) -> None:
        """Refuse an empty share."""
        _require(self.num_clips > 0, "num_clips", self.num_clips, "at least one")
        _require(self.duration_seconds >= 0, "duration_seconds", self.duration_seconds, "no negative time")


@dataclass(frozen=True, kw_only=True)
class SnapshotStatement:
    """A sealed dataset snapshot. Times are aware; `expires_at` is the earliest expiry that it relies on."""

    name: str
    snapshot_urn: str
    merkle_root: str
    num_assets: int
    num_clips: int
    duration_seconds: float
    policy_name: str
    policy_version: str
    policy_digest: str
    purpose: str
    sealed_at: dt.datetime
    expires_at: dt.datetime | None
    licenses: tuple[LicenseShare, ...]
    document_sha256: str | None = None
    is_promotable: bool = True
    """What is made with it may become a commercial release. Credentials say so only where it may not."""

    def __post_init__(self) -> None:
        """Refuse malformed digests, naive times, and shares that do not add up to the number of clips."""
        _require_digest("merkle_root", self.merkle_root)
        _require_digest("policy_digest", self.policy_digest)
        if self.document_sha256 is not None:
            _require_digest("document_sha256", self.document_sha256)
        _require_aware("sealed_at", self.sealed_at)
        if self.expires_at is not None:
            _require_aware("expires_at", self.expires_at)
        _require(self.num_assets > 0, "num_assets", self.num_assets, "at least one")
        shares = sum(share.num_clips for share in self.licenses)
        _require(self.num_clips > 0, "num_clips", self.num_clips, "at least one")
        _require(shares == self.num_clips, "licenses", shares, f"shares of {self.num_clips} clips in all")
        seconds = sum(share.duration_seconds for share in self.licenses)
        is_whole = abs(seconds - self.duration_seconds) <= _ROUNDING_SECONDS * len(self.licenses)
        _require(is_whole, "licenses", seconds, f"shares of {self.duration_seconds} s in all")


@dataclass(frozen=True, kw_only=True)
class ModelStatement:
    """Trained weights and the snapshot they come from."""

    name: str
    model_urn: str
    version: str
    architecture: str
    weights_sha256: str
    run_id: str
    num_parameters: int
    num_steps: int
    trained_at: dt.datetime
    snapshot_urn: str
    snapshot_root: str
    is_promotable: bool = True
    """As of its snapshot."""

    def __post_init__(self) -> None:
        """Refuse malformed digests and naive times."""
        _require_digest("weights_sha256", self.weights_sha256)
        _require_digest("snapshot_root", self.snapshot_root)
        _require_aware("trained_at", self.trained_at)


@dataclass(frozen=True, kw_only=True)
class ClipStatement:
    """A generated clip. The prompt is known by its digest only; even that betrays one that can be guessed."""

    title: str
    clip_urn: str
    generated_at: dt.datetime
    prompt_sha256: str
    seed: int
    num_steps: int
    width: int
    height: int
    frame_rate: Fraction
    num_frames: int
    model_name: str
    model_urn: str
    snapshot_urn: str
    snapshot_root: str
    is_promotable: bool = True
    """As of its snapshot."""

    def __post_init__(self) -> None:
        """Refuse malformed digests and naive times."""
        _require_digest("prompt_sha256", self.prompt_sha256)
        _require_digest("snapshot_root", self.snapshot_root)
        _require_aware("generated_at", self.generated_at)


def _require(holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise ValueError(f"{name} is {value}, expected {expected}")


def _require_digest(name: str, value: str) -> None:
    _require(_SHA256.fullmatch(value) is not None, name, repr(value), "64 lower-case hex digits")


def _require_aware(name: str, value: dt.datetime) -> None:
    _require(value.tzinfo is not None, name, value, "a time with a time zone")
