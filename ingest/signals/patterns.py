"""Path patterns of robots.txt (RFC 9309, 2.2.2 and 2.2.3), which TDMRep, RSL and Content-Usage use as well. Pure.

A pattern is a prefix; `*` stands for any characters, `$` at its end for the end of the path. Matching takes the
leftmost place for every piece between two stars and never goes back, so its time is linear in the path: no pattern
that somebody publishes can make it slow.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from urllib.parse import urlsplit

from ingest.signals.text import bytes_of

_UNRESERVED = frozenset((string.ascii_letters + string.digits + "-._~").encode())
_HEX = frozenset(string.hexdigits.encode())


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A pattern, split at its stars."""

    pieces: tuple[str, ...]
    is_anchored: bool
    num_octets: int
    """How specific it is: the longest pattern that matches wins."""

    def matches(self, path: str) -> bool:
        """Whether the pattern covers `path`, which must be one of `path_of`."""
        first, *rest = self.pieces
        if not path.startswith(first):
            return False
        if not rest:
            return not self.is_anchored or path == first
        position = len(first)
        for piece in rest[:-1]:
            found = path.find(piece, position)
            if found < 0:
                return False
            position = found + len(piece)
        if self.is_anchored:
            return path.endswith(rest[-1]) and len(path) - len(rest[-1]) >= position
        return path.find(rest[-1], position) >= 0


def parse_pattern(text: str) -> PathPattern:
    """Read a pattern; one that starts with neither `/` nor `*` is taken from the root."""
    normal = _normalised(text, keep=b"*$")
    is_anchored = normal.endswith("$")
    num_octets = len(normal)
    body = normal.removesuffix("$").replace("$", "%24")  # Elsewhere than at the end it is a letter.
    if not body.startswith(("/", "*")):
        body = f"/{body}"
    return PathPattern(tuple(body.split("*")), is_anchored, num_octets)


def path_of(url: str) -> str:
    """Return path and query of `url` in the form that patterns are compared with."""
    parts = urlsplit(url)
    path = parts.path or "/"
    return _normalised(f"{path}?{parts.query}" if parts.query else path, keep=b"")


def _normalised(text: str, *, keep: bytes) -> str:
    """Percent-encode what is not ASCII, and `*` and `$` unless kept; decode what need not be encoded."""
    octets = bytes_of(text)
    out = bytearray()
    position = 0
    while position < len(octets):
        octet = octets[position]
        if octet == 0x25 and _is_escape(octets, position):
            value = int(octets[position + 1 : position + 3], 16)
            out += bytes([value]) if value in _UNRESERVED else octets[position : position + 3].upper()
            position += 3
            continue
        is_special = octet in b"*$" and octet not in keep
        out += b"%%%02X" % octet if octet > 0x7E or octet <= 0x20 or is_special else bytes([octet])
        position += 1
    return out.decode("ascii")


def _is_escape(octets: bytes, position: int) -> bool:
    digits = octets[position + 1 : position + 3]
    return len(digits) == 2 and all(digit in _HEX for digit in digits)
