"""The tables of what came out: credentials that clips were given, so that a clip which lost them can be told again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.types import Key, Sha256, Utc, sha256_check

PRINT_BYTES = 32


class Credential(Base):
    """The manifest store of a published clip, and what it can be found by."""

    __tablename__ = "credential"
    __table_args__ = (
        sha256_check("store_sha256"),
        sha256_check("essence_sha256"),
        UniqueConstraint("output_id"),
        UniqueConstraint("mark_id"),
        Index(None, "essence_sha256"),
    )

    id: Mapped[Key]
    output_id: Mapped[int] = mapped_column(ForeignKey("output_clip.id", ondelete="RESTRICT"))
    manifest_label: Mapped[str] = mapped_column(String(255))
    store_sha256: Mapped[Sha256] = mapped_column(comment="of the manifest store, kept under this name")
    essence_sha256: Mapped[Sha256] = mapped_column(
        comment="of the coded pictures and sound, without container"
    )
    mark_id: Mapped[str | None] = mapped_column(String(16), comment="64 bits in hex; null: no watermark")
    screen: Mapped[dict[str, Any] | None] = mapped_column(
        comment="replication screen; null: was not screened"
    )
    recorded_at: Mapped[Utc]


class CredentialPrint(Base):
    """The fingerprint of one picture of a published clip."""

    __tablename__ = "credential_print"
    __table_args__ = (Index(None, "credential_id"),)

    id: Mapped[Key]
    credential_id: Mapped[int] = mapped_column(ForeignKey("credential.id", ondelete="RESTRICT"))
    bits: Mapped[bytes] = mapped_column(LargeBinary(PRINT_BYTES), comment="PDQ, 256 bits")
