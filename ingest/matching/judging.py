"""Judging: which of the seconds that nomination found alike in two assets are a copy.

Hits of one pair of views that lie on a line form segments (`ingest.matching.alignment`). Along a segment the pictures
are registered and compared, and what moves must move alike (`ingest.matching.verification`). All evidence together
gives a probability (`ingest.matching.scoring`).

Shapes: H hits, M samples of a segment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ingest.encoders.encoder import EncoderIdentity
from ingest.matching.alignment import PairHits, Segment, find_segments
from ingest.matching.scoring import Detector, Evidence
from ingest.matching.span import MatchSpan
from ingest.matching.verification import Verified, verify
from ingest.pictures.pdq import MIN_QUALITY
from ingest.pictures.reel import Reel
from ingest.pictures.vectors import FrameVectors, VectorStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

JUDGING_RULES = "still-parts-1"
"""Names the rules of this module; part of a detector's digest."""

Views = tuple[int, int]
"""Which part of either picture, the query's first; 0 is the whole."""

_WHOLES: Views = (0, 0)
_Candidate = tuple[Views, Segment]

_CACHED_REELS = 24
_CACHED_ROWS = 64
_ON_LINE_SECONDS = 0.3
_NO_LIKENESS = 128.0
_MAX_STILL = 8
"""Parts of one pair that may turn out to stand still before no further one is looked at."""
_SAME_LINE_SECONDS = 0.3
_MAX_GAP_SECONDS = 5.0


@dataclass(frozen=True, eq=False)
class NominatedPair:
    """Two assets with what nomination found alike in them."""

    query_sha256: str
    other_sha256: str
    hits: dict[Views, PairHits]
    is_other_searched: bool
    """Whether the other one is a query as well."""


class PairJudge:
    """Judges the hits of pairs of assets; holds the rows and pictures of the assets used last."""

    def __init__(
        self, store: VectorStore, identity: EncoderIdentity, detector: Detector, period_seconds: float
    ) -> None:
        self._detector = detector
        self._period_seconds = period_seconds
        self._reel = lru_cache(maxsize=_CACHED_REELS)(
            lambda asset, view: Reel(store.stills(asset, identity, view))
        )
        # The vectors have done their work: of a long film they are fifty times as large as all the rest.
        self._rows = lru_cache(maxsize=_CACHED_ROWS)(
            lambda asset: store.read(asset, identity).without_vectors()
        )

    def spans(self, pair: NominatedPair) -> Iterator[MatchSpan]:
        """Yield the copied spans of a pair in order of query time; if both are searched, then those of the other.

        Of the other, longer one only those seconds are a query as well that the copies found so far leave open: it may
        show the same ones twice.
        """
        query, other = pair.query_sha256, pair.other_sha256
        found = list(self._spans(query, other, dict(sorted(pair.hits.items()))))
        yield from found
        if pair.is_other_searched:
            rest = _left_open(pair.hits, [span for span in found if self._is_copy(span)])
            yield from self._spans(other, query, dict(sorted(rest.items())))

    def _spans(
        self, query_sha256: str, other_sha256: str, hits: dict[Views, PairHits]
    ) -> Iterator[MatchSpan]:
        """Yield the copied spans of one pair of assets in order of query time.

        Where nothing is a copy, the span that comes nearest to one is yielded if it is worth a word. What was found
        is set aside and the rest is looked at again, so that any number of copies is found; what is given up is
        only a pair whose likeliest segments all fail. A part that stands still is no failure: two walls that are alike
        say nothing of the pictures around them. And whatever becomes of parts, the whole pictures have their turn.
        """
        found: list[MatchSpan] = []
        failed: list[MatchSpan] = []
        tried: set[_Name] = set()
        still: list[_Candidate] = []
        waiting = self._waiting(hits)
        num_failures = 0
        while waiting:
            if num_failures >= self._detector.max_failures or len(still) >= _MAX_STILL:
                waiting = _last_resort(waiting, tried)
                if not waiting:
                    break
            views, segment = waiting.pop()
            if _name(views, segment) in tried or _is_among(still, views, segment):
                continue
            tried.add(_name(views, segment))
            verified = self._verified(query_sha256, other_sha256, views, segment)
            if verified is not None and _is_still_part(views, verified):
                still.append((views, segment))
                continue
            span = self._span(query_sha256, other_sha256, views, segment, verified)
            if span is not None and span.probability >= _WORTH_A_RIVAL and _worth(span) < _CERTAIN:
                rivals = _rivals(waiting, span)
                tried.update(_name(*rival) for rival in rivals)
                judged = [self._judged(query_sha256, other_sha256, *rival) for rival in rivals]
                span = max((found for found in (span, *judged) if found is not None), key=self._rank)
            if span is not None and self._is_copy(span):
                found.append(span)
                hits = {key: _outside(part, span, self._period_seconds / 2) for key, part in hits.items()}
                waiting = self._waiting(hits)
                continue
            num_failures += 1
            failed += [span] if span is not None else []
        found = _joined(found)
        nearest = max(failed, key=lambda span: span.probability, default=None)
        yield from _without_overlap(found or ([nearest] if nearest is not None else []))

    def _is_copy(self, span: MatchSpan) -> bool:
        return span.probability >= self._detector.min_probability

    def _rank(self, span: MatchSpan) -> tuple[bool, float]:
        return self._is_copy(span), _worth(span)

    def _waiting(self, hits: dict[Views, PairHits]) -> list[_Candidate]:
        """Return the segments worth judging, the most promising last: those that stand out, then by weight."""
        segments = [
            (views, segment)
            for views, part in hits.items()
            for segment in find_segments(
                part,
                min_similarity=self._detector.min_similarity,
                min_samples=self._detector.min_samples,
                limit=2 * self._detector.max_failures,
            )
        ]
        return sorted(segments, key=lambda item: self._promise(item[1]))

    def _promise(self, segment: Segment) -> tuple[bool, int, float]:
        stands_out = segment.is_above(self._detector.min_similarity)
        return stands_out, round(segment.likeness / _LIKE_STEP), segment.weight

    def _judged(
        self, query_sha256: str, other_sha256: str, views: Views, segment: Segment
    ) -> MatchSpan | None:
        verified = self._verified(query_sha256, other_sha256, views, segment)
        if verified is not None and _is_still_part(views, verified):
            return None
        return self._span(query_sha256, other_sha256, views, segment, verified)

    def _verified(
        self, query_sha256: str, other_sha256: str, views: Views, segment: Segment
    ) -> Verified | None:
        return verify(self._reel(query_sha256, views[0]), self._reel(other_sha256, views[1]), segment)

    def _span(
        self,
        query_sha256: str,
        other_sha256: str,
        views: Views,
        segment: Segment,
        verified: Verified | None,
    ) -> MatchSpan | None:
        if verified is None:
            return None
        rows = self._rows(query_sha256), self._rows(other_sha256)
        evidence = _evidence(rows, views, segment, verified, self._period_seconds)
        probability = self._detector.weights.probability(evidence)
        tier = self._detector.tier(evidence, probability)
        if tier is None:
            return None
        line, other = verified.line, self._reel(other_sha256, views[1])
        start, end = verified.query_start_seconds, verified.query_end_seconds
        last = float(other.seconds_S[-1]) + other.period_seconds
        return MatchSpan(
            query_sha256=query_sha256,
            other_sha256=other_sha256,
            query_start_seconds=start,
            query_end_seconds=end,
            other_start_seconds=min(max(0.0, line.speed * start + line.offset_seconds), last),
            other_end_seconds=min(max(0.0, line.speed * end + line.offset_seconds), last),
            tier=tier,
            probability=probability,
            evidence=evidence,
            speed=line.speed,
            is_mirrored=verified.is_mirrored,
            query_view=views[0],
            other_view=views[1],
        )


