"""The rows of an index and whose they are: which asset, which view of it, at which second.

Beside the vectors of a shard lie two Parquet files: `assets.parquet`, the digests, and `rows.parquet`, one line a row
with the number of its asset. Shapes: N rows, D dimensions, P hits.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from db.files import durable_file
from ingest.errors import EncoderError
from ingest.index.manifest import REBUILD_HINT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

ROWS_NAME, ASSETS_NAME = "rows.parquet", "assets.parquet"


@dataclass(frozen=True, eq=False, kw_only=True)
class IndexRows:
    """Rows to be indexed, with their vectors as the store holds them."""

    assets: tuple[str, ...]
    """SHA-256 digests."""
    asset_N: NDArray[np.int64]
    """Index into `assets` of each row."""
    view_N: NDArray[np.int64]
    seconds_N: NDArray[np.float64]
    vectors_ND: NDArray[np.float16] | NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class RowTable:
    """Whose the rows of a shard are: 14 bytes a row and 64 an asset."""

    digest_A: NDArray[np.bytes_]
    """SHA-256 digests of the assets, as text: an array of bytes takes half the memory of strings."""
    asset_N: NDArray[np.int32]
    view_N: NDArray[np.int16]
    seconds_N: NDArray[np.float64]

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return len(self.asset_N)

    @property
    def num_assets(self) -> int:
        """How many assets the rows are of."""
        return len(self.digest_A)

    def asset(self, number: int) -> str:
        """Return the digest of an asset."""
        return str(self.digest_A[number].decode())

    def live(self, removed: Sequence[str]) -> NDArray[np.bool_]:
        """Return which rows are of no asset in `removed`."""
        return np.isin(self.digest_A, _digests(removed), invert=True)[self.asset_N]

    def write(self, folder: Path) -> None:
        """Write both files into `folder`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = pa.table({"asset": self.asset_N, "view": self.view_N, "seconds": self.seconds_N})
        assets = pa.table({"sha256": pa.array(self.digest_A.astype(np.str_), type=pa.string())})
        for name, table in ((ROWS_NAME, rows), (ASSETS_NAME, assets)):
            with durable_file(folder / name) as path:
                pq.write_table(table, path, compression="zstd", write_page_checksum=True)

    @staticmethod
    def read(folder: Path) -> RowTable:
        """Read both files. Raises `EncoderError` if they are damaged."""
        rows = _table(folder / ROWS_NAME)
        try:
            table = RowTable(
                digest_A=_digests(read_assets(folder)),
                asset_N=rows["asset"].to_numpy().astype(np.int32, copy=False),
                view_N=rows["view"].to_numpy().astype(np.int16, copy=False),
                seconds_N=rows["seconds"].to_numpy(),
            )
        except KeyError as exc:
            raise EncoderError(
                f"{folder}: a column of the rows is missing: {exc}", hint=REBUILD_HINT
            ) from exc
        numbers = table.asset_N
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < table.num_assets:
            raise EncoderError(f"{folder / ROWS_NAME}: a row is of no asset", hint=REBUILD_HINT)
        return table


def read_assets(folder: Path) -> tuple[str, ...]:
    """Read only the digests of a shard's assets. Raises `EncoderError` if they are damaged."""
    path = folder / ASSETS_NAME
    try:
        return tuple(_table(path)["sha256"].to_pylist())
    except KeyError as exc:
        raise EncoderError(f"{path}: has no column sha256", hint=REBUILD_HINT) from exc


def _digests(assets: Sequence[str]) -> NDArray[np.bytes_]:
    return np.array(assets, dtype=np.bytes_)


def _table(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, page_checksum_verification=True)
    except (OSError, pa.ArrowInvalid) as exc:
        raise EncoderError(f"{path}: cannot be read: {exc}", hint=REBUILD_HINT) from exc


class RowTableBuilder:
    """Gathers a row table from blocks; an asset may go on in the next block."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._asset: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
        self._view: list[NDArray[np.int16]] = [np.empty(0, np.int16)]
        self._seconds: list[NDArray[np.float64]] = [np.empty(0, np.float64)]

    def push(
        self,
        assets: tuple[str, ...],
        asset_N: NDArray[Any],
        view_N: NDArray[Any],
        seconds_N: NDArray[np.float64],
    ) -> None:
        """Take the next rows; `asset_N` counts within `assets`."""
        numbers = [self._numbers.setdefault(asset, len(self._numbers)) for asset in assets]
        self._asset.append(np.array(numbers, dtype=np.int32)[asset_N])
        self._view.append(view_N.astype(np.int16))
        self._seconds.append(np.asarray(seconds_N, dtype=np.float64))

    def finish(self) -> RowTable:
        """Return the whole."""
        return RowTable(
            digest_A=_digests(list(self._numbers)),
            asset_N=np.concatenate(self._asset),
            view_N=np.concatenate(self._view),
            seconds_N=np.concatenate(self._seconds),
        )


def joined_tables(tables: Iterable[tuple[RowTable, NDArray[np.bool_]]]) -> RowTable:
    """Join tables, without the rows whose mask is false and without assets that no row is left of."""
    builder = RowTableBuilder()
    for table, keep_N in tables:
        used, asset_N = np.unique(table.asset_N[keep_N], return_inverse=True)
        assets = tuple(table.asset(number) for number in used)
        builder.push(assets, asset_N, table.view_N[keep_N], table.seconds_N[keep_N])
    return builder.finish()
