"""What an index folder holds, as `manifest.json`: whose vectors, of which kind, in which shards, measured how.

The manifest is replaced whole, so that a folder is always in the state before or after a command, never between.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from db.files import write_durably
from ingest.errors import EncoderError, MediaError
from ingest.index.kind import IndexKind
from ingest.index.recall import RecallPoint, choose_point
from ingest.media.digests import FileDigest, file_digest

FORMAT = "cleartitle.index/1"
REBUILD_HINT = "build the index again; it is made of the stored vectors, which are not touched"
_NAME = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class ShardEntry:
    """One shard."""

    name: str
    num_rows: int
    """Rows in its files, removed ones included."""
    num_assets: int
    files: dict[str, FileDigest]
    """By name within the shard's folder."""
    recall: tuple[RecallPoint, ...]
    """Measured against exact search over the shard's rows when it was made."""
    removed: tuple[str, ...] = ()
    """Digests of assets that are no longer found, in order; their rows leave with the next merge."""


@dataclass(frozen=True, kw_only=True)
class IndexManifest:
    """The whole index."""

    encoder_digest: str
    transform_digest: str | None
    """Of the fitted transform that rows and queries go through; `None` where vectors are indexed as they are."""
    dim: int
    """Dimensions of the indexed rows, after the transform."""
    kind: IndexKind
    num_training_rows: int
    files: dict[str, FileDigest]
    """Of what all shards share, by name: the trained index and the held queries."""
    shards: tuple[ShardEntry, ...] = ()

    @property
    def num_rows(self) -> int:
        """Rows in all shards, removed ones included."""
        return sum(shard.num_rows for shard in self.shards)

    @property
    def recall(self) -> RecallPoint | None:
        """How a search is made, and the recall measured for it; `None` as long as nothing was measured."""
        return choose_point([(shard.num_rows, shard.recall) for shard in self.shards])


def is_index(folder: Path) -> bool:
    """Return whether there is a manifest in `folder`, readable or not."""
    return (folder / _NAME).is_file()


def shard_folder(folder: Path, name: str) -> Path:
    """Return where a shard of the index in `folder` lies."""
    return folder / "shards" / name


def read_manifest(folder: Path) -> IndexManifest:
    """Read an index folder's manifest. Raises `EncoderError` if there is none or it is not of this format."""
    path = folder / _NAME
    try:
        document = json.loads(path.read_bytes())
        if document["format"] != FORMAT:
            raise EncoderError(f"{path}: format is {document['format']}, not {FORMAT}", hint=REBUILD_HINT)
        return _manifest(document)
    except FileNotFoundError as exc:
        raise EncoderError(f"{folder}: there is no index here", hint="train one first") from exc
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise EncoderError(
            f"{path}: cannot be read as the manifest of an index: {exc}", hint=REBUILD_HINT
        ) from exc


def write_manifest(folder: Path, manifest: IndexManifest) -> None:
    """Replace a folder's manifest durably."""
    document = {"format": FORMAT} | asdict(manifest)
    write_durably(folder / _NAME, json.dumps(document, indent=1, sort_keys=True).encode())


def file_digests(folder: Path, names: tuple[str, ...]) -> dict[str, FileDigest]:
    """Return the digests of files in `folder`. Raises `EncoderError` if one cannot be read."""
    try:
        return {name: file_digest(folder / name) for name in names}
    except MediaError as exc:
        raise EncoderError(str(exc), hint=REBUILD_HINT) from exc


def check_sizes(folder: Path, files: dict[str, FileDigest]) -> None:
    """Raise `EncoderError` if a file is missing or of another size: mapping a file cut short would kill the process."""
    for name, recorded in files.items():
        path = folder / name
        size = path.stat().st_size if path.is_file() else None
        if size != recorded.size_bytes:
            found = "missing" if size is None else f"{size} bytes long"
            raise EncoderError(
                f"{path}: is {found}, recorded with {recorded.size_bytes} bytes", hint=REBUILD_HINT
            )


def check_digests(folder: Path, files: dict[str, FileDigest]) -> None:
    """Read every file and raise `EncoderError` at the first that is not what was recorded."""
    check_sizes(folder, files)
    for name, found in file_digests(folder, tuple(files)).items():
        if found != files[name]:
            raise EncoderError(
                f"{folder / name}: sha256 is {found.sha256}, recorded as {files[name].sha256}",
                hint=REBUILD_HINT,
            )


def _manifest(document: dict[str, Any]) -> IndexManifest:
    fields = {name: value for name, value in document.items() if name != "format"}
    fields["kind"] = IndexKind(**fields["kind"])
    fields["files"] = _files(fields["files"])
    fields["shards"] = tuple(_shard(shard) for shard in fields["shards"])
    return IndexManifest(**fields)


def _shard(document: dict[str, Any]) -> ShardEntry:
    return ShardEntry(
        **document
        | {
            "files": _files(document["files"]),
            "recall": tuple(RecallPoint(**point) for point in document["recall"]),
            "removed": tuple(document["removed"]),
        }
    )


def _files(document: dict[str, Any]) -> dict[str, FileDigest]:
    return {name: FileDigest(**digest) for name, digest in document.items()}