def _last_resort(waiting: Sequence[_Candidate], tried: Collection[_Name]) -> list[_Candidate]:
    """Return the most promising segment of the whole pictures, unless one was tried."""
    if any(views == _WHOLES for views, *_ in tried):
        return []
    return [candidate for candidate in waiting if candidate[0] == _WHOLES][-1:]


def _is_still_part(views: Views, verified: Verified) -> bool:
    """Say whether it is a part in which nothing moves: a wall, a poster or a logo, and no footage."""
    return views != _WHOLES and not verified.is_moving


def _is_among(still: Sequence[_Candidate], views: Views, segment: Segment) -> bool:
    """Say whether these parts were seen to stand still at some of these seconds already."""
    return any(known == views and segment.is_during(*seen.query_seconds_M[[0, -1]]) for known, seen in still)


_Name = tuple[Views, float, float, float]


def _name(views: Views, segment: Segment) -> _Name:
    return views, segment.speed, round(segment.offset_seconds, 1), float(segment.query_seconds_M[0])


_LIKE_STEP = 0.05
_WORTH_A_RIVAL = 0.2
_CERTAIN = 2.7
_NUM_RIVALS = 2


def _worth(span: MatchSpan) -> float:
    """Rate, from 0 to 3, how well a line fits: in a scene that stands still, several lines nearly do."""
    return span.evidence.texture + span.evidence.motion + span.evidence.correlation


def _rivals(waiting: Sequence[_Candidate], span: MatchSpan) -> list[_Candidate]:
    """Return the most promising other segments of the same seconds."""
    start, end = span.query_start_seconds, span.query_end_seconds
    found = [(views, segment) for views, segment in reversed(waiting) if segment.is_during(start, end)]
    return found[:_NUM_RIVALS]


