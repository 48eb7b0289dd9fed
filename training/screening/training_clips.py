"""The clips that a model was trained on: whose they are, and which seconds of which footage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from db import queries
from db.project import Project
from governance.snapshots.document import license_of, training_leaves
from governance.snapshots.snapshot import find_record, verified_document

if TYPE_CHECKING:
    from db.records import ClipRecord

NOT_STATED = "(not stated)"
_EDGE_SECONDS = 0.2
"""By how much the end of a match may reach into the next clip: ends are known to about a tenth of a second."""


@dataclass(frozen=True, kw_only=True)
class TrainingClip:
    """One clip of a snapshot and the grant that it was cleared under."""

    clip_id: str
    asset_sha256: str
    duration_seconds: float
    rights_holder: str
    """Of the clip's own grant."""
    license_expression: str
    """Of all its grants, which hold at once."""
    title: str


def training_clips(project: Project, snapshot_name: str) -> dict[str, TrainingClip]:
    """Return every clip of a snapshot that a run may train on by its id, from the signed document.

    That the snapshot was recalled or has expired since does not matter: what it says of the past stays true.

    Raises `ConfigError` if there is no such snapshot, `SnapshotError` or `VerificationError` if it does not hold.
    """
    return clips_of_document(verified_document(project, find_record(project, snapshot_name)))


def clips_of_document(document: Mapping[str, Any]) -> dict[str, TrainingClip]:
    """Return every clip of a snapshot document that was checked, without those held out of training."""
    grants = document["grants"]
    return {
        leaf["clip_id"]: TrainingClip(
            clip_id=leaf["clip_id"],
            asset_sha256=leaf["asset_sha256"],
            duration_seconds=leaf["duration_seconds"],
            rights_holder=grants[leaf["grant"]]["rights_holder"] or NOT_STATED,
            license_expression=license_of(leaf, grants),
            title=grants[leaf["grant"]]["title"],
        )
        for leaf in training_leaves(document)
    }


class TrainedSeconds:
    """Which seconds of an asset lie in clips of a snapshot. Asked of the database once for each asset."""

    def __init__(self, project: Project, clips: Iterable[TrainingClip]) -> None:
        self._project = project
        self._wanted = {clip.clip_id for clip in clips}
        self._known: dict[int, tuple[ClipRecord, ...]] = {}

    def of_asset(self, asset_id: int) -> tuple[ClipRecord, ...]:
        """Return the asset's clips that are in the snapshot, in order of time."""
        if asset_id not in self._known:
            with self._project.session() as session:
                found = queries.clips_of_asset(session, asset_id)
            self._known[asset_id] = tuple(clip for clip in found if clip.clip_id in self._wanted)
        return self._known[asset_id]

    def clips_within(self, asset_id: int, start_seconds: float, end_seconds: float) -> tuple[str, ...]:
        """Return the ids of the snapshot's clips that these seconds of the asset reach into."""
        margin = min(_EDGE_SECONDS, (end_seconds - start_seconds) / 4)
        return tuple(
            clip.clip_id
            for clip in self.of_asset(asset_id)
            if min(end_seconds, clip.end_seconds) - max(start_seconds, clip.start_seconds) > margin
        )
