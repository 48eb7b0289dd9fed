from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from ingest.matching import verification
from ingest.matching.alignment import Segment
from ingest.matching.verification import Verified, verify
from ingest.pictures.reel import Reel
from tests.ingest.pictures.test_reel import HEIGHT, WIDTH, scene, tenths, texture, write_reel

if TYPE_CHECKING:
    from tests.ingest.pictures.test_reel import Grey, Scene


def _segment(start: float, end: float, offset: float, *, speed: float = 1.0, slack: float = 0.0) -> Segment:
    seconds = np.arange(start, end, 0.5)
    return Segment(
        speed=speed,
        offset_seconds=offset,
        slack_seconds=(-slack, slack),
        query_seconds_M=seconds,
        similarity_M=np.full(len(seconds), 0.9),
        weight=float(len(seconds)),
        level=0.4,
    )


def _reels(folder: Path, query: Scene, other: Scene) -> tuple[Reel, Reel]:
    """Six seconds of the query, nine of the other side."""
    return (
        write_reel(folder / "query.parquet", query, tenths(6)),
        write_reel(folder / "other.parquet", other, tenths(9)),
    )


def _verified(folder: Path, query: Scene, other: Scene, segment: Segment) -> Verified:
    found = verify(*_reels(folder, query, other), segment)
    assert found is not None
    return found


def _scaled(picture: Grey, width: int, height: int) -> Grey:
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))


def test_a_copy_agrees_and_is_placed(tmp_path: Path) -> None:
    seen = scene(1)
    found = _verified(tmp_path, lambda seconds: seen(seconds + 1.73), seen, _segment(0.5, 5.5, 1.5))
    assert found.agreement.mean > 0.9
    assert found.correlation > 0.9
    assert found.num_inliers > 20
    assert (found.is_moving, found.is_mirrored) == (True, False)
    assert found.line.at(np.array([0.0, 6.0])) == pytest.approx([1.73, 7.73], abs=0.05)
    assert (found.query_start_seconds, found.query_end_seconds) == pytest.approx((0.0, 6.0), abs=0.1)


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_a_crop_agrees_mirrored_or_not(tmp_path: Path, is_mirrored: bool) -> None:
    seen = scene(2)

    def edited(seconds: float) -> Grey:
        cropped = _scaled(seen(seconds + 2.0)[12:84, 20:116], WIDTH, HEIGHT)
        return np.ascontiguousarray(cropped[:, ::-1]) if is_mirrored else cropped

    found = _verified(tmp_path, edited, seen, _segment(0.5, 5.5, 2.2))
    assert found.is_mirrored == is_mirrored
    assert found.agreement.mean > 0.7
    assert found.correlation > 0.9
    assert found.line.offset_seconds == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("speed", [0.8, 1.25])
def test_a_copy_of_another_speed_is_placed(tmp_path: Path, speed: float) -> None:
    seen = scene(3)
    segment = _segment(0.5, 5.5, 0.7, speed=speed)
    found = _verified(tmp_path, lambda seconds: seen(speed * seconds + 0.5), seen, segment)
    assert found.line.speed == pytest.approx(speed, rel=0.01)
    assert found.line.at(np.array([0.0, 6.0])) == pytest.approx([0.5, 0.5 + 6 * speed], abs=0.06)
    assert found.correlation > 0.9


def test_a_copy_ends_where_other_footage_begins(tmp_path: Path) -> None:
    seen, foreign = scene(4), scene(904)

    def query(seconds: float) -> Grey:
        return seen(seconds + 1.0) if 1.45 < seconds < 4.75 else foreign(seconds)

    found = _verified(tmp_path, query, seen, _segment(1.5, 4.6, 1.2))
    assert (found.query_start_seconds, found.query_end_seconds) == pytest.approx((1.5, 4.75), abs=0.1)


