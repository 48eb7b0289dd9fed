"""The tables. Evidence is append-only: a correction is a new row, the newest row of a subject is the current one.

Rows stay inside `db`; `db.queries` turns them into the frozen dataclasses of `db.records`. What a catalogue says of
rights lies in `db.rights_models`.
"""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.types import (
    Big,
    ExactFraction,
    Key,
    Rational,
    Sha256,
    Utc,
    UtcDateTime,
    sha256_check,
    stored_by_value,
)
from db.vocabularies import CollectionKind, MatchKind, MatchTier, Outcome, Tri


class Asset(Base):
    """A source file by its content: one row for one SHA-256, wherever copies of it lie."""

    __tablename__ = "asset"
    __table_args__ = (sha256_check("sha256"), CheckConstraint("size_bytes > 0", name="size_positive"))

    id: Mapped[Key]
    sha256: Mapped[Sha256] = mapped_column(unique=True)
    size_bytes: Mapped[Big]
    container: Mapped[str] = mapped_column(String(64))
    video_codec: Mapped[str] = mapped_column(String(32))
    pixel_format: Mapped[str] = mapped_column(String(32))
    width: Mapped[int] = mapped_column(comment="pixels, upright")
    height: Mapped[int] = mapped_column(comment="pixels, upright")
    rotation_degrees: Mapped[int]
    frame_rate: Mapped[Fraction | None] = mapped_column(ExactFraction, comment="average, frames per second")
    is_variable_frame_rate: Mapped[Tri] = mapped_column(stored_by_value(Tri))
    time_base: Mapped[Rational]
    duration_seconds: Mapped[float] = mapped_column(comment="of the frames that were decoded")
    num_frames: Mapped[int]
    audio_codec: Mapped[str | None] = mapped_column(String(32), comment="null: no audio stream")
    recorded_at: Mapped[Utc]


class AssetPath(Base):
    """A place where an asset was seen."""

    __tablename__ = "asset_path"
    __table_args__ = (UniqueConstraint("asset_id", "path"), Index(None, "path"))

    id: Mapped[Key]
    asset_id: Mapped[int] = mapped_column(ForeignKey("asset.id", ondelete="RESTRICT"))
    path: Mapped[str] = mapped_column(Text, comment="absolute; bytes outside UTF-8 are percent-escaped")
    recorded_at: Mapped[Utc]


class RejectedFile(Base):
    """A file that was offered and did not become an asset, with the reason."""

    __tablename__ = "rejected_file"
    __table_args__ = (UniqueConstraint("collection_id", "path", "code", "detail"),)

    id: Mapped[Key]
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id", ondelete="RESTRICT"))
    path: Mapped[str] = mapped_column(Text)
    code: Mapped[str] = mapped_column(String(64))
    detail: Mapped[str] = mapped_column(Text)
    recorded_at: Mapped[Utc]


class Collection(Base):
    """The library, or a reference set: footage that nothing we use may contain."""

    __tablename__ = "collection"

    id: Mapped[Key]
    name: Mapped[str] = mapped_column(String(128), unique=True)
    kind: Mapped[CollectionKind] = mapped_column(stored_by_value(CollectionKind))
    recorded_at: Mapped[Utc]


class Membership(Base):
    """An asset belongs to a collection."""

    __tablename__ = "membership"
    __table_args__ = (UniqueConstraint("collection_id", "asset_id"), Index(None, "asset_id"))

    id: Mapped[Key]
    collection_id: Mapped[int] = mapped_column(ForeignKey("collection.id", ondelete="RESTRICT"))
    asset_id: Mapped[int] = mapped_column(ForeignKey("asset.id", ondelete="RESTRICT"))
    recorded_at: Mapped[Utc]


class Clip(Base):
    """A span of an asset: what is cleared, trained on, or kept out. The end is exclusive."""

    __tablename__ = "clip"
    __table_args__ = (
        UniqueConstraint("asset_id", "start_pts", "end_pts"),
        CheckConstraint("end_pts > start_pts", name="span_not_empty"),
    )

    id: Mapped[Key]
    clip_id: Mapped[str] = mapped_column(String(16), unique=True)
    asset_id: Mapped[int] = mapped_column(ForeignKey("asset.id", ondelete="RESTRICT"))
    start_pts: Mapped[Big]
    end_pts: Mapped[Big]
    start_seconds: Mapped[float]
    end_seconds: Mapped[float]
    num_textured_samples: Mapped[int] = mapped_column(
        comment="sampled frames in the span that can be compared"
    )
    recorded_at: Mapped[Utc]


