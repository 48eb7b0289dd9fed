"""Sources: which files a list of paths stands for, in a stable order, with whatever is left out named."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

VIDEO_SUFFIXES = frozenset(
    (
        ".3g2 .3gp .asf .avi .divx .dv .f4v .flv .gif .h264 .h265 .hevc .ivf .m2ts .m2v .m4v .mjpeg .mjpg .mk3d .mkv"
        " .mod .mov .mp4 .mpe .mpeg .mpg .mts .mxf .nut .obu .ogm .ogv .qt .rm .rmvb .tod .ts .vob .webm .wmv .wtv"
        " .y4m"
    ).split()
)
"""Suffixes tried while walking a folder. A file named outright is tried whatever its suffix."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A regular file that can be opened."""

    path: Path
    """As reached: the argument, or the argument joined with the way down to the file."""
    root: Path
    """The argument it was reached from (the file itself when it was named outright)."""


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file or folder that was met and left out."""

    path: Path
    code: str
    """`source.missing`, `source.unreadable`, `source.symlink_loop`, `source.already_visited`,
    `source.not_regular_file`, `source.not_video_suffix` or `source.hidden`."""
    detail: str


def printable_path(path: Path | str) -> str:
    """Return `path` as one line of valid text; control characters and undecodable bytes become escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def walk_sources(paths: Iterable[Path]) -> Iterator[SourceFile | SkippedFile]:
    """Yield every file that `paths` stand for: arguments as given, folders depth first, names in byte order.

    Symbolic links are followed. No file or folder is visited twice, by whatever names it is reached, so that
    link loops end and overlapping arguments do not repeat. Nothing is dropped silently: what is not yielded
    as a `SourceFile` is yielded as a `SkippedFile`.
    """
    visited = _Visited()
    for path in paths:
        yield from _walk_argument(path, visited)


@dataclass(slots=True)
class _Visited:
    # Inode numbers by device rather than pairs: a third of the memory on a library of a million files.
    inodes: dict[int, set[int]] = field(default_factory=dict)

    def is_first_visit(self, status: os.stat_result) -> bool:
        inodes = self.inodes.setdefault(status.st_dev, set())
        if status.st_ino in inodes:
            return False
        inodes.add(status.st_ino)
        return True


def _walk_argument(root: Path, visited: _Visited) -> Iterator[SourceFile | SkippedFile]:
    # A stack instead of recursion, which would end at the depth of the interpreter's own.
    stack = [root]
    while stack:
        path = stack.pop()
        hidden = path != root and path.name.startswith(".")
        if hidden:
            yield SkippedFile(path, "source.hidden", "its name starts with a dot")
            continue
        step = _visit(path, root, visited)
        if isinstance(step, list):
            stack.extend(reversed(step))
        else:
            yield step


def _visit(path: Path, root: Path, visited: _Visited) -> SourceFile | SkippedFile | list[Path]:
    """Return what `path` is; a folder gives its entries in byte order of their names."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            if not visited.is_first_visit(status):
                return SkippedFile(
                    path, "source.already_visited", "this folder has been walked under another path"
                )
            return sorted(path.iterdir(), key=lambda entry: os.fsencode(entry.name))
        return _visit_file(path, root, status, visited)
    except OSError as exc:
        return _skipped_for(path, exc)
    except ValueError as exc:  # A null byte in the name: no such file can exist.
        return SkippedFile(path, "source.missing", str(exc))


def _visit_file(
    path: Path, root: Path, status: os.stat_result, visited: _Visited
) -> SourceFile | SkippedFile:
    if not stat.S_ISREG(status.st_mode):
        # Reading a pipe or a device could wait for ever.
        return SkippedFile(path, "source.not_regular_file", "a pipe, socket or device")
    if path != root and path.suffix.lower() not in VIDEO_SUFFIXES:
        return SkippedFile(
            path, "source.not_video_suffix", f"suffix {path.suffix or '(none)'} is not one of a video"
        )
    with path.open("rb"):
        pass  # Opening is the only honest test of permission.
    if not visited.is_first_visit(status):
        return SkippedFile(path, "source.already_visited", "this file has been met under another path")
    return SourceFile(path, root)


def _skipped_for(path: Path, exc: OSError) -> SkippedFile:
    reason = exc.strerror or type(exc).__name__
    if exc.errno == errno.ELOOP:
        return SkippedFile(path, "source.symlink_loop", reason)
    if isinstance(exc, FileNotFoundError | NotADirectoryError):
        detail = "a link to nothing" if path.is_symlink() else reason
        return SkippedFile(path, "source.missing", detail)
    return SkippedFile(path, "source.unreadable", reason)
