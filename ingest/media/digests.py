"""Digests: the SHA-256 that names an asset, and private copies of exactly the bytes that bear it."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from db.errors import UndecidedError
from ingest.errors import DigestMismatch, MediaError
from ingest.media.sources import printable_path

_CHUNK_BYTES = 1 << 20
_SPOOL_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class FileDigest:
    """What the bytes of a file are."""

    sha256: str
    size_bytes: int


def file_digest(path: Path, on_progress: Callable[[int], None] | None = None) -> FileDigest:
    """Read `path` once and return its digest and size; `on_progress` is told the bytes read so far.

    Raises `MediaError` (`media.unreadable`) if the file cannot be read to its end.
    """
    hasher = hashlib.sha256()
    size_bytes = 0
    for chunk in _chunks(path):
        hasher.update(chunk)
        size_bytes += len(chunk)
        if on_progress is not None:
            on_progress(size_bytes)
    return FileDigest(hasher.hexdigest(), size_bytes)


def verified_copy(path: Path, sha256: str) -> BinaryIO:
    """Return a private copy of `path`, positioned at 0, whose bytes have the digest `sha256`.

    What is hashed is what is decoded: nobody can change the copy between the two, as they could the file. It
    is held in memory up to 64 MiB and in an unnamed temporary file beyond. The caller closes it.

    Raises `DigestMismatch` if the bytes are others, `MediaError` (`media.unreadable`) if they cannot be read,
    and `UndecidedError` if there is no room for the copy.
    """
    hasher = hashlib.sha256()
    copy = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 (it outlives this function)
    try:
        for chunk in _chunks(path):
            hasher.update(chunk)
            _append(copy, chunk, path)
        if hasher.hexdigest() != sha256:
            raise DigestMismatch(
                f"{printable_path(path)}: sha256 is {hasher.hexdigest()}, recorded as {sha256}",
                hint="the file has changed since it was ingested; ingest it again",
            )
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    # The spool offers every method of a binary file that readers use; it is only not declared as one.
    return cast(BinaryIO, copy)


def _append(copy: tempfile.SpooledTemporaryFile[bytes], chunk: bytes, path: Path) -> None:
    try:
        copy.write(chunk)
    except OSError as exc:
        raise UndecidedError(
            f"{printable_path(path)}: no room for a private copy: {exc.strerror}",
            hint="free space in the temporary folder, or name another in TMPDIR",
        ) from exc


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                yield chunk
    except OSError as exc:
        message = f"{printable_path(path)}: cannot be read: {exc.strerror or exc}"
        raise MediaError(message, code="media.unreadable") from exc
