"""Cells of rights tables and catalogues: text read as dates, places, licences and lists, or refused with the reason.

Nothing is guessed. Dates are ISO 8601. A date names a whole day: as a beginning its first instant, as an end the
first instant of the following day. What has no offset is meant in a time zone that the caller names.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import unicodedata

from db.errors import ConfigError
from ingest.rights.licenses import LicenseExpressionError, parse_license
from ingest.rights.territories import TerritoryError, normal_territories

MAX_CELL_LENGTH = 10_000
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DATE_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?", re.ASCII | re.IGNORECASE
)
_DATE_HINT = "write dates as 2026-12-31, date-times as 2026-12-31T18:00:00Z"


class RowProblem(ConfigError):
    """Why a row is rejected; it travels only inside `ingest.rights` and `ingest.catalogue`."""

    def __init__(self, code: str, reason: str, hint: str) -> None:
        super().__init__(reason, hint=hint)
        self.code = code


def clean_text(column: str, text: str, *, allowed: str = "") -> str:
    """Strip blanks around a cell and refuse characters that make a grant read differently than it is.

    `allowed` are control characters that may stay; line ends become `\\n` where that is one of them.

    Raises `RowProblem`.
    """
    text = text.strip()
    if text.isascii() and text.isprintable() and len(text) <= MAX_CELL_LENGTH:
        return text
    if len(text) > MAX_CELL_LENGTH:
        reason = f"{column} has {len(text)} characters, at most {MAX_CELL_LENGTH} are read"
        raise RowProblem("rights.invalid_text", reason, "put long texts into an evidence file")
    if "\n" in allowed:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    for character in text:
        if character not in allowed and _is_deceptive(character):
            reason = f"{column} contains the character U+{ord(character):04X}, which is invisible or not text"
            raise RowProblem(
                "rights.invalid_text", reason, "retype the cell; use a glob for such a file name"
            )
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


def license_text(text: str) -> str:
    """Return a license expression in its normal spelling. Raises `RowProblem`."""
    if not text:
        hint = "write an SPDX id such as CC-BY-4.0, or LicenseRef-NAME for a contract"
        raise RowProblem("rights.missing_license", "the license expression is empty", hint)
    try:
        return str(parse_license(text))
    except LicenseExpressionError as exc:
        raise RowProblem("rights.unknown_license", str(exc), exc.hint or "") from exc


@functools.lru_cache(maxsize=4096)
def territories(column: str, text: str) -> tuple[str, ...]:
    """Return the codes in a cell, sorted. Raises `RowProblem` for what is no code."""
    try:
        return normal_territories(listed(column, "rights.unknown_territory", text))
    except TerritoryError as exc:
        raise RowProblem("rights.unknown_territory", f"{column}: {exc}", exc.hint or "") from exc


def listed(column: str, code: str, text: str) -> list[str]:
    """Split at `;` and `,`. A cell of separators alone is a mistake and not an empty cell.

    Raises `RowProblem` with `code`.
    """
    names = [name.strip() for name in re.split("[;,]", text)]
    names = [name for name in names if name]
    if text and not names:
        raise RowProblem(code, f"{column} {text!r} names nothing", "leave the cell empty or name values")
    return names


@functools.lru_cache(maxsize=4096)
def instant(column: str, text: str, *, days_after_date: int = 0, zone: dt.tzinfo = dt.UTC) -> dt.datetime:
    """Read a date (its midnight, plus `days_after_date`) or a date-time as an aware UTC time.

    What has no offset is meant in `zone`; a time that the zone's clocks show twice or never is refused.

    Raises `RowProblem`.
    """
    is_date = _DATE.fullmatch(text) is not None
    if not is_date and not _DATE_TIME.fullmatch(text):
        raise RowProblem(
            "rights.bad_date", f"{column} {text!r} is not an ISO 8601 date or date-time", _DATE_HINT
        )
    try:
        time = dt.datetime.fromisoformat(text.upper())
        if is_date:
            return _midnight(time + dt.timedelta(days=days_after_date), zone, is_end=days_after_date > 0)
        return (time if time.tzinfo is not None else _local(column, time, zone)).astimezone(dt.UTC)
    except ValueError as exc:
        raise RowProblem("rights.bad_date", f"{column} {text!r} does not exist: {exc}", _DATE_HINT) from exc
    except OverflowError as exc:
        hint = "leave the cell empty where the grant has no such bound"
        raise RowProblem("rights.bad_date", f"{column} {text!r} is out of range", hint) from exc


def _midnight(time: dt.datetime, zone: dt.tzinfo, *, is_end: bool) -> dt.datetime:
    """Where clocks change at midnight there are two readings: take the one that grants less."""
    readings = [time.replace(tzinfo=zone, fold=fold).astimezone(dt.UTC) for fold in (0, 1)]
    return min(readings) if is_end else max(readings)


def _local(column: str, time: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    early, late = (time.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if early.utcoffset() != late.utcoffset():
        reason = f"{column} {time.isoformat()} happens twice or never in {zone}: clocks change then"
        raise RowProblem("rights.bad_date", reason, "write the offset, as in 2026-10-25T02:30:00+02:00")
    return early
