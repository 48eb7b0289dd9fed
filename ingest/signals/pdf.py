"""The TDM reservation in the XMP of a PDF. Metadata streams are stored plain, so the packet is found by its tags."""

from __future__ import annotations

from ingest.signals.errors import UnreadableError
from ingest.signals.record import Source
from ingest.signals.safe_xml import parse_xml
from ingest.signals.tdmrep import Reservation, reservation_in_xmp, reservation_of_values

_START, _END = b"<x:xmpmeta", b"</x:xmpmeta>"
_MAX_PACKETS = 64


def reservation_in_pdf(source: Source) -> Reservation | None:
    """Return what the XMP packets of a PDF say together; None if none speaks of it.

    Raises `UnreadableError` if a packet cannot be read, or if what the file is encrypted with hides it.
    """
    if not source.raw.startswith(b"%PDF-"):
        raise UnreadableError("it is sent as PDF and is none")
    found = []
    position = 0
    for _ in range(_MAX_PACKETS):
        start = source.raw.find(_START, position)
        if start < 0:
            break
        end = source.raw.find(_END, start)
        if end < 0:
            raise UnreadableError("an XMP packet of the PDF has no end")
        position = end + len(_END)
        reservation = reservation_in_xmp(parse_xml(source.raw[start:position]), source)
        found += [] if reservation is None else [reservation]
    if not found and b"/Encrypt" in source.raw:
        raise UnreadableError("the PDF is encrypted")
    policies = [reservation.policy for reservation in found if reservation.policy]
    return reservation_of_values([reservation.value for reservation in found], policies, source)
