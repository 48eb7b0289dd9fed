"""How the columns of a foreign table are called: the TOML file behind `--map`.

[columns]                  # our name = "their name"; columns that are not named here are not read
path = "file"
license_expression = "license_spdx"

[constants]                # our name = "the value of every row"
rights_holder = "Example Films GmbH"
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from db.errors import ConfigError
from ingest.rights.rows import COLUMNS

_MAX_BYTES = 65_536
_SECTIONS = ("columns", "constants")


@dataclass(frozen=True, kw_only=True)
class ColumnMap:
    """Which column of the table holds each of ours; columns that it does not name are not read."""

    columns: Mapping[str, str] = field(default_factory=lambda: {name: name for name in COLUMNS})
    """Their name by ours."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """A value for every row by our name."""
    source: str = ""
    """The map file, for messages; empty for a table in our own columns."""

    def renamed(self, cells: Mapping[str, str]) -> dict[str, str]:
        """Return the cells of a row under our names, constants included."""
        ours = {name: cells[theirs] for name, theirs in self.columns.items() if theirs in cells}
        return {**ours, **self.constants}


def load_column_map(path: Path) -> ColumnMap:
    """Read a map file.

    Raises `ConfigError`, naming the file and the place, for anything but the two sections described above.
    """
    document = read_toml(path)
    check_keys(path, "section", document, _SECTIONS)
    columns = check_texts(path, "columns", document.get("columns", {}), COLUMNS)
    constants = check_texts(path, "constants", document.get("constants", {}), COLUMNS)
    both = sorted(columns.keys() & constants.keys())
    if both:
        raise ConfigError(f"{path}: {both[0]} is both in [columns] and in [constants]")
    if not columns:
        raise ConfigError(f"{path}: [columns] names no column", hint='add path = "the name of their column"')
    return ColumnMap(columns=columns, constants=constants, source=str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """Return the document of a map file. Raises `ConfigError` if it is not one."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"{path}: the column map cannot be read: {exc.strerror or exc}") from exc
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"{path}: the column map is larger than {_MAX_BYTES} bytes")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ConfigError(f"{path}: the column map is not TOML in UTF-8: {exc}") from exc


def check_texts(path: Path, section: str, table: Any, known: tuple[str, ...]) -> dict[str, str]:
    """Return a section of a map file whose keys are `known` and whose values are texts. Raises `ConfigError`."""
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: [{section}] must be a table")
    check_keys(path, f"[{section}]", table, known)
    for name, value in table.items():
        if not isinstance(value, str) or not value.strip():
            raise ConfigError(f"{path}: [{section}] {name} must be a non-empty text in quotes")
    return dict(table)


def check_keys(path: Path, place: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Refuse a key that is not `known`. Raises `ConfigError` with the nearest one."""
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "known: " + ", ".join(known)
            raise ConfigError(f"{path}: {place} {key!r} is not known", hint=hint)
