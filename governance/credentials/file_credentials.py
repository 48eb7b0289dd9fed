"""What the Content Credentials of footage say of its own use, read where they can be validated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from governance.errors import NoManifest, VerificationError
from ingest.signals.boxes import is_box_file

if TYPE_CHECKING:
    from db.project import Project
    from ingest.signals.record import Signal

_MEDIA_TYPES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".avi": "video/avi"}
"""Kinds of film that can carry a manifest inside."""

_SOUND_STATES = frozenset({"Valid", "Trusted"})


def credentials_reader(project: Project) -> Callable[[Path], list[Signal]]:
    """Return a function that reads the training and data mining assertions of a film's manifests, at any depth.

    A manifest that cannot be validated speaks all the same: its denials count, its permissions are conditions.
    """
    from governance.credentials.engine import read_store
    from governance.signing.signers import load_project_trust
    from ingest.signals.credentials import signals_of_assertions, unreadable_credentials

    anchors = load_project_trust(project)

    def _read(path: Path) -> list[Signal]:
        media_type = _media_type(path)
        if media_type is None:
            return []
        try:
            store = read_store(path, anchors, media_type=media_type)
        except NoManifest:
            return []
        except VerificationError as exc:
            return [unreadable_credentials(str(exc))]
        has_failed = bool(store.active_failures() or store.ingredient_failures())
        is_valid = store.state in _SOUND_STATES and not has_failed
        return [
            signal
            for manifest in store.manifests.values()
            for signal in signals_of_assertions(manifest.get("assertions") or (), is_valid=is_valid)
        ]

    return _read


def _media_type(path: Path) -> str | None:
    """Return the kind of film that can carry a manifest inside, by its content first: a name can be anything."""
    suffixed = _MEDIA_TYPES.get(path.suffix.lower())
    with path.open("rb") as stream:
        start = stream.read(12)
        is_boxes = is_box_file(stream)
    if start[:4] == b"RIFF" and start[8:] == b"AVI ":
        return "video/avi"
    if is_boxes and suffixed not in {"video/mp4", "video/quicktime"}:
        return "video/mp4"
    return suffixed
