from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest

from db.errors import ConfigError
from ingest.media.frames import ScannedFrame, scan_frames
from ingest.media.shots import Shot, ShotCutter
from tests import fixtures
from tests.media import moving_scene, write_video


def _shots(path: Path, max_clip_seconds: float = 10) -> list[Shot]:
    cutter = ShotCutter(max_clip_seconds)
    for frame in scan_frames(path, samples_per_second=Fraction(1)):
        cutter.push(frame)
    return cutter.shots()


def _still_frames(pts: list[int], duration: int = 40) -> Iterator[ScannedFrame]:
    """Yield frames without any change, in milliseconds."""
    grey = np.full((36, 64, 3), 128, dtype=np.uint8)
    for value in pts:
        yield ScannedFrame(value, duration, Fraction(1, 1000), (value - pts[0]) / 1000, grey, None)


def _cut(frames: Iterator[ScannedFrame], max_clip_seconds: float = 10) -> list[tuple[int, int]]:
    cutter = ShotCutter(max_clip_seconds)
    for frame in frames:
        cutter.push(frame)
    return [(shot.start_pts, shot.end_pts) for shot in cutter.shots()]


def test_cuts_are_found_at_their_frame(tmp_path: Path) -> None:
    scenes = chain(moving_scene(1, 30), moving_scene(2, 40), moving_scene(3, 26))
    shots = _shots(write_video(tmp_path / "film.mp4", scenes))
    assert [shot.start_pts // 512 for shot in shots] == [0, 30, 70]
    assert shots[-1].end_pts == 96 * 512
    assert [shot.start_seconds for shot in shots] == pytest.approx([0, 1.25, 70 / 24])


def test_shots_cover_the_asset_without_gap_or_overlap(tmp_path: Path) -> None:
    scenes = chain(*(moving_scene(seed, 20) for seed in range(4, 10)))
    shots = _shots(write_video(tmp_path / "film.mp4", scenes), max_clip_seconds=1)
    assert shots[0].start_pts == 0
    assert shots[-1].end_pts == 120 * 512
    assert all(a.end_pts == b.start_pts for a, b in pairwise(shots))
    assert all(a.end_seconds == b.start_seconds for a, b in pairwise(shots))


def test_a_scene_that_only_moves_is_one_shot(tmp_path: Path) -> None:
    assert len(_shots(write_video(tmp_path / "film.mp4", moving_scene(10, 72)))) == 1


def test_shots_under_half_a_second_are_not_cut_off(tmp_path: Path) -> None:
    scenes = chain(moving_scene(11, 30), moving_scene(12, 6), moving_scene(13, 30), moving_scene(14, 8))
    shots = _shots(write_video(tmp_path / "film.mp4", scenes))
    assert all(shot.end_seconds - shot.start_seconds >= 0.5 for shot in shots)
    assert [shot.start_pts // 512 for shot in shots] == [0, 30]


def test_a_film_of_one_frame_is_one_shot_of_one_frame(tmp_path: Path) -> None:
    assert _shots(fixtures.clip_one_frame(tmp_path)) == [Shot(0, 512, 0.0, 1 / 24)]


def test_long_shots_are_split_evenly_at_frames() -> None:
    assert _cut(_still_frames(list(range(0, 25_000, 40)))) == [(0, 8360), (8360, 16_680), (16_680, 25_000)]


def test_pieces_are_never_longer_than_the_limit() -> None:
    spans = _cut(_still_frames(list(range(500, 20_500, 333)), duration=333), max_clip_seconds=5)
    assert all(end - start <= 5000 for start, end in spans)
    assert spans[0][0] == 500


def test_a_frame_held_for_long_stays_whole() -> None:
    assert _cut(_still_frames([0, 40, 80], duration=60_000)) == [(0, 80), (80, 60_080)]


def test_no_frames_give_no_shots() -> None:
    assert _cut(iter(())) == []


def test_a_limit_that_would_leave_slivers_is_a_mistake() -> None:
    with pytest.raises(ConfigError):
        ShotCutter(0.7)


def test_known_cuts_of_real_footage_are_found(shared_footage: Path) -> None:
    """The excerpt lies at 3.0 to 13.0 s of the trailer, so they must be cut at the same pictures."""
    trailer = [shot.start_seconds for shot in _shots(shared_footage / "sintel_trailer_30s.mp4")]
    excerpt = [shot.start_seconds for shot in _shots(shared_footage / "sintel_trailer_10s.mp4")]
    assert excerpt[1:] == pytest.approx([start - 3 for start in trailer if 3.5 < start < 12.5], abs=0.05)
