from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ingest.matching.geometry import Registration
from ingest.matching.timeline import Line, Places, find_ends, fit_line, moments
from ingest.pictures.reel import Reel
from tests.ingest.pictures.test_reel import HEIGHT, WIDTH, scene, tenths, texture, write_reel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.ingest.pictures.test_reel import Grey, Scene

_SAME = Registration(np.eye(2, 3), 50, 1)


def _panned(seed: int) -> Scene:
    """What a hand-held camera sees that pans over a large picture and shakes."""
    ground = texture(seed, 2 * HEIGHT, 3 * WIDTH)

    def at(seconds: float) -> Grey:
        row = HEIGHT / 2 + 20 * np.sin(2.1 * seconds) + 9 * np.sin(5.3 * seconds + 1)
        column = 18 * seconds + 12 * np.sin(1.3 * seconds) + 5 * np.sin(7 * seconds)
        top, left = round(float(row)), round(float(column))
        return ground[top : top + HEIGHT, left : left + WIDTH]

    return at


def _reels(
    folder: Path, query: Scene, other: Scene, *, query_seconds: float = 6, other_seconds: float = 9
) -> Places:
    """Lay the query's pictures over the other's as they are."""
    return _laid(
        write_reel(folder / "query.parquet", query, tenths(query_seconds)),
        write_reel(folder / "other.parquet", other, tenths(other_seconds)),
    )


def _laid(query: Reel, other: Reel) -> Places:
    places = Places(query, other, _SAME, is_mirrored=False)
    assert places.is_enough
    return places


def _all(places: Places) -> list[int]:
    return list(range(len(places.query.seconds_S)))


def test_a_line_maps_times_and_turns_about_a_point() -> None:
    line = Line(1.0, 3.0)
    assert line.at(np.array([0.0, 2.0])).tolist() == [3.0, 5.0]
    assert line.shifted(-0.5) == Line(1.0, 2.5)
    turned = line.turned(1.25, 4.0)
    assert turned.speed == 1.25
    assert turned.at(np.array([4.0])) == line.at(np.array([4.0])) == 7.0


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("wrong", [-0.45, 0.2, 0.57])
def test_an_offset_is_found_to_a_twentieth_of_a_second(tmp_path: Path, seed: int, wrong: float) -> None:
    """The stills of the two sides lie between one another."""
    seen = scene(seed)
    places = _reels(tmp_path, lambda seconds: seen(seconds + 1.73), seen)
    fit = fit_line(places, _all(places), Line(1.0, 1.73 + wrong), low_seconds=-0.6, high_seconds=0.6)
    assert fit.is_moving
    assert fit.line.at(np.array([0.0, 3.0, 6.0])) == pytest.approx([1.73, 4.73, 7.73], abs=0.05)
    assert fit.correlation > 0.9


def test_an_offset_that_is_far_off_is_found_where_the_range_is_wide(tmp_path: Path) -> None:
    seen = scene(3)
    places = _reels(tmp_path, lambda seconds: seen(seconds + 5.2), seen, query_seconds=4, other_seconds=12)
    fit = fit_line(places, _all(places), Line(1.0, 1.0), low_seconds=-1.0, high_seconds=6.0)
    assert fit.line.at(np.array([0.0, 4.0])) == pytest.approx([5.2, 9.2], abs=0.05)
    near = fit_line(places, _all(places), Line(1.0, 1.0), low_seconds=-0.6, high_seconds=0.6)
    assert near.correlation < fit.correlation


@pytest.mark.parametrize("speed", [0.8, 1.1, 1.25])
def test_a_speed_is_found_to_a_hundredth(tmp_path: Path, speed: float) -> None:
    """Given is the line of the original's speed through the middle of the copy."""
    seen = scene(4)
    places = _reels(tmp_path, lambda seconds: seen(speed * seconds + 0.5), seen)
    given = Line(speed, 0.5).turned(1.0, 3.0)
    fit = fit_line(places, _all(places), given, low_seconds=-0.6, high_seconds=0.6)
    assert fit.line.speed == pytest.approx(speed, rel=0.01)
    assert fit.line.at(np.array([0.0, 3.0, 5.9])) == pytest.approx(
        [0.5, 0.5 + 3 * speed, 0.5 + 5.9 * speed], abs=0.05
    )


