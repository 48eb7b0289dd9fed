"""Which files the rows of a rights table speak of.

A pattern is looked up relative to the folder of the table; if that finds nothing, relative to the ingested
folders; if that finds nothing and it is a plain file name, by name anywhere, provided that exactly one file
is called so. An exact path beats a glob. In globs `*`, `?` and `[...]` stay within one folder and `**`
crosses folders. Where rows contradict each other the file gets no grant at all: choosing between two
contracts is not for a program.
"""

from __future__ import annotations

import bisect
import fnmatch
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from db.canonical import digest_of
from db.grants import grant_content
from ingest.rights.rows import RejectedRow, RightsRow

_MAGIC = re.compile(r"[*?[]")


@dataclass(frozen=True, kw_only=True)
class RowMatches:
    """The grant of each file, and what went wrong on the way."""

    grants: Mapping[Path, RightsRow]
    """Files with exactly one grant; the keys are the paths as given."""
    rejected: tuple[RejectedRow, ...]
    """Rows without a file, ambiguous, contradictory or repeated ones, by row number."""
    conflicts: Mapping[Path, tuple[int, ...]]
    """Files left without a grant because these rows contradict each other."""
    unlicensed: tuple[Path, ...]
    """Files that no row speaks of."""


def match_rows(
    rows: Iterable[RightsRow], files: Sequence[Path], base: Path, *, roots: Sequence[Path] = ()
) -> RowMatches:
    """Find the files of every row. `base` is the table's folder, `roots` the ingested folders (or files).

    Exact paths cost one look-up each; a glob costs the files under its leading plain folders.
    """
    library = _Library(files, base, roots)
    claims: dict[Path, _Claims] = defaultdict(_Claims)
    rejected: list[RejectedRow] = []
    for row in rows:
        found = library.find(row)
        if isinstance(found, RejectedRow):
            rejected.append(found)
            continue
        for path in found.paths:
            (claims[path].exact if found.is_exact else claims[path].by_glob).append(row)
    return _settle(files, claims, rejected)


@dataclass(slots=True)
class _Claims:
    """The rows that speak of one file."""

    exact: list[RightsRow] = field(default_factory=list)
    by_glob: list[RightsRow] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Found:
    paths: Sequence[Path]
    is_exact: bool


class _Library:
    """The ingested files by absolute path and by name, both in Unicode form NFC, as macOS needs."""

    def __init__(self, files: Sequence[Path], base: Path, roots: Sequence[Path]) -> None:
        self._by_path = {path_key(path): path for path in files}
        self._keys = sorted(self._by_path)
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for key, path in self._by_path.items():
            self._by_name[os.path.basename(key)].append(path)
        self._base = path_key(base)
        folders = (path_key(root) for root in roots)
        self._roots = [os.path.dirname(key) if key in self._by_path else key for key in folders]

    def find(self, row: RightsRow) -> _Found | RejectedRow:
        pattern = unicodedata.normalize("NFC", row.pattern)
        for paths in self._exact(pattern):
            if len(paths) > 1:
                return _ambiguous(row, paths)
            if paths:
                return _Found(paths, is_exact=True)
        if _MAGIC.search(pattern):
            for folders in ([self._base], self._roots):
                matched = dict.fromkeys(path for folder in folders for path in self._glob(folder, pattern))
                if matched:
                    return _Found(list(matched), is_exact=False)
        reason = f"no ingested file matches {row.pattern!r}"
        hint = (
            "paths are relative to the table or to an ingested folder; globs such as **/*.mp4 cross folders"
        )
        return RejectedRow(row.row_number, "rights.no_such_file", reason, hint)

    def _exact(self, pattern: str) -> Iterable[list[Path]]:
        """Yield the files that the three look-ups give for a pattern read as a plain path."""
        for folders in ([self._base], self._roots):
            keys = {os.path.normpath(os.path.join(folder, pattern)) for folder in folders}
            yield [self._by_path[key] for key in sorted(keys) if key in self._by_path]
        places = (os.path.join(folder, pattern) for folder in (self._base, *self._roots))
        # A file that is there and could not be ingested must not hand its row to another one of the same name.
        if "/" not in pattern and not any(os.path.lexists(place) for place in places):
            yield self._by_name.get(pattern, [])

    def _glob(self, folder: str, pattern: str) -> Iterable[Path]:
        segments = glob_segments(folder, pattern)
        num_plain = next((i for i, part in enumerate(segments) if not isinstance(part, str)), len(segments))
        prefix = "/".join(str(part) for part in segments[:num_plain]) + "/"
        first = bisect.bisect_left(self._keys, prefix)
        for key in self._keys[first:]:
            if not key.startswith(prefix):
                break
            if matches_glob(segments, key.split("/")):
                yield self._by_path[key]