class Grant(Base):
    """A licence given, as one row of a rights table states it."""

    __tablename__ = "rights_grant"
    __table_args__ = (sha256_check("digest"),)

    id: Mapped[Key]
    digest: Mapped[Sha256] = mapped_column(
        unique=True, comment="of the canonical JSON of the normative content"
    )
    title: Mapped[str] = mapped_column(Text)
    rights_holder: Mapped[str] = mapped_column(Text)
    license_expression: Mapped[str] = mapped_column(Text)
    permitted_uses: Mapped[list[Any]]
    territories: Mapped[list[Any]]
    valid_from: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    valid_to: Mapped[dt.datetime | None] = mapped_column(
        UtcDateTime, comment="exclusive; null: no end stated"
    )
    attribution: Mapped[str] = mapped_column(Text)
    evidence_path: Mapped[str | None] = mapped_column(Text)
    evidence_sha256: Mapped[str | None] = mapped_column(String(64))
    source: Mapped[str] = mapped_column(Text)
    contract: Mapped[dict[str, Any]] = mapped_column(
        comment="what a catalogue says beyond a rights table: db.contracts"
    )
    table_sha256: Mapped[Sha256] = mapped_column(comment="of the rights table that brought this grant first")
    sheet: Mapped[str] = mapped_column(Text, comment="empty if the table has one sheet only")
    row_number: Mapped[int]
    recorded_at: Mapped[Utc]


class Claim(Base):
    """A grant claimed for the asset at a path. The newest row of a path is in force, older ones are history.

    Claims hang on paths, not on assets, so that the same bytes offered under two names by two holders stay two
    claims: a title conflict instead of a silent replacement. A row without a grant withdraws the claim.
    """

    __tablename__ = "claim"
    __table_args__ = (Index(None, "asset_path_id", "id"),)

    id: Mapped[Key]
    asset_path_id: Mapped[int] = mapped_column(ForeignKey("asset_path.id", ondelete="RESTRICT"))
    table_path: Mapped[str] = mapped_column(Text, comment="rights table that claims or withdraws")
    grant_id: Mapped[int | None] = mapped_column(
        ForeignKey("rights_grant.id", ondelete="RESTRICT"), comment="null: the claim is withdrawn"
    )
    supersedes_id: Mapped[int | None] = mapped_column(ForeignKey("claim.id", ondelete="RESTRICT"))
    recorded_at: Mapped[Utc]


class RightsTable(Base):
    """A rights table was imported. The newest row of a path is the table in force."""

    __tablename__ = "rights_table"
    __table_args__ = (Index(None, "path", "id"), sha256_check("sha256"))

    id: Mapped[Key]
    path: Mapped[str] = mapped_column(Text)
    sha256: Mapped[Sha256]
    num_accepted: Mapped[int]
    num_rejected: Mapped[int]
    recorded_at: Mapped[Utc]


class RejectedRow(Base):
    """A row of a rights table that was not accepted, with the reason."""

    __tablename__ = "rejected_row"
    __table_args__ = (
        UniqueConstraint(
            "table_sha256", "sheet", "row_number", "code", "reason", name="uq_rejected_row_reason"
        ),
    )

    id: Mapped[Key]
    table_path: Mapped[str] = mapped_column(Text)
    table_sha256: Mapped[Sha256]
    sheet: Mapped[str] = mapped_column(Text, comment="empty if the table has one sheet only")
    row_number: Mapped[int]
    code: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(Text)
    recorded_at: Mapped[Utc]


class Encoder(Base):
    """An encoder's identity; vectors of different encoders are never compared."""

    __tablename__ = "encoder"
    __table_args__ = (sha256_check("digest"),)

    id: Mapped[Key]
    digest: Mapped[Sha256] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(Text)
    weights_sha256: Mapped[Sha256]
    preprocessing: Mapped[str] = mapped_column(Text)
    dim: Mapped[int]
    recorded_at: Mapped[Utc]


class Embedding(Base):
    """The sampled frames of an asset were embedded; the vectors lie in the store."""

    __tablename__ = "embedding"
    __table_args__ = (UniqueConstraint("asset_id", "encoder_id"),)

    id: Mapped[Key]
    asset_id: Mapped[int] = mapped_column(ForeignKey("asset.id", ondelete="RESTRICT"))
    encoder_id: Mapped[int] = mapped_column(ForeignKey("encoder.id", ondelete="RESTRICT"))
    num_rows: Mapped[int]
    num_textured_rows: Mapped[int] = mapped_column(comment="rows with enough texture to be compared")
    recorded_at: Mapped[Utc]


