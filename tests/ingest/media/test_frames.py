from __future__ import annotations

import io
import resource
import tracemalloc
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from db.errors import ConfigError
from ingest.errors import MediaError
from ingest.media import frames as frames_module
from ingest.media.frames import ScannedFrame, decode_clip, scan_frames
from tests import fixtures
from tests.media import flip_byte, moving_scene, truncate_file, write_video

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _scan(source: Path, rate: Fraction = Fraction(2)) -> list[ScannedFrame]:
    return list(scan_frames(source, samples_per_second=rate))


def _counting_scene(num_frames: int) -> Iterable[NDArray[np.uint8]]:
    """Yield grey frames whose brightness tells which they are."""
    for index in range(num_frames):
        yield np.full((48, 64, 3), 16 + index * 200 // num_frames, dtype=np.uint8)


def _error(*, distance_of: NDArray[np.uint8], from_: NDArray[np.uint8]) -> float:
    return float(np.abs(distance_of.astype(int) - from_.astype(int)).mean())


def test_every_frame_has_its_exact_time_and_the_grid_is_sampled(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", moving_scene(1, 60), rate=Fraction(30000, 1001))
    scanned = _scan(path)
    assert [frame.pts for frame in scanned] == [1001 * index for index in range(60)]
    assert {frame.duration_pts for frame in scanned} == {1001}
    assert scanned[30].seconds == pytest.approx(1.001)
    assert [index for index, frame in enumerate(scanned) if frame.image is not None] == [0, 15, 30, 45]
    assert {frame.thumbnail.shape for frame in scanned} == {(48, 64, 3)}


def test_frames_look_like_what_was_filmed(tmp_path: Path) -> None:
    scene = list(moving_scene(2, 12))
    scanned = _scan(write_video(tmp_path / "film.mp4", scene), Fraction(24))
    for filmed, frame in zip(scene, scanned, strict=True):
        assert frame.image is not None
        assert frame.image.dtype == np.uint8
        assert _error(distance_of=frame.image, from_=filmed) < 8
        assert _error(distance_of=frame.thumbnail.mean(axis=(0, 1)), from_=filmed.mean(axis=(0, 1))[::-1]) < 4


def test_images_are_made_small_and_never_large(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", moving_scene(3, 2, 144, 256))
    (first, *_) = scan_frames(path, samples_per_second=Fraction(1), image_short_side=72, thumbnail_side=32)
    assert first.image is not None
    assert (first.image.shape, first.thumbnail.shape) == ((72, 128, 3), (18, 32, 3))
    (first, *_) = scan_frames(path, samples_per_second=Fraction(1), image_short_side=999)
    assert first.image is not None
    assert first.image.shape == (144, 256, 3)


def test_stills_are_grey_small_upright_and_on_their_own_grid(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", moving_scene(3, 25, 144, 256), rate=25, rotation=90)
    scanned = list(
        scan_frames(path, samples_per_second=Fraction(2), stills_per_second=Fraction(10), still_short_side=72)
    )
    assert [index for index, frame in enumerate(scanned) if frame.image is not None] == [0, 13]
    with_still = [index for index, frame in enumerate(scanned) if frame.still is not None]
    assert with_still == [0, 3, 5, 8, 10, 13, 15, 18, 20, 23]
    still, image = scanned[0].still, scanned[0].image
    assert still is not None
    assert image is not None
    assert (still.shape, image.shape) == ((128, 72), (256, 144, 3))
    assert still.dtype == np.uint8
    # The luma of the image, halved: BT.601 as in the file.
    luma = image @ np.array([0.299, 0.587, 0.114])
    halved = luma.reshape(128, 2, 72, 2).mean(axis=(1, 3))
    assert _error(distance_of=halved, from_=still) < 2


def test_without_a_rate_there_are_no_stills(tmp_path: Path) -> None:
    assert all(frame.still is None for frame in _scan(fixtures.clip_one_frame(tmp_path)))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length_of_the_film(tmp_path: Path) -> None:
    """Three hours: a list of one object for each of its 21,600 frames would show."""
    picture = next(moving_scene(14, 1, 32, 48))
    film = write_video(tmp_path / "film.mkv", (picture for _ in range(3 * 3600 * 2)), rate=2)
    scanned = scan_frames(film, samples_per_second=Fraction(2), stills_per_second=Fraction(10))
    for _ in range(2000):
        next(scanned)
    tracemalloc.start()
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    last = None
    for frame in scanned:
        last = frame
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert last is not None
    assert last.seconds == 3 * 3600 - 0.5
    assert held < 200_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident < 30_000  # KiB


def test_variable_frame_rates_are_sampled_evenly_in_time(tmp_path: Path) -> None:
    scanned = _scan(fixtures.clip_variable_frame_rate(tmp_path))
    assert len(scanned) == 70
    sampled = [frame.seconds for frame in scanned if frame.image is not None]
    assert sampled == pytest.approx([0, 0.5, 1.0, 1.5, 2.0, 2.6, 3.0, 3.6], abs=0.04)


def test_a_film_of_one_frame_gives_one_sample(tmp_path: Path) -> None:
    (frame,) = _scan(fixtures.clip_one_frame(tmp_path))
    assert frame.image is not None
    assert frame.duration_pts * frame.time_base == Fraction(1, 24)


def test_images_are_upright(tmp_path: Path) -> None:
    image = _scan(fixtures.clip_rotated_90(tmp_path))[0].image
    assert image is not None
    assert image.shape == (160, 96, 3)
    assert image[10, 48, 0] > 200  # The stored left half, red, is the upper half.
    assert image[150, 48, 2] > 200


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("is_mirrored", [False, True])
def test_every_orientation_is_applied(tmp_path: Path, rotation: int, is_mirrored: bool) -> None:
    scene = next(iter(moving_scene(4, 1)))
    path = write_video(tmp_path / "film.mp4", [scene], rotation=rotation, is_mirrored=is_mirrored)
    image = _scan(path)[0].image
    shown = np.rot90(scene, -rotation // 90)
    assert image is not None
    assert _error(distance_of=image, from_=shown[:, ::-1] if is_mirrored else shown) < 8


def test_pixels_are_made_square(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "film.mp4", moving_scene(5, 1, 144, 176), sample_aspect_ratio=Fraction(16, 11)
    )
    image = _scan(path)[0].image
    assert image is not None
    assert image.shape == (144, 256, 3)


@pytest.mark.parametrize(
    "write",
    [
        fixtures.clip_10bit,
        fixtures.clip_444,
        fixtures.clip_odd_size,
        fixtures.clip_palette,
        fixtures.clip_full_range,
        fixtures.clip_animated_gif,
    ],
)
def test_rare_formats_are_scanned(write: Callable[[Path], Path], tmp_path: Path) -> None:
    scanned = _scan(write(tmp_path))
    assert len(scanned) >= 12
    assert scanned[0].image is not None
    assert scanned[0].image.std() > 20


@pytest.mark.parametrize(
    ("write", "code"),
    [
        (fixtures.clip_truncated, "media.truncated"),
        (fixtures.clip_truncated_before_index, "media.truncated"),
        (fixtures.clip_truncated_webm, "media.truncated"),
        (fixtures.clip_damaged_in_the_middle, "media.undecodable"),
        (fixtures.clip_theora_rejected, "media.undecodable"),
        (fixtures.clip_zero_bytes, "media.empty"),
        (fixtures.clip_audio_only, "media.no_video_stream"),
    ],
)
def test_bad_files_are_refused_by_name_and_code(
    write: Callable[[Path], Path], code: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path)
    with pytest.raises(MediaError, match=path.name) as caught:
        _scan(path)
    assert caught.value.code == code
    assert capfd.readouterr() == ("", "")


def test_a_truncated_avi_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.avi", moving_scene(6, 72), codec="mjpeg", pix_fmt="yuvj420p")
    with pytest.raises(MediaError) as caught:
        _scan(truncate_file(path, 0.4))
    assert caught.value.code == "media.truncated"


def test_a_tail_too_short_to_matter_may_be_missing(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.webm", moving_scene(7, 96), codec="libvpx")
    assert 84 < len(_scan(truncate_file(path, 0.97))) < 96


def test_a_damaged_second_half_is_not_taken_for_a_short_film(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "film.mkv", moving_scene(8, 96), codec="ffv1", options={"g": "1", "slicecrc": "1"}
    )
    size = path.stat().st_size
    flip_byte(path, size // 2, size // 3)
    with pytest.raises(MediaError):
        _scan(path)


def test_damage_before_the_first_sound_frame_is_passed_over(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "film.ts", moving_scene(9, 48), options={"g": "12"})
    data = whole.read_bytes()
    # A recording that starts in mid-broadcast: the first of its 188-byte packets are missing.
    cut = len(data) // 3 // 188 * 188
    (tmp_path / "tuned_in_late.ts").write_bytes(data[cut:])
    scanned = _scan(tmp_path / "tuned_in_late.ts")
    assert 12 <= len(scanned) <= 36
    assert {b.pts - a.pts for a, b in pairwise(scanned)} == {3750}


def test_a_film_trimmed_by_its_edit_list_is_whole(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", moving_scene(10, 96), options={"g": "12"})
    data = bytearray(path.read_bytes())
    entry = data.index(b"elst") + 12
    # ISO/IEC 14496-12, 8.6.6: segment duration in movie ticks (1/1000 s), then media time in ticks of the track.
    data[entry : entry + 8] = (1000).to_bytes(4, "big") + (12288 * 2).to_bytes(4, "big")
    path.write_bytes(data)
    assert len(_scan(path)) == 24


def test_a_stream_is_scanned_and_left_open(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", moving_scene(11, 6))
    stream = io.BytesIO(path.read_bytes())
    assert len(list(scan_frames(stream, samples_per_second=Fraction(1)))) == 6
    assert not stream.closed


def test_sampling_never_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        list(scan_frames(tmp_path / "film.mp4", samples_per_second=Fraction(0)))
    with pytest.raises(ConfigError):
        list(
            scan_frames(tmp_path / "film.mp4", samples_per_second=Fraction(1), stills_per_second=Fraction(0))
        )


def test_a_clip_holds_the_frames_shown_at_even_times(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "film.mp4", _counting_scene(96), options={"g": "24", "bf": "2", "qp": "4", "crf": "4"}
    )
    scanned = _scan(path, Fraction(24))
    start, end = scanned[30].pts, scanned[62].pts
    clip = decode_clip(path, start_pts=start, end_pts=end, num_frames=8, height=48, width=64)
    assert clip.shape == (8, 3, 48, 64)
    assert clip.dtype == np.uint8
    for index, picture in enumerate(clip):
        image = scanned[30 + 4 * index].image
        assert image is not None
        np.testing.assert_array_equal(picture.transpose(1, 2, 0), image)


_OPEN_GOP = {"g": "15", "bf": "3", "x264-params": "open-gop=1:scenecut=0"}
_INTRA_REFRESH = {"g": "15", "x264-params": "intra-refresh=1"}


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("closed.mp4", "libx264", {"g": "15", "bf": "2"}),
        ("open.mp4", "libx264", _OPEN_GOP),
        ("open.ts", "libx264", _OPEN_GOP),
        ("refreshed.mkv", "libx264", _INTRA_REFRESH),
        ("refreshed.ts", "libx264", _INTRA_REFRESH),
        ("film.webm", "libvpx", {"g": "15"}),
        ("film.avi", "mpeg4", {"g": "15", "bf": "2"}),
        ("film.mpg", "mpeg2video", {"g": "15", "bf": "2"}),
    ],
)
def test_any_span_gives_the_frames_of_the_scan(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = write_video(tmp_path / name, moving_scene(12, 75, 48, 64), rate=25, codec=codec, options=options)
    scanned = _scan(path, Fraction(25))
    assert len(scanned) == 75
    for first in (0, 1, 14, 15, 16, 40, 74):
        frame = scanned[first]
        end_pts = frame.pts + frame.duration_pts
        clip = decode_clip(path, start_pts=frame.pts, end_pts=end_pts, num_frames=1, height=48, width=64)
        assert frame.image is not None
        np.testing.assert_array_equal(clip[0].transpose(1, 2, 0), frame.image)


def test_a_clip_never_shows_what_lies_outside_its_span(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", _counting_scene(4), pts=[0, 1000, 2000, 3000])
    scanned = _scan(path, Fraction(1))
    clip = decode_clip(
        path, start_pts=scanned[1].pts - 1, end_pts=scanned[2].pts, num_frames=4, height=48, width=64
    )
    expected = scanned[1].image
    assert expected is not None
    for picture in clip:
        np.testing.assert_array_equal(picture.transpose(1, 2, 0), expected)
    with pytest.raises(MediaError, match="no frame starts"):
        decode_clip(path, start_pts=1, end_pts=2, num_frames=1, height=48, width=64)


def test_a_seek_that_lands_late_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "film.mp4", moving_scene(13, 48, 48, 64), options={"g": "12"})
    decode = partial(
        decode_clip, path, start_pts=512 * 18, end_pts=512 * 30, num_frames=6, height=48, width=64
    )
    expected = decode()
    monkeypatch.setattr(frames_module, "_SEEK_MARGINS_SECONDS", (-1,))
    np.testing.assert_array_equal(decode(), expected)


def test_a_clip_is_cropped_in_the_middle_and_upright(tmp_path: Path) -> None:
    path = fixtures.clip_rotated_90(tmp_path)
    clip = decode_clip(path, start_pts=0, end_pts=512, num_frames=2, height=64, width=64)
    assert clip.shape == (2, 3, 64, 64)
    assert clip[0, 0, 5, 32] > 200
    assert clip[0, 2, 60, 32] > 200


def test_a_clip_of_nothing_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        decode_clip(tmp_path / "film.mp4", start_pts=5, end_pts=5, num_frames=1, height=8, width=8)


def test_clips_of_real_footage_are_the_frames_of_the_scan(shared_footage: Path) -> None:
    for name in ("kivy_cityCC0_v1.mpg", "mdn_flower.webm", "exoplayer_desks.3gp", "chrome_story_clip4s.mp4"):
        path = shared_footage / name
        scanned = _scan(path, Fraction(1000))
        for frame in (scanned[7], scanned[len(scanned) // 2], scanned[-3]):
            assert frame.image is not None
            height, width = frame.image.shape[:2]
            clip = decode_clip(
                path,
                start_pts=frame.pts,
                end_pts=frame.pts + 1,
                num_frames=1,
                height=height,
                width=width,
            )
            assert _error(distance_of=clip[0].transpose(1, 2, 0), from_=frame.image) < 1
