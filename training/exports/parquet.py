"""Parquet shards as the Hugging Face hub lays them out: `data/SPLIT-00000-of-00002.parquet`, one row for each clip.

The file of a clip stands in the column `video`, a struct of `bytes` and `path`, which `datasets` casts to its `Video`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.errors import RefusedError
from training.exports.sample import Sample
from training.exports.shards import ShardFormat

if TYPE_CHECKING:
    import pyarrow as pa

_ROW_GROUP_BYTES = 64 << 20
_MAX_VALUE_BYTES = (1 << 31) - 1
"""What a value of Parquet's byte arrays, with offsets of 32 bits, can be."""
_TEXTS = (
    "format", "clip_id", "split", "caption", "license_expression", "rights_holder", "grant", "expires_at",
    "source_sha256", "time_base", "video_sha256", "frames_sha256", "pixel_format", "snapshot", "merkle_root", "leaf",
)  # fmt: skip
_INTEGERS = (
    "start_pts", "end_pts", "video_size_bytes", "num_frames", "width", "height", "rotation_degrees", "leaf_index",
    "num_leaves",
)  # fmt: skip
_FLOATS = ("duration_seconds", "start_seconds", "end_seconds")


def parquet_schema() -> pa.Schema:
    """Return the columns of a shard."""
    import pyarrow as pa

    video = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.schema(
        [
            ("video", video),
            *((name, pa.string()) for name in _TEXTS),
            *((name, pa.int64()) for name in _INTEGERS),
            *((name, pa.float64()) for name in _FLOATS),
            ("is_mirrored", pa.bool_()),
            ("proof", pa.list_(pa.string())),
        ]
    )


class ParquetShard:
    """One Parquet file of samples; rows are held back until they make a row group of 64 MiB, or one row does."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self._schema = parquet_schema()
        self._path = path
        # Videos are compressed already, and statistics over them would be copies of them.
        self._writer = pq.ParquetWriter(
            path, self._schema, compression="none", use_dictionary=False, write_statistics=False
        )
        self._rows: list[dict[str, Any]] = []
        self._held_bytes = self._written_bytes = 0

    @property
    def size_bytes(self) -> int:
        """About how large it is so far."""
        return self._written_bytes + self._held_bytes

    def add(self, sample: Sample) -> None:
        """Append a row. Raises `RefusedError` if the video is too large for one."""
        size_bytes = sample.video.stat().st_size
        if size_bytes > _MAX_VALUE_BYTES:
            raise RefusedError(
                f"clip {sample.key}: its {size_bytes} bytes are more than a row of Parquet takes",
                hint="export with --format webdataset",
            )
        if self._held_bytes + size_bytes > _ROW_GROUP_BYTES:
            self._write_rows()
        video = {"bytes": sample.video.read_bytes(), "path": f"{sample.key}.mp4"}
        self._rows.append({"video": video, **sample.facts})
        self._held_bytes += size_bytes

    def close(self) -> None:
        """Write the rows that are held back, and the footer."""
        self._write_rows()
        self._writer.close()

    def _write_rows(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._written_bytes += self._held_bytes
        self._rows, self._held_bytes = [], 0


PARQUET = ShardFormat(
    name="parquet",
    open_shard=ParquetShard,
    shard_name=lambda split, number, num_shards: f"data/{split}-{number:05d}-of-{num_shards:05d}.parquet",
)
