"""What kind of file is to be verified, told by its first bytes: a name can be anything."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from governance.credentials.file_kinds import (
    FILM_MEDIA_TYPES,
    HEAD_BYTES,
    VERIFIED_MEDIA_TYPES,
    VERIFIED_TEXT,
    embedding_media_type,
)
from governance.errors import NoManifest
from governance.manifests.manifest import MODEL_MEDIA_TYPE, SNAPSHOT_MEDIA_TYPE

SIDECAR_SUFFIX = ".c2pa"
_DATA_MEDIA_TYPES = {".json": SNAPSHOT_MEDIA_TYPE, ".safetensors": MODEL_MEDIA_TYPE}


class UnreadableError(Exception):
    """The file is empty: there is nothing to be said of it."""


class UnknownKindError(Exception):
    """The file is of no kind that carries credentials, and none lie beside it."""


@dataclass(frozen=True)
class Subject:
    """A file that may carry credentials."""

    path: Path
    media_type: str
    sidecar: Path | None

    @property
    def is_data(self) -> bool:
        """Whether nothing can be embedded, so that only a sidecar speaks for it."""
        return self.media_type in _DATA_MEDIA_TYPES.values()

    @property
    def is_film(self) -> bool:
        """Whether its boxes are to be looked through: what the hash leaves out could hold another film."""
        return self.media_type in FILM_MEDIA_TYPES


def require_file(path: Path) -> None:
    """Raise `UnreadableError` for a pipe or a device, which may keep one waiting; `OSError` if there is nothing."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise UnreadableError(f"{path}: is a pipe, a socket or a device, not a file")


def sidecar_of(path: Path) -> Path:
    """Return where the sidecar of `path` lies: beside it, with `.c2pa` appended."""
    return path.with_name(path.name + SIDECAR_SUFFIX)


def locate(path: Path) -> Subject:
    """Tell what the file is, and whether a sidecar speaks for it.

    Raises `UnreadableError`, `UnknownKindError`, `NoManifest` for data that lacks its sidecar, `OSError`.
    """
    head = _head(path)
    if not head:
        raise UnreadableError(f"{path}: is empty")
    sidecar = sidecar_of(path)
    has_sidecar = sidecar.is_file()
    media_type = _verified_media_type(head)
    if media_type is not None:
        return Subject(path, media_type, sidecar if has_sidecar else None)
    if has_sidecar:
        return Subject(path, _DATA_MEDIA_TYPES.get(path.suffix, MODEL_MEDIA_TYPE), sidecar)
    if path.suffix in _DATA_MEDIA_TYPES:
        raise NoManifest(f"{path}: carries no Content Credentials: there is no {sidecar.name} beside it")
    raise UnknownKindError(
        f"{path}: neither {VERIFIED_TEXT} nor a file with a sidecar {sidecar.name} beside it"
    )


def can_carry(path: Path) -> bool:
    """Whether a file that was found in a folder is worth verifying: by its content, its sidecar, or as weights.

    A sidecar beside its file is no file of its own. Raises `OSError` if the file cannot be read.
    """
    if path.suffix == SIDECAR_SUFFIX:
        return False
    if path.suffix == ".safetensors" or sidecar_of(path).is_file():
        return True
    return _verified_media_type(_head(path)) is not None


def _head(path: Path) -> bytes:
    require_file(path)
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _verified_media_type(head: bytes) -> str | None:
    """Return the media type of a file whose own credentials we verify, `None` for any other file."""
    media_type = embedding_media_type(head)
    return media_type if media_type in VERIFIED_MEDIA_TYPES else None
