"""Manifest stores of published clips, kept under their digests, so that a clip that lost its own can be told again."""

from __future__ import annotations

from pathlib import Path

from db.canonical import sha256_hex
from db.files import write_durably
from db.project import Project
from governance.errors import VerificationError


def store_path(project: Project, sha256: str) -> Path:
    """Return where the manifest store with this digest is kept."""
    return project.store / "credentials" / sha256[:2] / f"{sha256}.c2pa"


def keep_store(project: Project, store: bytes) -> str:
    """Keep a manifest store; return its digest. Kept again, it stays as it is."""
    sha256 = sha256_hex(store)
    path = store_path(project, sha256)
    if not path.exists():
        write_durably(path, store)
    return sha256


def read_kept_store(project: Project, sha256: str) -> bytes:
    """Return the manifest store with this digest. Raises `VerificationError` if it is gone or was changed."""
    path = store_path(project, sha256)
    try:
        store = path.read_bytes()
    except OSError as exc:
        raise VerificationError(
            f"{path}: a manifest store on record cannot be read: {exc.strerror or exc}"
        ) from exc
    if sha256_hex(store) != sha256:
        raise VerificationError(f"{path}: a manifest store was changed since it was kept")
    return store
