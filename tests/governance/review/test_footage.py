"""Rows of pictures: which moments are shown, and from where."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from db.project import Project
from db.queries import asset_paths, get_asset
from governance.bootstrap import bootstrap
from governance.review.footage import Footage, Side
from tests.library import ColourEncoder, take_footage
from tests.media import moving_scene, write_video


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A library with one film of seventy seconds, a frame a second."""
    root = tmp_path_factory.mktemp("long")
    write_video(root / "long.mp4", moving_scene(1, 70, 96, 128), rate=1)
    project = bootstrap(root / "project").project
    take_footage(project, root / "long.mp4")
    return project


def side_of(project: Project, start: float, end: float) -> Side:
    with project.session() as session:
        asset, paths = get_asset(session, 1), asset_paths(session, [1])[1]
    return Side(asset=asset, paths=paths, first_pts=0, start_seconds=start, end_seconds=end)


def test_moments_are_the_middles_of_equal_parts(project: Project) -> None:
    assert side_of(project, 8.0, 16.0).moments() == [8.5 + number for number in range(8)]


def test_a_span_of_few_frames_has_few_moments(project: Project) -> None:
    assert side_of(project, 4.0, 7.0).moments() == [4.5, 5.5, 6.5]
    assert side_of(project, 4.0, 4.5).moments() == [4.25]


@pytest.mark.parametrize("span", [(0.0, 16.0), (0.0, 70.0)])
def test_pictures_are_decoded_from_the_file(project: Project, span: tuple[float, float]) -> None:
    """Short spans in one pass, long ones moment by moment: eight different pictures either way."""
    found = Footage(project.vectors).row(side_of(project, *span), ColourEncoder.identity)
    assert found is not None
    picture, is_kept = found
    assert not is_kept
    sheet = Image.open(io.BytesIO(picture)).convert("RGB")
    width = sheet.width // 8
    tiles = {
        sheet.crop((number * width, 0, (number + 1) * width, sheet.height)).tobytes() for number in range(8)
    }
    assert len(tiles) == 8


def test_a_folder_or_a_pipe_in_the_place_of_a_film_is_not_opened(project: Project, tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.mp4")
    side = side_of(project, 0.0, 8.0)
    footage = Footage(project.vectors)
    places = (str(tmp_path), str(tmp_path / "pipe.mp4"), str(tmp_path / "none.mp4"))
    assert footage.intact_file(side.asset, places) is None
    assert footage.intact_file(side.asset, (*places, *side.paths)) is not None


def test_without_file_and_stills_there_is_nothing(project: Project, tmp_path: Path) -> None:
    side = side_of(project, 0.0, 8.0)
    gone = Side(asset=side.asset, paths=(), first_pts=0, start_seconds=0.0, end_seconds=8.0)
    footage = Footage(tmp_path)
    assert footage.row(gone, ColourEncoder.identity) is None
    assert footage.row(gone, None) is None
    assert footage.thumbnail(side.asset.sha256, ColourEncoder.identity, 1.0) is None
