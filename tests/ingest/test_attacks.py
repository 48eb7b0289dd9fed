from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from db.errors import ConfigError
from ingest.attacks import (
    Caption,
    Crop,
    Excerpt,
    Grey,
    Letterbox,
    Mirror,
    Reencode,
    Resize,
    Transform,
    write_copy,
)
from ingest.errors import MediaError
from ingest.frames import scan_frames
from tests.media import moving_scene, write_video

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_video(tmp_path / "source.mp4", moving_scene(1, 48), rate=24)


def _frames(path: Path) -> list[tuple[float, NDArray[np.uint8]]]:
    scanned = scan_frames(path, samples_per_second=Fraction(1000), image_short_side=1000)
    return [(frame.seconds, frame.image) for frame in scanned if frame.image is not None]


def _difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean())


@pytest.mark.parametrize(
    ("transform", "size"),
    [
        (Mirror(), (144, 192)),
        (Crop(0.7), (100, 134)),
        (Resize(0.5), (72, 96)),
        (Caption("hello"), (144, 192)),
        (Letterbox(0.1), (172, 192)),
        (Grey(), (144, 192)),
        (Reencode(40), (144, 192)),
    ],
)
def test_each_edit_gives_its_size_and_keeps_every_time(
    source: Path, tmp_path: Path, transform: Transform, size: tuple[int, int]
) -> None:
    copy = tmp_path / "copy.mp4"
    assert write_copy(source, copy, transforms=[transform]) == 48
    frames = _frames(copy)
    assert {image.shape[:2] for _, image in frames} == {size}
    assert [second for second, _ in frames] == pytest.approx([index / 24 for index in range(48)])


def test_a_mirrored_copy_is_the_source_mirrored(source: Path, tmp_path: Path) -> None:
    write_copy(source, tmp_path / "copy.mp4", transforms=[Mirror()])
    first, original = _frames(tmp_path / "copy.mp4")[0][1], _frames(source)[0][1]
    assert _difference(first[:, ::-1], original) < 6
    assert _difference(first, original) > 20


def test_an_excerpt_starts_where_it_is_told_and_edits_follow_in_order(source: Path, tmp_path: Path) -> None:
    edits: list[Transform] = [Excerpt(0.5, 1.0), Letterbox(0.25), Crop(0.5), Grey()]
    assert write_copy(source, tmp_path / "copy.mp4", transforms=edits) == 24
    frames = _frames(tmp_path / "copy.mp4")
    assert frames[0][0] == 0
    assert frames[0][1].shape == (108, 96, 3)
    expected = _frames(source)[12][1][18:126, 48:144].mean(axis=2)
    assert _difference(frames[0][1].mean(axis=2).astype(np.uint8), expected.astype(np.uint8)) < 15


def test_an_excerpt_outside_the_source_leaves_nothing_behind(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no frame of source\.mp4"):
        write_copy(source, tmp_path / "copy.mp4", transforms=[Excerpt(10.0, 1.0)])
    assert [path.name for path in tmp_path.iterdir()] == ["source.mp4"]


def test_a_source_that_is_not_a_video_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "source.mp4").write_bytes(b"not a video" * 100)
    with pytest.raises(MediaError):
        write_copy(tmp_path / "source.mp4", tmp_path / "copy.mp4", transforms=[Mirror()])
    assert [path.name for path in tmp_path.iterdir()] == ["source.mp4"]
