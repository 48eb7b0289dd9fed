"""The cells of one row of a catalogue, read by type. Every reader refuses what it does not fully understand."""

from __future__ import annotations

import datetime as dt
import functools
import re
import zoneinfo
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from db.clock import rfc3339
from db.vocabularies import Tri, Use
from ingest.catalogue.layout import Layout
from ingest.rights.cells import RowProblem, clean_text, instant, listed, territories
from ingest.rights.uses import permitted_uses, prohibited_uses

BAD_ROW = "catalogue.bad_value"
_TRI = {
    "": Tri.UNKNOWN, "unknown": Tri.UNKNOWN, "yes": Tri.YES, "y": Tri.YES, "true": Tri.YES,
    "no": Tri.NO, "n": Tri.NO, "false": Tri.NO,
}  # fmt: skip
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CLOCK = re.compile(r"(\d{1,3}):([0-5]\d):([0-5]\d(?:\.\d{1,6})?)", re.ASCII)
_SECONDS = re.compile(r"\d{1,7}(\.\d{1,6})?", re.ASCII)
_MAX_REF = 200
_MULTILINE = "\n\t"

E = TypeVar("E", bound=StrEnum)


class Cells:
    """A row's cells by our column names; a column that is missing reads as an empty cell."""

    def __init__(self, layout: Layout, raw: Mapping[str, str]) -> None:
        """Clean every cell. Raises `RowProblem` for characters that deceive."""
        self._cells = {
            name: clean_text(name, text, allowed=_MULTILINE if name in layout.multiline else "")
            for name, text in raw.items()
            if text
        }

    def text(self, name: str) -> str:
        """Return a cell, '' if it is empty."""
        return self._cells.get(name, "")

    def needed(self, name: str) -> str:
        """Return a cell that must not be empty."""
        if not self.text(name):
            raise RowProblem(
                "catalogue.missing_value", f"{name} is empty", f"every row of the sheet needs a {name}"
            )
        return self.text(name)

    def ref(self, name: str = "ref") -> str:
        """Return the name of a row, or '' where the column may be empty."""
        ref = self.needed(name) if name == "ref" else self.text(name)
        if len(ref) > _MAX_REF:
            reason = f"{name} has {len(ref)} characters, at most {_MAX_REF} are read"
            raise RowProblem(BAD_ROW, reason, "give the row a short name of its own")
        return ref

    def tri(self, name: str) -> Tri:
        """Return yes, no or unknown; an empty cell is unknown."""
        found = _TRI.get(self.text(name).casefold())
        if found is None:
            raise RowProblem(
                BAD_ROW, f"{name} {self.text(name)!r} is none of yes, no, unknown", "write yes or no"
            )
        return found

    def member(self, name: str, vocabulary: type[E], default: E | None = None) -> E:
        """Return the member of a vocabulary; without a default the cell must not be empty."""
        if default is not None and not self.text(name):
            return default
        return _member(name, vocabulary, self.needed(name))

    def members(self, name: str, vocabulary: type[E]) -> tuple[E, ...]:
        """Return the members of a vocabulary in a list, sorted."""
        return tuple(sorted({_member(name, vocabulary, word) for word in self.words(name)}))

    def words(self, name: str) -> tuple[str, ...]:
        """Return the distinct texts of a list, sorted."""
        return tuple(sorted(set(listed(name, BAD_ROW, self.text(name))))) if self.text(name) else ()

    def permitted_uses(self) -> tuple[Use, ...]:
        """Return what is permitted for sure."""
        return permitted_uses("permitted_uses", self.text("permitted_uses"))

    def prohibited_uses(self) -> tuple[Use, ...]:
        """Return all that may be prohibited."""
        return prohibited_uses("prohibited_uses", self.text("prohibited_uses"))

    def territories(self, name: str) -> tuple[str, ...]:
        """Return country codes, or WORLD."""
        return territories(name, self.text(name))

    def sha256(self, name: str = "sha256") -> str:
        """Return a digest in lower case, '' if the cell is empty."""
        text = self.text(name).lower()
        if text and not _SHA256.fullmatch(text):
            reason = f"{name} {self.text(name)!r} is not a SHA-256 digest"
            raise RowProblem(BAD_ROW, reason, "write 64 hexadecimal digits, as sha256sum prints them")
        return text

    def since(self, name: str) -> str | None:
        """Return as RFC 3339 when something begins or happened: a date means its first instant."""
        text = self.text(name)
        return rfc3339(instant(name, text, zone=self._zone())) if text else None

    def until(self, name: str) -> str | None:
        """Return as RFC 3339, exclusive, when something ends: a date means the end of that day."""
        text = self.text(name)
        return rfc3339(instant(name, text, days_after_date=1, zone=self._zone())) if text else None

    def period(self) -> tuple[str | None, str | None]:
        """Return valid_from and valid_to, exclusive. Raises `RowProblem` if it ends before it begins."""
        start, end = self.since("valid_from"), self.until("valid_to")
        if start is not None and end is not None and _time(end) <= _time(start):
            reason = f"valid_to {self.text('valid_to')} is not after valid_from {self.text('valid_from')}"
            raise RowProblem("rights.bad_date", reason, "correct one of the two dates")
        return start, end

    def seconds(self, name: str) -> float | None:
        """Return a place in footage: seconds, or hours, minutes and seconds."""
        text = self.text(name)
        if not text:
            return None
        if clock := _CLOCK.fullmatch(text):
            return int(clock[1]) * 3600 + int(clock[2]) * 60 + float(clock[3])
        if not _SECONDS.fullmatch(text):
            hint = "write seconds (83.5) or hh:mm:ss.mmm (00:01:23.500); frame numbers need a frame rate"
            raise RowProblem(BAD_ROW, f"{name} {text!r} is not a time in footage", hint)
        return float(text)

    def _zone(self) -> dt.tzinfo:
        return _zone(self.text("time_zone"))


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


@functools.lru_cache(maxsize=1024)
def _zone(name: str) -> dt.tzinfo:
    if not name:
        return dt.UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as exc:
        reason = f"time_zone {name!r} is not a time zone of the IANA database on this machine"
        raise RowProblem(BAD_ROW, reason, "write one such as Europe/Berlin, or UTC") from exc


def _member(name: str, vocabulary: type[E], text: str) -> E:
    try:
        return vocabulary(text.casefold().replace(" ", "_").replace("-", "_"))
    except ValueError as exc:
        known = ", ".join(member.value for member in vocabulary)
        raise RowProblem(BAD_ROW, f"{name} {text!r} is not known", f"known: {known}") from exc
