"""Verification: whether the pictures along a segment are the same, and from when to when.

The map between the pictures is found at a few moments, the exact offset from everything that moves, and then the
pictures are compared over the whole stretch. A map that keypoints do not give is assumed, plain and mirrored: a blurred
or noisy copy has no keypoints left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ingest.matching.alignment import Segment
from ingest.matching.geometry import Agreement, Pairs, Picture, Registration, agree, assumed, register
from ingest.matching.pace import paced
from ingest.matching.timeline import Line, Places, find_ends, fit_line, moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.pictures.reel import Reel

VERIFICATION_RULES = "probes-2"
"""Names the rules of this module; part of a detector's digest."""

_NUM_PROBES = 5
_NUM_COMPARED = 8
_SURE_INLIERS = 40
"""Keypoints, over all probes, from which the other orientation is not tried."""
_MOVED_SECONDS = 0.12
"""The map is fitted again if the offset turns out to be this far off."""
_SLACK_SECONDS = 0.6
_CLEAR_AGREEMENT = 0.9
_HOPELESS = 0.1
_UNLIKE = 0.05
"""Agreement at the probes below which pictures with few common keypoints are not compared any further. Of 145 copies
the least had 0.06, and of 265 other pairs 169 lay below (benchmarks, attacked corpus)."""
_WATCHED = 80


@dataclass(frozen=True)
class Verified:
    """What the pictures along one line say."""

    line: Line
    query_start_seconds: float
    query_end_seconds: float
    agreement: Agreement
    num_inliers: int
    """Keypoints that support the map at one moment, on average; 0 for an assumed map."""
    correlation: float
    """Of what changes on both sides, -1 to 1; 0 where nothing moves."""
    is_moving: bool
    is_mirrored: bool


def verify(query: Reel, other: Reel, segment: Segment) -> Verified | None:
    """Compare the pictures along a segment; None if nothing fits."""
    line = _placed(query, other, segment)
    probes = _pairs(query, other, line, _spread(segment.query_seconds_M, _NUM_PROBES))
    tries = [_try(query, other, segment, line, laid) for laid in _worth_trying(probes)]
    return max((found for found in tries if found is not None), key=_fitness, default=None)


def _fitness(found: Verified) -> float:
    return found.agreement.mean + max(0.0, found.correlation)


@dataclass(frozen=True)
class _Laid:
    """A map, with whether the query is mirrored for it."""

    registration: Registration
    is_mirrored: bool


def _worth_trying(probes: Pairs) -> list[_Laid]:
    """Return the map that agrees best at the probes, and the second best if it is not clear which is right.

    None, where all of them are surely wrong: most of what is nominated is no copy, and most of the cost lies behind.
    """
    rated = []
    for laid in _maps(probes):
        agreement = agree(_mirrored(probes) if laid.is_mirrored else probes, laid.registration)
        if agreement is not None:
            rated.append((agreement.mean, laid))
    rated.sort(key=lambda item: -item[0])
    if all(mean < _UNLIKE and laid.registration.num_inliers < _SURE_INLIERS for mean, laid in rated):
        return []
    num = 1 if rated and rated[0][0] >= _CLEAR_AGREEMENT else 2
    return [laid for _, laid in rated[:num]]


def _maps(probes: Pairs) -> Iterator[_Laid]:
    """Yield the maps that the keypoints give, and that of an unedited picture, which often has none."""
    if not probes:
        return
    plain = register(probes)
    if plain is not None:
        yield _Laid(plain, False)
    yield _Laid(assumed(*probes[0]), False)
    if plain is not None and plain.num_inliers >= _SURE_INLIERS:
        return
    mirrored_probes = _mirrored(probes)
    mirrored = register(mirrored_probes)
    if mirrored is not None:
        yield _Laid(mirrored, True)
    yield _Laid(assumed(*mirrored_probes[0]), True)


def _placed(query: Reel, other: Reel, segment: Segment) -> Line:
    """Return the line of a segment, made more exact by the pace of both sides where that can be told."""
    line = Line(segment.speed, segment.offset_seconds)
    watched = _thinned(moments(query, *segment.query_seconds_M[[0, -1]]))
    low, high = segment.slack_seconds
    return paced(
        query, other, watched, line, low_seconds=low - _SLACK_SECONDS, high_seconds=high + _SLACK_SECONDS
    )


def _try(query: Reel, other: Reel, segment: Segment, line: Line, laid: _Laid) -> Verified | None:
    registration, is_mirrored = laid.registration, laid.is_mirrored
    start, end = float(segment.query_seconds_M[0]), float(segment.query_seconds_M[-1])
    places = Places(query, other, registration, is_mirrored=is_mirrored)
    if not places.is_enough:
        return None
    watched = _thinned(moments(query, start, end))
    if not watched:
        return None
    low, high = segment.slack_seconds
    fit = fit_line(
        places, watched, line, low_seconds=low - _SLACK_SECONDS, high_seconds=high + _SLACK_SECONDS
    )
    seconds = _spread(segment.query_seconds_M, _NUM_COMPARED)
    pairs = _pairs(query, other, fit.line, seconds)
    pairs = _mirrored(pairs) if is_mirrored else pairs
    if 2 * len(pairs) <= len(seconds):
        return None
    if abs(fit.line.offset_seconds - line.offset_seconds) > _MOVED_SECONDS and registration.num_pairs:
        again = register(pairs[:: max(1, len(pairs) // _NUM_PROBES)])
        if again is not None and again.num_inliers >= registration.num_inliers:
            registration = again
            places = Places(query, other, registration, is_mirrored=is_mirrored)
    agreement = agree(pairs, registration)
    if agreement is None or not places.is_enough:
        return None
    if agreement.mean >= _HOPELESS:
        start, end = find_ends(places, fit.line, start, end)
    return Verified(
        line=fit.line,
        query_start_seconds=start,
        query_end_seconds=end,
        agreement=agreement,
        num_inliers=round(registration.num_inliers / max(1, registration.num_pairs)),
        correlation=fit.correlation,
        is_moving=fit.is_moving,
        is_mirrored=is_mirrored,
    )


def _spread(seconds_M: NDArray[np.float64], limit: int) -> list[float]:
    """Choose up to `limit` of the times, evenly."""
    positions = np.linspace(0, len(seconds_M) - 1, min(limit, len(seconds_M))).round().astype(int)
    return [float(seconds_M[position]) for position in np.unique(positions)]


def _thinned(positions: list[int]) -> list[int]:
    step = -(-len(positions) // _WATCHED) or 1
    return positions[::step]


def _pairs(query: Reel, other: Reel, line: Line, seconds: Sequence[float]) -> Pairs:
    """Return the pictures of both sides at those query times at which both have one."""
    pairs: list[tuple[Picture, Picture]] = []
    for moment in seconds:
        near = query.nearest(moment)
        far = None if near is None else other.nearest(float(line.at(query.seconds_S[near])))
        if near is not None and far is not None:
            pairs.append((query.picture(near), other.picture(far)))
    return pairs


def _mirrored(pairs: Pairs) -> Pairs:
    return [(near.mirrored, far) for near, far in pairs]
