"""How the sheets and columns of a foreign catalogue are called: the TOML file behind `--map`.

[sheets]                   # our sheet = "their sheet"; sheets that are not named keep our names
grants = "Lizenzen"

[columns.grants]           # our column = "their column"; of this sheet no other column is read
ref = "Vertragsnummer"

[constants.grants]         # our column = "the value of every row"
time_zone = "Europe/Berlin"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from db.errors import ConfigError
from ingest.catalogue.layout import LAYOUTS, SheetName
from ingest.rights.column_map import check_keys, check_texts, read_toml

_SECTIONS = ("sheets", "columns", "constants")
_SHEETS = tuple(name.value for name in SheetName)


@dataclass(frozen=True, kw_only=True)
class SheetMap:
    """Which column of a foreign sheet holds each of ours."""

    columns: Mapping[str, str]
    """Their name by ours."""
    constants: Mapping[str, str] = field(default_factory=dict)
    lists_columns: bool = False
    """Somebody wrote down which columns are read: all of those must be there, others may be."""

    def renamed(self, cells: Mapping[str, str]) -> dict[str, str]:
        """Return the cells of a row under our names, constants included."""
        ours = {name: cells[theirs] for name, theirs in self.columns.items() if theirs in cells}
        return {**ours, **self.constants}


@dataclass(frozen=True, kw_only=True)
class CatalogueMap:
    """The names of a foreign catalogue."""

    sheets: Mapping[SheetName, str]
    """Their name by ours, complete."""
    mapped: Mapping[SheetName, SheetMap]
    """Sheets whose columns are named otherwise, or have constants."""

    def of(self, sheet: SheetName) -> SheetMap:
        """Return the map of a sheet."""
        return self.mapped.get(sheet) or SheetMap(columns={name: name for name in LAYOUTS[sheet].columns})


OUR_NAMES = CatalogueMap(sheets={name: name.value for name in SheetName}, mapped={})


def load_catalogue_map(path: Path) -> CatalogueMap:
    """Read a map file.

    Raises `ConfigError`, naming the file and the place, for anything but the sections described above.
    """
    document = read_toml(path)
    check_keys(path, "section", document, _SECTIONS)
    renamed = check_texts(path, "sheets", document.get("sheets", {}), _SHEETS)
    sheets = {name: renamed.get(name.value, name.value) for name in SheetName}
    folded = [theirs.casefold() for theirs in sheets.values()]
    for name, theirs in sheets.items():
        if folded.count(theirs.casefold()) > 1:
            raise ConfigError(
                f"{path}: [sheets] two of our sheets would be read from {theirs!r}, one is {name}"
            )
    columns, constants = (_by_sheet(path, section, document) for section in ("columns", "constants"))
    mapped = {name: _sheet_map(path, name, columns, constants) for name in {*columns, *constants}}
    return CatalogueMap(sheets=sheets, mapped=mapped)


def _by_sheet(path: Path, section: str, document: Mapping[str, Any]) -> dict[SheetName, dict[str, str]]:
    tables = document.get(section, {})
    if not isinstance(tables, dict):
        raise ConfigError(f"{path}: [{section}] must hold tables such as [{section}.grants]")
    check_keys(path, f"[{section}]", tables, _SHEETS)
    return {
        SheetName(name): check_texts(path, f"{section}.{name}", table, LAYOUTS[SheetName(name)].columns)
        for name, table in tables.items()
    }


def _sheet_map(
    path: Path,
    name: SheetName,
    columns: Mapping[SheetName, dict[str, str]],
    constants: Mapping[SheetName, dict[str, str]],
) -> SheetMap:
    fixed = constants.get(name, {})
    named = columns.get(name) or {ours: ours for ours in LAYOUTS[name].columns if ours not in fixed}
    both = sorted(named.keys() & fixed.keys())
    if both:
        raise ConfigError(f"{path}: {both[0]} is both in [columns.{name}] and in [constants.{name}]")
    return SheetMap(columns=named, constants=fixed, lists_columns=name in columns)
