"""Fingerprints of sound on disk: one Parquet file for each asset, at `<asset digest, 2 digits>/<asset digest>.parquet`.

The files are the truth; what a search builds from them is thrown away with it. A row is one item.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from db.canonical import digest_of
from db.files import durable_file
from ingest.errors import EncoderError
from ingest.sound.chromaprint import ALGORITHM
from ingest.sound.prints import SOUND_RULES, SoundFingerprint

_IDENTITY_KEY = b"cleartitle.sound"
_IDENTITY = {"algorithm": ALGORITHM, "sound_rules": SOUND_RULES}
SOUND_ENGINE_DIGEST = digest_of(_IDENTITY)
"""Identity of what makes fingerprints: those of another one are never compared with these."""
_AGAIN = "delete the file and ingest the footage again"


class SoundStore:
    """The folder of fingerprint files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, asset_sha256: str) -> Path:
        """Return where an asset's fingerprint lies or would lie."""
        return self._folder / asset_sha256[:2] / f"{asset_sha256}.parquet"

    def has(self, asset_sha256: str) -> bool:
        """Return whether the file is there."""
        return self.path(asset_sha256).is_file()

    def write(self, asset_sha256: str, fingerprint: SoundFingerprint) -> Path:
        """Write an asset's fingerprint durably; the file appears whole or not at all."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table(
            {
                "item": pa.array(fingerprint.items_N),
                "seconds": pa.array(fingerprint.seconds_of_items),
                "is_sounding": pa.array(fingerprint.is_sounding_N),
            }
        ).replace_schema_metadata({_IDENTITY_KEY: json.dumps(_IDENTITY, sort_keys=True)})
        path = self.path(asset_sha256)
        with durable_file(path) as staged:
            pq.write_table(table, staged, compression="zstd", use_dictionary=False, write_page_checksum=True)
        return path

    def read(self, asset_sha256: str) -> SoundFingerprint:
        """Read an asset's fingerprint.

        Raises `EncoderError` if it is missing, damaged, or was made by other rules.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.path(asset_sha256)
        try:
            table = pq.read_table(path, page_checksum_verification=True)
            _check_identity(path, table.schema.metadata)
            return SoundFingerprint(
                start_seconds=float(table["seconds"][0].as_py()),
                items_N=table["item"].to_numpy().astype(np.uint32, copy=False),
                is_sounding_N=table["is_sounding"].to_numpy().astype(np.bool_, copy=False),
            )
        except (OSError, pa.ArrowInvalid, KeyError, ValueError, IndexError) as exc:
            raise EncoderError(
                f"sound fingerprint of asset {asset_sha256[:16]} cannot be read: {exc}", hint=_AGAIN
            ) from exc


def _check_identity(path: Path, metadata: dict[bytes, bytes] | None) -> None:
    found: Any = json.loads((metadata or {}).get(_IDENTITY_KEY, b"null"))
    if found != _IDENTITY:
        raise EncoderError(f"{path}: made by {found}, this version compares {_IDENTITY}", hint=_AGAIN)
