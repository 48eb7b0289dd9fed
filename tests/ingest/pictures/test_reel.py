from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ingest.media.borders import luma
from ingest.pictures.reel import Reel
from ingest.pictures.stills import Stills, writing_stills
from tests.media import moving_scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Grey = NDArray[np.uint8]
    Scene = Callable[[float], Grey]

HEIGHT, WIDTH = 96, 128


def texture(seed: int, height: int = HEIGHT, width: int = WIDTH) -> Grey:
    """Return a textured grey picture that is all its own for each `seed`."""
    return luma(next(moving_scene(seed, 1, height, width)))


def scene(seed: int, *, room: int | None = None, num_subjects: int = 5) -> Scene:
    """Return what a camera on a tripod sees at each second: textured subjects that wander unevenly before a room.

    `seed` says who wanders and how, `room` before what (None: a room of its own).
    """
    random = np.random.default_rng(seed)
    ground = texture(1000 + seed if room is None else room)
    subjects = [texture(2000 + 10 * seed + number, 32, 32) for number in range(num_subjects)]
    hertz = random.uniform(0.07, 0.45, (num_subjects, 2, 2))
    phases = random.uniform(0, 2 * np.pi, (num_subjects, 2, 2))

    def at(seconds: float) -> Grey:
        picture = ground.copy()
        waves = np.sin(2 * np.pi * hertz * seconds + phases).mean(axis=2)
        for subject, wave in zip(subjects, waves, strict=True):
            row, column = np.round((0.5 + 0.5 * wave) * (HEIGHT - 32, WIDTH - 32)).astype(int)
            picture[row : row + 32, column : column + 32] = subject
        return picture

    return at


def write_reel(path: Path, seen: Scene, seconds: Sequence[float] | NDArray[np.float64]) -> Reel:
    """Store what is seen at some seconds and open it."""
    with writing_stills(path) as writer:
        for moment in seconds:
            writer.push(0, float(moment), seen(float(moment)))
    return Reel(Stills(path, 0))


def tenths(num_seconds: float) -> NDArray[np.float64]:
    """Return the times of stills, ten a second."""
    return np.arange(round(10 * num_seconds)) / 10


def test_the_nearest_still_is_found_and_none_far_from_any(tmp_path: Path) -> None:
    seconds = np.concatenate([tenths(1.5), 5 + tenths(1.5)])
    reel = write_reel(tmp_path / "reel.parquet", scene(1), seconds)
    assert reel.period_seconds == pytest.approx(0.1)
    near = [reel.nearest(moment) for moment in (-0.05, 0.0, 0.14, 0.16, 5.03, 6.45)]
    assert near == [0, 0, 1, 2, 15, 29]
    assert [reel.nearest(moment) for moment in (-0.1, 1.5, 3.0, 4.9, 6.5)] == [None] * 5


def test_stills_that_come_unevenly_leave_no_time_without_one(tmp_path: Path) -> None:
    """Of twelve frames a second ten are kept: twice a second two lie a sixth apart."""
    kept = [number / 12 for number in range(60) if number % 6 != 5]
    reel = write_reel(tmp_path / "reel.parquet", scene(1), kept)
    assert all(reel.nearest(moment) is not None for moment in np.linspace(0, kept[-1], 200).tolist())


def test_a_reel_without_stills_has_nothing_near(tmp_path: Path) -> None:
    reel = write_reel(tmp_path / "reel.parquet", scene(1), [])
    assert reel.nearest(0.0) is None
    assert reel.pace([]).shape == (0,)


def test_a_single_still_is_a_reel(tmp_path: Path) -> None:
    reel = write_reel(tmp_path / "reel.parquet", scene(1), [0.0])
    assert reel.nearest(0.02) == 0
    assert reel.pace([0]).tolist() == [0.0]
    assert reel.size == (WIDTH, HEIGHT)


def test_pictures_are_what_was_seen_and_all_of_one_size(tmp_path: Path) -> None:
    """Borders found a little differently from batch to batch must not stop the comparison."""
    seen = scene(2)

    def cut_later(seconds: float) -> Grey:
        return seen(seconds) if seconds < 0.3 else np.ascontiguousarray(seen(seconds)[2:, 1:])

    reel = write_reel(tmp_path / "reel.parquet", cut_later, tenths(0.6))
    assert {reel.pixels(position).shape for position in range(6)} == {(HEIGHT, WIDTH)}
    for position in range(3):
        error = np.abs(reel.pixels(position).astype(int) - seen(position / 10)).mean()
        assert error < 7
    assert reel.picture(4).pixels_HW is reel.pixels(4)


def test_the_pace_is_high_where_much_changes_and_none_where_nothing_does(tmp_path: Path) -> None:
    """Stills 10 to 19 stand still, and 20 is the first of another shot."""
    first, second = scene(3), scene(4)

    def seen(seconds: float) -> Grey:
        return first(min(seconds, 0.95)) if seconds < 1.95 else second(seconds)

    reel = write_reel(tmp_path / "reel.parquet", seen, tenths(3))
    pace = reel.pace(range(30))
    assert pace.dtype == np.float32
    assert pace[0] == 0
    assert pace[11:20].max() < 0.3
    assert pace[1:10].min() > pace[11:20].max()
    assert int(pace.argmax()) == 20
    assert pace[20] > 1.5 * np.delete(pace, 20).max()


def test_a_fade_of_the_light_is_no_pace(tmp_path: Path) -> None:
    """What the whole picture does at once is an edit, not the film."""
    still = np.clip(texture(5), 60, 180)
    reel = write_reel(
        tmp_path / "reel.parquet", lambda seconds: still + np.uint8(round(30 * seconds)), tenths(2)
    )
    moving = write_reel(tmp_path / "moving.parquet", scene(5), tenths(2))
    assert reel.pace(range(20)).max() < 0.5 * np.median(moving.pace(range(1, 20)))
