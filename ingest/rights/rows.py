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
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from db.contracts import NOTHING_MORE, Contract
from db.errors import ConfigError
from db.vocabularies import Use
from ingest.licenses import LicenseExpressionError, parse_license
from ingest.territories import TerritoryError, normal_territories

COLUMNS = (
    "path", "title", "rights_holder", "license_expression", "permitted_uses", "territories", "valid_from",
    "valid_to", "attribution", "evidence", "source",
)  # fmt: skip
REQUIRED_COLUMNS = ("path", "rights_holder", "license_expression")

_MAX_CELL_LENGTH = 10_000
_MULTILINE_COLUMNS = frozenset({"attribution", "source"})
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DATE_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?", re.ASCII | re.IGNORECASE
)
_DATE_HINT = "write dates as 2026-12-31, date-times as 2026-12-31T18:00:00Z"


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


class RowProblem(ConfigError):
    """Why a row is rejected; it travels only inside this package."""

    def __init__(self, code: str, reason: str, hint: str) -> None:
        super().__init__(reason, hint=hint)
        self.code = code


class EvidenceFolder:
    """Digests of the evidence files beside a table, each read once however many rows name it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sha256_by_name: dict[str, str] = {}

    def sha256(self, name: str) -> str:
        """Return the digest of the evidence file `name`, relative to the folder of the table.

        Raises `RowProblem` if it is not a readable file.
        """
        if name not in self._sha256_by_name:
            self._sha256_by_name[name] = self._read(name)
        return self._sha256_by_name[name]

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
        license_expression=_license(cells["license_expression"]),
        permitted_uses=_uses(cells["permitted_uses"]),
        territories=_territories(cells["territories"]),
        valid_from=valid_from,
        valid_to=valid_to,
        attribution=cells["attribution"],
        evidence_path=cells["evidence"] or None,
        evidence_sha256=evidence.sha256(cells["evidence"]) if cells["evidence"] else None,
        source=cells["source"],
    )


def _clean(column: str, text: str) -> str:
    """Strip blanks around a cell and refuse characters that make a grant read differently than it is."""
    text = text.strip()
    if column in _MULTILINE_COLUMNS:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    allowed = "\n\t" if column in _MULTILINE_COLUMNS else ""
    for character in "" if text.isascii() and text.isprintable() else text:
        if character not in allowed and _is_deceptive(character):
            reason = f"{column} contains the character U+{ord(character):04X}, which is invisible or not text"
            raise RowProblem(
                "rights.invalid_text", reason, "retype the cell; use a glob for such a file name"
            )
    if len(text) > _MAX_CELL_LENGTH:
        reason = f"{column} has {len(text)} characters, at most {_MAX_CELL_LENGTH} are read"
        raise RowProblem("rights.invalid_text", reason, "put long texts into an evidence file")
    return text


def _is_deceptive(character: str) -> bool:
    """Control characters, lone surrogates, unassigned code points, marks that change the direction."""
    if character.isascii():
        return not character.isprintable()
    category = unicodedata.category(character)
    is_direction_mark = unicodedata.bidirectional(character) in {
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
    }  # fmt: skip
    return category in {"Cc", "Cs", "Cn", "Zl", "Zp"} or is_direction_mark


def _license(text: str) -> str:
    if not text:
        hint = "write an SPDX id such as CC-BY-4.0, or LicenseRef-NAME for a contract"
        raise RowProblem("rights.missing_license", "the license expression is empty", hint)
    try:
        return str(parse_license(text))
    except LicenseExpressionError as exc:
        raise RowProblem("rights.unknown_license", str(exc), exc.hint or "") from exc


@functools.lru_cache(maxsize=4096)
def _uses(text: str) -> tuple[Use, ...]:
    uses = set()
    for name in _listed("permitted_uses", "rights.unknown_use", text):
        value = name.lower() if name.lower().startswith("cawg.") else f"cawg.{name.lower()}"
        try:
            uses.add(Use(value))
        except ValueError as exc:
            hint = "known uses: " + ", ".join(use.value for use in Use)
            raise RowProblem("rights.unknown_use", f"permitted use {name!r} is not known", hint) from exc
    return tuple(sorted(uses))


@functools.lru_cache(maxsize=4096)
def _territories(text: str) -> tuple[str, ...]:
    try:
        return normal_territories(_listed("territories", "rights.unknown_territory", text))
    except TerritoryError as exc:
        raise RowProblem("rights.unknown_territory", str(exc), exc.hint or "") from exc


def _listed(column: str, code: str, text: str) -> list[str]:
    """Split at `;` and `,`. A cell of separators alone is a mistake and not an empty cell."""
    names = [name.strip() for name in re.split("[;,]", text)]
    names = [name for name in names if name]
    if text and not names:
        raise RowProblem(code, f"{column} {text!r} names nothing", "leave the cell empty or name values")
    return names


def _start(text: str) -> dt.datetime | None:
    return None if not text else _instant("valid_from", text, days_after_date=0)


def _end(text: str) -> dt.datetime | None:
    return None if not text else _instant("valid_to", text, days_after_date=1)


@functools.lru_cache(maxsize=4096)
def _instant(column: str, text: str, *, days_after_date: int) -> dt.datetime:
    """Read a date (its midnight UTC, plus `days_after_date`) or a date-time as an aware UTC time."""
    is_date = _DATE.fullmatch(text) is not None
    if not is_date and not _DATE_TIME.fullmatch(text):
        raise RowProblem(
            "rights.bad_date", f"{column} {text!r} is not an ISO 8601 date or date-time", _DATE_HINT
        )
    try:
        time = dt.datetime.fromisoformat(text.upper())
        if time.tzinfo is None:
            time = time.replace(tzinfo=dt.UTC)
        return time.astimezone(dt.UTC) + dt.timedelta(days=days_after_date if is_date else 0)
    except ValueError as exc:
        raise RowProblem("rights.bad_date", f"{column} {text!r} does not exist: {exc}", _DATE_HINT) from exc
    except OverflowError as exc:
        hint = "leave the cell empty where the grant has no such bound"
        raise RowProblem("rights.bad_date", f"{column} {text!r} is out of range", hint) from exc
