"""What kind of file is to be verified, told by its first bytes: a name can be anything."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from governance.errors import NoManifest
from governance.manifests.manifest import CLIP_MEDIA_TYPE, MODEL_MEDIA_TYPE, SNAPSHOT_MEDIA_TYPE

SIDECAR_SUFFIX = ".c2pa"
_HEAD_BYTES = 16
_DATA_MEDIA_TYPES = {".json": SNAPSHOT_MEDIA_TYPE, ".safetensors": MODEL_MEDIA_TYPE}
_BMFF_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"uuid"})
_STILL_IMAGE_BRANDS = frozenset({b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis"})
_SIGNATURES = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
}
_RIFF_FORMS = {b"WAVE": "audio/wav", b"AVI ": "video/avi", b"WEBP": "image/webp"}
KINDS_TEXT = "MP4, MOV, M4V, M4A, AVI, JPEG, PNG, WebP, WAV"


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
    media_type = _embedding_media_type(head)
    if media_type is not None:
        return Subject(path, media_type, sidecar if has_sidecar else None)
    if has_sidecar:
        return Subject(path, _DATA_MEDIA_TYPES.get(path.suffix, MODEL_MEDIA_TYPE), sidecar)
    if path.suffix in _DATA_MEDIA_TYPES:
        raise NoManifest(f"{path}: carries no Content Credentials: there is no {sidecar.name} beside it")
    raise UnknownKindError(f"{path}: neither {KINDS_TEXT} nor a file with a sidecar {sidecar.name} beside it")


def can_carry(path: Path) -> bool:
    """Whether a file that was found in a folder is worth verifying: by its content, its sidecar, or as weights.

    A sidecar beside its file is no file of its own. Raises `OSError` if the file cannot be read.
    """
    if path.suffix == SIDECAR_SUFFIX:
        return False
    if path.suffix == ".safetensors" or sidecar_of(path).is_file():
        return True
    return _embedding_media_type(_head(path)) is not None


def _head(path: Path) -> bytes:
    require_file(path)
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _embedding_media_type(head: bytes) -> str | None:
    if head[4:8] in _BMFF_BOXES and head[8:12] not in _STILL_IMAGE_BRANDS:
        return CLIP_MEDIA_TYPE
    if head.startswith(b"RIFF"):
        return _RIFF_FORMS.get(head[8:12])
    return next((media_type for start, media_type in _SIGNATURES.items() if head.startswith(start)), None)