def _outside(hits: PairHits, span: MatchSpan, margin: float) -> PairHits:
    seconds_H = hits.query_seconds_H
    return hits.only(
        (seconds_H < span.query_start_seconds - margin) | (seconds_H > span.query_end_seconds + margin)
    )


def _evidence(
    rows: tuple[FrameVectors, FrameVectors],
    views: Views,
    segment: Segment,
    verified: Verified,
    period_seconds: float,
) -> Evidence:
    query, other = rows
    mine = query.of_view(views[0])
    start, end = segment.query_seconds_M[[0, -1]]
    is_inside = (query.end_seconds_N[mine] >= start - 1e-6) & (query.seconds_N[mine] <= end + 1e-6)
    # Views other than the whole are sampled half as often.
    expected = 1 + round((end - start) / (period_seconds * (1 if views[0] == 0 else 2)))
    best = np.sort(segment.similarity_M)[::-1]
    return Evidence(
        similarity=float(best[:3].mean()),
        num_votes=int(is_inside.sum()),
        coverage=min(1.0, len(segment.query_seconds_M) / expected),
        num_inliers=verified.num_inliers,
        texture=verified.agreement.texture,
        motion=verified.agreement.motion,
        overlap=verified.agreement.overlap,
        correlation=verified.correlation,
        is_moving=verified.is_moving,
        speed=verified.line.speed,
        pdq_distance=_pdq_distance(query, other, mine[is_inside], views[1], verified),
    )


def _pdq_distance(
    query: FrameVectors, other: FrameVectors, rows: NDArray[np.int64], other_view: int, verified: Verified
) -> float:
    """Return the median distance of the fingerprints of rows on the line whose quality lets them be compared."""
    theirs = other.of_view(other_view)
    prints_N32 = query.pdq_mirrored_N32 if verified.is_mirrored else query.pdq_N32
    distances = []
    for row in rows:
        at = verified.line.speed * query.seconds_N[row] + verified.line.offset_seconds
        gap = np.maximum(other.seconds_N[theirs] - at, at - other.end_seconds_N[theirs])
        near = theirs[int(gap.argmin())]
        is_good = min(query.pdq_quality_N[row], other.pdq_quality_N[near]) >= MIN_QUALITY
        if is_good and gap.min() <= _ON_LINE_SECONDS:
            differing = np.bitwise_count(prints_N32[row] ^ other.pdq_N32[near])
            distances.append(int(differing.sum()))
    return float(np.median(distances)) if distances else _NO_LIKENESS


def _left_open(hits: dict[Views, PairHits], copies: Sequence[MatchSpan]) -> dict[Views, PairHits]:
    """Return the hits of a pair from its other side, without the seconds that were found; none without a copy."""
    if not copies:
        return {}
    rest = {(far, near): part.swapped() for (near, far), part in hits.items()}
    for span in copies:
        start, end = span.other_start_seconds - _ON_LINE_SECONDS, span.other_end_seconds + _ON_LINE_SECONDS
        for views, part in rest.items():
            seconds_H = part.query_seconds_H
            rest[views] = part.only((seconds_H < start) | (seconds_H > end))
    return rest


def _without_overlap(found: Sequence[MatchSpan]) -> list[MatchSpan]:
    """Keep, of spans that share most of their query time, the surest; in order of time."""
    kept: list[MatchSpan] = []
    for span in sorted(found, key=lambda span: -span.probability):
        if not any(_share(span, other) > 0.5 for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda span: span.query_start_seconds)


def _joined(found: Sequence[MatchSpan]) -> list[MatchSpan]:
    """Make one of spans that lie on one line with a short gap: dark stretches and titles say nothing by themselves."""
    kept: list[MatchSpan] = []
    for span in sorted(found, key=lambda span: span.query_start_seconds):
        last = kept[-1] if kept else None
        if last is not None and _goes_on(last, span):
            surer = max(last, span, key=lambda part: part.probability)
            kept[-1] = replace(
                surer,
                query_start_seconds=last.query_start_seconds,
                query_end_seconds=max(last.query_end_seconds, span.query_end_seconds),
                other_start_seconds=last.other_start_seconds,
                other_end_seconds=max(last.other_end_seconds, span.other_end_seconds),
            )
        else:
            kept.append(span)
    return kept


def _goes_on(one: MatchSpan, other: MatchSpan) -> bool:
    gap = other.query_start_seconds - one.query_end_seconds
    expected = one.other_end_seconds + one.speed * gap
    is_same_line = (
        abs(expected - other.other_start_seconds) <= _SAME_LINE_SECONDS
        and one.is_mirrored == other.is_mirrored
    )
    return is_same_line and gap <= _MAX_GAP_SECONDS and one.query_view == other.query_view


def _share(one: MatchSpan, other: MatchSpan) -> float:
    start = max(one.query_start_seconds, other.query_start_seconds)
    end = min(one.query_end_seconds, other.query_end_seconds)
    return (end - start) / max(1e-6, one.query_end_seconds - one.query_start_seconds)