def test_drift_between_known_speeds_is_taken_out(tmp_path: Path) -> None:
    seen = scene(5)
    places = _reels(
        tmp_path, lambda seconds: seen(1.04 * seconds + 0.5), seen, query_seconds=8, other_seconds=10
    )
    fit = fit_line(places, _all(places), Line(1.0, 0.66), low_seconds=-0.6, high_seconds=0.6)
    assert fit.line.speed == pytest.approx(1.04, rel=0.01)
    assert fit.correlation > 0.9


def test_a_pan_is_placed(tmp_path: Path) -> None:
    seen = _panned(1)
    places = _reels(tmp_path, lambda seconds: seen(seconds + 1.7), seen)
    fit = fit_line(places, _all(places), Line(1.0, 2.1), low_seconds=-0.6, high_seconds=0.6)
    assert fit.line.at(np.array([0.0, 6.0])) == pytest.approx([1.7, 7.7], abs=0.05)
    assert fit.correlation > 0.9


def test_a_scene_that_stands_still_keeps_its_line(tmp_path: Path) -> None:
    """Any offset would do: the pictures cannot tell, so what the frames said stands."""
    still = texture(6)
    places = _reels(tmp_path, lambda _: still, lambda _: still)
    line = Line(1.0, 1.3)
    fit = fit_line(places, _all(places), line, low_seconds=-0.6, high_seconds=0.6)
    assert not fit.is_moving
    assert fit.line == line


def test_other_people_before_the_same_wall_fit_at_no_offset(tmp_path: Path) -> None:
    places = _reels(tmp_path, scene(7, room=1, num_subjects=2), scene(8, room=1, num_subjects=2))
    line = Line(1.0, 1.0)
    fit = fit_line(places, _all(places), line, low_seconds=-0.6, high_seconds=0.6)
    assert fit.is_moving
    assert fit.line == line
    assert fit.correlation < 0.4


def test_a_mirrored_copy_is_read_where_it_is_stored(tmp_path: Path) -> None:
    seen = scene(9)
    query = write_reel(
        tmp_path / "query.parquet", lambda seconds: seen(seconds + 1)[:, ::-1].copy(), tenths(5)
    )
    other = write_reel(tmp_path / "other.parquet", seen, tenths(7))
    fits = [
        fit_line(
            Places(query, other, _SAME, is_mirrored=is_mirrored),
            list(range(50)),
            Line(1.0, 1.2),
            low_seconds=-0.6,
            high_seconds=0.6,
        )
        for is_mirrored in (True, False)
    ]
    assert fits[0].correlation > 0.9
    assert fits[1].correlation < 0.5
    assert fits[0].line.offset_seconds == pytest.approx(1.0, abs=0.05)


