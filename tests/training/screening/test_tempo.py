"""Tempos that a clip is looked for at, and slowing one down."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from db.errors import UndecidedError
from tests.media import moving_scene, write_video
from training.screening.tempo import is_lapsed, tempos, write_slowed


@pytest.mark.parametrize(
    ("longest", "expected"), [(0.5, (1,)), (4.0, (1,)), (4.1, (1, 4)), (16.0, (1, 4)), (17.0, (1, 4, 16))]
)
def test_every_speed_up_to_the_fastest_lies_within_reach_of_a_tempo(
    longest: float, expected: tuple[int, ...]
) -> None:
    assert tempos(2.0, [1.0, longest]) == expected


def test_every_tempo_is_for_footage_that_the_one_before_does_not_reach() -> None:
    lapsed = {
        tempo: [s for s in (3.0, 4.0, 4.1, 16.0, 16.1) if is_lapsed(2.0, s, tempo)] for tempo in (4, 16)
    }
    assert lapsed == {4: [4.1, 16.0, 16.1], 16: [16.1]}


def test_a_clip_without_training_footage_is_looked_for_as_it_is() -> None:
    assert tempos(2.0, []) == (1,)


def test_a_slowed_clip_has_the_same_pictures_at_stretched_times(tmp_path: Path) -> None:
    frames = moving_scene(1, 16, 48, 64)
    clip = write_video(tmp_path / "clip.mp4", frames, rate=8, options={"preset": "slow", "bf": "2"})
    write_slowed(clip, tmp_path / "slowed.mp4", 4)
    with av.open(str(clip)) as source, av.open(str(tmp_path / "slowed.mp4")) as slowed:
        pairs = list(zip(source.decode(video=0), slowed.decode(video=0), strict=True))
    assert len(pairs) == 16
    for near, far in pairs:
        assert far.time == pytest.approx(4 * (near.time or 0.0))
        assert np.array_equal(near.to_ndarray(), far.to_ndarray())


def test_what_cannot_be_read_is_not_slowed(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"no film")
    with pytest.raises(UndecidedError, match="cannot be slowed down"):
        write_slowed(tmp_path / "clip.mp4", tmp_path / "slowed.mp4", 4)
    assert not (tmp_path / "slowed.mp4").exists()
