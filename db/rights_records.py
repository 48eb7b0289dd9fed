"""Frozen records of rights: what catalogues, files and reviewers state."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from db.contracts import WHOLE, Span
from db.vocabularies import (
    Acquisition,
    AgreementKind,
    PartyKind,
    Presence,
    ReleaseKind,
    RightsLayer,
    SignalAction,
    SignalValidity,
    SignalValue,
    Tri,
    Verdict,
)

if TYPE_CHECKING:
    from db.records import GrantRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a statement was written."""

    table_path: str
    table_sha256: str
    sheet: str
    row_number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyRecord:
    """Who holds, gives or needs rights."""

    ref: str
    kind: PartyKind
    name: str
    is_minor: Tri
    is_deceased: Tri
    verified_at: dt.datetime | None
    """When due diligence was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementRecord:
    """The contract that grants stand in."""

    ref: str
    kind: AgreementKind
    licensor_ref: str
    licensee_ref: str
    executed_at: dt.datetime | None
    terminated_at: dt.datetime | None
    document_sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopedGrant:
    """A grant of a catalogue and what it holds for."""

    scope: str
    span: Span
    grant_ref: str
    grant: GrantRecord
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class FilingRecord:
    """What a catalogue says of a file."""

    ref: str
    scope: str
    span: Span
    title_ref: str
    acquisition: Acquisition
    source_url: str
    restrictions: tuple[str, ...]
    embargo_until: dt.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRecord:
    """The consent of a person, a place, a piece of music, a mark."""

    ref: str
    kind: ReleaseKind
    subject: str
    scope: str
    span: Span
    permitted_uses: tuple[str, ...]
    covers_training: Tri
    covers_replica: Tri
    is_replica_described: Tri
    has_guardian: Tri
    representation: str
    territories: tuple[str, ...]
    valid_from: dt.datetime | None
    valid_to: dt.datetime | None
    document_sha256: str | None
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class AppearanceRecord:
    """What of a layer is, or is not, seen or heard."""

    ref: str
    scope: str
    span: Span
    layer: RightsLayer
    presence: Presence
    subject: str
    stated_by: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRecord:
    """What a file or a captured page says of its own use."""

    scope: str
    protocol: str
    protocol_version: str
    carrier: str
    raw_sha256: str
    captured_at: dt.datetime | None
    validity: SignalValidity
    declaring_party: str
    actions: Mapping[SignalAction, SignalValue]
    detail: str
    recorded_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRecord:
    """What a reviewer said of held footage."""

    id: int
    scope: str
    policy_name: str
    verdict: Verdict
    codes: tuple[str, ...]
    basis_digest: str
    reviewer: str
    reason: str
    expires_at: dt.datetime | None
    confirms_id: int | None
    withdraws_id: int | None
    is_sample: bool
    recorded_at: dt.datetime


@dataclass(frozen=True, kw_only=True)
class RightsStatements:
    """Everything stated about one asset besides its rights-table claims, at every level above its clips."""

    scopes: tuple[str, ...] = ()
    """The scopes that speak of it: its bytes, its paths, its titles, the pages it came from."""
    titles: tuple[str, ...] = ()
    """Refs of the titles it belongs to, the nearest first, with their ancestors."""
    has_broken_titles: bool = False
    """A title is not on record, or its ancestors run in a circle."""
    taken_over: frozenset[str] = frozenset()
    """Those of its paths at which another file was seen before: what is said of them may be about that one."""
    title_spans: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)
    """The seconds that are filed under a title or one of its parts; a title that is left out has the whole file."""
    grants: tuple[ScopedGrant, ...] = ()
    filings: tuple[FilingRecord, ...] = ()
    appearances: tuple[AppearanceRecord, ...] = ()
    releases: tuple[ReleaseRecord, ...] = ()
    """Those about any subject that appears, wherever they hold."""
    signals: tuple[SignalRecord, ...] = ()
    parties: Mapping[str, PartyRecord] = field(default_factory=dict)
    """By ref: licensors and the persons who appear."""
    agreements: Mapping[str, AgreementRecord] = field(default_factory=dict)
    """By ref: those that the grants stand in."""
    upstream: Mapping[str, ScopedGrant] = field(default_factory=dict)
    """By grant ref: the grants that licensors rely on."""

    def is_all_of_title(self, ref: str, start_seconds: float, end_seconds: float) -> bool:
        """Return whether one filing puts all these seconds under a title."""
        return any(span.covers(start_seconds, end_seconds) for span in self.title_spans.get(ref, (WHOLE,)))

    def is_any_of_title(self, ref: str, start_seconds: float, end_seconds: float) -> bool:
        """Return whether a filing puts any of these seconds under a title."""
        return any(span.touches(start_seconds, end_seconds) for span in self.title_spans.get(ref, (WHOLE,)))


NO_STATEMENTS: RightsStatements = RightsStatements()
