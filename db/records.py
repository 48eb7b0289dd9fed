"""Frozen records that travel between the layers. Rows of the database never leave `db`; these do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

from db.contracts import NOTHING_MORE, Contract
from db.rights_records import NO_STATEMENTS, RightsStatements
from db.vocabularies import COPY_TIERS, MatchKind, MatchTier, Outcome, Tri


@dataclass(frozen=True, kw_only=True)
class AssetRecord:
    """A source file by its content."""

    id: int
    sha256: str
    size_bytes: int
    container: str
    video_codec: str
    pixel_format: str
    width: int
    height: int
    rotation_degrees: int
    frame_rate: Fraction | None
    is_variable_frame_rate: Tri
    time_base: Fraction
    duration_seconds: float
    num_frames: int
    audio_codec: str | None


@dataclass(frozen=True, kw_only=True)
class GrantRecord:
    """A licence given. Times are aware UTC; `valid_to` is exclusive; `None` means that no bound was stated."""

    id: int
    digest: str
    title: str
    rights_holder: str
    license_expression: str
    permitted_uses: tuple[str, ...]
    territories: tuple[str, ...]
    valid_from: dt.datetime | None
    valid_to: dt.datetime | None
    attribution: str
    evidence_path: str | None
    evidence_sha256: str | None
    source: str
    table_sha256: str
    row_number: int
    sheet: str = ""
    contract: Contract = NOTHING_MORE
    """What a catalogue says beyond a row of a rights table."""


class ClipRecord(NamedTuple):
    """A span of an asset, end exclusive. A tuple, since a library has millions of them."""

    id: int
    clip_id: str
    asset_id: int
    start_pts: int
    end_pts: int
    start_seconds: float
    end_seconds: float
    num_textured_samples: int
    """Sampled frames in the span that have texture enough to be compared."""

    @property
    def duration_seconds(self) -> float:
        """Length of the span."""
        return self.end_seconds - self.start_seconds


@dataclass(frozen=True, kw_only=True)
class MatchRecord:
    """A copied span as one asset sees it: its own seconds and those of the other side."""

    asset_id: int
    other_id: int
    start_seconds: float
    end_seconds: float
    other_start_seconds: float
    other_end_seconds: float
    score: float
    """Calibrated probability that it is a copy."""
    num_votes: int
    other_collections: tuple[str, ...]
    """Names of the reference sets that hold the other side."""
    is_other_in_library: bool
    kind: MatchKind = MatchKind.PICTURE
    tier: MatchTier = MatchTier.VERIFIED
    speed: float = 1.0
    """Seconds of the other side per second of this one."""
    is_mirrored: bool = False
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """The numbers that the score was made of."""

    @property
    def is_copy(self) -> bool:
        """Whether the same pictures are on both sides, as surely as the calibration asks for."""
        return self.kind is MatchKind.PICTURE and self.tier in COPY_TIERS


@dataclass(frozen=True, kw_only=True)
class RulingRecord:
    """What a policy says of one distinct set of facts."""

    id: int
    policy_name: str
    policy_version: str
    policy_digest: str
    basis_digest: str
    facts: Mapping[str, Any]
    outcome: Outcome
    reasons: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class DecisionRecord:
    """The current decision on a clip under one policy."""

    clip: ClipRecord
    asset_sha256: str
    ruling: RulingRecord
    grant: GrantRecord | None
    as_of: dt.datetime
    expires_at: dt.datetime | None
    recorded_at: dt.datetime
    upper_grants: tuple[GrantRecord, ...] = ()
    """Grants of the titles above, which narrow the one relied on."""
    evidence_digest: str = ""
    """Of what a held clip is held on, before any verdict: what an approval is given for."""


@dataclass(frozen=True, kw_only=True)
class SnapshotRecord:
    """A sealed snapshot as the database knows it; the signed document is the truth."""

    id: int
    name: str
    merkle_root: str
    policy_name: str
    policy_digest: str
    document_sha256: str
    num_clips: int
    num_assets: int
    duration_seconds: float
    expires_at: dt.datetime | None
    sealed_at: dt.datetime
    is_promotable: bool | None
    """What is made with it may be released commercially; `None`: sealed before that was recorded."""
    recall_reason: str | None


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """Signed weights and the run and snapshot they come from."""

    id: int
    name: str
    urn: str
    run_id: str
    snapshot_name: str
    weights_sha256: str
    num_parameters: int
    num_steps: int
    recorded_at: dt.datetime


@dataclass(frozen=True, kw_only=True)
class EventRecord:
    """One state change."""

    id: int
    kind: str
    subject: str
    payload: Mapping[str, Any]
    actor: str
    digest: str
    recorded_at: dt.datetime


@dataclass(frozen=True, kw_only=True)
class AssetEvidence:
    """Everything recorded about one library asset that a decision on its clips may rely on."""

    asset: AssetRecord
    paths: tuple[str, ...]
    clips: tuple[ClipRecord, ...]
    claims: tuple[GrantRecord, ...]
    """The grants in force, at most one for each path; newest first, each grant once."""
    matches: tuple[MatchRecord, ...]
    reference_matches: Mapping[int, tuple[MatchRecord, ...]]
    """What every asset on the other side of a match shares with reference footage, by asset id."""
    other_claims: Mapping[int, tuple[GrantRecord, ...]]
    """The grants in force of every asset on the other side of a match, by asset id."""
    exact_reference_sets: tuple[str, ...]
    """Reference sets that hold the very same bytes."""
    is_searched: bool
    """The near-duplicate search with the present encoder and detector covers this asset."""
    num_textured_rows: int
    """Sampled frames with enough texture to be compared."""
    rights: RightsStatements = NO_STATEMENTS
    """What catalogues, the file itself and captured pages state, at every level above the clips."""
    signals_read_by: frozenset[str] = frozenset()
    """Versions of the protocol list by which the file was read for rights signals, whatever it says."""
    is_own_output: bool = False
    """These very bytes were made by a model that was trained here."""
    has_research_ancestor: bool = False
    """That model's snapshot is for research only, or not on record as none, or the model is an adapter."""
