"""Foreign XML: bounded, without document types, entities or anything fetched. The one module that parses XML here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ingest.signals.errors import UnreadableError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_XML_BYTES = 4 << 20
"""Rights documents are some kilobytes; XMP with thumbnails and edit histories reaches megabytes."""
MAX_DEPTH = 64
"""XMP and RSL are nested some ten deep. Readers look through the inside of elements, which must not add up."""
MAX_ELEMENTS = 100_000
"""Readers go through all of them for every property they look for; an edit history has some thousands."""


def parse_xml(raw: bytes) -> Element:
    """Parse one document.

    Raises `UnreadableError` if it is too long, too deep or has too many elements, is not well formed, or declares a
    document type or an entity: those are what entity expansion and external entities need.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    if len(raw) > MAX_XML_BYTES:
        raise UnreadableError(f"the XML has {len(raw)} bytes; more than {MAX_XML_BYTES} are not read")
    try:
        root: Element = fromstring(raw, forbid_dtd=True)
    except DefusedXmlException as exc:
        raise UnreadableError("the XML declares a document type or entities") from exc
    except (ParseError, ValueError, LookupError) as exc:
        raise UnreadableError(f"the XML is not well formed: {exc}") from exc
    if _depth(root) > MAX_DEPTH:
        raise UnreadableError(f"the XML is nested more than {MAX_DEPTH} deep")
    if sum(1 for _ in root.iter()) > MAX_ELEMENTS:
        raise UnreadableError(f"the XML has more than {MAX_ELEMENTS} elements")
    return root


def _depth(root: Element) -> int:
    """Return how deep elements are nested, counted without recursion and no further than needed."""
    levels: list[Iterator[Element]] = [iter((root,))]
    deepest = 0
    while levels and deepest <= MAX_DEPTH:
        element = next(levels[-1], None)
        if element is None:
            levels.pop()
        else:
            deepest = max(deepest, len(levels))
            levels.append(iter(element))
    return deepest


def local_name(tag: object) -> str:
    """Return the name of an element or attribute without its namespace; comments have none."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def namespace(tag: object) -> str:
    """Return the namespace of an element or attribute."""
    return tag[1:].partition("}")[0] if isinstance(tag, str) and tag.startswith("{") else ""


def words(element: Element) -> Iterator[str]:
    """Yield the texts within `element` that are not blank."""
    for text in element.itertext():
        if stripped := text.strip():
            yield stripped