class Search(Base):
    """An asset was searched against everything that had been embedded before it, and itself became findable."""

    __tablename__ = "search"
    __table_args__ = (
        UniqueConstraint("asset_id", "encoder_id", "detector_digest"),
        sha256_check("detector_digest"),
    )

    id: Mapped[Key]
    asset_id: Mapped[int] = mapped_column(ForeignKey("asset.id", ondelete="RESTRICT"))
    encoder_id: Mapped[int] = mapped_column(ForeignKey("encoder.id", ondelete="RESTRICT"))
    detector_digest: Mapped[Sha256]
    num_others: Mapped[int]
    recorded_at: Mapped[Utc]


class Match(Base):
    """A copied span, both sides. `asset_id` is the lower id; which side is licensed is decided later."""

    __tablename__ = "match"
    __table_args__ = (
        UniqueConstraint(
            "asset_id",
            "other_id",
            "detector_digest",
            "start_seconds",
            "end_seconds",
            "other_start_seconds",
            "other_end_seconds",
            name="uq_match_span",
        ),
        Index(None, "other_id"),
        CheckConstraint("asset_id < other_id", name="ordered_pair"),
    )

    id: Mapped[Key]
    asset_id: Mapped[int] = mapped_column(ForeignKey("asset.id", ondelete="RESTRICT"))
    other_id: Mapped[int] = mapped_column(ForeignKey("asset.id", ondelete="RESTRICT"))
    encoder_id: Mapped[int] = mapped_column(ForeignKey("encoder.id", ondelete="RESTRICT"))
    detector_digest: Mapped[Sha256]
    start_seconds: Mapped[float]
    end_seconds: Mapped[float]
    other_start_seconds: Mapped[float]
    other_end_seconds: Mapped[float]
    kind: Mapped[MatchKind] = mapped_column(stored_by_value(MatchKind))
    tier: Mapped[MatchTier] = mapped_column(stored_by_value(MatchTier))
    score: Mapped[float]
    num_votes: Mapped[int]
    speed: Mapped[float] = mapped_column(comment="seconds of the other side per second of this one")
    is_mirrored: Mapped[bool]
    evidence: Mapped[dict[str, Any]] = mapped_column(comment="the numbers that the score was made of")
    recorded_at: Mapped[Utc]


class SoundPrint(Base):
    """The sound of an asset was fingerprinted, or why it could not be."""

    __tablename__ = "sound_print"
    __table_args__ = (UniqueConstraint("asset_id", "engine_digest"), sha256_check("engine_digest"))

    id: Mapped[Key]
    asset_id: Mapped[int] = mapped_column(ForeignKey("asset.id", ondelete="RESTRICT"))
    engine_digest: Mapped[Sha256]
    num_items: Mapped[int]
    code: Mapped[str] = mapped_column(String(64), comment="empty if the sound can be compared")
    detail: Mapped[str] = mapped_column(Text)
    recorded_at: Mapped[Utc]


class Detector(Base):
    """A detector's identity: every threshold, and the measurement that chose them."""

    __tablename__ = "detector"
    __table_args__ = (sha256_check("digest"),)

    id: Mapped[Key]
    digest: Mapped[Sha256] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(Text)
    document: Mapped[dict[str, Any]]
    recorded_at: Mapped[Utc]


class Ruling(Base):
    """A policy applied to one distinct set of facts."""

    __tablename__ = "ruling"
    __table_args__ = (UniqueConstraint("policy_digest", "basis_digest"), sha256_check("basis_digest"))

    id: Mapped[Key]
    policy_name: Mapped[str] = mapped_column(String(128))
    policy_version: Mapped[str] = mapped_column(String(32))
    policy_digest: Mapped[Sha256]
    basis_digest: Mapped[Sha256] = mapped_column(
        comment="of facts (less the days left, which change daily), outcome and rules"
    )
    facts: Mapped[dict[str, Any]]
    outcome: Mapped[Outcome] = mapped_column(stored_by_value(Outcome))
    reasons: Mapped[list[Any]]
    recorded_at: Mapped[Utc]


