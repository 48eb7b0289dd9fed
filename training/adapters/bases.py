"""Base models of a project: put on record by a person, found again, and verified before each use.

A record lies in `store/bases/NAME`, with the licence and the evidence as files; an event on record pins its digest and
says where the folder of the model is. The folder itself is not copied: it may hold many gigabytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from db.canonical import canonical_json, sha256_hex
from db.errors import ConfigError
from db.events import list_events, newest_event, record_event
from db.files import path_of, path_text, staged_folder, write_durably
from db.project import Project
from governance.manifests.statements import ComponentStatus
from governance.policy.base_models import Money, read_money
from training.adapters.base_files import list_files, read_pipeline, verify_files
from training.adapters.base_record import BaseRecord, record_from
from training.adapters.errors import BaseModelChanged, BaseModelError

ADDED = "base.added"
_RECORD_NAME = "base.json"
_LICENSE_NAME = "licence"
_EVIDENCE_NAME = "evidence"


@dataclass(frozen=True, kw_only=True)
class BaseStatement:
    """What a person says of a base model that is put on record."""

    license_file: Path
    license_expression: str
    training_data: str
    reviewer: str
    evidence: str | None = None
    """An address with a scheme, or the name of a file."""
    excluded_territories: tuple[str, ...] = ()
    revenue_limit: str | None = None
    training_flop: float | None = None


@dataclass(frozen=True, kw_only=True)
class BaseModel:
    """A base model on record, and where its files are said to be."""

    record: BaseRecord
    folder: Path

    def verify(self, on_file: Callable[[int], None] = lambda _count: None) -> None:
        """Raise `BaseModelChanged`, naming the file, unless every file is the one on record."""
        verify_files(self.record, self.folder, on_file=on_file)


def add_base(
    project: Project,
    folder: Path,
    name: str,
    statement: BaseStatement,
    *,
    on_file: Callable[[int], None] = lambda _count: None,
) -> BaseModel:
    """Put the pipeline in `folder` on record as `name`. The same again says only where it now lies.

    Raises `BaseModelError` if the folder is no pipeline that we know, the licence file is missing, what is stated is
    malformed, or another base is called so.
    """
    pipeline = read_pipeline(folder)
    licence = _read_document(statement.license_file, "the licence file")
    evidence = _evidence(statement.evidence)
    record = BaseRecord(
        name=name,
        pipeline=pipeline,
        files=list_files(folder, on_file=on_file),
        license_expression=statement.license_expression,
        license_sha256=sha256_hex(licence),
        status=ComponentStatus(statement.training_data),
        evidence=evidence if isinstance(evidence, str | None) else f"sha256:{sha256_hex(evidence)}",
        excluded_territories=statement.excluded_territories,
        revenue_limit=None if statement.revenue_limit is None else _money(statement.revenue_limit),
        training_flop=statement.training_flop,
        reviewer=statement.reviewer,
    )
    with project.session() as session:
        known = newest_event(session, kind=ADDED, subject=name)
    if known is not None and known.payload["digest"] != record.digest:
        raise BaseModelError(
            f"a base called {name!r} is on record with other files or other statements",
            hint="give --name another name; a record is never changed",
        )
    _keep(project, record, licence, evidence)
    payload = {
        "digest": record.digest,
        "folder": path_text(folder.absolute()),
        "training_data": record.status.value,
    }
    with project.session() as session:
        record_event(session, ADDED, name, payload)
    return BaseModel(record=record, folder=folder.absolute())


def find_base(project: Project, name: str) -> BaseModel:
    """Return a base model as it is on record; its files are not looked at.

    Raises `ConfigError` with the names that exist, `BaseModelChanged` if the record is not the one that was made.
    """
    with project.session() as session:
        event = newest_event(session, kind=ADDED, subject=name)
        names = sorted({other.subject for other in list_events(session, kind=ADDED)})
    if event is None:
        raise ConfigError(
            f"no base model is called {name!r}; on record: {', '.join(names) or 'none'}",
            hint="`cleartitle training base add` puts one on record",
        )
    path = _folder(project, name) / _RECORD_NAME
    try:
        record = record_from(json.loads(path.read_bytes()))
    except (OSError, ValueError, BaseModelError) as exc:
        raise BaseModelChanged(f"{path}: the record of base {name} cannot be read: {exc}") from exc
    if record.digest != event.payload["digest"]:
        raise BaseModelChanged(f"{path}: is not the record that was made of base {name}")
    return BaseModel(record=record, folder=path_of(event.payload["folder"]))


def list_bases(project: Project) -> list[BaseModel]:
    """Return every base model on record, by name. Raises as `find_base`."""
    with project.session() as session:
        names = sorted({event.subject for event in list_events(session, kind=ADDED)})
    return [find_base(project, name) for name in names]


def _folder(project: Project, name: str) -> Path:
    return project.bases / name


def _keep(project: Project, record: BaseRecord, licence: bytes, evidence: bytes | str | None) -> None:
    folder = _folder(project, record.name)
    with staged_folder(folder) as staged:
        write_durably(staged / _RECORD_NAME, canonical_json(record.document()))
        write_durably(staged / _LICENSE_NAME, licence)
        if isinstance(evidence, bytes):
            write_durably(staged / _EVIDENCE_NAME, evidence)


def _evidence(stated: str | None) -> bytes | str | None:
    """Return an address as it is, and a document whole. Raises `BaseModelError` for neither."""
    if stated is None or "://" in stated:
        return stated
    return _read_document(Path(stated), "the evidence")


def _read_document(path: Path, what: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise BaseModelError(f"{path}: {what} cannot be read: {exc.strerror or exc}") from exc
    if not content.strip():
        raise BaseModelError(f"{path}: {what} is empty")
    return content


def _money(text: str) -> Money:
    try:
        return read_money(text)
    except ValueError as exc:
        raise BaseModelError(f"revenue limit: {exc}") from exc
