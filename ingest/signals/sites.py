"""What a site says of one address, from captures of it: every protocol and carrier that a site has.

What was not captured says nothing. What was captured and cannot be read is reported for every protocol that it could
have carried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from ingest.signals.captures import Capture, Captures, normal_url
from ingest.signals.content_usage import robots_content_signals, robots_usage_signals, usage_signals
from ingest.signals.errors import CaptureError, UnreadableError
from ingest.signals.markup import RSL_TYPE, Link, Page, parse_link_header, scan_page
from ingest.signals.noai import ai_txt_signal, noai_signal
from ingest.signals.patterns import path_of
from ingest.signals.pdf import reservation_in_pdf
from ingest.signals.protocols import protocol_list
from ingest.signals.record import Signal, Source, numbered
from ingest.signals.robots import fetch_signal, parse_robots
from ingest.signals.rsl import is_license_document, license_signal
from ingest.signals.tdmrep import (
    Reservation,
    effective_signal,
    policy_address,
    reservation_in_epub,
    reservation_in_file,
    reservation_of_values,
)
from ingest.signals.text import bytes_of, quoted, text_of

PRODUCT_TOKEN = "cleartitle"
_PAGE_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_DOCUMENTS: dict[str, Callable[[Source], Reservation | None]] = {
    "application/pdf": reservation_in_pdf,
    "application/epub+zip": reservation_in_epub,
}
_ROBOTS_PROTOCOLS = ("aipref", "content_signals", "rsl")
_PAGE_PROTOCOLS = ("tdmrep", "noai", "rsl")
_SERVER_ERRORS = frozenset({429, *range(500, 600)})
_ABSENT, _UNREACHABLE = "absent", "the server could not send it"
_MAX_LICENSES = 64


def signals_for(url: str, captures: Captures, *, product_token: str = PRODUCT_TOKEN) -> list[Signal]:
    """Return what the captures say of `url`, in a fixed order.

    Where it was redirected, every site on the way is asked about the address that it had there.

    Raises `CaptureError` if `url` is not an http or https address.
    """
    try:
        address = normal_url(url)
    except UnreadableError as exc:
        raise CaptureError(str(exc), hint="give the whole address, as https://example.com/clip.mp4") from exc
    passed, why = captures.chain(address)
    hops = [_SiteReading(each.url, each, captures, product_token) for each in passed]
    readings = hops or [_SiteReading(address, None, captures, product_token)]
    said = [signal for reading in readings for signal in reading.signals()]
    if why:
        said += readings[-1].broken_off(why)
    return numbered(said)


@dataclass(frozen=True, slots=True)
class _SiteReading:
    """One reading of a site for one address."""

    url: str
    response: Capture | None
    """What the address itself answered; None if that was not captured."""
    captures: Captures
    product_token: str

    def signals(self) -> Iterator[Signal]:
        """Yield the signals: of robots.txt, of the response and its body, of the other files of the site."""
        robots_licenses: list[str] = []
        yield from self._robots(robots_licenses)
        reservations: list[Reservation] = []
        yield from self._tdmrep_file(reservations)
        links: list[Link] = []
        page = Page()
        if self.response is not None:
            yield from self._headers(self.response, reservations, links)
            yield from self._content(self.response, page, reservations)
        yield from self._tdmrep(reservations)
        yield from self._licenses(robots_licenses, links + page.links)
        yield from self._ai_txt()

    def broken_off(self, why: str) -> list[Signal]:
        """Return the signals of a response that was not captured although its address was asked for."""
        return list(self._unreadable(_PAGE_PROTOCOLS, "response", why, self.response))

    def _address(self, path: str) -> str:
        """Return the address that `path`, or whatever a site names in its place, means here."""
        return _joined(self.url, path)

    def _source(self, carrier: str, raw: bytes, capture: Capture | None = None) -> Source:
        return Source(
            carrier=carrier,
            raw=raw,
            captured_at=None if capture is None else capture.fetched_at,
            declaring_party=f"server {urlsplit(self.url).hostname}",
        )

    def _unreadable(
        self, protocols: Iterable[str], carrier: str, why: object, capture: Capture | None = None
    ) -> Iterator[Signal]:
        for name in protocols:
            yield protocol_list()[name].unreadable(self._source(carrier, b"", capture), str(why))

    def _file(self, path: str) -> tuple[Source, str]:
        """Return a file of the site and an empty text, or why there is none: `_ABSENT`, `_UNREACHABLE`, other words."""
        source = self._source(path.removeprefix("/"), b"")
        try:
            capture = self.captures.find(self._address(path))
            if capture is None:
                return source, _ABSENT
            source = self._source(source.carrier, b"", capture)
            if capture.status in _SERVER_ERRORS:
                return source, _UNREACHABLE
            if 400 <= capture.status < 500:
                return source, _ABSENT
            if not 200 <= capture.status < 300:
                return source, f"the server answered {capture.status}"
            return self._source(source.carrier, capture.body(), capture), ""
        except UnreadableError as exc:
            return source, str(exc)

    def _robots(self, licenses: list[str]) -> Iterator[Signal]:
        source, why = self._file("/robots.txt")
        if why:
            yield from self._no_robots(source, why)
            return
        robots, path = parse_robots(source.raw), path_of(self.url)
        yield fetch_signal(robots, path, source, self.product_token)
        groups = robots.speaking_to(self.product_token)
        yield from robots_usage_signals(groups, path, source)
        yield from robots_content_signals(groups, path, source)
        licenses += [self._address(line) for group in groups for line in group.licenses if line]
        if robots.is_cut:
            yield from self._unreadable(_ROBOTS_PROTOCOLS, "robots.txt", "too long, and not read to its end")

    def _no_robots(self, source: Source, why: str) -> Iterator[Signal]:
        if why == _ABSENT:
            return
        robots = protocol_list()["robots"]
        if why == _UNREACHABLE:
            yield robots.signal(source, robots.statements["unreachable"], f"{why}: all is disallowed")
        else:
            yield robots.unreadable(source, why)
        for name in _ROBOTS_PROTOCOLS:
            yield protocol_list()[name].unreadable(source, why)

    def _headers(
        self, capture: Capture, reservations: list[Reservation], links: list[Link]
    ) -> Iterator[Signal]:
        """Read the headers of the response; a preference that stands twice is read twice."""
        for value in capture.headers.get("content-usage", ()):
            yield from usage_signals(value, self._source("header Content-Usage", bytes_of(value), capture))
        tags = capture.headers.get("x-robots-tag", ())
        refusal = noai_signal(tags, self._source("header X-Robots-Tag", bytes_of("\n".join(tags)), capture))
        if refusal is not None:
            yield refusal
        values, policies = (capture.headers.get(name, ()) for name in ("tdm-reservation", "tdm-policy"))
        source = self._source("header tdm-reservation", bytes_of("\n".join(values)), capture)
        found = reservation_of_values(values, policies, source)
        reservations += [] if found is None else [found]
        for value in capture.headers.get("link", ()):
            links += parse_link_header(value)

    def _content(self, capture: Capture, page: Page, reservations: list[Reservation]) -> Iterator[Signal]:
        """Read the body, if it is of a kind that can say something; `page` is filled with the tags of a web page."""
        media_type = capture.media_type
        reader = _DOCUMENTS.get(media_type)
        if media_type and media_type not in _PAGE_TYPES and reader is None:
            return
        try:
            raw = capture.body()
            if reader is not None:
                found = reader(self._source(media_type.rpartition("/")[2], raw, capture))
                reservations += [] if found is None else [found]
        except UnreadableError as exc:
            yield from self._unreadable(
                _PAGE_PROTOCOLS if reader is None else ("tdmrep",), "body", exc, capture
            )
            return
        if capture.is_cut:
            names = _PAGE_PROTOCOLS if reader is None else ("tdmrep",)
            yield from self._unreadable(names, "body", "too long, and not read to its end", capture)
        if reader is None:
            yield from self._page(scan_page(text_of(raw)), raw, capture, page, reservations)

    def _page(
        self, found: Page, raw: bytes, capture: Capture, page: Page, reservations: list[Reservation]
    ) -> Iterator[Signal]:
        page.links += found.links
        metas = found.meta("robots") + found.meta(self.product_token.lower())
        refusal = noai_signal(metas, self._source("HTML meta robots", raw, capture))
        if refusal is not None:
            yield refusal
        source = self._source("HTML meta tdm-reservation", raw, capture)
        reserved = reservation_of_values(found.meta("tdm-reservation"), found.meta("tdm-policy"), source)
        reservations += [] if reserved is None else [reserved]
        for document in found.rsl_documents[:_MAX_LICENSES]:
            inline = bytes_of(document.strip())
            yield license_signal(self._source("inline RSL", inline, capture), self.url)

    def _tdmrep_file(self, reservations: list[Reservation]) -> Iterator[Signal]:
        source, why = self._file("/.well-known/tdmrep.json")
        if why:
            if why != _ABSENT:
                yield protocol_list()["tdmrep"].unreadable(source, why)
            return
        try:
            found = reservation_in_file(source, path_of(self.url))
        except UnreadableError as exc:
            yield protocol_list()["tdmrep"].unreadable(source, str(exc))
            return
        reservations += [] if found is None else [found]

    def _tdmrep(self, reservations: Sequence[Reservation]) -> Iterator[Signal]:
        """Yield the reservation in force, and its policy where that was captured."""
        effective = effective_signal(reservations)
        if effective is None:
            return
        yield effective
        address = policy_address(reservations)
        protocol = protocol_list()["tdmrep"]
        if not address:
            return
        try:
            capture = self.captures.find(self._address(address))
            raw = b"" if capture is None else capture.body()
        except UnreadableError:
            return  # It is named by the reservation itself, which denies.
        if capture is not None and raw:
            source = self._source("tdm-policy", raw, capture)
            detail = f"policy {quoted(address, 200)}: how permission may be had"
            yield protocol.signal(source, protocol.statements["policy"], detail)

    def _licenses(self, robots_licenses: Sequence[str], links: Sequence[Link]) -> Iterator[Signal]:
        """Yield what every RSL document that the site names says; each document once."""
        protocol = protocol_list()["rsl"]
        named = dict.fromkeys(robots_licenses, True)
        for link in links:
            if "license" in link.relations and link.href:
                address = self._address(link.href)
                named[address] = named.get(address, False) or link.media_type == RSL_TYPE
        for address, is_rsl in list(named.items())[:_MAX_LICENSES]:
            source = self._source(f"RSL {address[:160]}", b"")
            try:
                capture = self.captures.find(address)
                raw = b"" if capture is None else capture.body()
            except UnreadableError as exc:
                if is_rsl:
                    yield protocol.unreadable(source, f"the licence that is named cannot be read: {exc}")
                continue
            if is_rsl and (capture is None or not 200 <= capture.status < 300):
                yield protocol.unreadable(source, "the licence that is named was not captured")
            elif capture is not None and (is_rsl or is_license_document(raw)):
                yield license_signal(self._source(source.carrier, raw, capture), self.url)
        if len(named) > _MAX_LICENSES:
            yield protocol.unreadable(
                self._source("RSL", b""), f"more than {_MAX_LICENSES} licences are named"
            )

    def _ai_txt(self) -> Iterator[Signal]:
        for path in ("/ai.txt", "/.well-known/ai.txt"):
            source, why = self._file(path)
            if not why:
                found = ai_txt_signal(source, path_of(self.url), self.product_token)
                if found is not None:
                    yield found
            elif why != _ABSENT:
                yield protocol_list()["ai_txt"].unreadable(source, why)


def _joined(base: str, reference: str) -> str:
    """Return the address that `reference` means on the page `base`; what cannot be joined stays as it is."""
    try:
        return urljoin(base, reference)
    except ValueError:
        return reference
