"""Really Simple Licensing 1.0 (Recommendation of 6 November 2025): what a licence document says of an address.

Sections 3.1.1 to 3.7: every `content` whose `url` matches counts; the narrower scope comes before the broader, per
use; what is both permitted and prohibited is not licensed; where uses are permitted, only those are. In doubt the
narrower reading holds, and a use that a narrow scope does not list while a broad one permits it waits for a person.

A permission is an `allow` only where nothing is asked for it. A price, a licence server, a limit to users or
countries, reporting, or any term not understood makes it conditional. Tokens may be separated by commas, as earlier
documents have it, and both orders of `ai-train` are read.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from db.vocabularies import SignalAction, SignalValue
from ingest.signals.combine import merged, most_restrictive
from ingest.signals.errors import UnreadableError
from ingest.signals.patterns import parse_pattern, path_of
from ingest.signals.protocols import Protocol, Reading, protocol_list
from ingest.signals.record import Signal, Source
from ingest.signals.safe_xml import local_name, namespace, parse_xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_NAMESPACE = "https://rslstandard.org/rsl"
_TOKENS = re.compile(r"[\s,]+")
_MAX_SCOPES = 10_000
_FREE = "free"
# Elements of a licence that ask for nothing.
_PLAIN = frozenset({"permits", "prohibits", "payment", "legal"})


@dataclass(frozen=True, slots=True)
class _Terms:
    """A `license` element."""

    permitted: Reading
    prohibited: Reading
    """`allow` here means that the document names the use, and so prohibits it."""
    lists_uses: bool
    """Whether it permits uses by name, and so no others."""
    asks_nothing: bool
    text: str


@dataclass(frozen=True, slots=True)
class _Scope:
    """A `content` element that covers the address, with its place in the order from narrow to broad."""

    address: str
    num_octets: int
    terms: tuple[_Terms, ...]


def license_signal(source: Source, url: str) -> Signal:
    """Return what the licence document in `source` says of `url`."""
    protocol = protocol_list()["rsl"]
    try:
        scopes = _scopes(protocol, parse_xml(source.raw), url)
    except UnreadableError as exc:
        return protocol.unreadable(source, str(exc))
    if not scopes:
        return protocol.signal(
            source,
            dict.fromkeys(protocol.speaks_of, SignalValue.UNKNOWN),
            "the licence document says nothing of this address",
        )
    reading = {action: _value(scopes, action) for action in protocol.speaks_of}
    said = [f"{scope.address}: {each.text}" for scope in scopes[:8] for each in scope.terms or (_NO_TERMS,)]
    return protocol.signal(source, reading, "; ".join(said))


def is_license_document(raw: bytes) -> bool:
    """Whether `raw` looks like RSL: its namespace or its root element is named near the start."""
    start = raw[:4096]
    return _NAMESPACE.encode() in start or re.search(rb"<rsl[\s>]", start) is not None


def _scopes(protocol: Protocol, root: Element, url: str) -> list[_Scope]:
    """Return the contents that cover `url`, the narrowest first."""
    is_rsl = local_name(root.tag) == "rsl"
    contents = [
        element
        for element in root.iter()
        if local_name(element.tag) == "content" and (is_rsl or namespace(element.tag) == _NAMESPACE)
    ]
    if not contents:
        raise UnreadableError("there is no licence in the document")
    if len(contents) > _MAX_SCOPES:
        raise UnreadableError(
            f"the document has {len(contents)} contents; more than {_MAX_SCOPES} are not read"
        )
    host, path = (urlsplit(url).hostname or "").lower(), path_of(url)
    scopes = []
    for content in contents:
        width = _width(content, host, path)
        if width is not None:
            terms = tuple(_terms(protocol, content, each) for each in _children(content, "license"))
            scopes.append(_Scope(content.get("url") or "(this page)", width, terms))
    return sorted(scopes, key=lambda scope: -scope.num_octets)


def _width(content: Element, host: str, path: str) -> int | None:
    """Return how narrowly a `content` covers `path`, None if not; without address it is about what names it."""
    target = (content.get("url") or "").strip()
    if not target:
        return len(path)
    if "://" in target.partition("?")[0]:
        try:
            other = (urlsplit(target).hostname or "").lower()
        except ValueError as exc:
            raise UnreadableError("the address of a content is not one") from exc
        if other != host:
            return None
        target = f"/{target.partition('://')[2].partition('/')[2]}"
    pattern = parse_pattern(target)
    return pattern.num_octets if pattern.matches(path) else None


def _terms(protocol: Protocol, content: Element, license_: Element) -> _Terms:
    return _Terms(
        permitted=_reading(protocol, license_, "permits"),
        prohibited=_reading(protocol, license_, "prohibits"),
        lists_uses=bool(_usages(license_, "permits")),
        asks_nothing=_asks_nothing(content, license_),
        text=", ".join(
            f"{local_name(each.tag)} {' '.join(''.join(each.itertext()).split()) or each.get('type') or ''}"
            for each in license_
            if local_name(each.tag) in {"permits", "prohibits", "payment"}
        ),
    )


def _usages(license_: Element, kind: str) -> list[Element]:
    return [each for each in _children(license_, kind) if (each.get("type") or "usage") == "usage"]


def _reading(protocol: Protocol, license_: Element, kind: str) -> Reading:
    """Return the actions that the usages of `permits` or `prohibits` name.

    A token that is not understood names all of them, conditionally, where it prohibits, and none where it permits.
    """
    readings: list[Reading] = []
    for element in _usages(license_, kind):
        for token in _TOKENS.split("".join(element.itertext()).strip()):
            reading = protocol.reading(token)
            if reading is not None:
                readings.append(reading)
            elif token and kind == "prohibits":
                readings.append(protocol.conditional())
    return merged(*readings)


def _asks_nothing(content: Element, license_: Element) -> bool:
    """Whether a licence permits without price, server, limits or terms that we do not understand."""
    if content.get("server") or content.get("encrypted", "").lower() == "true":
        return False
    if _children(content, "terms"):
        return False  # Written for people, and not read by any.
    for element in license_:
        name, kind = local_name(element.tag), element.get("type")
        if name not in _PLAIN:
            return False
        if name == "payment" and ((kind or _FREE) != _FREE or len(element)):
            return False
        if name in {"permits", "prohibits"} and (kind or "usage") != "usage":
            return False
    return True


def _children(element: Element, name: str) -> list[Element]:
    return [child for child in element if local_name(child.tag) == name]


def _value(scopes: Sequence[_Scope], action: SignalAction) -> SignalValue:
    """Return what the narrowest scope that speaks of `action` says."""
    is_unlisted = False
    for _, alike in itertools.groupby(scopes, key=lambda scope: scope.num_octets):
        terms = [each for scope in alike for each in scope.terms or (_NO_TERMS,)]
        value = _said(terms, action)
        if value is not None:
            return most_restrictive((value, SignalValue.CONDITIONAL)) if is_unlisted else value
        is_unlisted = is_unlisted or any(each.lists_uses for each in terms)
    return SignalValue.DENY if is_unlisted else SignalValue.UNKNOWN


def _said(terms: Sequence[_Terms], action: SignalAction) -> SignalValue | None:
    """Return what licences of one scope say of `action`; None if they do not speak of it."""
    refusals = [each.prohibited[action] for each in terms if action in each.prohibited]
    if refusals:
        return SignalValue.DENY if SignalValue.ALLOW in refusals else SignalValue.CONDITIONAL
    # Terms without a list of uses are terms for every use.
    asked = [each.asks_nothing for each in terms if action in each.permitted]
    asked += [False for each in terms if not each.lists_uses and not each.asks_nothing]
    if not asked:
        return None
    # Licences are alternatives: one that asks nothing is enough.
    return SignalValue.ALLOW if any(asked) else SignalValue.CONDITIONAL


_NO_TERMS = _Terms(permitted={}, prohibited={}, lists_uses=False, asks_nothing=False, text="no terms")
"""Of a content without licence, which 1.0 does not allow: terms that stand elsewhere, or a slip."""
