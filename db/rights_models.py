"""The tables of rights: parties, agreements, titles, releases, what is seen in footage, signals, reviews.

Each is append-only, and the newest row of a `ref` (or of whatever names the subject) counts, a withdrawn one that
there is none. A *scope* says what a row speaks of: `title:REF`, `asset:SHA256` or `path:ABSOLUTE PATH`, and within an
asset optionally a span of seconds, end exclusive.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.types import Key, Sha256, Utc, UtcDateTime, sha256_check, stored_by_value
from db.vocabularies import (
    Acquisition,
    AgreementKind,
    PartyKind,
    Presence,
    ReleaseKind,
    RightsLayer,
    SignalValidity,
    Tri,
    Verdict,
)


class _Sourced:
    """Where a row was written, and when we learned of it."""

    table_path: Mapped[str] = mapped_column(Text, comment="catalogue, or the command, that states this")
    table_sha256: Mapped[Sha256]
    sheet: Mapped[str] = mapped_column(Text)
    row_number: Mapped[int]
    is_withdrawn: Mapped[bool]
    recorded_at: Mapped[Utc]


class _Scoped:
    """What a row speaks of."""

    scope: Mapped[str] = mapped_column(Text, comment="title:REF, asset:SHA256, path:PATH; empty: everywhere")
    start_seconds: Mapped[float | None] = mapped_column(comment="null: from the beginning")
    end_seconds: Mapped[float | None] = mapped_column(comment="exclusive; null: to the end")


def _span_check() -> CheckConstraint:
    return CheckConstraint(
        "start_seconds IS NULL OR end_seconds IS NULL OR end_seconds > start_seconds", name="span_not_empty"
    )


class Party(_Sourced, Base):
    """Who holds, gives or needs rights."""

    __tablename__ = "party"
    __table_args__ = (Index(None, "ref", "id"),)

    id: Mapped[Key]
    ref: Mapped[str] = mapped_column(Text)
    kind: Mapped[PartyKind] = mapped_column(stored_by_value(PartyKind))
    name: Mapped[str] = mapped_column(Text)
    is_minor: Mapped[Tri] = mapped_column(stored_by_value(Tri, "is_minor"))
    is_deceased: Mapped[Tri] = mapped_column(stored_by_value(Tri, "is_deceased"))
    verified_at: Mapped[dt.datetime | None] = mapped_column(
        UtcDateTime, comment="due diligence was done; null: nobody looked"
    )
    identifiers: Mapped[dict[str, Any]]


class Document(_Sourced, Base):
    """Evidence: a document by its digest."""

    __tablename__ = "document"
    __table_args__ = (Index(None, "sha256", "id"), sha256_check("sha256"))

    id: Mapped[Key]
    sha256: Mapped[Sha256]
    kind: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(Text)
    received_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    received_from: Mapped[str] = mapped_column(Text)


class Agreement(_Sourced, Base):
    """The contract that grants stand in."""

    __tablename__ = "agreement"
    __table_args__ = (Index(None, "ref", "id"),)

    id: Mapped[Key]
    ref: Mapped[str] = mapped_column(Text)
    kind: Mapped[AgreementKind] = mapped_column(stored_by_value(AgreementKind))
    licensor_ref: Mapped[str] = mapped_column(Text)
    licensee_ref: Mapped[str] = mapped_column(Text)
    executed_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    terminated_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    governing_law: Mapped[str] = mapped_column(Text)
    document_sha256: Mapped[str | None] = mapped_column(String(64))
    amends_ref: Mapped[str] = mapped_column(Text)


class Title(_Sourced, Base):
    """A work: a film, an episode, a series that episodes belong to."""

    __tablename__ = "title"
    __table_args__ = (Index(None, "ref", "id"),)

    id: Mapped[Key]
    ref: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    parent_ref: Mapped[str] = mapped_column(Text, comment="empty: stands alone")


class Filing(_Scoped, _Sourced, Base):
    """What a catalogue says of a file: which title it belongs to and how it came to us."""

    __tablename__ = "filing"
    __table_args__ = (Index(None, "scope", "ref", "id"), Index(None, "ref", "id"), _span_check())

    id: Mapped[Key]
    ref: Mapped[str] = mapped_column(Text)
    title_ref: Mapped[str] = mapped_column(Text)
    acquisition: Mapped[Acquisition] = mapped_column(stored_by_value(Acquisition))
    source_url: Mapped[str] = mapped_column(Text)
    restrictions: Mapped[list[Any]] = mapped_column(comment="tags such as editorial_only, sports, embargo")
    embargo_until: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)


class GrantScope(_Scoped, _Sourced, Base):
    """A grant of a catalogue holds for a scope. The newest row of (scope, span, grant ref) counts."""

    __tablename__ = "grant_scope"
    __table_args__ = (Index(None, "scope", "grant_ref", "id"), Index(None, "grant_ref", "id"), _span_check())

    id: Mapped[Key]
    grant_ref: Mapped[str] = mapped_column(Text)
    grant_id: Mapped[int] = mapped_column(ForeignKey("rights_grant.id", ondelete="RESTRICT"))


class Release(_Scoped, _Sourced, Base):
    """The consent of a person, a place, a piece of music, a mark."""

    __tablename__ = "release"
    __table_args__ = (Index(None, "ref", "id"), Index(None, "subject"), _span_check())

    id: Mapped[Key]
    ref: Mapped[str] = mapped_column(Text)
    kind: Mapped[ReleaseKind] = mapped_column(stored_by_value(ReleaseKind))
    subject: Mapped[str] = mapped_column(Text, comment="party ref or name, as appearances give it")
    permitted_uses: Mapped[list[Any]]
    covers_training: Mapped[Tri] = mapped_column(stored_by_value(Tri, "covers_training"))
    covers_replica: Mapped[Tri] = mapped_column(
        stored_by_value(Tri, "covers_replica"), comment="a digital double may be made"
    )
    is_replica_described: Mapped[Tri] = mapped_column(
        stored_by_value(Tri, "is_replica_described"),
        comment="the intended uses of a double are reasonably specific",
    )
    has_guardian: Mapped[Tri] = mapped_column(
        stored_by_value(Tri, "has_guardian"), comment="a guardian signed for a minor"
    )
    representation: Mapped[str] = mapped_column(Text, comment="counsel, union, or empty")
    territories: Mapped[list[Any]]
    valid_from: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    valid_to: Mapped[dt.datetime | None] = mapped_column(UtcDateTime, comment="exclusive")
    document_sha256: Mapped[str | None] = mapped_column(String(64))


class Appearance(_Scoped, _Sourced, Base):
    """Somebody states what of a layer is, or is not, seen or heard in a scope."""

    __tablename__ = "appearance"
    __table_args__ = (Index(None, "scope", "ref", "id"), Index(None, "ref", "id"), _span_check())

    id: Mapped[Key]
    ref: Mapped[str] = mapped_column(Text)
    layer: Mapped[RightsLayer] = mapped_column(stored_by_value(RightsLayer))
    presence: Mapped[Presence] = mapped_column(stored_by_value(Presence))
    subject: Mapped[str] = mapped_column(Text, comment="empty: somebody or something not identified")
    stated_by: Mapped[str] = mapped_column(Text)


class RightsSignal(Base):
    """What a file or a captured page says of its own use. The newest of (scope, protocol, carrier) counts."""

    __tablename__ = "rights_signal"
    __table_args__ = (Index(None, "scope", "protocol", "carrier", "id"), sha256_check("raw_sha256"))

    id: Mapped[Key]
    scope: Mapped[str] = mapped_column(Text, comment="asset:SHA256 or url:URL")
    protocol: Mapped[str] = mapped_column(String(64))
    protocol_version: Mapped[str] = mapped_column(String(64))
    carrier: Mapped[str] = mapped_column(Text)
    raw_sha256: Mapped[Sha256]
    captured_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    validity: Mapped[SignalValidity] = mapped_column(stored_by_value(SignalValidity))
    declaring_party: Mapped[str] = mapped_column(Text)
    actions: Mapped[dict[str, Any]]
    detail: Mapped[str] = mapped_column(Text)
    recorded_at: Mapped[Utc]


class SignalReading(Base):
    """A file was read for signals, whatever it says."""

    __tablename__ = "signal_reading"
    __table_args__ = (Index(None, "asset_id"),)

    id: Mapped[Key]
    asset_id: Mapped[int] = mapped_column(ForeignKey("asset.id", ondelete="RESTRICT"))
    protocols_version: Mapped[str] = mapped_column(
        String(64), comment="of the list of protocols that were looked for"
    )
    num_signals: Mapped[int]
    recorded_at: Mapped[Utc]


class Review(Base):
    """What a reviewer said of held footage. An approval or a waiver counts once a second person confirmed it."""

    __tablename__ = "review"
    __table_args__ = (Index(None, "scope", "policy_name", "id"), Index(None, "confirms_id"))

    id: Mapped[Key]
    scope: Mapped[str] = mapped_column(Text, comment="clip:ID, asset:SHA256, title:REF or holder:NAME")
    policy_name: Mapped[str] = mapped_column(String(128))
    verdict: Mapped[Verdict] = mapped_column(stored_by_value(Verdict))
    codes: Mapped[list[Any]] = mapped_column(comment="the reasons that are settled; empty: those that held")
    basis_digest: Mapped[str] = mapped_column(
        String(64), comment="of the ruling that was looked at; empty: any, as a waiver"
    )
    reviewer: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    confirms_id: Mapped[int | None] = mapped_column(ForeignKey("review.id", ondelete="RESTRICT"))
    withdraws_id: Mapped[int | None] = mapped_column(ForeignKey("review.id", ondelete="RESTRICT"))
    is_sample: Mapped[bool] = mapped_column(comment="chosen at random to be looked at again")
    recorded_at: Mapped[Utc]
