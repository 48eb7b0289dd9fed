"""Strips: the right frames beside each other, in files that need nothing else."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from db.errors import ConfigError
from db.project import Project
from db.vocabularies import MatchTier
from governance.bootstrap import bootstrap
from ingest.lookup.find import Occurrence, Query, read_query
from ingest.lookup.strips import (
    Row,
    Sheet,
    Strip,
    StripReader,
    Tile,
    _outlined,
    check_suffix,
    span_text,
    write_sheet,
)
from ingest.media.digests import file_digest
from ingest.pictures.views import ViewBox
from tests.library import ColourEncoder, take_footage
from tests.media import moving_scene, write_video

if TYPE_CHECKING:
    from numpy.typing import NDArray

IDENTITY = ColourEncoder.identity
COLOUR = (200, 30, 60)


def _ramp(num_frames: int, first: int = 0) -> Iterator[NDArray[np.uint8]]:
    """Frames whose brightness says which they are, over a texture that lets them be compared."""
    ground = next(moving_scene(9, 1, 96, 128)) // 8
    for index in range(first, first + num_frames):
        yield (ground + 2 * index).astype(np.uint8)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return bootstrap(tmp_path / "project").project


@pytest.fixture
def query(project: Project, tmp_path: Path) -> Query:
    """Four seconds out of a film of the library."""
    write_video(tmp_path / "film.mp4", _ramp(72), rate=12)
    take_footage(project, tmp_path / "film.mp4")
    path = write_video(tmp_path / "clip.mp4", _ramp(48, first=24), rate=12, options={"crf": "24"})
    return read_query(project, path, ColourEncoder(), tmp_path / "query", name="clip.mp4")


@pytest.fixture
def found(query: Query, tmp_path: Path) -> Occurrence:
    """Where the clip lies in the film."""
    path = tmp_path / "film.mp4"
    return Occurrence(
        asset_id=1,
        asset_sha256=file_digest(path).sha256,
        paths=(tmp_path / "moved-away.mp4", path),
        collections=("library",),
        tier=MatchTier.VERIFIED,
        probability=0.98765,
        query_start_seconds=0.0,
        query_end_seconds=4.0,
        other_start_seconds=2.0,
        other_end_seconds=6.0,
    )


def _brightness(row: Row) -> NDArray[np.float64]:
    return np.array([tile.picture.mean() for tile in row.tiles])


def test_the_frames_of_both_sides_are_of_the_same_moments(query: Query, found: Occurrence) -> None:
    strip = StripReader(query, IDENTITY).read(found, number=1)
    assert [tile.seconds for tile in strip.query.tiles] == pytest.approx(np.arange(0.25, 4, 0.5))
    assert [tile.seconds for tile in strip.found.tiles] == pytest.approx(np.arange(2.25, 6, 0.5))
    assert _brightness(strip.query) == pytest.approx(_brightness(strip.found), abs=1.5)
    # 2 levels a frame, 6 frames from one moment to the next.
    assert np.diff(_brightness(strip.found)) == pytest.approx(12, abs=1.5)
    assert strip.title == "1. copy (verified), probability 0.988"
    assert "0.0–4.0 s of clip.mp4 and 2.0–6.0 s of" in strip.lines[0]


def test_a_long_span_is_sought_moment_by_moment(
    query: Query, found: Occurrence, monkeypatch: pytest.MonkeyPatch
) -> None:
    throughout = StripReader(query, IDENTITY).read(found, number=1)
    monkeypatch.setattr("ingest.lookup.strips._ONE_PASS_SECONDS", 1.0)
    sought = StripReader(query, IDENTITY).read(found, number=1)
    assert _brightness(sought.found) == pytest.approx(_brightness(throughout.found), abs=2.5)


def test_a_film_that_changed_is_shown_as_it_was_kept_and_that_is_said(
    query: Query, found: Occurrence, tmp_path: Path
) -> None:
    exact = StripReader(query, IDENTITY).read(found, number=1)
    write_video(tmp_path / "film.mp4", moving_scene(4, 24, 96, 128), rate=12)
    strip = StripReader(query, IDENTITY).read(found, number=1)
    assert any("is gone, has changed" in line for line in strip.lines)
    assert not any("clip.mp4 is gone" in line for line in strip.lines)
    grey = strip.found.tiles[0].picture
    assert (grey[..., 0] == grey[..., 2]).all()
    assert _brightness(strip.found) == pytest.approx(_brightness(exact.found), abs=5)


def test_there_are_no_more_pictures_than_frames(query: Query, found: Occurrence) -> None:
    short = dataclasses.replace(found, query_end_seconds=0.3, other_end_seconds=2.3)
    strip = StripReader(query, IDENTITY).read(short, number=1)
    assert len(strip.query.tiles) == len(strip.found.tiles) == 3


def test_what_was_done_to_the_picture_is_said(query: Query, found: Occurrence) -> None:
    edited = dataclasses.replace(found, is_mirrored=True, speed=1.25)
    text = " ".join(StripReader(query, IDENTITY).read(edited, number=1).lines)
    assert "left and right swapped" in text
    assert "1.25 times as fast" in text


def test_the_part_of_the_picture_that_is_the_same_is_outlined() -> None:
    pictures = list(islice(moving_scene(3, 2, 96, 128), 2))
    outlined = _outlined(pictures, ViewBox(0.5, 1.0, 0.0, 0.5))
    assert (outlined[0][47:49, 10] == (255, 200, 0)).any()
    assert (outlined[0][10] == pictures[0][10]).all()


def _sheet(name: str = "film.mp4", num: int = 8) -> Sheet:
    picture = np.full((90, 160, 3), COLOUR, dtype=np.uint8)
    row = Row(name=name, tiles=tuple(Tile(picture, float(index)) for index in range(num)))
    strip = Strip(title="1. copy", lines=("about it",), query=row, found=row)
    return Sheet(title="clip: found 1 time", lines=("compared with all",), strips=(strip,))


def test_the_page_is_complete_in_itself_and_escapes_foreign_names(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>\u202egnp.mp4"
    write_sheet(tmp_path / "sheet.html", _sheet(name))
    text = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "\u202e" not in text
    assert "http://" not in text
    assert "https://" not in text
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)
    assert len(pictures) == 16
    with Image.open(io.BytesIO(base64.b64decode(pictures[0]))) as picture:
        assert picture.size == (160, 90)
    assert text.count('alt="&lt;script&gt;') == 16
    assert "7.0 s</li>" in text


def test_the_png_holds_every_picture(tmp_path: Path) -> None:
    write_sheet(tmp_path / "sheet.png", _sheet(name="a" * 400))
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    is_picture = (pixels == COLOUR).all(axis=2)
    assert int(is_picture.sum()) == 16 * 160 * 90
    assert (pixels[:, :20] == 255).all(), "the margin"


def test_a_sheet_without_strips_replaces_an_older_one(tmp_path: Path) -> None:
    for path in (tmp_path / "sheet.png", tmp_path / "sheet.html"):
        path.write_bytes(b"old")
        write_sheet(path, Sheet(title="clip: not found", lines=(), strips=()))
        assert b"old" not in path.read_bytes()[:10]


def test_other_formats_are_refused() -> None:
    check_suffix(Path("sheet.PNG"))
    with pytest.raises(ConfigError, match=r"\.png or \.html"):
        check_suffix(Path("sheet.gif"))


def test_times_are_short_and_clear() -> None:
    assert span_text(1.24, 9.96) == "1.2–10.0 s"
    assert span_text(58, 62.5) == "58.0 s–1:02.5"
    assert span_text(62.5, 3723.4) == "1:02.5–1:02:03.4"
