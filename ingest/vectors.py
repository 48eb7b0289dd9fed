"""Vectors of sampled frames: made from pictures, kept as Parquet, read back in bounded blocks.

One file for each asset and encoder, at `<encoder digest, 16 digits>/<asset digest, 2 digits>/<asset digest>.parquet`.
The files are the truth; any index is built from them. A row is one sampled frame: its time, its unit vector in
half precision, whether it has texture enough to be compared, and a small grey picture (JPEG) for a closer look at
candidates. Where footage is scanned at a higher rate than it is embedded, a row also holds the stills up to the next
row: pictures of fast motion agree with themselves only if they lie close together in time.

Shapes: N rows, D dimensions.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from db.files import durable_file
from ingest.borders import FRAME_RULES, ContentBox, content_box, is_textured, luma
from ingest.encoders import Encoder, EncoderIdentity
from ingest.errors import EncoderError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_BATCH_FRAMES = 32
_PREVIEW_SHORT_SIDE = 160
_STILL_SHORT_SIDE = 128
_PREVIEW_QUALITY = 80
_IDENTITY_KEY = b"cleartitle.encoder"
_COLUMNS = ("pts", "seconds", "is_textured", "vector", "preview", "stills")
_SEARCHED = ["seconds", "is_textured", "vector"]
_AGAIN = "delete the file and ingest the footage again"


STILLS_PER_SECOND = Fraction(8)
"""The rate to scan footage with, so that the pictures of a copy and its original lie at most 1/16 s apart. At 2 a
second, copies with fast motion scored down to 0.46 where other takes in one room reach 0.73."""


@dataclass(frozen=True)
class Still:
    """A picture between two sampled frames."""

    seconds: float
    """Since the first frame."""
    jpeg: bytes
    """Grey, inside the borders, short side 128 pixels or less."""


@dataclass(frozen=True, eq=False)
class FrameVectors:
    """The sampled frames of one asset, in order of time."""

    pts_N: NDArray[np.int64]
    seconds_N: NDArray[np.float64]
    """Since the first frame."""
    is_textured_N: NDArray[np.bool_]
    vectors_ND: NDArray[np.float16]
    previews: tuple[bytes, ...]
    """Grey JPEGs inside the borders, short side 160 pixels or less."""
    stills: tuple[Still, ...] = ()
    """In order of time, none before the first row; empty where every scanned picture is a row."""

    @property
    def num_rows(self) -> int:
        """Number of sampled frames."""
        return len(self.pts_N)

    @property
    def num_textured_rows(self) -> int:
        """Number of frames that can be compared."""
        return int(self.is_textured_N.sum())


class VectorsBuilder:
    """Takes sampled pictures in order and embeds them in batches; holds one batch of pictures at a time.

    With `samples_per_second` given, pictures may come more often: the first at or after each tick is a row, the others
    are kept as stills.
    """

    def __init__(self, encoder: Encoder, *, samples_per_second: Fraction | None = None) -> None:
        self._encoder = encoder
        self._samples_per_second = samples_per_second
        self._last_tick = -1
        self._box: ContentBox | None = None
        self._waiting_stills: list[tuple[float, NDArray[np.uint8]]] = []
        self._stills: list[Still] = []
        self._waiting: list[tuple[int, float, NDArray[np.uint8]]] = []
        self._pts: list[int] = []
        self._seconds: list[float] = []
        self._is_textured: list[bool] = []
        self._vectors: list[NDArray[np.float16]] = []
        self._previews: list[bytes] = []

    def push(self, pts: int, seconds: float, image: NDArray[np.uint8]) -> None:
        """Take the next sampled frame, RGB HWC uint8."""
        if not self._is_sampled(seconds):
            self._waiting_stills.append((seconds, luma(image)))
            return
        self._waiting.append((pts, seconds, image))
        if len(self._waiting) == _BATCH_FRAMES:
            self._embed_waiting()

    def finish(self) -> FrameVectors:
        """Embed what is left and return everything."""
        self._embed_waiting()
        dim = self._encoder.identity.dim
        return FrameVectors(
            pts_N=np.array(self._pts, dtype=np.int64),
            seconds_N=np.array(self._seconds, dtype=np.float64),
            is_textured_N=np.array(self._is_textured, dtype=np.bool_),
            vectors_ND=np.concatenate(self._vectors) if self._vectors else np.empty((0, dim), np.float16),
            previews=tuple(self._previews),
            stills=tuple(self._stills),
        )

    def _is_sampled(self, seconds: float) -> bool:
        if self._samples_per_second is None:
            return True
        # A microsecond, because seconds are rounded: the frame on the tick belongs to it.
        tick = int((seconds + 1e-6) * self._samples_per_second)
        is_new = tick > self._last_tick
        self._last_tick = tick
        return is_new

    def _embed_waiting(self) -> None:
        if not self._waiting:
            self._keep_stills()
            return
        # The frames of one asset have one shape; bars that all of a batch share are bars, not a dark scene.
        self._box = box = content_box([image for _, _, image in self._waiting])
        insides = [box.crop(image) for _, _, image in self._waiting]
        self._vectors.append(self._encoder.embed(insides).astype(np.float16))
        for (pts, seconds, _), inside in zip(self._waiting, insides, strict=True):
            self._pts.append(pts)
            self._seconds.append(seconds)
            self._is_textured.append(is_textured(inside))
            self._previews.append(_jpeg(luma(inside), _PREVIEW_SHORT_SIDE))
        self._waiting.clear()
        self._keep_stills()

    def _keep_stills(self) -> None:
        for seconds, grey_HW in self._waiting_stills:
            assert self._box is not None, (
                "the first picture is a row, and stills are kept after a batch of rows"
            )
            self._stills.append(Still(seconds, _jpeg(self._box.crop(grey_HW), _STILL_SHORT_SIDE)))
        self._waiting_stills.clear()


def _jpeg(grey_HW: NDArray[np.uint8], short_side: int) -> bytes:
    from PIL import Image

    picture = Image.fromarray(grey_HW)
    scale = short_side / min(picture.size)
    if scale < 1:
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.BOX)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_PREVIEW_QUALITY)
    return buffer.getvalue()


@dataclass(frozen=True, eq=False)
class VectorBlock:
    """Textured rows of several assets, for one pass of a search."""

    assets: tuple[str, ...]
    asset_N: NDArray[np.int64]
    """Index into `assets` of each row."""
    seconds_N: NDArray[np.float64]
    vectors_ND: NDArray[np.float16]


class VectorStore:
    """The folder of vector files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, asset_sha256: str, identity: EncoderIdentity) -> Path:
        """Return where an asset's vectors lie or would lie."""
        return self._folder / identity.digest[:16] / asset_sha256[:2] / f"{asset_sha256}.parquet"

    def has(self, asset_sha256: str, identity: EncoderIdentity) -> bool:
        """Return whether the file is there."""
        return self.path(asset_sha256, identity).is_file()

    def write(self, asset_sha256: str, identity: EncoderIdentity, vectors: FrameVectors) -> Path:
        """Write an asset's vectors durably; the file appears whole or not at all."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        flat = pa.array(vectors.vectors_ND.reshape(-1), type=pa.float16())
        table = pa.table(
            {
                "pts": pa.array(vectors.pts_N),
                "seconds": pa.array(vectors.seconds_N),
                "is_textured": pa.array(vectors.is_textured_N),
                "vector": pa.FixedSizeListArray.from_arrays(flat, identity.dim),
                "preview": pa.array(vectors.previews, type=pa.binary()),
                "stills": pa.array(_by_row(vectors), type=_still_type()),
            }
        ).replace_schema_metadata({_IDENTITY_KEY: json.dumps(_provenance(identity), sort_keys=True)})
        path = self.path(asset_sha256, identity)
        with durable_file(path) as staged:
            # Neither unit vectors nor JPEGs get smaller.
            pq.write_table(table, staged, compression="none", use_dictionary=False, write_page_checksum=True)
        return path

    def read(self, asset_sha256: str, identity: EncoderIdentity) -> FrameVectors:
        """Read an asset's vectors.

        Raises `EncoderError` if they are missing, damaged, or were made by another encoder.
        """
        table = self._read_columns(asset_sha256, identity, None)
        return FrameVectors(
            pts_N=table["pts"].to_numpy(),
            seconds_N=table["seconds"].to_numpy(),
            is_textured_N=table["is_textured"].to_numpy(),
            vectors_ND=_matrix(table["vector"], identity.dim),
            previews=tuple(table["preview"].to_pylist()),
            stills=tuple(Still(**still) for row in table["stills"].to_pylist() for still in row),
        )

    def _read_columns(
        self, asset_sha256: str, identity: EncoderIdentity, columns: list[str] | None
    ) -> pa.Table:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.path(asset_sha256, identity)
        try:
            table = pq.read_table(path, columns=columns, page_checksum_verification=True)
            self._check_identity(path, table.schema.metadata, identity)
            if missing := set(columns or _COLUMNS) - set(table.column_names):
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
        waiting: list[tuple[str, NDArray[np.float64], NDArray[np.float16]]] = []
        num_rows = 0
        for asset in assets:
            table = self._read_columns(asset, identity, _SEARCHED)
            is_textured = table["is_textured"].to_numpy()
            vectors_ND = _matrix(table["vector"], identity.dim)[is_textured]
            waiting.append((asset, table["seconds"].to_numpy()[is_textured], vectors_ND))
            num_rows += len(vectors_ND)
            if num_rows >= max_rows:
                yield _block(waiting)
                waiting, num_rows = [], 0
        if waiting:
            yield _block(waiting)

    @staticmethod
    def _check_identity(path: Path, metadata: dict[bytes, bytes] | None, identity: EncoderIdentity) -> None:
        found: Any = json.loads((metadata or {}).get(_IDENTITY_KEY, b"null"))
        if found != _provenance(identity):
            name = found["name"] if isinstance(found, dict) else "an unknown encoder"
            raise EncoderError(
                f"{path}: vectors of {name} cannot be compared with vectors of {identity.name}"
            )


def _still_type() -> pa.ListType[Any]:
    import pyarrow as pa

    return pa.list_(pa.struct([("seconds", pa.float64()), ("jpeg", pa.binary())]))


def _by_row(vectors: FrameVectors) -> list[list[dict[str, Any]]]:
    """Give each still to the last row before it."""
    rows: list[list[dict[str, Any]]] = [[] for _ in vectors.seconds_N]
    for still in vectors.stills:
        row = int(np.searchsorted(vectors.seconds_N, still.seconds, side="right")) - 1
        rows[row].append(asdict(still))
    return rows


def _provenance(identity: EncoderIdentity) -> dict[str, Any]:
    """Return what vectors must share to be comparable: the encoder, and the rules that cut and gated the frames."""
    return asdict(identity) | {"frame_rules": FRAME_RULES}


def _matrix(column: Any, dim: int) -> NDArray[np.float16]:
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, dtype=np.float16).reshape(-1, dim)


def _block(waiting: Sequence[tuple[str, NDArray[np.float64], NDArray[np.float16]]]) -> VectorBlock:
    return VectorBlock(
        assets=tuple(asset for asset, _, _ in waiting),
        asset_N=np.repeat(np.arange(len(waiting)), [len(seconds) for _, seconds, _ in waiting]),
        seconds_N=np.concatenate([seconds for _, seconds, _ in waiting]),
        vectors_ND=np.concatenate([vectors for _, _, vectors in waiting]),
    )
