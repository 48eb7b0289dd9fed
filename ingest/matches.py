"""Matches: which seconds of one asset are a copy of which seconds of another.

Three steps, each stricter than the one before:

1. Nearest neighbours nominate: pairs of sampled frames whose vectors are alike (`ingest.index`).
2. Alignment over time: hits of one pair of assets that lie on a line form segments (`ingest.alignment`).
3. The pictures decide: frames along a segment are registered and compared pixel by pixel (`ingest.geometry`).

Without the third step other takes before the same wall would match; the measurement is in docs/matching.md.

Shapes: Q query rows, H hits, M samples of a segment.
"""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from db.canonical import digest_of
from ingest.alignment import PairHits, Segment, find_segments, still_runs
from ingest.encoders import EncoderIdentity
from ingest.geometry import GEOMETRY_RULES, Agreement, Picture, compare_runs
from ingest.index import FrameIndex
from ingest.vectors import FrameVectors, VectorStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK_ROWS = 250_000
_QUERY_ROWS = 50_000
_CACHED_ASSETS = 16
_COMPARED_SHORT_SIDE = 128
_NUM_PROBES = 4
_HOPELESS = 0.15
"""Agreement below which no better offset is looked for: copies have more even a quarter second off."""
_CERTAIN = 0.97
"""Agreement that only the right offset has."""
_OFFSET_STEPS_SECONDS = (0.25, 0.125)


