"""Stills: small grey pictures of every view of an asset, ten a second, to look closely at what search nominates.

One Parquet file for each asset beside its vectors. It is written while the asset is decoded and read a few seconds at a
time, so that neither side holds a film in memory.

Shapes: S stills of one view, H and W pixels. Pictures are grey uint8.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from db.files import durable_file
from ingest.errors import EncoderError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

STILLS_PER_SECOND = Fraction(10)
"""So that the pictures of a copy and its original lie at most 1/20 s apart, and its ends are known to a tenth."""
STILL_SHORT_SIDE = 128
_QUALITY = 80
_GROUP_ROWS = 64
_CACHED_GROUPS = 12
_AGAIN = "delete the file and ingest the footage again"


@dataclass(frozen=True)
class Still:
    """A picture of one view."""

    view: int
    seconds: float
    """Since the first frame."""
    jpeg: bytes


class StillsWriter:
    """Writes stills in the order they come, a group at a time."""

    def __init__(self, staged: Path) -> None:
        import pyarrow.parquet as pq

        self._writer = pq.ParquetWriter(
            staged, _schema(), compression="none", use_dictionary=False, write_page_checksum=True
        )
        self._waiting: dict[int, list[Still]] = {}

    def push(self, view: int, seconds: float, grey_HW: NDArray[np.uint8]) -> None:
        """Take the next still of a view; it is scaled down to a short side of at most 128 pixels."""
        waiting = self._waiting.setdefault(view, [])
        waiting.append(Still(view, seconds, _jpeg(grey_HW)))
        if len(waiting) == _GROUP_ROWS:
            self._write(self._waiting.pop(view))

    def close(self) -> None:
        """Write what waits and the end of the file."""
        for view in sorted(self._waiting):
            self._write(self._waiting[view])
        self._waiting.clear()
        self._writer.close()

    def _write(self, stills: Sequence[Still]) -> None:
        # One group is one view and one stretch of time: what is read together lies together.
        import pyarrow as pa

        columns = [[still.view for still in stills], [still.seconds for still in stills]]
        arrays = [*columns, [still.jpeg for still in stills]]
        self._writer.write_table(pa.table(dict(zip(_schema().names, arrays, strict=True)), schema=_schema()))


@contextmanager
def writing_stills(path: Path) -> Iterator[StillsWriter]:
    """Write a file of stills that appears whole, or not at all if the block raises."""
    with durable_file(path) as staged:
        writer = StillsWriter(staged)
        try:
            yield writer
        finally:
            writer.close()


class Stills:
    """The stills of one view of an asset, read when they are asked for."""

    def __init__(self, path: Path, view: int) -> None:
        """Open a file; raises `EncoderError` if it is missing or damaged."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._path = path
        try:
            self._file = pq.ParquetFile(path, page_checksum_verification=True)
            if not self._file.schema_arrow.equals(_schema()):
                raise ValueError("it is a table of something else")
            self.seconds_S, self._place_S = self._places(view)
        except (OSError, pa.ArrowInvalid, KeyError, ValueError) as exc:
            raise EncoderError(f"stills {path.name} cannot be read: {exc}", hint=_AGAIN) from exc
        self._group = lru_cache(maxsize=_CACHED_GROUPS)(self._read_group)

    def _places(self, view: int) -> tuple[NDArray[np.float64], list[tuple[int, int]]]:
        """Return the seconds of the view's stills, ascending, and where they lie: (group, row of the group)."""
        seconds: list[float] = []
        places: list[tuple[int, int]] = []
        for group in range(self._file.num_row_groups):
            # Groups hold one view each; the statistics of the column say which.
            statistics = self._file.metadata.row_group(group).column(0).statistics
            if statistics.min != view:
                continue
            column = self._file.read_row_group(group, columns=["seconds"])["seconds"].to_pylist()
            seconds += column
            places += [(group, row) for row in range(len(column))]
        return np.array(seconds, dtype=np.float64), places

    def _read_group(self, group: int) -> list[bytes]:
        import pyarrow as pa

        try:
            return list(self._file.read_row_group(group, columns=["jpeg"])["jpeg"].to_pylist())
        except (OSError, pa.ArrowInvalid, ValueError) as exc:
            raise EncoderError(f"stills {self._path.name} cannot be read: {exc}", hint=_AGAIN) from exc

    def jpeg(self, position: int) -> bytes:
        """Return the still at a position of `seconds_S` as it is stored."""
        group, row = self._place_S[position]
        return self._group(group)[row]

    def picture(self, position: int) -> NDArray[np.uint8]:
        """Decode the still at a position of `seconds_S`, HW."""
        from PIL import Image

        with Image.open(io.BytesIO(self.jpeg(position))) as picture:
            return np.asarray(picture.convert("L"))


def _schema() -> Any:
    import pyarrow as pa

    return pa.schema([("view", pa.int16()), ("seconds", pa.float64()), ("jpeg", pa.binary())])


def _jpeg(grey_HW: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    picture = Image.fromarray(grey_HW)
    scale = STILL_SHORT_SIDE / min(picture.size)
    if scale < 1:
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.BOX)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
