"""Files held against the rubrics."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.terminal import safe_text
from governance.conformance.reading import read_crjson
from governance.conformance.rubric import CONFORMANCE, INTEGRITY, ManifestSignals, RubricReport, read_signals
from governance.credentials.file_kinds import DATA_MEDIA_TYPE, HEAD_BYTES, embedding_media_type
from governance.errors import NoManifest
from governance.trust.anchors import TrustAnchors
from governance.verification.kinds import require_file, sidecar_of

SIGNALS_NAME = "signals"
RUBRICS = {rubric.name: rubric for rubric in (CONFORMANCE, INTEGRITY)}


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What the chosen rubrics say of one file."""

    reports: tuple[RubricReport, ...]
    signals: tuple[ManifestSignals, ...]
    """Signals of each manifest, the active one first; empty if they were not asked for."""

    @property
    def has_failed(self) -> bool:
        """Whether a statement failed."""
        return any(report.has_failed for report in self.reports)

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain data, with stable keys; safe to print."""
        return {
            "rubrics": [report.as_json() for report in self.reports],
            "signals": [
                {
                    "manifest": safe_text(found.manifest_label),
                    "signals": {signal.id: signal.meaning for signal in found.signals},
                }
                for found in self.signals
            ],
        }


def examine(path: Path, trust: TrustAnchors, rubrics: Collection[str]) -> Examination:
    """Hold a file against the rubrics named: `conformance`, `integrity`, `signals`.

    `trust` decides what the statement on trust of the integrity rubric says, and nothing else. Anchors for signers and
    for time-stamps are not kept apart here, as they are by verification.

    Raises `NoManifest` if the file carries no credentials, `VerificationError` if they cannot be read, `OSError` if the
    file cannot be.
    """
    store = _read(path, trust)
    return Examination(
        reports=tuple(rubric.judge(store) for name, rubric in RUBRICS.items() if name in rubrics),
        signals=read_signals(store) if SIGNALS_NAME in rubrics else (),
    )


def _read(path: Path, trust: TrustAnchors) -> dict[str, Any]:
    """Read the credentials inside the file, or else those beside it, as verification does."""
    require_file(path)
    with path.open("rb") as file:
        media_type = embedding_media_type(file.read(HEAD_BYTES))
    sidecar = sidecar_of(path)
    if media_type is not None:
        try:
            return read_crjson(path, trust, media_type=media_type)
        except NoManifest:
            if not sidecar.is_file():
                raise
    if not sidecar.is_file():
        raise NoManifest(f"{path}: carries no Content Credentials, and there is no {sidecar.name} beside it")
    return read_crjson(path, trust, media_type=media_type or DATA_MEDIA_TYPE, sidecar=sidecar)
