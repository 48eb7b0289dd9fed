"""Files appear whole or not at all, and odd names survive the database."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from db.errors import ConfigError
from db.files import durable_file, path_of, path_text, place_new, staged_folder, write_durably


class Interruption(BaseException):
    """Stands for a Ctrl-C: not an `Exception`."""


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_content_is_written_and_parents_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "settings.toml"
    write_durably(path, b"old")
    write_durably(path, b"new")
    assert path.read_bytes() == b"new"
    assert _names(path.parent) == ["settings.toml"]


def test_the_staged_file_lies_beside_its_place_under_the_same_suffix(tmp_path: Path) -> None:
    with durable_file(tmp_path / "clip.mp4") as staged:
        assert (staged.parent, staged.suffix) == (tmp_path, ".mp4")
        assert not (tmp_path / "clip.mp4").exists()
        staged.write_bytes(b"clip")
    assert (tmp_path / "clip.mp4").read_bytes() == b"clip"


@pytest.mark.parametrize("kind", [OSError, Interruption])
def test_a_failure_half_way_leaves_what_was_there(tmp_path: Path, kind: type[BaseException]) -> None:
    path = tmp_path / "document.json"
    path.write_bytes(b"old")

    def write_half() -> None:
        with durable_file(path) as staged:
            staged.write_bytes(b"half of the n")
            raise kind

    with pytest.raises(kind):
        write_half()
    assert path.read_bytes() == b"old"
    assert _names(tmp_path) == ["document.json"]


@pytest.mark.skipif(os.name != "posix", reason="permission bits are those of POSIX")
def test_a_finished_file_has_the_rights_any_new_file_gets(tmp_path: Path) -> None:
    write_durably(tmp_path / "durable", b"")
    (tmp_path / "plain").write_bytes(b"")
    rights = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("durable", "plain")]
    assert rights[0] == rights[1]


def test_a_staged_folder_replaces_the_one_that_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots" / "spring"
    for name in ("old", "new"):
        with staged_folder(folder) as staged:
            (staged / name).write_text(name)
    assert _names(folder) == ["new"]
    assert _names(folder.parent) == ["spring"]


@pytest.mark.parametrize("kind", [OSError, Interruption])
def test_a_failure_half_way_leaves_the_folder_that_was_there(
    tmp_path: Path, kind: type[BaseException]
) -> None:
    folder = tmp_path / "spring"
    with staged_folder(folder) as staged:
        (staged / "old").write_text("old")

    def write_half() -> None:
        with staged_folder(folder) as staged:
            (staged / "new").write_text("new")
            raise kind

    with pytest.raises(kind):
        write_half()
    assert _names(folder) == ["old"]
    assert _names(tmp_path) == ["spring"]


@pytest.mark.parametrize(
    "name", ["plain.mp4", "with space.mp4", 'it\'s "quoted".mp4', "two\nlines.mp4", "Füße.mp4", "100%41.mp4"]
)
def test_a_path_in_utf8_is_kept_as_it_is(name: str) -> None:
    path = Path("/footage") / name
    assert path_text(path) == f"/footage/{name}"
    assert path_of(path_text(path)) == path


@pytest.mark.parametrize("raw", [b"latin-\xe9.mp4", b"\xff\xfe", b"100%41-\xe9.mp4", b"two\nlines \xe9"])
@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_a_path_outside_utf8_becomes_ascii_text_and_comes_back(raw: bytes) -> None:
    path = Path(os.fsdecode(b"/footage/" + raw))
    text = path_text(path)
    assert text.startswith("bytes:/footage/")
    assert text.isascii()
    assert text.isprintable()
    assert os.fsencode(path_of(text)) == b"/footage/" + raw


def test_a_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert path_text(Path("clip.mp4")) == str(tmp_path / "clip.mp4")


def test_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    """Writing a report to a pipe or a device used to put a plain file in its place."""
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="not a file"), durable_file(pipe):
        pass
    assert pipe.is_fifo()


def test_a_finished_file_takes_a_free_name_and_no_other(tmp_path: Path) -> None:
    staged, place = tmp_path / "staged", tmp_path / "place"
    staged.write_bytes(b"new")
    place_new(staged, place)
    assert (place.read_bytes(), staged.exists()) == (b"new", False)
    staged.write_bytes(b"newer")
    with pytest.raises(FileExistsError):
        place_new(staged, place)
    assert (place.read_bytes(), staged.read_bytes()) == (b"new", b"newer")


def test_a_folder_system_without_hard_links_is_served_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr("os.link", refuse)
    staged, place = tmp_path / "staged", tmp_path / "place"
    staged.write_bytes(b"new")
    place_new(staged, place)
    staged.write_bytes(b"newer")
    with pytest.raises(FileExistsError):
        place_new(staged, place)
    assert place.read_bytes() == b"new"
