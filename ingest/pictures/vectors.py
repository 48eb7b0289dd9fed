"""Vectors of sampled frames, kept as Parquet and read back in bounded blocks.

One file for each asset and recipe, at `<recipe digest, 16 digits>/<asset digest, 2 digits>/<asset digest>.parquet`,
with a file of stills beside it (`ingest.pictures.stills`). The recipe is the encoder and the rules that cut and gated
frames: vectors made by other rules lie elsewhere, are not found, and are made anew when the footage is ingested. The
files are the truth; any index is built from them. A row is a run of sampled frames of one view that look alike: its
time, the unit vector of its first frame in half precision, the PDQ fingerprint, and whether there is texture enough to
compare.

Shapes: N rows, D dimensions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from db.canonical import digest_of
from db.files import durable_file
from ingest.encoders.encoder import EncoderIdentity
from ingest.errors import EncoderError
from ingest.media.borders import FRAME_RULES
from ingest.pictures.pdq import NUM_BYTES
from ingest.pictures.stills import Stills, StillsWriter, writing_stills
from ingest.pictures.views import VIEW_RULES, ViewBox

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_IDENTITY_KEY = b"cleartitle.encoder"
_VIEWS_KEY = b"cleartitle.views"
_SEARCHED = ["view", "seconds", "end_seconds", "is_textured", "vector"]
_COLUMNS = (*_SEARCHED, "pts", "pdq", "pdq_mirrored", "pdq_quality")
_AGAIN = "delete the file and ingest the footage again"


@dataclass(frozen=True, eq=False, kw_only=True)
class FrameVectors:
    """The rows of one asset, by view and then in order of time."""

    boxes: tuple[ViewBox, ...]
    """What each view shows of the picture; the first is the whole picture inside its borders."""
    view_N: NDArray[np.int16]
    pts_N: NDArray[np.int64]
    seconds_N: NDArray[np.float64]
    """Of the first frame of the run, since the first frame of the asset."""
    end_seconds_N: NDArray[np.float64]
    """Of the last sampled frame that looks like it; equal to `seconds_N` unless the picture stands still."""
    is_textured_N: NDArray[np.bool_]
    vectors_ND: NDArray[np.float16]
    pdq_N32: NDArray[np.uint8]
    pdq_mirrored_N32: NDArray[np.uint8]
    """Of the same pictures with left and right swapped."""
    pdq_quality_N: NDArray[np.int16]

    @property
    def num_rows(self) -> int:
        """Number of runs, over all views."""
        return len(self.pts_N)

    def without_vectors(self) -> FrameVectors:
        """Return the rows with everything but their vectors, which are most of what they take."""
        return replace(self, vectors_ND=np.empty((0, self.vectors_ND.shape[1]), dtype=np.float16))

    def of_view(self, view: int) -> NDArray[np.int64]:
        """Return the positions of a view's rows."""
        return np.flatnonzero(self.view_N == view)


@dataclass(frozen=True, eq=False)
class VectorBlock:
    """Textured rows of several assets, for one pass of a search."""

    assets: tuple[str, ...]
    asset_N: NDArray[np.int64]
    """Index into `assets` of each row."""
    view_N: NDArray[np.int16]
    seconds_N: NDArray[np.float64]
    end_seconds_N: NDArray[np.float64]
    vectors_ND: NDArray[np.float16]


