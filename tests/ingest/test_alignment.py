from __future__ import annotations

import numpy as np
import pytest

from ingest.alignment import PairHits, Segment, find_segments, still_runs


def _hits(pairs: list[tuple[float, float, float]]) -> PairHits:
    query, other, similarity = np.array(pairs, dtype=np.float64).reshape(-1, 3).T
    return PairHits(query, other, similarity)


def _find(
    pairs: list[tuple[float, float, float]],
    *,
    min_samples: int = 3,
    limit: int = 5,
) -> list[Segment]:
    return find_segments(_hits(pairs), min_similarity=0.4, min_samples=min_samples, limit=limit)


def _line(start: float, end: float, offset: float, speed: float = 1.0) -> list[tuple[float, float, float]]:
    return [(second, speed * second + offset, 0.9) for second in np.arange(start, end, 0.5).tolist()]


def test_hits_on_a_line_are_one_segment_with_its_offset() -> None:
    noise = [(second, (second * 7.3) % 40, 0.5) for second in np.arange(0, 6, 0.5).tolist()]
    first = _find([*_line(1, 5, 12.0), *noise])[0]
    assert first.speed == 1.0
    assert first.offset_seconds == pytest.approx(12.0, abs=0.1)
    assert (first.query_seconds_M[0], first.query_seconds_M[-1]) == (1.0, 4.5)


def test_two_copied_stretches_are_two_segments() -> None:
    found = _find([*_line(0, 4, 20.0), *_line(10, 16, -5.0)])[:2]
    assert sorted(round(segment.offset_seconds) for segment in found) == [-5, 20]


def test_one_line_with_a_long_gap_is_two_segments() -> None:
    found = _find([*_line(0, 3, 2.0), *_line(20, 24, 2.0)])
    spans = sorted((float(s.query_seconds_M[0]), float(s.query_seconds_M[-1])) for s in found[:2])
    assert spans == [(0.0, 2.5), (20.0, 23.5)]


@pytest.mark.parametrize("speed", [0.8, 1.25, 2.0])
def test_a_changed_speed_is_recognised(speed: float) -> None:
    first = _find(_line(0, 12, 3.0, speed))[0]
    assert first.speed == speed
    assert first.offset_seconds == pytest.approx(3.0, abs=0.15)


def test_hits_that_are_scattered_or_too_few_give_nothing() -> None:
    assert _find([]) == []
    assert _find(_line(0, 1, 2.0)) == []
    assert _find([(0.0, 0.0, 0.9), (0.5, 9.0, 0.9), (1.0, 3.0, 0.9)]) == []


def test_one_query_frame_that_is_like_many_counts_once() -> None:
    """A still shot in the other asset must not make a segment out of one frame."""
    assert _find([(2.0, other, 0.9) for other in np.arange(0, 20, 0.1).tolist()]) == []


def test_a_stretch_that_stands_out_is_a_segment_of_its_own() -> None:
    """The rest of the line is merely alike, and would spoil the comparison of the pictures."""
    alike = [(second, second + 3.0, 0.5) for second in np.arange(0, 10, 0.5).tolist()]
    found = _find([*alike, *_line(4, 7, 3.0)])
    spans = [(float(s.query_seconds_M[0]), float(s.query_seconds_M[-1])) for s in found]
    assert (0.0, 9.5) in spans
    assert (4.0, 6.5) in spans


def test_a_segment_is_given_once_whatever_the_levels() -> None:
    assert len(_find(_line(0, 8, 1.0), limit=1)) == 1


def test_still_frames_are_one_run() -> None:
    one, other = np.eye(2, dtype=np.float32)
    nearly = np.array([0.99, np.sqrt(1 - 0.99**2)], dtype=np.float32)
    assert still_runs(np.stack([one, one, nearly, other, other, one])).tolist() == [0, 0, 0, 1, 1, 2]
    assert still_runs(np.empty((0, 2), dtype=np.float32)).tolist() == []
