"""The registry of credentials: what published clips were given, found by what survives when a clip loses it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.orm import Session

from db.clock import utc_now
from db.events import record_event
from db.models import Model, OutputClip
from db.output_models import Credential, CredentialPrint

_PAGE_PRINTS = 50_000


@dataclass(frozen=True, kw_only=True)
class NewCredential:
    """What a published clip was given."""

    manifest_label: str
    store_sha256: str
    essence_sha256: str
    mark_id: str | None
    """64 bits in hex; `None`: no watermark."""
    screen: Mapping[str, Any] | None
    """What the replication screen found; `None`: was not screened."""
    prints: tuple[bytes, ...]
    """PDQ fingerprints of some of its pictures, 32 bytes each."""


@dataclass(frozen=True, kw_only=True)
class CredentialRecord:
    """A published clip and its manifest store."""

    id: int
    clip_urn: str
    clip_sha256: str
    model_name: str
    manifest_label: str
    store_sha256: str
    essence_sha256: str
    mark_id: str | None
    screen: Mapping[str, Any] | None
    recorded_at: dt.datetime


@dataclass(frozen=True, kw_only=True)
class StoredPrint:
    """The fingerprint of one picture of a published clip."""

    credential_id: int
    bits: bytes


def add_credential(session: Session, output_id: int, clip_urn: str, new: NewCredential) -> None:
    """Record the credentials of the clip `output_id`."""
    row = Credential(
        output_id=output_id,
        manifest_label=new.manifest_label,
        store_sha256=new.store_sha256,
        essence_sha256=new.essence_sha256,
        mark_id=new.mark_id,
        screen=None if new.screen is None else dict(new.screen),
        recorded_at=utc_now(),
    )
    session.add(row)
    session.flush()
    if new.prints:
        session.execute(
            insert(CredentialPrint), [{"credential_id": row.id, "bits": bits} for bits in new.prints]
        )
    record_event(
        session, "clip.registered", clip_urn, {"store_sha256": row.store_sha256, "mark_id": row.mark_id}
    )


def find_by_essence(session: Session, essence_sha256: str) -> CredentialRecord | None:
    """Return the newest clip with these coded pictures and sound."""
    return _newest(session, Credential.essence_sha256 == essence_sha256)


def find_by_mark(session: Session, mark_id: str) -> CredentialRecord | None:
    """Return the clip that carries this watermark."""
    return _newest(session, Credential.mark_id == mark_id)


def find_credential(session: Session, credential_id: int) -> CredentialRecord | None:
    """Return the clip of a fingerprint."""
    return _newest(session, Credential.id == credential_id)


def prints_of(session: Session, credential_id: int) -> tuple[bytes, ...]:
    """Return the fingerprints of one clip."""
    query = select(CredentialPrint.bits).where(CredentialPrint.credential_id == credential_id)
    return tuple(session.scalars(query.order_by(CredentialPrint.id)))


def read_prints(session: Session) -> Iterator[Sequence[StoredPrint]]:
    """Yield every fingerprint on record, in pages."""
    last_id = 0
    query = select(CredentialPrint.id, CredentialPrint.credential_id, CredentialPrint.bits)
    query = query.order_by(CredentialPrint.id).limit(_PAGE_PRINTS)
    while page := session.execute(query.where(CredentialPrint.id > last_id)).all():
        last_id = page[-1].id
        yield [StoredPrint(credential_id=row.credential_id, bits=row.bits) for row in page]


def _newest(session: Session, condition: ColumnElement[bool]) -> CredentialRecord | None:
    query = (
        select(Credential, OutputClip.urn, OutputClip.sha256, Model.name)
        .join(OutputClip, OutputClip.id == Credential.output_id)
        .join(Model, Model.id == OutputClip.model_id)
        .where(condition)
        .order_by(Credential.id.desc())
        .limit(1)
    )
    found = session.execute(query).one_or_none()
    if found is None:
        return None
    row, clip_urn, clip_sha256, model_name = found
    return CredentialRecord(
        id=row.id,
        clip_urn=clip_urn,
        clip_sha256=clip_sha256,
        model_name=model_name,
        manifest_label=row.manifest_label,
        store_sha256=row.store_sha256,
        essence_sha256=row.essence_sha256,
        mark_id=row.mark_id,
        screen=row.screen,
        recorded_at=row.recorded_at,
    )
