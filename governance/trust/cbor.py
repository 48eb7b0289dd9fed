"""CBOR (RFC 8949) as COSE signatures need it: definite lengths, no floats, no shared references.

What is not understood is refused, never skipped: a reader that guesses sees other certificates than the one
that checked the signature.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from governance.errors import VerificationError

_MAX_DEPTH = 16
_SIMPLE_VALUES = {20: False, 21: True, 22: None, 23: None}


def decode_cbor(data: bytes) -> Any:
    """Return the one value in `data`; a tag is dropped and its content returned.

    Maps with the same key twice, indefinite lengths, floats and anything after the value are refused.
    Raises `VerificationError` for those and for whatever else is malformed.
    """
    decoder = _Decoder(data)
    value = decoder.value(0)
    if decoder.position != len(data):
        raise VerificationError("signature: bytes after the end of a CBOR value")
    return value


class _Decoder:
    """One pass over one buffer."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0
        self._readers: dict[int, Callable[[int, int], Any]] = {
            0: lambda argument, _depth: argument,
            1: lambda argument, _depth: -1 - argument,
            2: lambda argument, _depth: self._take(argument),
            3: lambda argument, _depth: self._text(argument),
            4: lambda argument, depth: [self.value(depth + 1) for _ in range(argument)],
            5: self._map,
            6: lambda _argument, depth: self.value(depth + 1),
        }

    def value(self, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise VerificationError(f"signature: CBOR nested deeper than {_MAX_DEPTH}")
        (initial,) = self._take(1)
        kind, short = initial >> 5, initial & 0x1F
        if kind == 7:
            if short not in _SIMPLE_VALUES:
                raise VerificationError("signature: a CBOR float or unknown simple value")
            return _SIMPLE_VALUES[short]
        return self._readers[kind](self._argument(short), depth)

    def _argument(self, short: int) -> int:
        if short < 24:
            return short
        if short > 27:
            raise VerificationError("signature: CBOR of indefinite length")
        return int.from_bytes(self._take(1 << (short - 24)))

    def _take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self._data):
            raise VerificationError("signature: CBOR ends too early")
        piece, self.position = self._data[self.position : end], end
        return piece

    def _text(self, size: int) -> str:
        try:
            return self._take(size).decode("utf-8")
        except UnicodeDecodeError as exc:
            raise VerificationError("signature: CBOR text is not UTF-8") from exc

    def _map(self, size: int, depth: int) -> dict[Any, Any]:
        entries: dict[Any, Any] = {}
        for _ in range(size):
            key = self.value(depth + 1)
            if not isinstance(key, int | str) or isinstance(key, bool) or key in entries:
                raise VerificationError("signature: a CBOR map with an odd or doubled key")
            entries[key] = self.value(depth + 1)
        return entries
