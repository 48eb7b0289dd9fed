"""The nearest footage of a generated clip: of what its model was trained on, of what was held out, of reference sets.

A match (`training.screening.screen`) says that seconds are a copy. What a model draws from memory may be too soft for
that, and still lie nearer to one training clip than to anything else. So the likest footage of each of the three kinds
is told of every clip, with its seconds.

It is the second signal of the screen. A clip as like to a training clip as what was drawn from memory is held for a
person, whatever the detector found; it is never refused for it, since another take of the same scene is as like. The
limit was measured for the encoder that is shipped (`LIMITS`) and says nothing of another one's vectors: with another
encoder likeness is told and decides nothing.

Likeness is that of `training.screening.nearest`: the mean, over the pictures of the generated clip, of the best inner
product with a picture of a clip of the snapshot, or of a reference file as a whole. The seconds are those of the likest
pair of pictures.

Shapes: Q pictures of the generated clip, N stored pictures, P of them that lie in spans, S spans, D dimensions.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.encoders.encoder import EncoderIdentity
from training.screening.held_vectors import HeldVectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.lookup.find import Query
    from ingest.pictures.vectors import VectorBlock

LIMITS: Mapping[str, float] = {
    "9d991fd844d2defc41c9836ebfa1b66439ec3edca561ed563f0b2008458aba89": 0.5,  # efficientnet-lite0-gem
}
"""From which likeness to a training clip a clip is held, by the digest of the encoder. See docs/screening.md."""
_DECIMALS = 3
_PART_ROWS = 16_384
"""Stored pictures that are made single precision at a time: 84 MB of the embedded default's 1,280 dimensions."""


class NearTo(enum.StrEnum):
    """Whose footage is near."""

    TRAINING = "training"
    HELD_OUT = "held-out"
    REFERENCE = "reference"


@dataclass(frozen=True, kw_only=True)
class NearFootage:
    """The likest footage of one kind."""

    kind: NearTo
    name: str
    """How people are shown it."""
    asset_sha256: str
    clip_id: str | None
    """Of the clip of the snapshot; `None` for reference footage, which is compared whole."""
    likeness: float
    """Up to 1."""
    seconds: float
    """In the generated clip: of the picture of the likest pair."""
    other_seconds: float
    """In the footage."""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values with stable keys."""
        rounded = {
            name: round(getattr(self, name), _DECIMALS) for name in ("likeness", "seconds", "other_seconds")
        }
        return asdict(self) | rounded | {"kind": self.kind.value}


def too_like(nearest: Iterable[NearFootage], limit: float) -> NearFootage | None:
    """Return the training footage among `nearest` if its likeness is at or above the limit (pure)."""
    return next((near for near in nearest if near.kind is NearTo.TRAINING and near.likeness >= limit), None)


@dataclass(frozen=True, kw_only=True)
class FootageSpan:
    """Seconds of an asset that count as one piece of footage of a kind."""

    kind: NearTo
    name: str
    clip_id: str | None = None
    start_seconds: float = 0.0
    end_seconds: float = float("inf")


@dataclass(frozen=True, eq=False, kw_only=True)
class _BlockSpans:
    """The stored pictures of a block that lie in spans, in order of span."""

    row_P: NDArray[np.int64]
    start_S: NDArray[np.int64]
    """Where the pictures of each span begin in `row_P`."""
    found: tuple[tuple[str, FootageSpan], ...]
    """Digest of the asset, and the span."""


class Neighbourhood:
    """The footage of the three kinds, ready to be compared with any number of clips."""

    def __init__(
        self,
        store: HeldVectors,
        identity: EncoderIdentity,
        batches: Iterable[Sequence[str]],
        spans: Mapping[str, Sequence[FootageSpan]],
    ) -> None:
        """Prepare the spans of each asset, by digest; `batches` are the assets in the order in which they are read.

        Raises `EncoderError` for damaged vectors.
        """
        self._store, self._identity = store, identity
        self._batches = tuple(tuple(batch) for batch in batches if not spans.keys().isdisjoint(batch))
        self._spans = tuple(_spans_in(block, spans) for block in self._blocks())

    def nearest(self, query: Query) -> tuple[NearFootage, ...]:
        """Return the likest footage of each kind that has any to compare; empty for a clip without texture."""
        rows = query.store.read(query.sha256, self._identity)
        is_whole_N = (rows.view_N == 0) & rows.is_textured_N
        pictures_QD = np.asarray(rows.vectors_ND[is_whole_N], dtype=np.float32)
        best: dict[NearTo, NearFootage] = {}
        if len(pictures_QD):
            for block, spans in zip(self._blocks(), self._spans, strict=True):
                for near in _nearest_in(block, spans, pictures_QD, rows.seconds_N[is_whole_N]):
                    if near.kind not in best or near.likeness > best[near.kind].likeness:
                        best[near.kind] = near
        return tuple(best[kind] for kind in NearTo if kind in best)

    def _blocks(self) -> Iterator[VectorBlock]:
        """Yield the blocks as the search for copies reads them, so that they are in memory once."""
        for batch in self._batches:
            yield from self._store.blocks(batch, self._identity)


def _spans_in(block: VectorBlock, spans: Mapping[str, Sequence[FootageSpan]]) -> _BlockSpans:
    """Find the pictures of each span; a run of still frames belongs to every span that it reaches into."""
    rows: list[NDArray[np.int64]] = []
    found: list[tuple[str, FootageSpan]] = []
    for number, asset in enumerate(block.assets):
        mine = np.flatnonzero((block.asset_N == number) & (block.view_N == 0))
        for span in spans.get(asset, ()):
            is_inside = block.seconds_N[mine] < span.end_seconds
            is_inside &= block.end_seconds_N[mine] >= span.start_seconds
            if is_inside.any():
                rows.append(mine[is_inside])
                found.append((asset, span))
    lengths = np.array([0, *map(len, rows)], dtype=np.int64)
    return _BlockSpans(
        row_P=np.concatenate([np.empty(0, np.int64), *rows]),
        start_S=np.cumsum(lengths)[:-1],
        found=tuple(found),
    )


def _nearest_in(
    block: VectorBlock,
    spans: _BlockSpans,
    pictures_QD: NDArray[np.float32],
    seconds_Q: NDArray[np.float64],
) -> Iterator[NearFootage]:
    """Yield the likest span of each kind in a block."""
    if not spans.found:
        return
    products_QP = np.concatenate(
        [
            pictures_QD @ block.vectors_ND[spans.row_P[start : start + _PART_ROWS]].astype(np.float32).T
            for start in range(0, len(spans.row_P), _PART_ROWS)
        ],
        axis=1,
    )
    likeness_S = np.maximum.reduceat(products_QP, spans.start_S, axis=1).mean(axis=0)
    ends_S = [*spans.start_S[1:], len(spans.row_P)]
    for kind in NearTo:
        mine = [number for number, (_, span) in enumerate(spans.found) if span.kind is kind]
        if not mine:
            continue
        number = max(mine, key=lambda number: float(likeness_S[number]))
        asset, span = spans.found[number]
        start = int(spans.start_S[number])
        inside_QP = products_QP[:, start : ends_S[number]]
        picture, place = np.unravel_index(int(inside_QP.argmax()), inside_QP.shape)
        yield NearFootage(
            kind=kind,
            name=span.name,
            asset_sha256=asset,
            clip_id=span.clip_id,
            likeness=float(likeness_S[number]),
            seconds=float(seconds_Q[picture]),
            other_seconds=float(block.seconds_N[spans.row_P[start + int(place)]]),
        )