def test_a_cropped_copy_is_compared_inside_the_overlap(tmp_path: Path) -> None:
    """The query shows the left half, twice as large; its places are the ones that both sides show."""
    import cv2

    seen = scene(10)

    def cropped(seconds: float) -> Grey:
        half = seen(seconds + 1.4)[:, : WIDTH // 2]
        return np.asarray(
            cv2.resize(half, (WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_LINEAR), dtype=np.uint8
        )

    query = write_reel(tmp_path / "query.parquet", cropped, tenths(5))
    other = write_reel(tmp_path / "other.parquet", seen, tenths(8))
    half_23 = np.array([[0.5, 0, 0], [0, 0.5, 0]])
    places = Places(query, other, Registration(half_23, 50, 1), is_mirrored=False)
    fit = fit_line(places, list(range(50)), Line(1.0, 1.0), low_seconds=-0.6, high_seconds=0.6)
    assert fit.correlation > 0.9
    assert fit.line.at(np.array([0.0, 5.0])) == pytest.approx([1.4, 6.4], abs=0.05)


def test_a_map_that_leads_out_of_the_picture_leaves_no_places(tmp_path: Path) -> None:
    reel = write_reel(tmp_path / "reel.parquet", scene(11), tenths(1))
    away_23 = np.array([[1.0, 0, WIDTH - 4], [0, 1.0, 0]])
    assert not Places(reel, reel, Registration(away_23, 9, 1), is_mirrored=False).is_enough


_FOREIGN = 900


def _inserted(copied: Scene, start: float, end: float, offset: float) -> Scene:
    """Other footage up to `start` and from `end` on, and between them the copy at an offset."""
    foreign = scene(_FOREIGN)
    return lambda seconds: copied(seconds + offset) if start <= seconds < end else foreign(seconds)


@pytest.mark.parametrize(("start", "end"), [(2.0, 6.0), (1.3, 5.7), (2.5, 4.6)])
def test_ends_are_found_to_a_tenth_of_a_second(tmp_path: Path, start: float, end: float) -> None:
    """Given is what half-second samples can say, too short or too long."""
    seen = scene(12)
    places = _reels(tmp_path, _inserted(seen, start - 1e-6, end - 1e-6, 1.0), seen, query_seconds=8)
    line = Line(1.0, 1.0)
    for slip in (-0.4, 0.0, 0.4):
        found = find_ends(places, line, start + slip, end - slip)
        assert found == pytest.approx((start, end), abs=0.1)


def test_a_copy_to_the_very_ends_of_a_film_ends_with_it(tmp_path: Path) -> None:
    seen = scene(13)
    places = _reels(tmp_path, lambda seconds: seen(seconds + 2), seen, query_seconds=5)
    start, end = find_ends(places, Line(1.0, 2.0), 0.5, 4.5)
    assert start == 0.0
    assert end == pytest.approx(5.0, abs=0.1)


def test_a_copy_ends_where_the_other_side_does(tmp_path: Path) -> None:
    """The query goes on with what the other asset does not have."""
    seen = scene(14)
    places = _reels(tmp_path, lambda seconds: seen(seconds + 3), seen, query_seconds=8, other_seconds=7)
    assert find_ends(places, Line(1.0, 3.0), 0.5, 3.5) == pytest.approx((0.0, 4.0), abs=0.15)


def test_a_copy_goes_on_through_black(tmp_path: Path) -> None:
    lit = scene(15)

    def seen(seconds: float) -> Grey:
        return np.full((HEIGHT, WIDTH), 16, np.uint8) if 4.0 <= seconds < 5.5 else lit(seconds)

    places = _reels(tmp_path, _inserted(seen, 1.0, 6.999, 1.0), seen, query_seconds=8)
    assert find_ends(places, Line(1.0, 1.0), 1.5, 2.5) == pytest.approx((1.0, 7.0), abs=0.1)


def test_black_on_one_side_only_ends_a_copy(tmp_path: Path) -> None:
    seen = scene(16)

    def darkened(seconds: float) -> Grey:
        return np.full((HEIGHT, WIDTH), 16, np.uint8) if seconds >= 3.95 else seen(seconds + 1)

    places = _reels(tmp_path, darkened, seen)
    assert find_ends(places, Line(1.0, 1.0), 0.5, 3.5)[1] == pytest.approx(4.0, abs=0.1)


def test_all_of_a_short_stretch_is_watched_and_parts_of_a_long_one(tmp_path: Path) -> None:
    still = texture(17)
    reel = write_reel(tmp_path / "reel.parquet", lambda _: still, tenths(60))
    assert moments(reel, 2.0, 5.0) == list(range(20, 51))
    assert moments(reel, 70.0, 80.0) == []
    chosen = moments(reel, 0.0, 59.9)
    assert len(chosen) <= 3 * 40
    assert chosen == sorted(set(chosen))
    thirds: list[NDArray[np.int64]] = np.array_split(np.arange(600), 3)
    assert all(set(chosen) & set(third.tolist()) for third in thirds)
    assert (chosen[0], chosen[-1]) == (0, 599)
