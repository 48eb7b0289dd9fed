"""Text out of foreign bytes, without losing any of them and without trusting what they say of their encoding."""

from __future__ import annotations

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def text_of(raw: bytes) -> str:
    """Return `raw` as text: by its byte order mark, else as UTF-8; bytes that are neither stay as surrogates."""
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return raw[len(mark) :].decode(encoding, "surrogateescape" if encoding == "utf-8" else "replace")
    return raw.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """Return the bytes that `text_of` made `text` from; any text has some."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def printable(text: str) -> str:
    """Return `text` on one line, with a dot for every character that does not show."""
    return "".join(character if character.isprintable() else "·" for character in text)


def whole_lines(raw: bytes, limit: int) -> tuple[bytes, bool]:
    """Return the lines of `raw` that lie within `limit` bytes, and whether any are left out."""
    if len(raw) <= limit:
        return raw, False
    return raw[: max(raw.rfind(b"\n", 0, limit), 0)], True


def quoted(text: str, limit: int = 120) -> str:
    """Return `text` as one short printable line, for a message."""
    line = printable(text[: limit + 1])
    return repr(line if len(line) <= limit else f"{line[:limit]}…")
