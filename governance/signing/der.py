"""ASN.1 in distinguished encoding (ITU-T X.690), read as far as time-stamp messages need it."""

from __future__ import annotations

from dataclasses import dataclass

BOOLEAN = 0x01
INTEGER = 0x02
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
SEQUENCE = 0x30
EXPLICIT_0 = 0xA0


@dataclass(frozen=True)
class Element:
    """One value with its tag; what it holds is read when asked for."""

    tag: int
    content: bytes

    def children(self) -> list[Element]:
        """Return the elements inside. Raises `ValueError` if the content is not a run of whole elements."""
        found, rest = [], self.content
        while rest:
            element, rest = _split(rest)
            found.append(element)
        return found

    def child(self, index: int, tag: int) -> Element:
        """Return the element at `index`. Raises `ValueError` if there is none, or it has another tag."""
        children = self.children()
        if index >= len(children) or children[index].tag != tag:
            raise ValueError(f"no element of tag {tag:#04x} at place {index}")
        return children[index]

    def integer(self) -> int:
        """Return the value of an INTEGER. Raises `ValueError` for any other tag."""
        if self.tag != INTEGER or not self.content:
            raise ValueError(f"expected an integer, found tag {self.tag:#04x}")
        return int.from_bytes(self.content, "big", signed=True)


def read_der(data: bytes) -> Element:
    """Return the one element that `data` is. Raises `ValueError` if it is not whole, or more follows."""
    element, rest = _split(data)
    if rest:
        raise ValueError(f"{len(rest)} bytes too many")
    return element


def _split(data: bytes) -> tuple[Element, bytes]:
    """Return the first element and what follows it."""
    if len(data) < 2:
        raise ValueError("ends inside a header")
    tag, first = data[0], data[1]
    if tag & 0x1F == 0x1F:
        raise ValueError("has a tag of several bytes, which no time-stamp message does")
    header, length = 2, first
    if first & 0x80:
        num_bytes = first & 0x7F
        # Zero is the indefinite length, which only the basic encoding knows.
        if not 1 <= num_bytes <= 4:
            raise ValueError(f"has a length of {num_bytes} bytes, expected 1 to 4")
        header, length = 2 + num_bytes, int.from_bytes(data[2 : 2 + num_bytes], "big")
    if header + length > len(data):
        raise ValueError(f"announces {length} bytes and has {max(0, len(data) - header)}")
    return Element(tag, data[header : header + length]), data[header + length :]
