from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from db.errors import ConfigError
from ingest.errors import MediaError
from ingest.media.frames import scan_frames
from ingest.watermark.binding import SPREAD_SPECTRUM_ALG, SoftBinding, SpreadSpectrum
from ingest.watermark.reading import FALSE_POSITIVE_BOUND, impression_of, read_impression, read_mark
from tests.ingest.watermark.marked import KEY, MARK_ID, OTHER_KEY, encoded, marked_frames, scene_frames
from tests.media import flat_scene, write_video

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Frames = list[NDArray[np.uint8]]


@pytest.fixture(scope="module")
def marked() -> Frames:
    """Three seconds at 24 frames a second."""
    return marked_frames(72)


@pytest.fixture(scope="module")
def film(marked: Frames, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a file of good quality."""
    return encoded(tmp_path_factory.mktemp("marked") / "film.mp4", marked)


def _warped(frames: Frames, matrix: list[list[float]], size: tuple[int, int]) -> Frames:
    import cv2

    return [np.asarray(cv2.warpAffine(frame, np.array(matrix), size), np.uint8) for frame in frames]


def _halved(frames: Frames) -> Frames:
    import cv2

    return [
        np.asarray(cv2.resize(frame, (128, 128), interpolation=cv2.INTER_AREA), np.uint8) for frame in frames
    ]


def _turned(degrees: float) -> Callable[[Frames], Frames]:
    turn = np.deg2rad(degrees)
    cosine, sine = float(np.cos(turn)), float(np.sin(turn))
    middle = 127.5
    matrix = [
        [cosine, -sine, middle - middle * cosine + middle * sine],
        [sine, cosine, middle - middle * sine - middle * cosine],
    ]
    return lambda frames: _warped(frames, matrix, (256, 256))


def _cropped(frames: Frames) -> Frames:
    return [frame[29 : 29 + 218, 7 : 7 + 218] for frame in frames]


def _faster(frames: Frames) -> Frames:
    """24 frames a second played at 30: every fourth is shown twice."""
    return [frames[index * 4 // 5] for index in range(len(frames) * 5 // 4)]


@pytest.mark.parametrize(
    ("attack", "codec", "crf", "rate"),
    [
        pytest.param(list, "libx264", 28, 24, id="crf28"),
        pytest.param(list, "libx265", 28, 24, id="x265"),
        pytest.param(_halved, "libx264", 18, 24, id="half"),
        pytest.param(_cropped, "libx264", 18, 24, id="crop"),
        pytest.param(_turned(5), "libx264", 18, 24, id="turned"),
        pytest.param(_turned(-5), "libx264", 18, 24, id="turned_back"),
        pytest.param(_faster, "libx264", 18, 30, id="24_to_30"),
        pytest.param(lambda frames: frames[17:], "libx264", 18, 24, id="excerpt"),
    ],
)
def test_the_id_survives(
    marked: Frames, tmp_path: Path, attack: Callable[[Frames], Frames], codec: str, crf: int, rate: int
) -> None:
    path = encoded(tmp_path / "attacked.mp4", attack(marked), codec=codec, crf=crf, rate=rate)
    assert read_mark(path, KEY).mark_id == MARK_ID


def test_a_reading_says_what_it_saw(film: Path) -> None:
    reading = read_mark(film, KEY)
    assert reading.is_found
    assert reading.mark_id == MARK_ID
    assert reading.score > 10
    assert reading.codeword_score is not None
    assert reading.codeword_score > 13
    assert reading.false_positive_bound == FALSE_POSITIVE_BOUND < 1e-6
    assert reading.scale == pytest.approx(1, abs=0.005)
    assert reading.rotation_degrees == pytest.approx(0, abs=0.3)
    assert reading.seconds_read == pytest.approx(3)
    assert reading.shift == pytest.approx((0, 0), abs=0.5)
    assert reading.num_frames == 72


def test_the_place_is_found(marked: Frames, tmp_path: Path) -> None:
    turned = read_mark(encoded(tmp_path / "turned.mp4", _turned(4)(marked)), KEY)
    assert turned.rotation_degrees == pytest.approx(4, abs=0.3)
    assert turned.scale == pytest.approx(1, abs=0.01)
    cropped = read_mark(encoded(tmp_path / "cropped.mp4", _cropped(marked)), KEY)
    assert cropped.scale == pytest.approx(256 / 218, abs=0.01)
    assert cropped.shift is not None


def test_a_film_turned_by_its_player_is_read(marked: Frames, tmp_path: Path) -> None:
    """A camera's quarter turn is in the file's metadata; the mark was put in upright."""
    stored = [np.ascontiguousarray(np.rot90(frame)) for frame in marked[:30]]
    path = write_video(tmp_path / "turned.mp4", stored, rotation=90, options={"crf": "14"})
    upright = next(
        frame.image for frame in scan_frames(path, samples_per_second=Fraction(1)) if frame.image is not None
    )
    assert np.abs(upright.astype(int) - marked[0]).mean() < 4
    assert read_mark(path, KEY).mark_id == MARK_ID


def test_another_key_reads_nothing(film: Path) -> None:
    reading = read_mark(film, OTHER_KEY)
    assert (reading.is_found, reading.mark_id, reading.codeword_score) == (False, None, None)
    assert (reading.scale, reading.rotation_degrees, reading.shift) == (None, None, None)
    assert reading.score < read_mark(film, KEY).score / 2


def test_a_film_without_a_mark_holds_none_of_two_keys(tmp_path: Path) -> None:
    impression = impression_of(encoded(tmp_path / "plain.mp4", scene_frames(24)))
    for key in (KEY, OTHER_KEY):
        assert not read_impression(impression, key).is_found


def test_a_black_film_reads_as_nothing(tmp_path: Path) -> None:
    path = write_video(tmp_path / "black.mp4", flat_scene((0, 0, 0), 5))
    assert read_mark(path, KEY).mark_id is None


def test_only_the_seconds_asked_for_are_read(film: Path) -> None:
    reading = read_mark(film, KEY, max_seconds=1)
    assert reading.seconds_read == pytest.approx(1)
    assert reading.num_frames == 24
    assert reading.mark_id == MARK_ID


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan")])
def test_a_time_that_is_none_is_refused(film: Path, seconds: float) -> None:
    with pytest.raises(ConfigError, match="seconds"):
        read_mark(film, KEY, max_seconds=seconds)


def test_a_flood_of_frames_is_not_read_to_its_end(tmp_path: Path) -> None:
    """Ten minutes' worth of frames can lie in one second; at most 240 for each second asked for are decoded."""
    path = write_video(tmp_path / "flood.mp4", flat_scene((90, 120, 60), 100), rate=1000)
    reading = read_mark(path, KEY, max_seconds=0.1)
    assert reading.seconds_read == pytest.approx(0.024, abs=0.002)


def test_files_that_are_no_film_are_named(tmp_path: Path, film: Path) -> None:
    content = film.read_bytes()
    for name, damaged in (
        ("empty.mp4", b""),
        ("text.mp4", b"no film at all " * 50),
        ("head.mp4", content[:4000]),
        ("tail.mp4", content[:40] + bytes(len(content) - 40)),
    ):
        path = tmp_path / name
        path.write_bytes(damaged)
        with pytest.raises(MediaError, match=name):
            read_mark(path, KEY)
    with pytest.raises(MediaError, match=r"absent\.mp4"):
        read_mark(tmp_path / "absent.mp4", KEY)


def test_the_method_stands_behind_the_interface(tmp_path: Path) -> None:
    binding: SoftBinding = SpreadSpectrum(key=KEY)
    assert binding.alg == SPREAD_SPECTRUM_ALG == "org.cleartitle.ss1"
    frames = list(binding.mark_frames(iter(scene_frames(24)), 7))
    assert binding.read_mark(encoded(tmp_path / "film.mp4", frames), max_seconds=2).mark_id == 7


def test_real_footage_keeps_its_mark_at_crf_28(shared_footage: Path, tmp_path: Path) -> None:
    from ingest.watermark.marking import mark_frames
    from tests.ingest.watermark.footage import first_frames

    frames = first_frames(shared_footage / "derf_tractor_vp9.webm", 50)
    unmarked = encoded(tmp_path / "unmarked.mp4", frames, crf=28, rate=25)
    path = encoded(tmp_path / "film.mp4", list(mark_frames(frames, MARK_ID, KEY)), crf=28, rate=25)
    assert read_mark(path, KEY).mark_id == MARK_ID
    assert read_mark(unmarked, KEY).mark_id is None
