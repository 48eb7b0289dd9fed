"""Where the rows of a catalogue wait until all of them are known: a private database on disk, gone with the process.

Only there can it be seen, in bounded memory, that a name is given twice or that rows rest on each other in a circle.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from db.statements import BATCH_ROWS, in_batches
from ingest.catalogue.layout import SheetName
from ingest.catalogue.restricting import ABSENT_FILE, UNMATCHED_PROHIBITION
from ingest.catalogue.rows import CheckedRow
from ingest.rights.rows import RejectedRow

_SCHEMA = """
CREATE TABLE row (
    id INTEGER PRIMARY KEY, sheet TEXT, row_number INTEGER, ref TEXT, digest BLOB, link TEXT, statement TEXT,
    is_restricting INTEGER, is_out INTEGER DEFAULT 0
);
CREATE INDEX row_ref ON row (sheet, ref);
CREATE TABLE rejected (
    sheet TEXT, ref TEXT, row_number INTEGER, code TEXT, reason TEXT, hint TEXT, is_restricting INTEGER
);
CREATE INDEX rejected_ref ON rejected (sheet, ref);
CREATE TABLE repeated (ref TEXT PRIMARY KEY, first_row INTEGER, num_rows INTEGER) WITHOUT ROWID;
CREATE TABLE link (ref TEXT PRIMARY KEY, link TEXT, level INTEGER) WITHOUT ROWID;
CREATE INDEX link_link ON link (link);
"""
_PRAGMAS = ("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "PRAGMA cache_size=-32768")


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedRow:
    """A checked row that was read back."""

    id: int
    row_number: int
    ref: str
    digest: bytes
    """Of the content, and of the scope unless it is a grant."""
    link: str
    content: dict[str, Any]
    scope: dict[str, Any] | None
    is_restricting: bool
    """It forbids something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRow:
    """A row as it was read."""

    ref: str
    """As written; '' if it cannot be read."""
    row: CheckedRow | RejectedRow
    is_restricting: bool
    """It forbids something, or may do so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetRejection:
    """A rejected row with its sheet."""

    sheet: SheetName
    row: RejectedRow


class Stage:
    """The rows of one catalogue: those that stand so far, and those that were rejected."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._titles: dict[SheetName, str] = {}

    def name_sheet(self, sheet: SheetName, title: str) -> None:
        """Note what the catalogue itself calls a sheet; '' where there is no need for a name."""
        self._titles[sheet] = title

    def sheet_title(self, sheet: SheetName) -> str:
        """Return what the catalogue itself calls a sheet."""
        return self._titles.get(sheet, "")

    def add(self, sheet: SheetName, rows: Iterable[NewRow]) -> Iterator[int]:
        """Take the rows of a sheet; yields the number of rows of each batch."""
        for batch in in_batches(rows):
            good = [
                (*_staged(sheet, new.row), new.is_restricting)
                for new in batch
                if isinstance(new.row, CheckedRow)
            ]
            self._db.executemany(
                """INSERT INTO row (sheet, row_number, ref, digest, link, statement, is_restricting)
                    VALUES (?, ?, ?, ?, ?, ?, ?)""",
                good,
            )
            bad = [
                (new.ref, new.row, new.is_restricting) for new in batch if isinstance(new.row, RejectedRow)
            ]
            self._reject(sheet, bad)
            yield len(batch)

    def _reject(self, sheet: SheetName, rows: Sequence[tuple[str, RejectedRow, bool]]) -> None:
        self._db.executemany(
            "INSERT INTO rejected VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    sheet.value,
                    _encodable(ref),
                    row.row_number,
                    row.code,
                    _encodable(row.reason),
                    row.hint,
                    restricts,
                )
                for ref, row, restricts in rows
            ],
        )

    def put_out(self, sheet: SheetName, rejected: Sequence[tuple[StagedRow, RejectedRow]]) -> None:
        """Reject rows that stood so far."""
        self._db.executemany("UPDATE row SET is_out = 1 WHERE id = ?", [(row.id,) for row, _ in rejected])
        self._reject(sheet, [(row.ref, why, row.is_restricting) for row, why in rejected])

    def reject_contradictions(self, sheet: SheetName) -> None:
        """Reject rows that give one name to different things: which of them is meant is not for a program."""
        self._db.execute("DELETE FROM repeated")
        self._db.execute(
            """INSERT INTO repeated SELECT ref, min(row_number), count(*) FROM row
                WHERE sheet = ? AND is_out = 0 GROUP BY ref HAVING count(DISTINCT digest) > 1""",
            (sheet.value,),
        )
        self._db.execute(
            """INSERT INTO rejected SELECT sheet, ref, row_number, 'catalogue.repeated_ref', num_rows
                || ' rows, the first of them row ' || first_row || ', say different things of ''' || ref
                || ''': none is used', 'give each thing a name of its own, or delete the rows that do not hold',
                is_restricting
                FROM row JOIN repeated USING (ref) WHERE sheet = ? AND is_out = 0""",
            (sheet.value,),
        )
        self._db.execute(
            "UPDATE row SET is_out = 1 WHERE sheet = ? AND ref IN (SELECT ref FROM repeated)", (sheet.value,)
        )

    def rejected_refs(self, sheet: SheetName) -> Iterator[str]:
        """Yield the names in rejected rows, '' for a row whose name could not be read."""
        for row in self._db.execute("SELECT DISTINCT ref FROM rejected WHERE sheet = ?", (sheet.value,)):
            yield row[0]

    def num_standing(self, sheet: SheetName) -> int:
        """Return how many rows stand."""
        query = "SELECT count(*) FROM row WHERE sheet = ? AND is_out = 0"
        return int(self._db.execute(query, (sheet.value,)).fetchone()[0])

    def standing(self, sheet: SheetName) -> Iterator[list[StagedRow]]:
        """Yield the rows of a sheet that stand, in their order, in batches; they may be put out meanwhile."""
        last = 0
        query = """SELECT id, row_number, ref, digest, link, statement, is_restricting FROM row
            WHERE +sheet = ? AND is_out = 0 AND id > ? ORDER BY id LIMIT ?"""  # the plus: by id, not by sheet
        while found := self._db.execute(query, (sheet.value, last, BATCH_ROWS)).fetchall():
            last = found[-1][0]
            yield [_read(*row) for row in found]

    def rejected(self) -> Iterator[SheetRejection]:
        """Yield the rejected rows by sheet and number."""
        order = " ".join(f"WHEN '{name.value}' THEN {place}" for place, name in enumerate(SheetName))
        query = f"""SELECT sheet, row_number, code, reason, hint FROM rejected
            ORDER BY CASE sheet {order} END, row_number, code"""  # noqa: S608 - our own names
        for sheet, *row in self._db.execute(query):
            yield SheetRejection(sheet=SheetName(sheet), row=RejectedRow(*row))

    def lost_prohibitions(self, limit: int) -> list[SheetRejection]:
        """Return the first rejected rows that forbid something of footage that may be there."""
        query = """SELECT sheet, row_number, code, reason, hint FROM rejected
            WHERE is_restricting AND code NOT IN (?, ?) ORDER BY sheet, row_number LIMIT ?"""
        found = self._db.execute(query, (ABSENT_FILE, UNMATCHED_PROHIBITION, limit))
        return [SheetRejection(sheet=SheetName(sheet), row=RejectedRow(*row)) for sheet, *row in found]

    def unmatched_prohibitions(self, limit: int) -> list[SheetRejection]:
        """Return the first rows that forbid something of a file that is not on record."""
        query = """SELECT sheet, row_number, code, reason, hint FROM rejected
            WHERE code = ? ORDER BY sheet, row_number LIMIT ?"""
        found = self._db.execute(query, (UNMATCHED_PROHIBITION, limit))
        return [SheetRejection(sheet=SheetName(sheet), row=RejectedRow(*row)) for sheet, *row in found]

    def absent_files(self, refs: Collection[str]) -> set[str]:
        """Return those of `refs` that are rows of files which are not on record."""
        query = "SELECT 1 FROM rejected WHERE sheet = ? AND ref = ? AND code IN (?, ?)"
        codes = ABSENT_FILE, UNMATCHED_PROHIBITION
        found = (self._db.execute(query, (SheetName.ASSETS, ref, *codes)).fetchone() for ref in refs)
        return {ref for ref, row in zip(refs, found, strict=True) if row}

    def num_rejected(self, sheet: SheetName) -> int:
        """Return how many rows of a sheet were rejected."""
        query = "SELECT count(*) FROM rejected WHERE sheet = ?"
        return int(self._db.execute(query, (sheet.value,)).fetchone()[0])

    def begin_links(self, sheet: SheetName) -> None:
        """Start looking at who rests on whom in `sheet`."""
        self._db.execute("DELETE FROM link")
        self._db.execute(
            "INSERT OR IGNORE INTO link SELECT ref, link, NULL FROM row WHERE sheet = ? AND is_out = 0",
            (sheet.value,),
        )

    def unlinked(self) -> Iterator[list[str]]:
        """Yield, in batches, names that others rest on and that are not there themselves."""
        query = """SELECT DISTINCT a.link FROM link AS a WHERE a.link > ?
            AND NOT EXISTS (SELECT 1 FROM link AS b WHERE b.ref = a.link) ORDER BY a.link LIMIT ?"""
        last = ""
        while found := [row[0] for row in self._db.execute(query, (last, BATCH_ROWS))]:
            last = found[-1]
            yield found

    def add_links(self, links: Mapping[str, str]) -> None:
        """Add what is on record already."""
        self._db.executemany("INSERT OR IGNORE INTO link VALUES (?, ?, NULL)", list(links.items()))

    def settle_links(self, max_depth: int) -> None:
        """Walk down from those that rest on nothing, so far as chains of `max_depth` reach."""
        changed = self._db.execute("UPDATE link SET level = 0 WHERE link = ''").rowcount
        for level in range(1, max_depth):
            if not changed:
                break
            changed = self._db.execute(
                """UPDATE link SET level = ?1 WHERE level IS NULL AND link IN
                    (SELECT ref FROM link WHERE level = ?1 - 1)""",
                (level,),
            ).rowcount

    def unsettled(self, sheet: SheetName) -> Iterator[list[tuple[StagedRow, bool]]]:
        """Yield rows that rest on nothing firm, each with whether what it names is known at all."""
        query = """SELECT row.id, row.row_number, row.ref, row.digest, row.link, row.statement,
                row.is_restricting, EXISTS (SELECT 1 FROM link AS there WHERE there.ref = row.link)
            FROM row JOIN link ON link.ref = row.ref
            WHERE +row.sheet = ? AND row.is_out = 0 AND link.level IS NULL AND row.id > ? ORDER BY row.id LIMIT ?"""
        last = 0
        while found := self._db.execute(query, (sheet.value, last, BATCH_ROWS)).fetchall():
            last = found[-1][0]
            yield [(_read(*row), bool(is_known)) for *row, is_known in found]


