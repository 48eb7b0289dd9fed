"""Merged cells of a workbook: of a merged block only the first cell has a value, so its rows cannot be trusted.

Reading a workbook row by row does not show them, nor that a row stands in the wrong place and is passed over. Reading
it whole would hold it in memory. So the sheet's XML is searched for its `mergeCell` and `row` elements (ECMA-376
part 1, 18.3.1.54 and 18.3.1.73), a piece at a time.
"""

from __future__ import annotations

import bisect
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ingest.errors import RightsTableError

_PIECE = 1 << 20
_OVERLAP = 512
_MERGED = re.compile(rb"""<(?:\w+:)?mergeCell\s[^<>]*?ref\s*=\s*["']([A-Z]+)(\d+):([A-Z]+)(\d+)["']""")
_ROW = re.compile(rb"""<(?:\w+:)?row\s(?:[^<>]*?\s)?r\s*=\s*["'](\d+)["']""")
_MAX_BLOCKS = 10_000
_MAX_SHARED_BYTES = 1 << 29
"""openpyxl holds the texts that cells share in memory."""


def merged_rows(path: Path, member: str) -> tuple[range, ...]:
    """Return the rows that merged blocks touch in the sheet that is the zip member `member`, sorted and disjoint.

    Raises `RightsTableError` if there are more blocks than a table can have.
    """
    blocks = {(int(match[2]), int(match[4])) for match in _matches(path, member, _MERGED)}
    if len(blocks) > _MAX_BLOCKS:
        raise RightsTableError(
            f"{path}: more than {_MAX_BLOCKS} merged blocks: this is a drawing, not a table",
            hint="unmerge the cells, or save the sheet as CSV",
        )
    found: list[range] = []
    for first, last in sorted((min(block), max(block)) for block in blocks):
        if found and first < found[-1].stop:
            found[-1] = range(found[-1].start, max(found[-1].stop, last + 1))
        else:
            found.append(range(first, last + 1))
    return tuple(found)


def check_order(path: Path, member: str) -> None:
    """Refuse a sheet whose rows do not stand in their order: openpyxl leaves out those that come too late.

    Raises `RightsTableError`.
    """
    last = 0
    for match in _matches(path, member, _ROW):
        number = int(match[1])
        if number <= last:
            raise RightsTableError(
                f"{path}: row {number} of {member} stands after row {last}",
                hint="open it in a spreadsheet program and save it again as XLSX",
            )
        last = number


def is_merged(rows: Sequence[range], number: int) -> bool:
    """Return whether a merged block touches row `number`; `rows` are those of `merged_rows`."""
    position = bisect.bisect_right(rows, number, key=lambda block: block.start)
    return position > 0 and number in rows[position - 1]


def check_size(path: Path) -> None:
    """Refuse a workbook whose shared texts do not fit into memory. Raises `RightsTableError`."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = [item.file_size for item in archive.infolist() if "sharedStrings" in item.filename]
    except (OSError, zipfile.BadZipFile) as exc:
        raise RightsTableError(f"{path}: the workbook cannot be read: {exc}", hint="save it as XLSX") from exc
    if sum(sizes) > _MAX_SHARED_BYTES:
        raise RightsTableError(
            f"{path}: the texts of the workbook take {sum(sizes)} bytes, at most {_MAX_SHARED_BYTES} are read",
            hint="save its sheets as CSV files in a folder and import that",
        )


def _matches(path: Path, member: str, pattern: re.Pattern[bytes]) -> Iterator[re.Match[bytes]]:
    """Yield what is found in a zip member, each once; nothing that is longer than what two pieces share."""
    with zipfile.ZipFile(path) as archive, archive.open(member) as file:
        kept = b""
        num_seen = 0
        while piece := file.read(_PIECE):
            text = kept + piece
            for match in pattern.finditer(text, max(0, num_seen)):
                num_seen = match.end()
                yield match
            kept = text[-_OVERLAP:]
            num_seen -= len(text) - len(kept)
