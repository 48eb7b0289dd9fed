from __future__ import annotations

import numpy as np
import pytest

from ingest.matching.alignment import SPEEDS, PairHits, Segment, expand_runs, find_segments


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
    """What is merely alike, and votes for another line, must not hide it."""
    alike = [(second, second + 3.0, 0.5) for second in np.arange(0, 10, 0.5).tolist()]
    found = _find([*alike, *_line(4, 7, 9.0)])
    spans = [
        (round(s.offset_seconds), float(s.query_seconds_M[0]), float(s.query_seconds_M[-1])) for s in found
    ]
    assert (3, 0.0, 9.5) in spans
    assert (9, 4.0, 6.5) in spans


def test_a_segment_is_given_once_whatever_the_levels() -> None:
    assert len(_find(_line(0, 8, 1.0), limit=1)) == 1


def test_the_best_of_each_sample_is_kept_with_its_likeness() -> None:
    beside = [(second, second + 12.25, 0.6) for second in np.arange(1, 5, 0.5).tolist()]
    first = _find([*_line(1, 5, 12.0), *beside])[0]
    np.testing.assert_allclose(first.query_seconds_M, np.arange(1, 5, 0.5))
    np.testing.assert_allclose(first.similarity_M, 0.9)


@pytest.mark.parametrize("speed", SPEEDS)
def test_every_speed_of_the_search_is_recognised(speed: float) -> None:
    first = _find(_line(0, 12, 3.0, speed))[0]
    assert first.speed == speed
    assert first.offset_seconds == pytest.approx(3.0, abs=0.15)


def test_the_most_votes_come_first_and_no_more_than_asked_for() -> None:
    lines = [*_line(0, 8, 40.0), *_line(10, 14, -5.0), *_line(20, 26, 15.0)]
    found = _find(lines, limit=3)
    assert [round(segment.offset_seconds) for segment in found] == [40, 15, -5]
    assert [segment.weight for segment in found] == sorted((s.weight for s in found), reverse=True)
    assert [round(segment.offset_seconds) for segment in _find(lines, limit=1)] == [40]


def test_six_copied_pieces_are_six_segments() -> None:
    """A supercut: pieces of 2.5 s from all over a film, end to end."""
    offsets = [100.0, 3.0, 57.0, 20.0, 81.0, 40.0]
    pieces = [_line(2.5 * number, 2.5 * number + 2.5, offset) for number, offset in enumerate(offsets)]
    found = _find([hit for piece in pieces for hit in piece], limit=8)
    assert sorted(round(segment.offset_seconds) for segment in found[:6]) == sorted(offsets)


def test_a_scene_that_stands_still_has_slack_that_covers_the_truth() -> None:
    """Every frame is like every other, so the offset is known only to lie where both sides overlap enough."""
    # 25 frames a second on one side: every other sample comes a little late.
    late = np.where(np.arange(20) % 2, 0.02, 0.0)
    query, other = np.meshgrid(np.arange(0, 6, 0.5) + 0.13, np.arange(0, 10, 0.5) + late)
    still = np.stack([query.reshape(-1), other.reshape(-1), np.full(query.size, 0.9)], axis=1)
    first = _find([(float(q), float(o), float(s)) for q, o, s in still])[0]
    low, high = first.slack_seconds
    assert first.speed == 1.0
    for truth in (0.0, 1.0, 2.0, 3.0, 4.0):
        assert first.offset_seconds + low - 0.6 <= truth <= first.offset_seconds + high + 0.6
    # Where little of the two overlaps there is no telling, so it is not looked at.
    assert high - low < 10


def test_a_line_that_stands_out_has_no_slack_to_speak_of() -> None:
    low, high = _find(_line(0, 8, 12.0))[0].slack_seconds
    assert -0.5 <= low <= 0 <= high <= 0.5


def test_the_order_of_the_hits_does_not_matter() -> None:
    random = np.random.default_rng(4)
    query, other = np.meshgrid(np.arange(0, 5, 0.5), np.arange(0, 7, 0.5))
    still = [(float(q), float(o), 0.8) for q, o in zip(query.reshape(-1), other.reshape(-1), strict=True)]
    pairs = [*still, *_line(6, 12, 3.0), *_line(6, 12, 3.25), *_line(14, 20, -4.0, 1.25)]
    wanted = _find(pairs)
    assert len(wanted) >= 3
    for _ in range(5):
        shuffled = [pairs[place] for place in random.permutation(len(pairs))]
        for one, other_one in zip(_find(shuffled), wanted, strict=True):
            assert (one.speed, one.offset_seconds, one.slack_seconds, one.weight) == (
                other_one.speed,
                other_one.offset_seconds,
                other_one.slack_seconds,
                other_one.weight,
            )
            np.testing.assert_array_equal(one.query_seconds_M, other_one.query_seconds_M)
            np.testing.assert_array_equal(one.similarity_M, other_one.similarity_M)


def _runs(*runs: tuple[float, float, float, float, float]) -> PairHits:
    columns = np.array(runs, dtype=np.float64).reshape(-1, 5).T
    return expand_runs(*columns, period_seconds=0.5)


def _pairs(hits: PairHits) -> set[tuple[float, float]]:
    return set(zip(hits.query_seconds_H.tolist(), hits.other_seconds_H.tolist(), strict=True))


def test_hits_between_single_frames_are_left_as_they_are() -> None:
    hits = _runs((1.0, 1.0, 7.0, 7.0, 0.5), (1.5, 1.5, 7.5, 7.5, 0.75))
    assert hits.query_seconds_H.tolist() == [1.0, 1.5]
    assert hits.other_seconds_H.tolist() == [7.0, 7.5]
    assert hits.similarity_H.tolist() == [0.5, 0.75]


def test_a_hit_between_runs_is_one_between_all_their_samples() -> None:
    hits = _runs((1.0, 2.0, 7.0, 7.5, 0.5))
    assert _pairs(hits) == {(near, far) for near in (1.0, 1.5, 2.0) for far in (7.0, 7.5)}
    assert set(hits.similarity_H.tolist()) == {0.5}
    assert _pairs(_runs((1.0, 1.0, 7.0, 8.0, 0.5))) == {(1.0, 7.0), (1.0, 7.5), (1.0, 8.0)}
    assert _pairs(_runs((1.0, 2.0, 7.0, 7.0, 0.5))) == {(1.0, 7.0), (1.5, 7.0), (2.0, 7.0)}


def test_of_a_long_run_only_so_many_samples_are_taken() -> None:
    hits = _runs((0.0, 3600.0, 0.0, 7200.0, 0.9))
    assert len(hits.query_seconds_H) == 1600
    assert (hits.query_seconds_H.min(), hits.query_seconds_H.max()) == (0.0, 3600.0)
    assert (hits.other_seconds_H.min(), hits.other_seconds_H.max()) == (0.0, 7200.0)


def test_no_hits_expand_to_none() -> None:
    hits = _runs()
    assert (len(hits.query_seconds_H), len(hits.other_seconds_H), len(hits.similarity_H)) == (0, 0, 0)


def test_a_still_shot_that_was_copied_becomes_a_segment() -> None:
    """One row on either side stands for seconds; as single frames they would be one vote."""
    (segment,) = find_segments(_runs((2.0, 5.0, 10.0, 13.0, 0.9)), min_similarity=0.4, min_samples=3, limit=1)
    assert (segment.query_seconds_M[0], segment.query_seconds_M[-1]) == (2.0, 5.0)
    low, high = segment.slack_seconds
    assert segment.offset_seconds + low - 0.6 <= 8.0 <= segment.offset_seconds + high + 0.6
