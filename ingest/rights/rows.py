"""One row of a rights table: checked, normalised, or rejected with the reason.

Every value is read as text and nothing is guessed: a row that is not fully understood gives no grant, so that
its footage is held. Dates: `valid_from` is inclusive; a `valid_to` date means that the grant is in force
until the *end* of that day, so the stored exclusive bound is the following midnight; a `valid_to` date-time
is itself the exclusive bound. Dates and date-times without an offset are UTC.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from db.contracts import NOTHING_MORE, Contract
from db.vocabularies import Use
from ingest.rights.cells import RowProblem, clean_text, instant, license_text, listed, territories

COLUMNS = (
    "path", "title", "rights_holder", "license_expression", "permitted_uses", "territories", "valid_from",
    "valid_to", "attribution", "evidence", "source",
)  # fmt: skip
REQUIRED_COLUMNS = ("path", "rights_holder", "license_expression")

_CACHED_FILES = 65_536
_MULTILINE_COLUMNS = frozenset({"attribution", "source"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsRow:
    """What one row grants. Times are aware UTC; an empty tuple or `None`: the row states nothing."""

    row_number: int
    """The row as a spreadsheet numbers it, the header being row 1; the line of a JSON Lines file."""
    pattern: str
    """Path or glob of the files, as written."""
    title: str
    rights_holder: str
    """Empty if the row does not name one."""
    license_expression: str
    """SPDX expression in its normal spelling."""
    permitted_uses: tuple[Use, ...]
    """Uses that the holder permits without a condition; empty if not stated, which is not permission."""
    territories: tuple[str, ...]
    valid_from: dt.datetime | None
    valid_to: dt.datetime | None
    """Exclusive."""
    attribution: str
    evidence_path: str | None
    """As written, relative to the folder of the table."""
    evidence_sha256: str | None
    source: str
    contract: Contract = NOTHING_MORE
    """A row of a plain rights table adds nothing to its columns."""


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that grants nothing, or nothing for some file, and why. `code` is stable: `rights.bad_date`."""

    row_number: int
    code: str
    reason: str
    hint: str


class EvidenceFolder:
    """Digests of the evidence files beside a table, each read once while rows near each other name it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cached = functools.lru_cache(maxsize=_CACHED_FILES)(self._read)

    def sha256(self, name: str) -> str:
        """Return the digest of the evidence file `name`, relative to the folder of the table.

        Raises `RowProblem` if it is not a readable file.
        """
        return self._cached(name)

    def _read(self, name: str) -> str:
        path = self._folder / name
        hint = f"give the path of a file relative to {self._folder}, or leave the cell empty"
        try:
            if not path.is_file():
                raise RowProblem("rights.evidence_missing", f"evidence file {name!r} does not exist", hint)
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as exc:
            reason = f"evidence file {name!r} cannot be read: {exc.strerror or exc}"
            raise RowProblem("rights.evidence_missing", reason, hint) from exc


def check_row(row_number: int, cells: Mapping[str, str], evidence: EvidenceFolder) -> RightsRow | RejectedRow:
    """Check one row whose cells carry our column names; a missing column reads as an empty cell."""
    try:
        return _checked(row_number, {name: _clean(name, cells.get(name, "")) for name in COLUMNS}, evidence)
    except RowProblem as exc:
        return RejectedRow(row_number, exc.code, str(exc), exc.hint or "")


def _checked(row_number: int, cells: Mapping[str, str], evidence: EvidenceFolder) -> RightsRow:
    if not cells["path"]:
        raise RowProblem(
            "rights.missing_path", "the path is empty", "name a file or a glob such as footage/*.mp4"
        )
    valid_from = _start(cells["valid_from"])
    valid_to = _end(cells["valid_to"])
    if valid_from is not None and valid_to is not None and valid_to <= valid_from:
        reason = f"valid_to {cells['valid_to']} is not after valid_from {cells['valid_from']}"
        raise RowProblem("rights.bad_date", reason, "correct one of the two dates")
    return RightsRow(
        row_number=row_number,
        pattern=cells["path"],
        title=cells["title"],
        rights_holder=cells["rights_holder"],
        license_expression=license_text(cells["license_expression"]),
        permitted_uses=_uses(cells["permitted_uses"]),
        territories=territories("territories", cells["territories"]),
        valid_from=valid_from,
        valid_to=valid_to,
        attribution=cells["attribution"],
        evidence_path=cells["evidence"] or None,
        evidence_sha256=evidence.sha256(cells["evidence"]) if cells["evidence"] else None,
        source=cells["source"],
    )


def _clean(column: str, text: str) -> str:
    return clean_text(column, text, allowed="\n\t" if column in _MULTILINE_COLUMNS else "")


@functools.lru_cache(maxsize=4096)
def _uses(text: str) -> tuple[Use, ...]:
    uses = set()
    for name in listed("permitted_uses", "rights.unknown_use", text):
        value = name.lower() if name.lower().startswith("cawg.") else f"cawg.{name.lower()}"
        try:
            uses.add(Use(value))
        except ValueError as exc:
            hint = "known uses: " + ", ".join(use.value for use in Use)
            raise RowProblem("rights.unknown_use", f"permitted use {name!r} is not known", hint) from exc
    return tuple(sorted(uses))


def _start(text: str) -> dt.datetime | None:
    return None if not text else instant("valid_from", text)


def _end(text: str) -> dt.datetime | None:
    return None if not text else instant("valid_to", text, days_after_date=1)