@dataclass(frozen=True, kw_only=True)
class Detector:
    """Every threshold of the detection. They hold for one encoder and never carry over to another."""

    name: str
    min_similarity: float
    """Inner product from which two frames nominate each other."""
    min_agreement: float
    """Score of `ingest.geometry.Agreement` from which a segment is a copy."""
    min_inliers: int
    """Keypoints that support the best registered pair of frames of a segment."""
    min_samples: int
    """Query samples that a segment needs: three, half a second apart, are the shortest copy reported."""
    max_segments: int
    """Segments of one pair of assets that are looked at for each level of similarity, the most promising first."""
    max_compared: int
    """Frame pairs compared along one segment, evenly spread over it."""
    is_calibrated: bool
    """Whether the thresholds were measured for this encoder or only chosen to be safe."""
    geometry_rules: str = GEOMETRY_RULES

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of all fields."""
        return digest_of(dataclasses.asdict(self))


LITE0_DETECTOR = Detector(
    name="efficientnet-lite0-gem",
    min_similarity=0.40,
    min_agreement=0.80,
    min_inliers=8,
    min_samples=3,
    max_segments=4,
    max_compared=8,
    is_calibrated=True,
)
"""Measured by benchmarks/copy_groups.py; the numbers and their margins are in docs/matching.md."""

OPEN_CLIP_DETECTOR = dataclasses.replace(
    LITE0_DETECTOR,
    name="open-clip (not calibrated)",
    min_similarity=0.80,
    is_calibrated=False,
)
"""CLIP rates pictures of one kind of scene at 0.6 to 0.9; copies mostly lie above. Nothing here was measured."""


def detector_for(identity: EncoderIdentity) -> Detector:
    """Return the detector whose thresholds belong to an encoder."""
    return LITE0_DETECTOR if identity.name == LITE0_DETECTOR.name else OPEN_CLIP_DETECTOR


@dataclass(frozen=True, kw_only=True)
class MatchSpan:
    """A stretch of the query asset that shows the same pictures as a stretch of the other asset."""

    query_sha256: str
    other_sha256: str
    query_start_seconds: float
    query_end_seconds: float
    other_start_seconds: float
    other_end_seconds: float
    score: float
    """Agreement of the pictures, up to 1 for identical ones."""
    num_votes: int
    """Distinct views (runs of still frames count once) of the query that lie on the line."""
    speed: float
    """Seconds of the other asset per second of the query."""
    is_mirrored: bool


def find_matches(
    store: VectorStore,
    identity: EncoderIdentity,
    queries: Sequence[str],
    others: Iterable[str],
    detector: Detector,
) -> Iterator[MatchSpan]:
    """Find what `queries` share with `others`; both are SHA-256 digests of assets that `identity` embedded.

    An asset is never compared with itself, so identical bytes are the caller's to see. Where two assets are in
    both lists the pair is found from both sides. Memory is bounded by a block of vectors, not by the library.

    Raises `EncoderError` if an asset has no vectors of this encoder.
    """
    # Some rereading for a smaller memory: all hits of one batch of queries are held at once.
    other_list = list(others)
    search = _Search(store, identity, detector)
    for batch in store.blocks(queries, identity, max_rows=_QUERY_ROWS):
        hits: dict[tuple[str, str], list[PairHits]] = {}
        for block in store.blocks(other_list, identity, max_rows=_BLOCK_ROWS):
            found = FrameIndex(block.vectors_ND).search_above(batch.vectors_ND, detector.min_similarity)
            query_H, other_H = batch.asset_N[found.query_P], block.asset_N[found.row_P]
            for query, other, chosen in _by_pair(query_H, other_H):
                pair = (batch.assets[query], block.assets[other])
                if pair[0] != pair[1]:
                    seconds = batch.seconds_N[found.query_P[chosen]], block.seconds_N[found.row_P[chosen]]
                    hits.setdefault(pair, []).append(
                        PairHits(*seconds, found.score_P[chosen].astype(np.float64))
                    )
        for (query_sha256, other_sha256), parts in sorted(hits.items(), key=lambda item: item[0]):
            yield from search.spans(query_sha256, other_sha256, _merged(parts))


def _by_pair(
    query_H: NDArray[np.int64], other_H: NDArray[np.int64]
) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """Yield (query asset, other asset, positions of their hits)."""
    if len(query_H) == 0:
        return
    order = np.lexsort((other_H, query_H))
    is_new = (np.diff(query_H[order]) != 0) | (np.diff(other_H[order]) != 0)
    for chosen in np.split(order, np.flatnonzero(is_new) + 1):
        yield int(query_H[chosen[0]]), int(other_H[chosen[0]]), chosen


def _merged(parts: Sequence[PairHits]) -> PairHits:
    return PairHits(
        query_seconds_H=np.concatenate([part.query_seconds_H for part in parts]),
        other_seconds_H=np.concatenate([part.other_seconds_H for part in parts]),
        similarity_H=np.concatenate([part.similarity_H for part in parts]),
    )


@dataclass(frozen=True)
class _Judged:
    """A segment whose pictures agree."""

    segment: Segment
    comparison: Comparison


class _Search:
    """Judges the hits of pairs of assets; holds the vectors and pictures of the assets used last."""

    def __init__(self, store: VectorStore, identity: EncoderIdentity, detector: Detector) -> None:
        self._detector = detector
        self._reel = lru_cache(maxsize=_CACHED_ASSETS)(lambda asset: Reel(store.read(asset, identity)))

    def spans(self, query_sha256: str, other_sha256: str, hits: PairHits) -> Iterator[MatchSpan]:
        """Yield the copied spans of one pair of assets in order of query time."""
        segments = find_segments(
            hits,
            min_similarity=self._detector.min_similarity,
            min_samples=self._detector.min_samples,
            limit=self._detector.max_segments,
        )
        if not segments:
            return
        query, other = self._reel(query_sha256), self._reel(other_sha256)
        judged: list[_Judged] = []
        for segment in segments:
            if not any(_settles(found, segment) for found in judged):
                found = self._judge(query, other, segment)
                judged += [found] if found is not None else []
        for found in _without_overlap(judged):
            yield _span(query_sha256, other_sha256, query, other, found)

    def _judge(self, query: Reel, other: Reel, segment: Segment) -> _Judged | None:
        comparison = compare_segment(query, other, segment, max_compared=self._detector.max_compared)
        if comparison is None or comparison.agreement.num_inliers < self._detector.min_inliers:
            return None
        is_copy = comparison.agreement.score >= self._detector.min_agreement
        return _Judged(segment, comparison) if is_copy else None


class Reel:
    """The stored pictures of one asset, by time."""

    def __init__(self, frames: FrameVectors) -> None:
        self._frames = frames
        self.row_seconds_N = frames.seconds_N
        self.row_period_seconds = _period(frames.seconds_N, default=0.5)
        pictures = list(zip(frames.seconds_N.tolist(), frames.previews, strict=True))
        pictures += [(still.seconds, still.jpeg) for still in frames.stills]
        pictures.sort(key=lambda picture: picture[0])
        self.seconds_P = np.array([seconds for seconds, _ in pictures])
        self.period_seconds = _period(self.seconds_P, default=self.row_period_seconds)
        self._jpegs = [jpeg for _, jpeg in pictures]
        self._pictures: dict[int, Picture] = {}

    @cached_property
    def view_numbers(self) -> NDArray[np.int64]:
        """For each row, the number of the run of still frames that it is in."""
        return still_runs(self._frames.vectors_ND.astype(np.float32))

    def at(self, seconds: float) -> Picture | None:
        """Return the picture nearest in time if it is no further than between two of them."""
        position = int(np.abs(self.seconds_P - seconds).argmin())
        if abs(float(self.seconds_P[position]) - seconds) > 0.55 * self.period_seconds:
            return None
        if position not in self._pictures:
            self._pictures[position] = Picture(self._decoded(position))
        return self._pictures[position]

    @cached_property
    def _size(self) -> tuple[int, int]:
        """Width and height of all pictures: borders may be found a little differently along the way."""
        from PIL import Image

        with Image.open(io.BytesIO(self._jpegs[0])) as first:
            scale = min(1.0, _COMPARED_SHORT_SIDE / min(first.size))
            return max(1, round(first.width * scale)), max(1, round(first.height * scale))

    def _decoded(self, position: int) -> NDArray[np.uint8]:
        from PIL import Image

        with Image.open(io.BytesIO(self._jpegs[position])) as picture:
            return np.asarray(picture.convert("L").resize(self._size, Image.Resampling.BOX))


def _period(seconds: NDArray[np.float64], *, default: float) -> float:
    return float(np.median(np.diff(seconds))) if len(seconds) > 1 else default


def compare_segment(query: Reel, other: Reel, segment: Segment, *, max_compared: int) -> Comparison | None:
    """Compare pictures evenly spread along a segment, plain and mirrored, and find its offset exactly.

    The offset of a segment is only as good as its samples are dense. Around it, steps of the picture rate are
    taken uphill from coarse to fine, as the agreement of true copies falls steadily on both sides.
    """
    probes = _spread(segment.query_seconds_M, _NUM_PROBES)
    probe: Comparison | None = None
    for is_mirrored in (False, True):
        probe = _better(probe, _Line(query, other, segment, probes, is_mirrored).compare(0.0))
    if probe is None or probe.agreement.score < _HOPELESS:
        return probe
    seconds = _spread(segment.query_seconds_M, max_compared)
    line = _Line(query, other, segment, seconds, probe.is_mirrored)
    best = line.compare(0.0)
    if best is None:
        return None
    for step in _OFFSET_STEPS_SECONDS:
        if step >= 0.75 * other.period_seconds:
            center = best.shift_seconds
            for shift in (center - step, center + step):
                best = _better(best, line.compare(shift)) or best
    return best


def _spread(seconds_M: NDArray[np.float64], limit: int) -> list[float]:
    """Choose up to `limit` of the times, evenly."""
    positions = np.linspace(0, len(seconds_M) - 1, min(limit, len(seconds_M))).round().astype(int)
    return [float(seconds_M[position]) for position in np.unique(positions)]


@dataclass(frozen=True)
class Comparison:
    """What the pictures along a segment say."""

    agreement: Agreement
    shift_seconds: float
    """What to add to the offset of the segment."""
    is_mirrored: bool


def _better(one: Comparison | None, other: Comparison | None) -> Comparison | None:
    found = [comparison for comparison in (one, other) if comparison is not None]
    return max(found, key=lambda comparison: comparison.agreement.score, default=None)


@dataclass(frozen=True)
class _Line:
    """The picture pairs along a segment, for any small shift of its offset."""

    query: Reel
    other: Reel
    segment: Segment
    seconds: Sequence[float]
    is_mirrored: bool

    def compare(self, shift_seconds: float) -> Comparison | None:
        """Compare at a shifted offset; None if too few pictures lie there or none fits."""
        near, far = [], []
        for seconds in self.seconds:
            query = self.query.at(seconds)
            other = self.other.at(self.segment.speed * seconds + self.segment.offset_seconds + shift_seconds)
            if query is not None and other is not None:
                near.append(query.mirrored if self.is_mirrored else query)
                far.append(other)
        # The ends of a segment may lie a little outside the other asset.
        agreement = compare_runs(near, far) if 2 * len(near) > len(self.seconds) else None
        return None if agreement is None else Comparison(agreement, shift_seconds, self.is_mirrored)


def _without_overlap(judged: Sequence[_Judged]) -> list[_Judged]:
    """Keep, of segments that share query time, the one whose pictures agree best; in order of time."""
    kept: list[_Judged] = []
    for found in sorted(judged, key=_worth, reverse=True):
        start, end = found.segment.query_seconds_M[[0, -1]]
        is_free = all(
            end < other.segment.query_seconds_M[0] or start > other.segment.query_seconds_M[-1]
            for other in kept
        )
        if is_free:
            kept.append(found)
    return sorted(kept, key=lambda found: float(found.segment.query_seconds_M[0]))


def _settles(found: _Judged, segment: Segment) -> bool:
    """Say whether a copy leaves nothing to find out about a segment of the same time."""
    if found.comparison.agreement.score < _CERTAIN:
        return False
    start, end = found.segment.query_seconds_M[[0, -1]]
    return bool(start <= segment.query_seconds_M[0] and segment.query_seconds_M[-1] <= end)


def _worth(found: _Judged) -> float:
    """Rate agreement first, but between near equals the longer stretch."""
    return found.comparison.agreement.score * math.sqrt(math.sqrt(len(found.segment.query_seconds_M)))


def _span(query_sha256: str, other_sha256: str, query: Reel, other: Reel, found: _Judged) -> MatchSpan:
    """State a segment as seconds on both sides: from its first sample to one sampling period after its last."""
    segment = found.segment
    offset = segment.offset_seconds + found.comparison.shift_seconds
    start = float(segment.query_seconds_M[0])
    end = float(segment.query_seconds_M[-1]) + query.row_period_seconds
    other_end = float(other.row_seconds_N[-1]) + other.row_period_seconds
    rows = np.searchsorted(query.row_seconds_N, segment.query_seconds_M)
    return MatchSpan(
        query_sha256=query_sha256,
        other_sha256=other_sha256,
        query_start_seconds=start,
        query_end_seconds=end,
        other_start_seconds=max(0.0, segment.speed * start + offset),
        other_end_seconds=min(other_end, segment.speed * end + offset),
        score=found.comparison.agreement.score,
        num_votes=len(np.unique(query.view_numbers[rows])),
        speed=segment.speed,
        is_mirrored=found.comparison.is_mirrored,
    )