def path_key(path: Path) -> str:
    """Return a path as it is compared: absolute, Unicode form NFC, folders separated by `/`."""
    return unicodedata.normalize("NFC", os.path.abspath(path)).replace(os.sep, "/")


def glob_segments(folder: str, pattern: str) -> list[str | re.Pattern[str] | None]:
    """Split a glob into plain names, patterns, and `None` for `**`. The folder is taken literally."""
    is_absolute = pattern.startswith("/")
    segments: list[str | re.Pattern[str] | None] = [""] if is_absolute else list(folder.split("/"))
    for part in pattern.split("/"):
        if part == "..":
            segments[1:] = segments[1:-1]
        elif part == "**":
            segments.append(None)
        elif part not in {"", "."}:
            segments.append(re.compile(fnmatch.translate(part)) if _MAGIC.search(part) else part)
    return segments


def matches_glob(segments: Sequence[str | re.Pattern[str] | None], names: Sequence[str]) -> bool:
    """Match segment by segment; on a mismatch the last `**` takes one name more, so the work is a product."""
    s = n = 0
    star, star_name = -1, 0
    while n < len(names):
        segment = segments[s] if s < len(segments) else ""
        if s < len(segments) and segment is None:
            star, star_name = s, n
            s += 1
        elif s < len(segments) and segment is not None and _is_name_match(segment, names[n]):
            s, n = s + 1, n + 1
        elif star >= 0:
            star_name += 1
            s, n = star + 1, star_name
        else:
            return False
    return all(segment is None for segment in segments[s:])


def _is_name_match(segment: str | re.Pattern[str], name: str) -> bool:
    return segment == name if isinstance(segment, str) else segment.match(name) is not None


def _ambiguous(row: RightsRow, paths: Sequence[Path]) -> RejectedRow:
    reason = f"{row.pattern!r} may be {paths[0]} or {paths[1]}"
    return RejectedRow(
        row.row_number, "rights.ambiguous_path", reason, "write the path relative to the table"
    )


def _settle(files: Sequence[Path], claims: Mapping[Path, _Claims], rejected: list[RejectedRow]) -> RowMatches:
    """Give each file its one grant, or none."""
    grants: dict[Path, RightsRow] = {}
    conflicts: dict[Path, tuple[int, ...]] = {}
    repeats: dict[int, tuple[int, Path]] = {}
    for path, claim in claims.items():
        rivals = claim.exact or claim.by_glob
        if len(rivals) > 1 and len({digest_of(grant_content(row)) for row in rivals}) > 1:
            conflicts[path] = tuple(row.row_number for row in rivals)
            continue
        grants[path] = rivals[0]
        for row in rivals[1:]:
            repeats.setdefault(row.row_number, (rivals[0].row_number, path))
    rejected.extend(_conflicting(conflicts))
    rejected.extend(_repeated(number, first, path) for number, (first, path) in repeats.items())
    return RowMatches(
        grants=grants,
        rejected=tuple(sorted(rejected, key=lambda row: row.row_number)),
        conflicts=conflicts,
        unlicensed=tuple(dict.fromkeys(path for path in files if path not in claims)),
    )


def _conflicting(conflicts: Mapping[Path, tuple[int, ...]]) -> Iterable[RejectedRow]:
    """Report each contradicting row once, however many files it concerns."""
    paths_by_row: dict[int, list[Path]] = defaultdict(list)
    for path, numbers in conflicts.items():
        for number in dict.fromkeys(numbers):
            paths_by_row[number].append(path)
    for number, paths in paths_by_row.items():
        others = ", ".join(str(other) for other in conflicts[paths[0]] if other != number)
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        yield RejectedRow(
            number,
            "rights.conflicting_rows",
            f"row {number} and row {others} say different things about {paths[0]}{more}: neither is used for it",
            "keep the row that holds, or give the file a row of its own with its exact path",
        )


def _repeated(number: int, first: int, path: Path) -> RejectedRow:
    reason = f"row {number} says the same as row {first} about {path}"
    return RejectedRow(number, "rights.duplicate_row", reason, "delete one of the two rows")
