from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from ingest.errors import EncoderError
from ingest.pictures.stills import STILL_SHORT_SIDE, Stills, StillsWriter, writing_stills
from tests.media import flip_byte, truncate_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AGAIN = "delete the file and ingest the footage again"


def _tone(level: int, height: int = 24, width: int = 32) -> NDArray[np.uint8]:
    return np.full((height, width), level, dtype=np.uint8)


def _write(path: Path, num_stills: int, *, num_views: int = 1) -> Path:
    """Write stills whose brightness tells the number, the views in turn."""
    with writing_stills(path) as writer:
        for number in range(num_stills):
            for view in range(num_views):
                writer.push(view, number / 10, _tone((number + 100 * view) % 256))
    return path


def _levels(stills: Stills) -> list[int]:
    return [round(float(stills.picture(position).mean())) for position in range(len(stills.seconds_S))]


def test_stills_come_back_in_order_of_time(tmp_path: Path) -> None:
    """More than one group, and not a whole number of them."""
    stills = Stills(_write(tmp_path / "a.parquet", 150), 0)
    np.testing.assert_array_equal(stills.seconds_S, np.arange(150) / 10)
    assert _levels(stills) == list(range(150))


def test_views_that_take_turns_are_read_apart(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.parquet", 100, num_views=3)
    for view in range(3):
        stills = Stills(path, view)
        np.testing.assert_array_equal(stills.seconds_S, np.arange(100) / 10)
        assert _levels(stills) == [(number + 100 * view) % 256 for number in range(100)]


def test_a_view_that_comes_and_goes_keeps_its_times(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    with writing_stills(path) as writer:
        for number in range(200):
            writer.push(0, number / 10, _tone(10))
            if number < 20 or number >= 170:
                writer.push(1, number / 10, _tone(number % 256))
    stills = Stills(path, 1)
    expected = [*range(20), *range(170, 200)]
    np.testing.assert_array_equal(stills.seconds_S, np.array(expected) / 10)
    assert _levels(stills) == expected


def test_a_view_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert Stills(_write(tmp_path / "a.parquet", 5), 1).seconds_S.tolist() == []
    assert Stills(_write(tmp_path / "b.parquet", 0), 0).seconds_S.tolist() == []


def test_a_group_holds_one_view_and_a_few_seconds(tmp_path: Path) -> None:
    """Neither side may hold a film: the writer waits for a group at most, the reader reads by groups."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(_write(tmp_path / "a.parquet", 300, num_views=2))
    groups = [file.read_row_group(group) for group in range(file.num_row_groups)]
    assert max(group.num_rows for group in groups) <= 64
    assert len(groups) == 2 * -(-300 // 64)
    assert all(len(set(group["view"].to_pylist())) == 1 for group in groups)


def test_the_writer_writes_while_it_is_pushed_to(tmp_path: Path) -> None:
    staged = tmp_path / "staged.parquet"
    writer = StillsWriter(staged)
    random = np.random.default_rng(1)
    for number in range(200):
        writer.push(0, number / 10, random.integers(0, 256, (24, 32), dtype=np.uint8))
    waiting_bytes = len(Image.fromarray(_tone(1)).tobytes()) * 64
    written = staged.stat().st_size
    writer.close()
    assert written > 0.7 * staged.stat().st_size > waiting_bytes


def test_the_reader_holds_few_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    plain = Stills._read_group

    def counted(self: Stills, group: int) -> list[bytes]:
        read.append(group)
        return plain(self, group)

    monkeypatch.setattr(Stills, "_read_group", counted)
    stills = Stills(_write(tmp_path / "a.parquet", 64 * 20), 0)
    assert read == []
    for position in range(len(stills.seconds_S)):
        stills.jpeg(position)
    assert read == list(range(20))
    stills.jpeg(64 * 20 - 1)
    assert len(read) == 20
    stills.jpeg(0)
    assert read[-1] == 0
    assert len(read) == 21


@pytest.mark.parametrize(
    ("shape", "kept"), [((256, 512), (256, 128)), ((300, 200), (128, 192)), ((90, 60), (60, 90))]
)
def test_stills_are_small_grey_jpegs(tmp_path: Path, shape: tuple[int, int], kept: tuple[int, int]) -> None:
    """Sizes are height and width of the array, width and height of the picture."""
    with writing_stills(tmp_path / "a.parquet") as writer:
        writer.push(0, 0.0, np.zeros(shape, dtype=np.uint8))
    stills = Stills(tmp_path / "a.parquet", 0)
    with Image.open(io.BytesIO(stills.jpeg(0))) as picture:
        assert (picture.format, picture.mode, picture.size) == ("JPEG", "L", kept)
    assert stills.picture(0).shape == kept[::-1]
    assert min(kept) <= STILL_SHORT_SIDE


def test_equal_pictures_give_equal_files(tmp_path: Path) -> None:
    one, other = (_write(tmp_path / name, 70, num_views=2) for name in ("a.parquet", "b.parquet"))
    assert one.read_bytes() == other.read_bytes()


def test_a_missing_file_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"stills gone\.parquet cannot be read") as raised:
        Stills(tmp_path / "gone.parquet", 0)
    assert raised.value.hint == _AGAIN


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, keep: float) -> None:
    path = truncate_file(_write(tmp_path / "a.parquet", 90), keep)
    with pytest.raises(EncoderError, match="cannot be read") as raised:
        Stills(path, 0)
    assert raised.value.hint == _AGAIN


def test_a_single_damaged_byte_of_a_picture_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.parquet", 90)
    picture = Stills(path, 0).jpeg(70)
    flip_byte(path, path.read_bytes().index(picture) + 5)
    stills = Stills(path, 0)
    with pytest.raises(EncoderError, match=r"a\.parquet cannot be read") as raised:
        stills.picture(70)
    assert raised.value.hint == _AGAIN
    # The other group is whole.
    assert round(float(stills.picture(3).mean())) == 3


def test_a_damaged_footer_is_refused(tmp_path: Path) -> None:
    path = flip_byte(_write(tmp_path / "a.parquet", 90), -6)
    with pytest.raises(EncoderError, match="cannot be read"):
        Stills(path, 0)


def test_a_table_of_something_else_is_refused(tmp_path: Path) -> None:
    """It used to pass for a film without stills, of which nothing is a copy."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"name": ["a", "b"]}), tmp_path / "a.parquet")
    with pytest.raises(EncoderError, match="cannot be read: it is a table of something else"):
        Stills(tmp_path / "a.parquet", 0)


def test_a_writer_that_fails_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    class _FilmEnded(Exception):
        pass

    def fail(path: Path) -> None:
        with writing_stills(path) as writer:
            writer.push(0, 0.0, _tone(3))
            raise _FilmEnded

    with pytest.raises(_FilmEnded):
        fail(tmp_path / "new.parquet")
    assert list(tmp_path.iterdir()) == []
    before = _write(tmp_path / "old.parquet", 5).read_bytes()
    with pytest.raises(_FilmEnded):
        fail(tmp_path / "old.parquet")
    assert [entry.name for entry in tmp_path.iterdir()] == ["old.parquet"]
    assert (tmp_path / "old.parquet").read_bytes() == before
