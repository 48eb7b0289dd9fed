"""Which rows forbid something, as written: one that is rejected must not take its prohibition with it (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.catalogue.layout import SheetName

_FORBIDDING: Mapping[SheetName, tuple[str, ...]] = {
    SheetName.GRANTS: ("prohibited_uses",),
    # A file is under the title's prohibitions, and may not be used as what it is tagged.
    SheetName.ASSETS: ("title", "restrictions", "embargo_until"),
    SheetName.APPEARANCES: ("presence",),
}
"""The columns that take something away, by sheet."""

_TAKES_NOTHING_AWAY = frozenset({"", "none_present"})

ABSENT_FILE = "catalogue.no_such_file"
"""The one rejection that loses nothing: there is no footage for the row to speak of."""
UNMATCHED_PROHIBITION = "catalogue.prohibition_unmatched"
"""The same of a row that itself forbids something: a path that is written wrong looks like a file that is not there."""


def is_restricting(sheet: SheetName, cells: Mapping[str, str] | None) -> bool:
    """Return whether a row, by our column names, forbids something; one whose cells cannot be read may well do."""
    if sheet not in _FORBIDDING:
        return False
    if cells is None:
        return True
    return any(cells.get(name, "").strip() not in _TAKES_NOTHING_AWAY for name in _FORBIDDING[sheet])


def absence_of(sheet: SheetName, content: Mapping[str, Any]) -> str:
    """Return the code of a row, as checked, whose file is not on record; a title alone forbids nothing by itself."""
    forbids = (
        sheet is SheetName.APPEARANCES
        or bool(content.get("contract", {}).get("prohibited_uses"))
        or bool(set(content.get("restrictions", ())) - {"unrestricted"})
        or content.get("embargo_until") is not None
    )
    is_harmless = content.get("presence") == "none_present"
    return UNMATCHED_PROHIBITION if forbids and not is_harmless else ABSENT_FILE