class VectorStore:
    """The folder of vector files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, asset_sha256: str, identity: EncoderIdentity) -> Path:
        """Return where an asset's vectors lie or would lie."""
        return self._folder / recipe_digest(identity)[:16] / asset_sha256[:2] / f"{asset_sha256}.parquet"

    def stills_path(self, asset_sha256: str, identity: EncoderIdentity) -> Path:
        """Return where an asset's stills lie or would lie."""
        return self.path(asset_sha256, identity).with_suffix(".stills.parquet")

    def has(self, asset_sha256: str, identity: EncoderIdentity) -> bool:
        """Return whether both files are there, made by the rules that hold today."""
        return (
            self.path(asset_sha256, identity).is_file() and self.stills_path(asset_sha256, identity).is_file()
        )

    def num_bytes(self, asset_sha256: str, identity: EncoderIdentity) -> int:
        """Return the size of an asset's vectors, which grows with its rows; 0 where they are missing."""
        path = self.path(asset_sha256, identity)
        return path.stat().st_size if path.is_file() else 0

    @contextmanager
    def writing_stills(self, asset_sha256: str, identity: EncoderIdentity) -> Iterator[StillsWriter]:
        """Take an asset's stills while it is decoded; the file appears when the block ends without an error."""
        with writing_stills(self.stills_path(asset_sha256, identity)) as writer:
            yield writer

    def stills(self, asset_sha256: str, identity: EncoderIdentity, view: int) -> Stills:
        """Open the stills of one view. Raises `EncoderError` if they are missing or damaged."""
        return Stills(self.stills_path(asset_sha256, identity), view)

    def write(self, asset_sha256: str, identity: EncoderIdentity, vectors: FrameVectors) -> Path:
        """Write an asset's vectors durably; the file appears whole or not at all."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        flat = pa.array(vectors.vectors_ND.reshape(-1), type=pa.float16())
        table = pa.table(
            {
                "view": pa.array(vectors.view_N),
                "pts": pa.array(vectors.pts_N),
                "seconds": pa.array(vectors.seconds_N),
                "end_seconds": pa.array(vectors.end_seconds_N),
                "is_textured": pa.array(vectors.is_textured_N),
                "vector": pa.FixedSizeListArray.from_arrays(flat, identity.dim),
                "pdq": _prints(vectors.pdq_N32),
                "pdq_mirrored": _prints(vectors.pdq_mirrored_N32),
                "pdq_quality": pa.array(vectors.pdq_quality_N),
            }
        ).replace_schema_metadata(
            {
                _IDENTITY_KEY: json.dumps(_recipe(identity), sort_keys=True),
                _VIEWS_KEY: json.dumps([asdict(box) for box in vectors.boxes]),
            }
        )
        path = self.path(asset_sha256, identity)
        with durable_file(path) as staged:
            # Unit vectors do not get smaller.
            pq.write_table(table, staged, compression="none", use_dictionary=False, write_page_checksum=True)
        return path

    def read(self, asset_sha256: str, identity: EncoderIdentity) -> FrameVectors:
        """Read an asset's vectors.

        Raises `EncoderError` if they are missing, damaged, or were made by another encoder.
        """
        table = self._read_columns(asset_sha256, identity, list(_COLUMNS))
        boxes: list[dict[str, float]] = json.loads(table.schema.metadata[_VIEWS_KEY])
        return FrameVectors(
            boxes=tuple(ViewBox(**box) for box in boxes),
            view_N=table["view"].to_numpy(),
            pts_N=table["pts"].to_numpy(),
            seconds_N=table["seconds"].to_numpy(),
            end_seconds_N=table["end_seconds"].to_numpy(),
            is_textured_N=table["is_textured"].to_numpy(),
            vectors_ND=_matrix(table["vector"], identity.dim),
            pdq_N32=_print_rows(table["pdq"]),
            pdq_mirrored_N32=_print_rows(table["pdq_mirrored"]),
            pdq_quality_N=table["pdq_quality"].to_numpy(),
        )

    def _read_columns(self, asset_sha256: str, identity: EncoderIdentity, columns: list[str]) -> pa.Table:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.path(asset_sha256, identity)
        try:
            table = pq.read_table(path, columns=columns, page_checksum_verification=True)
            self._check_identity(path, table.schema.metadata, identity)
            if missing := set(columns) - set(table.column_names):
                raise EncoderError(f"{path}: has no column {min(missing)}", hint=_AGAIN)
        except (OSError, pa.ArrowInvalid, KeyError, ValueError) as exc:
            raise EncoderError(
                f"vectors of asset {asset_sha256[:16]} cannot be read: {exc}", hint=_AGAIN
            ) from exc
        return table

    def blocks(
        self, assets: Sequence[str], identity: EncoderIdentity, *, max_rows: int = 250_000
    ) -> Iterator[VectorBlock]:
        """Yield the textured rows of `assets` in blocks of whole assets.

        A block ends once it has `max_rows`: memory is bounded by that and one asset. Raises like `read`.
        """
        waiting: list[tuple[str, pa.Table]] = []
        num_rows = 0
        for asset in assets:
            table = self._read_columns(asset, identity, _SEARCHED)
            table = table.filter(table["is_textured"])
            waiting.append((asset, table))
            num_rows += len(table)
            if num_rows >= max_rows:
                yield _block(waiting, identity.dim)
                waiting, num_rows = [], 0
        if waiting:
            yield _block(waiting, identity.dim)

    @staticmethod
    def _check_identity(path: Path, metadata: dict[bytes, bytes] | None, identity: EncoderIdentity) -> None:
        found: Any = json.loads((metadata or {}).get(_IDENTITY_KEY, b"null"))
        if found != _recipe(identity):
            name = found["name"] if isinstance(found, dict) else "an unknown encoder"
            raise EncoderError(
                f"{path}: vectors of {name} cannot be compared with vectors of {identity.name}"
            )


def recipe_digest(identity: EncoderIdentity) -> str:
    """Return the SHA-256 of everything that vectors must share to be comparable."""
    return digest_of(_recipe(identity))


def _recipe(identity: EncoderIdentity) -> dict[str, Any]:
    """Return what vectors must share: the encoder, and the rules that cut and gated the frames."""
    return asdict(identity) | {"frame_rules": FRAME_RULES, "view_rules": VIEW_RULES}


def _prints(bits_N32: NDArray[np.uint8]) -> pa.Array[Any]:
    import pyarrow as pa

    return pa.array([row.tobytes() for row in bits_N32], type=pa.binary(NUM_BYTES))


def _print_rows(column: Any) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(column.to_pylist()), dtype=np.uint8).reshape(-1, NUM_BYTES)


def _matrix(column: Any, dim: int) -> NDArray[np.float16]:
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, dtype=np.float16).reshape(-1, dim)


def _block(waiting: Sequence[tuple[str, pa.Table]], dim: int) -> VectorBlock:
    def column(name: str) -> NDArray[Any]:
        return np.concatenate([table[name].to_numpy() for _, table in waiting])

    return VectorBlock(
        assets=tuple(asset for asset, _ in waiting),
        asset_N=np.repeat(np.arange(len(waiting)), [len(table) for _, table in waiting]),
        view_N=column("view"),
        seconds_N=column("seconds"),
        end_seconds_N=column("end_seconds"),
        vectors_ND=np.concatenate([_matrix(table["vector"], dim) for _, table in waiting]),
    )
