"""Rights in an XMP packet (ISO 16684-1): PLUS Data Mining, constraints, TDM reservations, words about AI.

Data Mining is read in every form in which it is written: an attribute, an element, an `rdf:resource`, the address of
the vocabulary or its last part alone, and under whatever prefix. A value that is not in the vocabulary is conditional.
"""

from __future__ import annotations

import codecs
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ingest.signals.combine import merged
from ingest.signals.errors import UnreadableError
from ingest.signals.free_text import text_signal
from ingest.signals.protocols import Reading, protocol_list
from ingest.signals.record import Signal, Source
from ingest.signals.safe_xml import local_name, namespace, parse_xml, words
from ingest.signals.tdmrep import effective_signal, reservation_in_xmp
from ingest.signals.text import quoted

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_POINTED_AT = ("OtherConstraints", "EmbdEncRightsExpr", "LinkedEncRightsExpr")
_HOLDER = ("CopyrightOwnerName", "Owner", "creator")
# Fields in which people write terms; a title or a list of keywords is about the picture.
_WORDED = (
    "rights",
    "description",
    "UsageTerms",
    "Instructions",
    "OtherConstraints",
    "TermsAndConditionsText",
)
_PADDING = b"\x00 \t\r\n"
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"<\x00", b"\x00<")
_MAX_VALUES = 1000


def packet_signals(source: Source) -> list[Signal]:
    """Return what the XMP packet in `source` says; nothing if it says nothing about rights in data."""
    try:
        root = parse_xml(_unpadded(source.raw))
    except UnreadableError as exc:
        return [protocol_list()["plus"].unreadable(source, f"XMP cannot be read: {exc}")]
    source = dataclasses.replace(source, declaring_party=_holder(root) or source.declaring_party)
    reservation = reservation_in_xmp(root, source)
    found = (
        _data_mining(root, source),
        None if reservation is None else effective_signal([reservation]),
        text_signal([f"{name} {text}" for name in _WORDED for text in property_values(root, name)], source),
    )
    return [signal for signal in found if signal is not None]


def _unpadded(raw: bytes) -> bytes:
    """Return a packet without the padding around it; in UTF-16, zero bytes are halves of letters."""
    return raw if raw.startswith(_WIDE) else raw.strip(_PADDING)


def mining_reading(value: str) -> Reading:
    """Return what a value of PLUS Data Mining means; one that is not in the vocabulary is conditional."""
    protocol = protocol_list()["plus"]
    term = value.strip().rstrip("/").replace("#", "/").rpartition("/")[2].lower()
    reading = protocol.reading(term) if term.startswith("dmi-") else None
    return protocol.conditional() if reading is None else reading


def _data_mining(root: Element, source: Source) -> Signal | None:
    protocol = protocol_list()["plus"]
    readings: list[Reading] = []
    said = []
    for value in property_values(root, "DataMining"):
        readings.append(mining_reading(value))
        said.append(f"DataMining {quoted(value)}")
    if not said and any(local_name(element.tag) == "DataMining" for element in root.iter()):
        readings.append(protocol.conditional())
        said.append("DataMining without a value")
    for name in _POINTED_AT:
        for value in property_values(root, name)[:1]:
            readings.append(protocol.statements[name.lower()])
            said.append(f"{name} {quoted(value)}")
    return protocol.signal(source, merged(*readings), "; ".join(said)) if readings else None


def _holder(root: Element) -> str:
    return next((value for name in _HOLDER for value in property_values(root, name)), "")


def property_values(root: Element, name: str) -> list[str]:
    """Return every value of the property called `name`, whatever its namespace; blank ones are left out."""
    values: list[str] = []
    for element in root.iter():
        values += [
            value.strip()
            for key, value in element.attrib.items()
            if local_name(key) == name and value.strip()
        ]
        if local_name(element.tag) == name and namespace(element.tag) != _RDF:
            values += _element_values(element)
        if len(values) > _MAX_VALUES:
            break
    return values


def _element_values(element: Element) -> Sequence[str]:
    resource = element.get(f"{{{_RDF}}}resource")
    nested = [item.get(f"{{{_RDF}}}resource") for item in element.iter(f"{{{_RDF}}}li")]
    return [*words(element), *(value.strip() for value in (resource, *nested) if value and value.strip())]
