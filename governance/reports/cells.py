"""Text for cells of spreadsheets: what others wrote must neither run nor break the table (pure).

A cell that begins with = + - @, with their full-width forms, or with a tab or a line end is taken for a formula by
one spreadsheet or another, and a formula can read files and call the network. Such text gets an apostrophe in front,
which spreadsheets show as text; a reader of the file removes it if the second character is one of these. Control and
bidirectional characters are written as escapes, as on the terminal.
"""

from __future__ import annotations

from db.terminal import safe_text

FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")  # noqa: RUF001 - full-width on purpose


def cell_text(text: str) -> str:
    """Return `text` as a cell may hold it."""
    shown = safe_text(text)
    return f"'{shown}" if text.startswith(FORMULA_STARTS) else shown


def cell(value: object) -> object:
    """Return a value as a cell may hold it: text made harmless, `None` empty, numbers as they are."""
    if value is None:
        return ""
    return cell_text(value) if isinstance(value, str) else value
