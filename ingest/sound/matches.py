"""Sound matches: where the sound of one asset occurs in others, in seconds on both sides.

The search looks up 16 of the 32 bits of each item exactly, in four ways, in tables of all the other items; offsets that
collect enough hits are lines, and `ingest.sound.lines` decides on them. No pair is compared that shares no bits.

Not found: sound played 3 % faster or slower, or at another pitch (23 % of the clips measured are found; at 1 % nearly
all); most sound under other sound of equal loudness (found: 13 % of excerpts of 5 s, 57 % of 10 s); sound of less than
3.6 s; another performance of the same music. One event recorded by two devices is not told from a copy.

Shapes: N items, H hits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ingest.sound.chromaprint import FRAME_SAMPLES, HOP_SAMPLES, HOP_SECONDS, ITEM_FRAMES, SAMPLE_RATE
from ingest.sound.lines import SoundSegment, find_segments
from ingest.sound.prints import SHORTEST_ITEMS, SoundFingerprint
from ingest.sound.store import SoundStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK_ITEMS = 1_000_000
_PIECE_ITEMS = 256
"""Items of a query that vote together, 32 s: a longer piece collects hits by chance on every line."""
_LEAST_HITS = 4
_MARGIN_ITEMS = 48
# The middle of a frame is where a hop's sound weighs most.
_FRAME_MIDDLE_SECONDS = (FRAME_SAMPLES - HOP_SAMPLES) / 2 / SAMPLE_RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundSpan:
    """Sound that two assets share; seconds are since the first video frame of each and not below 0."""

    query_sha256: str
    other_sha256: str
    query_start_seconds: float
    query_end_seconds: float
    other_start_seconds: float
    other_end_seconds: float
    bit_error_rate: float
    """Share of differing bits, 0 to 0.32; re-encoded sound has 0.00 to 0.13, mixed sound more."""
    num_items: int
    """Items compared, 8.08 a second; one covers 2.72 s."""


def find_sound_matches(
    store: SoundStore, queries: Sequence[str], others: Sequence[str]
) -> Iterator[SoundSpan]:
    """Yield what sound of `queries` occurs in `others`, both digests of assets in `store`; an asset skips itself.

    Ordered by block of others, then as `queries`, then by place in the others. A block ends once it has a million
    items (34 hours of sound): memory is bounded by that and the longest asset. Raises `EncoderError` as the store does.
    """
    for block in _blocks(store, others):
        table = _ItemTable(block)
        for sha256 in queries:
            yield from _matches(sha256, store.read(sha256), table)


def _blocks(store: SoundStore, assets: Sequence[str]) -> Iterator[dict[str, SoundFingerprint]]:
    block: dict[str, SoundFingerprint] = {}
    num_items = 0
    for sha256 in assets:
        block[sha256] = store.read(sha256)
        num_items += block[sha256].num_items
        if num_items >= _BLOCK_ITEMS:
            yield block
            block, num_items = {}, 0
    if block:
        yield block


def _keys(items_N: NDArray[np.uint32]) -> list[NDArray[np.int64]]:
    """Return four keys of 16 bits for each item: its halves, and its odd and even bytes."""
    byte_N = [(items_N >> np.uint32(shift)) & np.uint32(0xFF) for shift in (24, 16, 8, 0)]
    pairs = ((0, 1), (2, 3), (0, 2), (1, 3))
    return [((byte_N[a] << np.uint32(8)) | byte_N[b]).astype(np.int64) for a, b in pairs]


class _ItemTable:
    """All sounding items of several assets, found by key."""

    def __init__(self, fingerprints: dict[str, SoundFingerprint]) -> None:
        self.assets = tuple(fingerprints.items())
        self.starts = np.cumsum([0, *(print_.num_items for _, print_ in self.assets)])
        is_sounding_N = np.concatenate([print_.is_sounding_N for _, print_ in self.assets])
        items_N = np.concatenate([print_.items_N for _, print_ in self.assets])
        sounding = np.flatnonzero(is_sounding_N).astype(np.int32)
        self._tables = []
        for keys_N in _keys(items_N[sounding]):
            order = np.argsort(keys_N, kind="stable")
            ends = np.cumsum(np.bincount(keys_N, minlength=1 << 16))
            self._tables.append((np.concatenate([[0], ends]), sounding[order]))

    def hits(self, items_N: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return for each hit the place in `items_N` and the place in the table, once for each key they share."""
        mine, theirs = [], []
        for keys_N, (ends, places) in zip(_keys(items_N), self._tables, strict=True):
            first, count = ends[keys_N], ends[keys_N + 1] - ends[keys_N]
            mine.append(np.repeat(np.arange(len(items_N)), count))
            within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
            theirs.append(places[np.repeat(first, count) + within].astype(np.int64))
        return np.concatenate(mine), np.concatenate(theirs)


@dataclass(frozen=True, slots=True)
class _Line:
    """An offset that a piece of the query voted for."""

    asset: int
    offset: int
    first_hit: int
    last_hit: int


def _matches(sha256: str, query: SoundFingerprint, table: _ItemTable) -> Iterator[SoundSpan]:
    """Yield the spans of one query, by asset and then by place."""
    by_asset: dict[int, list[_Line]] = {}
    for line in _lines(query, table):
        by_asset.setdefault(line.asset, []).append(line)
    for asset, lines in sorted(by_asset.items()):
        other_sha256, other = table.assets[asset]
        if other_sha256 == sha256:
            continue
        for segment in _segments(query, other, lines):
            span = _span(sha256, query, other_sha256, other, segment)
            if span is not None:
                yield span


