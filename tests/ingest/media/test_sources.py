from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.media.sources import SkippedFile, SourceFile, printable_path, walk_sources
from tests import fixtures


def _codes(paths: list[Path]) -> list[tuple[str, str]]:
    """Return (name, code) of everything met, with code "" for what is kept."""
    return [(found.path.name, getattr(found, "code", "")) for found in walk_sources(paths)]


@pytest.fixture
def unprivileged_folder() -> Iterator[Path]:
    """A folder in which permissions bind this process, as they do not bind root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        is_root = os.geteuid() == 0
        if is_root:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
            for path in folder.iterdir():
                path.chmod(0o755)


def test_folders_are_walked_depth_first_in_byte_order(tmp_path: Path) -> None:
    for name in ("b.mp4", "a/z.mkv", "a/B.mov", "c.MP4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = list(walk_sources([tmp_path]))
    assert [item.path.relative_to(tmp_path).as_posix() for item in found] == [
        "a/B.mov",
        "a/z.mkv",
        "b.mp4",
        "c.MP4",
    ]
    assert found[0] == SourceFile(tmp_path / "a/B.mov", tmp_path)


def test_arguments_keep_their_order(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.mp4"):
        (tmp_path / name).write_bytes(b"x")
    assert _codes([tmp_path / "b.mp4", tmp_path / "a.mp4"]) == [("b.mp4", ""), ("a.mp4", "")]


def test_sidecars_and_hidden_files_are_skipped_with_their_reason(tmp_path: Path) -> None:
    for name in ("film.mp4", "film.json", "notes", ".film.mp4", ".cache/film.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert _codes([tmp_path]) == [
        (".cache", "source.hidden"),
        (".film.mp4", "source.hidden"),
        ("film.json", "source.not_video_suffix"),
        ("film.mp4", ""),
        ("notes", "source.not_video_suffix"),
    ]


def test_a_file_named_outright_is_tried_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / ".rushes.json").write_bytes(b"x")
    assert _codes([tmp_path / ".rushes.json"]) == [(".rushes.json", "")]


def test_missing_paths_and_links_to_nothing_are_reported(tmp_path: Path) -> None:
    (tmp_path / "gone.mp4").symlink_to("nowhere.mp4")
    assert _codes([tmp_path / "absent.mp4", tmp_path]) == [
        ("absent.mp4", "source.missing"),
        ("gone.mp4", "source.missing"),
    ]


def test_an_impossible_name_is_missing() -> None:
    assert _codes([Path("a\0b.mp4")]) == [("a\0b.mp4", "source.missing")]


def test_symlink_loops_end_and_nothing_comes_twice(tmp_path: Path) -> None:
    assert _codes([fixtures.symlink_loop(tmp_path)]) == [
        ("back.mp4", "source.symlink_loop"),
        ("film.mp4", ""),
        ("left.mp4", "source.symlink_loop"),
        ("right.mp4", "source.symlink_loop"),
    ]


def test_overlapping_arguments_do_not_repeat_but_every_name_of_a_file_counts(tmp_path: Path) -> None:
    """Only the first name of a linked file used to count, so a link that sorted first took its owner's claim away."""
    (tmp_path / "a.mp4").write_bytes(b"x")
    os.link(tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert _codes([tmp_path / "a.mp4", tmp_path, tmp_path]) == [
        ("a.mp4", ""),
        ("a.mp4", "source.already_visited"),
        ("b.mp4", ""),
        (tmp_path.name, "source.already_visited"),
    ]


def test_a_linked_folder_is_walked_under_each_name(tmp_path: Path) -> None:
    (tmp_path / "owner").mkdir()
    (tmp_path / "owner" / "a.mp4").write_bytes(b"x")
    (tmp_path / "alias").symlink_to("owner")
    assert _codes([tmp_path]) == [("a.mp4", ""), ("a.mp4", "")]


def test_folders_that_link_to_each_other_end(tmp_path: Path) -> None:
    for name in "abcde":
        (tmp_path / name).mkdir()
        for other in "abcde":
            (tmp_path / name / other).symlink_to(f"../{other}")
    codes = {code for _, code in _codes([tmp_path])}
    assert codes == {"source.symlink_loop", "source.too_many_names"}


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "live.mp4")
    assert _codes([tmp_path / "live.mp4"]) == [("live.mp4", "source.not_regular_file")]


def test_unreadable_files_and_folders_are_reported(unprivileged_folder: Path) -> None:
    (unprivileged_folder / "closed").mkdir(mode=0)
    (unprivileged_folder / "secret.mp4").write_bytes(b"x")
    (unprivileged_folder / "secret.mp4").chmod(0)
    assert _codes([unprivileged_folder]) == [
        ("closed", "source.unreadable"),
        ("secret.mp4", "source.unreadable"),
    ]


def test_strange_names_are_found_and_printed_on_one_line(tmp_path: Path) -> None:
    found = list(walk_sources([fixtures.strange_names(tmp_path)]))
    assert len(found) >= 5
    for item in found:
        assert isinstance(item, SourceFile)
        assert item.path.read_bytes()
        printed = printable_path(item.path)
        assert printed.isprintable()
        printed.encode("utf-8")


def test_printable_path_escapes_only_what_cannot_be_printed() -> None:
    assert printable_path(Path("映画 'é'.mp4")) == "映画 'é'.mp4"
    assert printable_path(Path("two\nlines.mp4")) == "two\\nlines.mp4"
    assert printable_path(os.fsdecode(b"\xff.mp4")) == "\\xff.mp4"


def test_skipped_files_say_why(tmp_path: Path) -> None:
    (tmp_path / "film.csv").write_bytes(b"x")
    (skipped,) = walk_sources([tmp_path])
    assert isinstance(skipped, SkippedFile)
    assert ".csv" in skipped.detail