def test_a_blurred_copy_is_found_without_keypoints(tmp_path: Path) -> None:
    import cv2

    seen = scene(5)

    def blurred(seconds: float) -> Grey:
        return np.asarray(cv2.GaussianBlur(seen(seconds + 1.0), (0, 0), 4), dtype=np.uint8)

    found = _verified(tmp_path, blurred, seen, _segment(0.5, 5.5, 1.2))
    assert found.line.offset_seconds == pytest.approx(1.0, abs=0.05)
    assert found.correlation > 0.8


def test_another_take_in_the_same_room_disagrees_in_what_moves(tmp_path: Path) -> None:
    """Most of the picture is the room, which fits."""
    takes = scene(6, room=3, num_subjects=2), scene(7, room=3, num_subjects=2)
    found = _verified(tmp_path, *takes, _segment(0.5, 5.5, 1.0))
    assert found.agreement.texture > found.agreement.motion
    assert found.agreement.mean < 0.6
    assert found.correlation < 0.4


def test_other_seconds_of_the_same_camera_disagree_too(tmp_path: Path) -> None:
    seen = scene(8, num_subjects=3)
    found = _verified(tmp_path, lambda seconds: seen(seconds + 40), seen, _segment(0.5, 5.5, 1.0))
    assert found.correlation < 0.4
    assert found.agreement.motion < 0.5


def test_different_scenes_do_not_fit(tmp_path: Path) -> None:
    found = verify(*_reels(tmp_path, scene(9), scene(10)), _segment(0.5, 5.5, 1.0))
    assert found is None or (found.agreement.mean < 0.3 and found.correlation < 0.4)


def test_pictures_that_agree_nowhere_are_given_up_before_they_are_placed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most of what is nominated is no copy, and looking for its exact offset was half of the cost."""
    monkeypatch.setattr(verification, "fit_line", lambda *_, **__: pytest.fail("an offset was looked for"))
    unlike = [_reels(tmp_path / str(seed), scene(seed), scene(seed + 1)) for seed in (31, 41, 51)]
    assert [verify(*reels, _segment(0.5, 5.5, 1.0)) for reels in unlike] == [None] * 3


def test_a_still_picture_agrees_at_the_offset_it_was_given(tmp_path: Path) -> None:
    still = texture(11)
    found = _verified(tmp_path, lambda _: still, lambda _: still, _segment(0.5, 5.5, 1.3, slack=1.0))
    assert not found.is_moving
    assert found.agreement.mean > 0.9
    assert found.line.offset_seconds == pytest.approx(1.3)


def test_slack_lets_a_line_far_off_be_found(tmp_path: Path) -> None:
    seen = scene(12)
    segment = _segment(0.5, 5.5, 0.2, slack=2.5)
    found = _verified(tmp_path, lambda seconds: seen(seconds + 2.4), seen, segment)
    assert found.line.offset_seconds == pytest.approx(2.4, abs=0.05)
    assert found.correlation > 0.9


def test_pictures_without_texture_say_nothing(tmp_path: Path) -> None:
    grey = np.full((HEIGHT, WIDTH), 90, dtype=np.uint8)
    assert verify(*_reels(tmp_path, lambda _: grey, lambda _: grey), _segment(0.5, 5.5, 1.0)) is None


def test_a_line_on_which_the_other_side_has_no_pictures_says_nothing(tmp_path: Path) -> None:
    seen = scene(13)
    reels = _reels(tmp_path, seen, seen)
    assert verify(*reels, _segment(0.5, 5.5, 30.0)) is None
    empty = write_reel(tmp_path / "empty.parquet", seen, [])
    assert verify(reels[0], empty, _segment(0.5, 5.5, 0.0)) is None
    assert verify(empty, reels[1], _segment(0.5, 5.5, 0.0)) is None


def test_verification_says_the_same_every_time(tmp_path: Path) -> None:
    seen = scene(14)
    query, other = _reels(tmp_path, lambda seconds: seen(seconds + 1.2), seen)
    assert verify(query, other, _segment(0.5, 5.5, 1.0)) == verify(query, other, _segment(0.5, 5.5, 1.0))
