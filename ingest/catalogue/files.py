"""Which files on record a path of a catalogue means.

A path is looked up relative to the base folder; if that finds nothing and it is a glob, among the files below the
folder it begins with; if it is a plain name, by name anywhere, provided that exactly one file is called so. The
paths lie in a private database on disk, so that memory does not grow with the library.
"""

from __future__ import annotations

import difflib
import os
import re
import sqlite3
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from db.files import path_of
from db.statements import in_batches
from ingest.catalogue.restricting import ABSENT_FILE
from ingest.rights.cells import RowProblem
from ingest.rights.matching import glob_segments, matches_glob, path_key

_MAGIC = re.compile(r"[*?[]")
_MAX_ASKED = 100
_MAX_COMPARED = 2_000
_MAX_NEAR = 3
_ALIKE_LETTERS = 2
_NEAR = 0.75
"""Of the ratio of `difflib`: one letter in eight is wrong."""


class FilesOnRecord:
    """The paths at which assets were seen, by path and by name."""

    def __init__(
        self, connection: sqlite3.Connection, read_paths: Callable[[], Iterable[str]], base: Path
    ) -> None:
        self._db = connection
        self._read_paths = read_paths
        self._base = path_key(base)
        self._is_filled = False
        self._num_asked = 0

    def find(self, pattern: str) -> list[str]:
        """Return the recorded paths (text as in `db.files.path_text`) that `pattern` means, sorted.

        Raises `RowProblem` if there is none, or a bare name is that of several.
        """
        self._fill()
        pattern = unicodedata.normalize("NFC", pattern)
        exact = self._query("path_key = ?", os.path.normpath(os.path.join(self._base, pattern)))
        found = exact or (self._glob(pattern) if _MAGIC.search(pattern) else self._by_name(pattern))
        if not found:
            near = self._near(pattern)
            alike = f"; much alike: {', '.join(map(repr, near))}" if near else ""
            hint = "correct the path" if near else "ingest the footage"
            raise RowProblem(
                ABSENT_FILE, f"no file on record matches {pattern!r}{alike}", f"{hint}, then import again"
            )
        return found

    def _near(self, pattern: str) -> list[str]:
        """Return up to three paths whose names are nearly that of `pattern`, relative to the base where they can be.

        Looked for among names in the same folder and names that begin alike, some thousand of them, and for the first
        hundred rows: a catalogue of films that were not taken in asks a million times.
        """
        if self._num_asked >= _MAX_ASKED:
            return []
        self._num_asked += 1
        folder, _, name = os.path.normpath(os.path.join(self._base, pattern)).rpartition("/")
        begins = name[:_ALIKE_LETTERS]
        query = """SELECT name, path_key FROM (SELECT * FROM file WHERE path_key >= ?1 AND path_key < ?2 LIMIT ?5)
            UNION SELECT name, path_key FROM (SELECT * FROM file WHERE name >= ?3 AND name < ?4 LIMIT ?5)"""
        places = (f"{folder}/", f"{folder}0", begins, f"{begins}\U0010ffff", _MAX_COMPARED)
        by_name: dict[str, str] = dict(self._db.execute(query, places))
        found = difflib.get_close_matches(name, by_name, n=_MAX_NEAR, cutoff=_NEAR)
        return [by_name[name].removeprefix(f"{self._base}/") for name in found]

    def _by_name(self, name: str) -> list[str]:
        if "/" in name or os.path.lexists(os.path.join(self._base, name)):
            # A file that is there and was not taken in must not hand its row to another one of the same name.
            return []
        found = self._query("name = ?", name)
        if len(found) > 1:
            reason = f"{name!r} may be {found[0]} or {found[1]}"
            hint = "write the path relative to the catalogue, or give --base FOLDER"
            raise RowProblem("catalogue.ambiguous_file", reason, hint)
        return found

    def _glob(self, pattern: str) -> list[str]:
        segments = glob_segments(self._base, pattern)
        num_plain = next((i for i, part in enumerate(segments) if not isinstance(part, str)), len(segments))
        prefix = "/".join(str(part) for part in segments[:num_plain]) + "/"
        # "0" is the character after "/": everything below the folder, and nothing else.
        rows = self._db.execute(
            "SELECT path_key, path FROM file WHERE path_key >= ? AND path_key < ? ORDER BY path_key",
            (prefix, prefix[:-1] + "0"),
        )
        return [path for key, path in rows if matches_glob(segments, key.split("/"))]

    def _query(self, where: str, value: str) -> list[str]:
        query = f"SELECT DISTINCT path FROM file WHERE {where} ORDER BY path"  # noqa: S608 - our own texts
        return [row[0] for row in self._db.execute(query, (value,))]

    def _fill(self) -> None:
        if self._is_filled:
            return
        for batch in in_batches(self._read_paths()):
            self._db.executemany("INSERT INTO file VALUES (?, ?, ?)", [_entry(path) for path in batch])
        self._db.execute("CREATE INDEX file_path ON file (path_key)")
        self._db.execute("CREATE INDEX file_name ON file (name)")
        self._is_filled = True


def _entry(path: str) -> tuple[str, str, str]:
    key = path_key(path_of(path)).encode("utf-8", "backslashreplace").decode("utf-8")
    return key, key.rpartition("/")[2], path


@contextmanager
def open_files(read_paths: Callable[[], Iterable[str]], base: Path) -> Iterator[FilesOnRecord]:
    """Lend the files on record; their paths are read when the first one is looked for."""
    connection = sqlite3.connect("", isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("CREATE TABLE file (path_key TEXT, name TEXT, path TEXT)")
        connection.execute("BEGIN")
        yield FilesOnRecord(connection, read_paths, base)
    finally:
        connection.close()