class Decision(Base):
    """A ruling on a clip, with what it relies on. The newest row of (clip, policy name) is current."""

    __tablename__ = "decision"
    __table_args__ = (Index(None, "policy_name", "clip_id", "id"), Index(None, "clip_id"))

    id: Mapped[Key]
    clip_id: Mapped[int] = mapped_column(ForeignKey("clip.id", ondelete="RESTRICT"))
    ruling_id: Mapped[int] = mapped_column(ForeignKey("ruling.id", ondelete="RESTRICT"))
    policy_name: Mapped[str] = mapped_column(String(128))
    grant_id: Mapped[int | None] = mapped_column(ForeignKey("rights_grant.id", ondelete="RESTRICT"))
    upper_grant_ids: Mapped[list[Any]] = mapped_column(
        comment="grants of the titles above, which narrow the one relied on"
    )
    evidence_digest: Mapped[str] = mapped_column(
        String(64), comment="of what a held clip is held on: what an approval is given for; empty: not held"
    )
    review_id: Mapped[int | None] = mapped_column(
        ForeignKey("review.id", ondelete="RESTRICT"), comment="the reviewer's word that changed the outcome"
    )
    as_of: Mapped[Utc]
    expires_at: Mapped[dt.datetime | None] = mapped_column(
        UtcDateTime, comment="earliest expiry it relies on"
    )
    recorded_at: Mapped[Utc]


class Snapshot(Base):
    """A frozen dataset; the signed document and its sidecar lie in the store."""

    __tablename__ = "snapshot"
    __table_args__ = (sha256_check("merkle_root"), sha256_check("document_sha256"))

    id: Mapped[Key]
    name: Mapped[str] = mapped_column(String(128), unique=True)
    merkle_root: Mapped[Sha256]
    policy_name: Mapped[str] = mapped_column(String(128))
    policy_digest: Mapped[Sha256]
    document_sha256: Mapped[Sha256]
    num_clips: Mapped[int]
    num_assets: Mapped[int]
    duration_seconds: Mapped[float]
    expires_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    sealed_at: Mapped[Utc]
    is_promotable: Mapped[bool | None] = mapped_column(
        comment="what is made with it may be released commercially; null: sealed before that was recorded"
    )


class Recall(Base):
    """A snapshot was withdrawn from use."""

    __tablename__ = "recall"

    id: Mapped[Key]
    snapshot_id: Mapped[int] = mapped_column(ForeignKey("snapshot.id", ondelete="RESTRICT"), unique=True)
    reason: Mapped[str] = mapped_column(Text)
    recorded_at: Mapped[Utc]


class Run(Base):
    """A training run on one snapshot under one permit."""

    __tablename__ = "run"

    id: Mapped[Key]
    run_id: Mapped[str] = mapped_column(String(64), unique=True)
    snapshot_id: Mapped[int] = mapped_column(ForeignKey("snapshot.id", ondelete="RESTRICT"))
    permit: Mapped[dict[str, Any]]
    config: Mapped[dict[str, Any]]
    config_digest: Mapped[Sha256]
    recorded_at: Mapped[Utc]


class Exposure(Base):
    """How often a run consumed a clip."""

    __tablename__ = "exposure"
    __table_args__ = (UniqueConstraint("run_id", "clip_id"), Index(None, "clip_id"))

    id: Mapped[Key]
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="RESTRICT"))
    clip_id: Mapped[int] = mapped_column(ForeignKey("clip.id", ondelete="RESTRICT"))
    count: Mapped[int]
    first_step: Mapped[int]
    last_step: Mapped[int]


class Model(Base):
    """The signed weights a run produced."""

    __tablename__ = "model"
    __table_args__ = (sha256_check("weights_sha256"),)

    id: Mapped[Key]
    name: Mapped[str] = mapped_column(String(128), unique=True)
    urn: Mapped[str] = mapped_column(String(128), unique=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="RESTRICT"))
    weights_sha256: Mapped[Sha256]
    num_parameters: Mapped[int]
    num_steps: Mapped[int]
    recorded_at: Mapped[Utc]


class OutputClip(Base):
    """A generated clip that was signed and verified."""

    __tablename__ = "output_clip"
    __table_args__ = (sha256_check("sha256"),)

    id: Mapped[Key]
    urn: Mapped[str] = mapped_column(String(64), unique=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id", ondelete="RESTRICT"))
    sha256: Mapped[Sha256]
    prompt_sha256: Mapped[Sha256]
    seed: Mapped[Big]
    path: Mapped[str] = mapped_column(Text)
    recorded_at: Mapped[Utc]


class Event(Base):
    """One state change. `digest` covers kind, subject, payload and time, ready to be a log leaf."""

    __tablename__ = "event"
    __table_args__ = (sha256_check("digest"), Index(None, "kind", "subject"))

    id: Mapped[Key]
    kind: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(Text)
    payload: Mapped[dict[str, Any]]
    actor: Mapped[str] = mapped_column(Text)
    digest: Mapped[Sha256]
    recorded_at: Mapped[Utc]
