"""Lines of sound: whether two fingerprints agree along one offset, from where to where, and how surely.

An offset is a number of items: item i of the query lies beside item i + offset of the other. Where the same sound is on
both sides few of the 32 bits differ, else nearly half of them. Items overlap (each covers 22 hops), so neighbours are
no independent witnesses, and short agreement by chance is common: the shorter, the closer it has to be.

Measured on about 20 recordings: the lowest share of differing bits that any two different ones reach at any offset
over 8, 16, 24 and 40 items was 0.18, 0.24, 0.27 and 0.29; copies through AAC, MP3, Opus and Vorbis have 0.00 to 0.13.
`most_errors` keeps 0.03 to 0.05 below the former.

Shapes: N items along a line, B = 32 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ingest.sound.chromaprint import FRAMES_BY_BIT, ITEM_FRAMES
from ingest.sound.prints import SHORTEST_ITEMS, SoundFingerprint

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ALWAYS_CHANCE = 0.32
_CHANCE_BY_LENGTH = 0.48
_LONGEST_DOUBT = 1.5
"""A segment ends where the agreement gathered falls by this much: after a second or two of
other sound, or a longer doubtful part."""
_HIGHEST_STEADINESS = 0.8
"""Of errors on the line to errors half a second to two seconds beside it. Hums, hisses and tones agree with themselves
at any time (1.0), and then the line says nothing; in the 14 closest
agreements by chance the ratio was 0.66 or more over 16 items, 0.77 or more over 40."""
_LAGS = (*range(-16, -3), *range(4, 17))
_EDGE_ITEMS = 24
_ERRORS_OUTSIDE = 0.35
_LOWEST_ERRORS = 0.02
_HARM_OUTSIDE = 2.0
"""A bit errs fully once half of its frames lie outside. Of 15 pairs of values this one had the least
error in 9 of 10 cases, 0.43 s, and a bias under 0.06 s, when excerpts of one recording were set into another."""
_FRAMES_B = np.array(FRAMES_BY_BIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundSegment:
    """Where two fingerprints agree along a line."""

    first_item: int
    """Of the query."""
    end_item: int
    """The first after it."""
    num_items: int
    """Items that agree and hold sound; items of silence in between are not counted."""
    offset: float
    """Items of the other side before the query's: the line's own, refined to a part of an item."""
    start_hops: int
    """Where the copied sound begins in the query, in hops since its first item began."""
    end_hops: int
    is_from_start: bool
    """Whether the copied sound begins where one of the two sounds does."""
    is_to_end: bool
    bit_error_rate: float


def most_errors(num_items: int) -> float:
    """Return the highest share of differing bits at which `num_items` neighbours are not chance."""
    return float(_ALWAYS_CHANCE - _CHANCE_BY_LENGTH / np.sqrt(num_items))


def find_segments(
    query: SoundFingerprint, other: SoundFingerprint, offset: int, first: int, last: int
) -> Iterator[SoundSegment]:
    """Yield the segments that agree at `offset` among items `first` to `last` (exclusive) of the query."""
    first, last = max(first, 0, -offset), min(last, query.num_items, other.num_items - offset)
    if last - first < SHORTEST_ITEMS:
        return
    errors_N = _errors(query, other, offset, first, last)
    is_heard_N = query.is_sounding_N[first:last] & other.is_sounding_N[first + offset : last + offset]
    for start, end in _runs(np.where(is_heard_N, _ALWAYS_CHANCE - errors_N, 0.0)):
        heard = np.flatnonzero(is_heard_N[start:end])
        if len(heard) < SHORTEST_ITEMS:
            continue
        rate = float(errors_N[start:end][heard].mean())
        span = first + start, first + end
        steady = _HIGHEST_STEADINESS * _errors_beside(query, other, offset, *span)
        if rate <= most_errors(len(heard)) and rate < steady:
            yield _measured(query, other, offset, *span, num_items=len(heard), rate=rate)


def _errors(
    query: SoundFingerprint, other: SoundFingerprint, offset: int, first: int, last: int
) -> NDArray[np.float64]:
    """Return the share of differing bits of each item."""
    differing_N = query.items_N[first:last] ^ other.items_N[first + offset : last + offset]
    return np.asarray(np.bitwise_count(differing_N) / 32)


def _runs(gains_N: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """Yield where gains add up: from where the sum leaves zero to its peak, once it has fallen from there."""
    total, peak, start, end = 0.0, 0.0, 0, 0
    for index, gain in enumerate(gains_N.tolist()):
        if total <= 0:
            total, peak, start = 0.0, 0.0, index
        total += gain
        if total > peak:
            peak, end = total, index + 1
        if peak > 0 and (total <= 0 or total < peak - _LONGEST_DOUBT):
            yield start, end
            total = peak = 0.0
    if peak > 0:
        yield start, end


def _errors_beside(
    query: SoundFingerprint, other: SoundFingerprint, offset: int, first: int, last: int
) -> float:
    """Return the median error rate at the offsets beside the line; 0 where too little is left to compare."""
    rates = []
    for lag in _LAGS:
        start, end = max(first, -offset - lag), min(last, other.num_items - offset - lag)
        if end - start >= (last - first) // 2:
            rates.append(_errors(query, other, offset + lag, start, end).mean())
    return float(np.median(rates)) if rates else 0.0


def _part_of_item(
    query: SoundFingerprint, other: SoundFingerprint, offset: int, first: int, last: int
) -> float:
    """Return how far the true offset lies from `offset`, -0.5 to 0.5: errors grow evenly to both sides of it."""
    start, end = max(first, 1 - offset), min(last, other.num_items - offset - 1)
    if end - start < SHORTEST_ITEMS // 2:
        return 0.0
    before, at, after = (
        float(_errors(query, other, offset + step, start, end).mean()) for step in (-1, 0, 1)
    )
    slope = max(before, after) - at
    return float(np.clip((before - after) / (2 * slope), -0.5, 0.5)) if slope > 0 else 0.0


def _measured(
    query: SoundFingerprint,
    other: SoundFingerprint,
    offset: int,
    first: int,
    last: int,
    *,
    num_items: int,
    rate: float,
) -> SoundSegment:
    """Return the segment of items `first` to `last` (exclusive) with its boundaries, by maximum likelihood.

    A bit near a boundary errs like the inside if the frames that decide it lie inside, and the more like the outside
    the more of them do not.
    """
    lowest, highest = max(0, -offset), min(query.num_items, other.num_items - offset)
    middle = (first + last) // 2
    inside = min(max(rate, _LOWEST_ERRORS), 0.9 * _ERRORS_OUTSIDE)
    low, high = max(lowest, first - _EDGE_ITEMS), min(middle, first + 2 * _EDGE_ITEMS)
    starts = np.arange(low, min(middle, first + _EDGE_ITEMS))
    shares = (starts[:, None] - np.arange(low, high))[..., None] / _FRAMES_B
    start = int(starts[_likeliest(shares, _wrong_bits(query, other, offset, low, high), inside)])
    low, high = max(middle, last - 2 * _EDGE_ITEMS), min(highest, last + _EDGE_ITEMS)
    # The last frame of the last item is 19 hops after its first; the longest end first, so that it wins a tie.
    ends = np.arange(high + ITEM_FRAMES - 1, max(middle, last - _EDGE_ITEMS), -1)
    shares = 1 - (ends[:, None] - np.arange(low, high))[..., None] / _FRAMES_B
    end = int(ends[_likeliest(shares, _wrong_bits(query, other, offset, low, high), inside)])
    return SoundSegment(
        first_item=first,
        end_item=last,
        num_items=num_items,
        offset=offset + _part_of_item(query, other, offset, first, last),
        start_hops=start,
        end_hops=end,
        is_from_start=start == lowest,
        is_to_end=end == highest + ITEM_FRAMES - 1,
        bit_error_rate=rate,
    )


def _wrong_bits(
    query: SoundFingerprint, other: SoundFingerprint, offset: int, first: int, last: int
) -> NDArray[np.uint8]:
    """Return which bits differ, as NB, the highest bit first."""
    differing_N = query.items_N[first:last] ^ other.items_N[first + offset : last + offset]
    return np.unpackbits(differing_N.astype(">u4").view(np.uint8).reshape(-1, 4), axis=1)


def _likeliest(share_outside_PNB: NDArray[np.float64], is_wrong_NB: NDArray[np.uint8], inside: float) -> int:
    """Return which of P places explains best which bits are wrong."""
    share_PNB = np.clip(_HARM_OUTSIDE * share_outside_PNB, 0, 1)
    wrong_PNB = inside + (_ERRORS_OUTSIDE - inside) * share_PNB
    likelihood_PNB = np.where(is_wrong_NB, np.log(wrong_PNB), np.log1p(-wrong_PNB))
    return int(likelihood_PNB.sum(axis=(1, 2)).argmax())