@contextmanager
def open_stage() -> Iterator[Stage]:
    """Lend an empty stage. The empty name makes it a temporary file that SQLite has unlinked already."""
    connection = sqlite3.connect("", isolation_level=None)
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        connection.executescript(_SCHEMA)
        connection.execute("BEGIN")  # and never a commit: nothing here outlives the process
        yield Stage(connection)
    finally:
        connection.close()


def _staged(sheet: SheetName, row: CheckedRow) -> tuple[Any, ...]:
    content = json.dumps(row.content, sort_keys=True, separators=(",", ":"))
    scope = json.dumps(row.scope, separators=(",", ":"))
    # A grant may hold for several titles and files: one row for each, alike in all else.
    same = content if sheet is SheetName.GRANTS else content + scope
    digest = hashlib.blake2b(same.encode(), digest_size=16).digest()
    return sheet.value, row.row_number, row.ref, digest, row.link, f"[{content},{scope}]"


def _read(
    row_id: int, row_number: int, ref: str, digest: bytes, link: str, statement: str, restricts: int
) -> StagedRow:
    content, scope = json.loads(statement)
    return StagedRow(
        id=row_id,
        row_number=row_number,
        ref=ref,
        digest=digest,
        link=link,
        content=content,
        scope=scope,
        is_restricting=bool(restricts),
    )


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