def _lines(query: SoundFingerprint, table: _ItemTable) -> Iterator[_Line]:
    sounding = np.flatnonzero(query.is_sounding_N)
    for start in range(0, len(sounding), _PIECE_ITEMS):
        piece = sounding[start : start + _PIECE_ITEMS]
        mine, theirs = table.hits(query.items_N[piece])
        mine = piece[mine]
        asset = np.searchsorted(table.starts, theirs, side="right") - 1
        yield from _voted(mine, asset, theirs - table.starts[asset] - mine)


def _voted(
    mine_H: NDArray[np.int64], asset_H: NDArray[np.int64], offset_H: NDArray[np.int64]
) -> Iterator[_Line]:
    """Yield the offsets with enough hits on them and the two beside them: sound seldom lies whole items apart."""
    order = np.lexsort((offset_H, asset_H))
    mine_H, asset_H, offset_H = mine_H[order], asset_H[order], offset_H[order]
    is_new_H = np.ones(len(order), np.bool_)
    is_new_H[1:] = (np.diff(asset_H) != 0) | (np.diff(offset_H) != 0)
    starts = np.flatnonzero(is_new_H)
    if not len(starts):
        return
    counts = np.diff(np.append(starts, len(order)))
    lowest, highest = np.minimum.reduceat(mine_H, starts), np.maximum.reduceat(mine_H, starts)
    assets, offsets = asset_H[starts], offset_H[starts]
    is_joined = np.zeros(len(starts), np.bool_)
    is_joined[1:] = (np.diff(assets) == 0) & (np.diff(offsets) == 1)
    around = counts.copy()
    around[1:] += np.where(is_joined[1:], counts[:-1], 0)
    around[:-1] += np.where(is_joined[1:], counts[1:], 0)
    is_peak = np.ones(len(starts), np.bool_)
    is_peak[1:] &= ~is_joined[1:] | (counts[1:] >= counts[:-1])
    is_peak[:-1] &= ~is_joined[1:] | (counts[:-1] >= counts[1:])
    for line in np.flatnonzero((around >= _LEAST_HITS) & is_peak):
        near = slice(line - int(is_joined[line]), line + 1 + int(is_joined[line + 1 : line + 2].any()))
        first, last = int(lowest[near].min()), int(highest[near].max())
        if last > first:
            yield _Line(int(assets[line]), int(offsets[line]), first, last)


def _segments(query: SoundFingerprint, other: SoundFingerprint, lines: Sequence[_Line]) -> list[SoundSegment]:
    """Return the segments on any of `lines`, of those that lie over one another on neighbouring lines the best."""
    found: list[SoundSegment] = []
    for line in lines:
        low, high = line.first_hit - _MARGIN_ITEMS, line.last_hit + 1 + _MARGIN_ITEMS
        segments = list(find_segments(query, other, line.offset, low, high))
        if any(_touches(segment, low, high, query.num_items) for segment in segments):
            segments = list(find_segments(query, other, line.offset, 0, query.num_items))
        found += segments
    kept: list[SoundSegment] = []
    for segment in sorted(found, key=lambda each: (-_weight(each), each.start_hops, each.offset)):
        if not any(_repeats(segment, better) for better in kept):
            kept.append(segment)
    return sorted(kept, key=lambda each: (each.start_hops, each.offset))


def _touches(segment: SoundSegment, low: int, high: int, num_items: int) -> bool:
    """Return whether a segment found among items `low` to `high` may go on beyond them."""
    goes_before = low > 0 and segment.first_item < low + SHORTEST_ITEMS
    return goes_before or (high < num_items and segment.end_item > high - SHORTEST_ITEMS)


def _weight(segment: SoundSegment) -> float:
    return segment.num_items * (0.5 - segment.bit_error_rate)


def _repeats(segment: SoundSegment, better: SoundSegment) -> bool:
    """Return whether two segments say the same: sound resembles itself a little earlier and later."""
    is_beside = abs(segment.offset - better.offset) <= ITEM_FRAMES
    return is_beside and segment.first_item < better.end_item and better.first_item < segment.end_item


def _span(
    query_sha256: str,
    query: SoundFingerprint,
    other_sha256: str,
    other: SoundFingerprint,
    segment: SoundSegment,
) -> SoundSpan | None:
    """Return the segment in seconds; None if it lies before the first frame of one side."""
    start, end = segment.start_hops * HOP_SECONDS, segment.end_hops * HOP_SECONDS
    start += 0 if segment.is_from_start else _FRAME_MIDDLE_SECONDS
    end += 2 * _FRAME_MIDDLE_SECONDS if segment.is_to_end else _FRAME_MIDDLE_SECONDS
    query_start = query.start_seconds + start
    other_start = other.start_seconds + start + segment.offset * HOP_SECONDS
    before = max(0.0, -query_start, -other_start)
    if end - start <= before:
        return None
    return SoundSpan(
        query_sha256=query_sha256,
        other_sha256=other_sha256,
        query_start_seconds=query_start + before,
        query_end_seconds=query_start + end - start,
        other_start_seconds=other_start + before,
        other_end_seconds=other_start + end - start,
        bit_error_rate=segment.bit_error_rate,
        num_items=segment.num_items,
    )
