"""Which rows forbid something, as written: one that is rejected must not take its prohibition with it (pure)."""

from __future__ import annotations

from collections.abc import Mapping

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
"""The one rejection that loses nothing: there is no footage for the row to forbid anything of."""


def is_restricting(sheet: SheetName, cells: Mapping[str, str] | None) -> bool:
    """Return whether a row, by our column names, forbids something; one whose cells cannot be read may well do."""
    if sheet not in _FORBIDDING:
        return False
    if cells is None:
        return True
    return any(cells.get(name, "").strip() not in _TAKES_NOTHING_AWAY for name in _FORBIDDING[sheet])
