from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from db.errors import ConfigError
from ingest.errors import MediaError
from ingest.media.frames import scan_frames
from ingest.media.keyframes import KeyFrame, scan_keyframes
from tests import fixtures
from tests.media import moving_scene, write_video

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_EVERY = Fraction(1000)
_OPEN_GOP = {"g": "15", "bf": "3", "x264-params": "open-gop=1:scenecut=0"}


def _keyframes(path: Path, rate: Fraction = _EVERY) -> list[KeyFrame]:
    return list(scan_keyframes(path, max_per_second=rate))


def _all_images(path: Path) -> Iterator[tuple[int, float, NDArray[np.uint8]]]:
    for frame in scan_frames(path, samples_per_second=_EVERY):
        assert frame.image is not None
        yield frame.pts, frame.seconds, frame.image


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("closed.mp4", "libx264", {"g": "15", "bf": "2", "sc_threshold": "0"}),
        ("open.mp4", "libx264", _OPEN_GOP),
        ("open.ts", "libx264", _OPEN_GOP),
        ("film.webm", "libvpx", {"g": "15"}),
        ("film9.webm", "libvpx-vp9", {"g": "15"}),
        ("film.avi", "mpeg4", {"g": "15", "bf": "2"}),
        ("film.mpg", "mpeg2video", {"g": "15", "bf": "2"}),
    ],
)
def test_key_frames_are_the_frames_that_full_decoding_gives(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = write_video(tmp_path / name, moving_scene(1, 75, 48, 64), rate=25, codec=codec, options=options)
    scanned = {pts: (seconds, image) for pts, seconds, image in _all_images(path)}
    found = _keyframes(path)
    assert 3 <= len(found) <= 12
    assert found[0].seconds == 0
    for key in found:
        seconds, image = scanned[key.pts]
        assert key.seconds == pytest.approx(seconds)
        np.testing.assert_array_equal(key.image, image)


def test_films_of_key_frames_only_are_thinned_out(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.avi", moving_scene(2, 50), rate=25, codec="mjpeg", pix_fmt="yuvj420p")
    assert [key.seconds for key in _keyframes(path, Fraction(2))] == pytest.approx([0, 0.52, 1.0, 1.52])
    assert len(_keyframes(path)) == 50


def test_images_are_small_and_upright(tmp_path: Path) -> None:
    (key, *_) = scan_keyframes(fixtures.clip_rotated_90(tmp_path), image_short_side=48)
    assert key.image.shape == (80, 48, 3)


def test_a_film_without_a_sound_key_frame_is_refused(tmp_path: Path) -> None:
    """Intra refresh: after the first picture none stands for itself, and the first is cut off here."""
    options = {"g": "240", "x264-params": "intra-refresh=1:scenecut=0"}
    whole = write_video(tmp_path / "film.ts", moving_scene(3, 48), options=options)
    data = whole.read_bytes()
    (tmp_path / "late.ts").write_bytes(data[len(data) // 3 // 188 * 188 :])
    with pytest.raises(MediaError, match=r"late\.ts.*no sound key frame") as caught:
        _keyframes(tmp_path / "late.ts")
    assert caught.value.code == "media.undecodable"


@pytest.mark.parametrize(
    ("write", "code"),
    [
        (fixtures.clip_truncated, "media.truncated"),
        (fixtures.clip_truncated_before_index, "media.truncated"),
        (fixtures.clip_theora_rejected, "media.undecodable"),
        (fixtures.clip_zero_bytes, "media.empty"),
        (fixtures.clip_audio_only, "media.no_video_stream"),
    ],
)
def test_bad_files_are_refused_by_name_and_code(
    write: Callable[[Path], Path], code: str, tmp_path: Path
) -> None:
    path = write(tmp_path)
    with pytest.raises(MediaError, match=path.name) as caught:
        _keyframes(path)
    assert caught.value.code == code


def test_taking_none_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        _keyframes(tmp_path / "film.mp4", Fraction(0))


def test_key_frames_of_real_footage_are_frames_of_the_scan(shared_footage: Path) -> None:
    for name in ("kivy_cityCC0_v1.mpg", "mdn_flower.webm", "exoplayer_desks.3gp", "chrome_story_clip4s.mp4"):
        scanned = {pts: image for pts, _, image in _all_images(shared_footage / name)}
        found = _keyframes(shared_footage / name)
        assert found
        for key in found:
            np.testing.assert_array_equal(key.image, scanned[key.pts])
