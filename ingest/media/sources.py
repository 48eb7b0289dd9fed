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

_MAX_WALKS = 8
"""Names under which one folder is walked; more are refused aloud."""


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
    """`source.missing`, `source.unreadable`, `source.symlink_loop`, `source.already_visited`, `source.too_many_names`,
    `source.not_regular_file`, `source.not_video_suffix` or `source.hidden`."""
    detail: str


def printable_path(path: Path | str) -> str:
    """Return `path` as one line of valid text; control characters and undecodable bytes become escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def walk_sources(paths: Iterable[Path]) -> Iterator[SourceFile | SkippedFile]:
    """Yield every file that `paths` stand for: arguments in their order, folders depth first, names in byte order.

    Symbolic links are followed. A file that is reached under several names is yielded under each, because rights are
    claimed for names: if only the first counted, a link would take a file from its owner. Link loops end, and a path
    that was reached already is not yielded again. Nothing is dropped silently: what is not yielded as a
    `SourceFile` is yielded as a `SkippedFile`.
    """
    visited = _Visited()
    for path in paths:
        yield from _walk_argument(path, visited)


@dataclass(slots=True)
class _Visited:
    paths: set[str] = field(default_factory=set)
    num_walks: dict[tuple[int, int], int] = field(default_factory=dict)
    """How often each folder was walked, by device and inode."""

    def is_first_visit(self, path: Path) -> bool:
        """Return whether this very path was not reached before."""
        key = os.path.normpath(path.absolute())
        if key in self.paths:
            return False
        self.paths.add(key)
        return True

    def may_walk(self, status: os.stat_result) -> bool:
        """Return whether a folder may be walked under one more name; folders that link to each other must end."""
        key = (status.st_dev, status.st_ino)
        self.num_walks[key] = self.num_walks.get(key, 0) + 1
        return self.num_walks[key] <= _MAX_WALKS


@dataclass(frozen=True, slots=True)
class _Step:
    """A path to be looked at, and the folders above it by device and inode."""

    path: Path
    above: frozenset[tuple[int, int]]


def _walk_argument(root: Path, visited: _Visited) -> Iterator[SourceFile | SkippedFile]:
    # A stack instead of recursion: a path may be deeper than the interpreter's recursion limit.
    stack = [_Step(root, frozenset())]
    while stack:
        step = stack.pop()
        if step.path != root and step.path.name.startswith("."):
            yield SkippedFile(step.path, "source.hidden", "its name starts with a dot")
            continue
        found = _visit(step, root, visited)
        if isinstance(found, list):
            stack.extend(reversed(found))
        else:
            yield found


def _visit(step: _Step, root: Path, visited: _Visited) -> SourceFile | SkippedFile | list[_Step]:
    """Return what a path is; a folder gives its entries in byte order of their names."""
    path = step.path
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            return _visit_folder(step, status, visited)
        return _visit_file(path, root, status, visited)
    except OSError as exc:
        return _skipped_for(path, exc)
    except ValueError as exc:  # A null byte in the name: no such file can exist.
        return SkippedFile(path, "source.missing", str(exc))


def _visit_folder(step: _Step, status: os.stat_result, visited: _Visited) -> SkippedFile | list[_Step]:
    path, key = step.path, (status.st_dev, status.st_ino)
    if key in step.above:
        return SkippedFile(path, "source.symlink_loop", "this folder lies inside itself")
    if not visited.is_first_visit(path):
        return SkippedFile(path, "source.already_visited", "this folder has been walked already")
    if not visited.may_walk(status):
        detail = f"this folder has been walked under {_MAX_WALKS} other names"
        return SkippedFile(path, "source.too_many_names", detail)
    entries = sorted(path.iterdir(), key=lambda entry: os.fsencode(entry.name))
    return [_Step(entry, step.above | {key}) for entry in entries]


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
    if not visited.is_first_visit(path):
        return SkippedFile(path, "source.already_visited", "this file has been met already")
    return SourceFile(path, root)


def _skipped_for(path: Path, exc: OSError) -> SkippedFile:
    reason = exc.strerror or type(exc).__name__
    if exc.errno == errno.ELOOP:
        return SkippedFile(path, "source.symlink_loop", reason)
    if isinstance(exc, FileNotFoundError | NotADirectoryError):
        detail = "a link to nothing" if path.is_symlink() else reason
        return SkippedFile(path, "source.missing", detail)
    return SkippedFile(path, "source.unreadable", reason)
