from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ingest.matching.pace import paced
from ingest.matching.timeline import Line
from ingest.pictures.reel import Reel
from tests.ingest.pictures.test_reel import HEIGHT, WIDTH, scene, tenths, texture, write_reel

if TYPE_CHECKING:
    from tests.ingest.pictures.test_reel import Grey, Scene


def _shaken(seed: int) -> Scene:
    """What a camera sees that follows somebody by jerks, over a large picture."""
    ground = texture(seed, 3 * HEIGHT, 3 * WIDTH)
    random = np.random.default_rng(seed)
    turns = np.cumsum(random.normal(0, 1, (400, 2)) * random.choice([0.5, 2, 8], (400, 1)), axis=0)

    def at(seconds: float) -> Grey:
        moment = 10 * seconds
        before = int(moment)
        row, column = turns[before] + (moment - before) * (turns[before + 1] - turns[before])
        top, left = round(row) % (2 * HEIGHT), round(column) % (2 * WIDTH)
        return ground[top : top + HEIGHT, left : left + WIDTH]

    return at


def _cut(seed: int) -> Scene:
    """Shots of uneven length, each by a camera on a tripod."""
    random = np.random.default_rng(seed)
    cuts = np.cumsum(random.uniform(0.6, 2.5, 40))
    shots = [scene(seed * 100 + number, num_subjects=2) for number in range(8)]
    return lambda seconds: shots[int(np.searchsorted(cuts, seconds)) % len(shots)](seconds)


def _reels(folder: Path, query: Scene, other: Scene, query_seconds: float = 8) -> tuple[Reel, Reel]:
    return (
        write_reel(folder / "query.parquet", query, tenths(query_seconds)),
        write_reel(folder / "other.parquet", other, tenths(20)),
    )


def _paced(reels: tuple[Reel, Reel], line: Line, reach: float = 2.0) -> Line:
    positions = range(len(reels[0].seconds_S))
    return paced(*reels, positions, line, low_seconds=-reach, high_seconds=reach)


@pytest.mark.parametrize("make", [_shaken, _cut])
@pytest.mark.parametrize("wrong", [-1.62, -0.24, 0.43, 1.9])
def test_an_offset_is_found_to_a_twentieth_of_a_second(
    tmp_path: Path, make: Callable[[int], Scene], wrong: float
) -> None:
    seen = make(3)
    reels = _reels(tmp_path, lambda seconds: seen(seconds + 4.0), seen)
    found = _paced(reels, Line(1.0, 4.0 + wrong))
    assert found.speed == 1.0
    assert found.offset_seconds == pytest.approx(4.0, abs=0.05)


@pytest.mark.parametrize("speed", [0.8, 1.1, 1.25])
def test_a_speed_is_found_to_a_hundredth(tmp_path: Path, speed: float) -> None:
    """Given is the line of the original's speed through the middle of the copy."""
    seen = _cut(4)
    reels = _reels(tmp_path, lambda seconds: seen(speed * seconds + 2.0), seen)
    found = _paced(reels, Line(speed, 2.0).turned(1.0, 4.0))
    assert found.speed == pytest.approx(speed, rel=0.01)
    assert found.at(np.array([4.0])) == pytest.approx(2.0 + 4 * speed, abs=0.06)


def test_a_crop_a_mirror_and_other_colours_do_not_matter(tmp_path: Path) -> None:
    seen = _shaken(5)

    def edited(seconds: float) -> Grey:
        cropped = seen(seconds + 3.0)[10:86, 20:110]
        return np.ascontiguousarray(255 - cropped[:, ::-1] // 2)

    found = _paced(_reels(tmp_path, edited, seen), Line(1.0, 2.2))
    assert found.speed == 1.0
    assert found.offset_seconds == pytest.approx(3.0, abs=0.05)


def test_the_line_stands_where_nothing_moves(tmp_path: Path) -> None:
    still = texture(6)
    line = Line(1.0, 3.3)
    assert _paced(_reels(tmp_path, lambda _: still, lambda _: still), line) == line


def test_the_line_stands_where_the_films_differ(tmp_path: Path) -> None:
    line = Line(1.0, 3.3)
    assert _paced(_reels(tmp_path, _shaken(7), _shaken(8)), line) == line


def test_the_line_stands_where_there_is_too_little_to_go_by(tmp_path: Path) -> None:
    seen = _shaken(9)
    reels = _reels(tmp_path, lambda seconds: seen(seconds + 3.0), seen)
    line = Line(1.0, 3.4)
    assert paced(*reels, range(11), line, low_seconds=-1, high_seconds=1) == line
    assert paced(*reels, [], line, low_seconds=-1, high_seconds=1) == line


def test_the_line_stands_where_it_lies_outside_the_other_film(tmp_path: Path) -> None:
    seen = _shaken(10)
    reels = _reels(tmp_path, seen, seen)
    for offset in (-40.0, 40.0):
        assert _paced(reels, Line(1.0, offset)) == Line(1.0, offset)


def test_the_line_stands_where_the_other_film_has_no_stills(tmp_path: Path) -> None:
    query = write_reel(tmp_path / "query.parquet", _shaken(11), tenths(4))
    other = write_reel(tmp_path / "other.parquet", _shaken(11), [])
    assert _paced((query, other), Line(1.0, 0.5)) == Line(1.0, 0.5)
