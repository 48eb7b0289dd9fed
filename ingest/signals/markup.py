"""What the head of a web page says in tags: `meta`, `link`, and RSL documents between `script` tags. Pure.

A scanner of its own, because the standard library's parser takes quadratic time for comments that never end. This
one visits every character a bounded number of times. Comments, scripts, styles and titles are passed over as
browsers do; elsewhere a tag counts wherever it stands, since a reservation outside of `head` is one as well.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

_OPENING = re.compile(r"<(?=[a-z!])", re.IGNORECASE)
_NAME = re.compile(r"[a-z][^\s/>]*+", re.IGNORECASE)
# Possessive throughout: a failed attempt must not be tried in other ways.
_GAP = re.compile(r"[\s/]*+")
_ATTRIBUTE = re.compile(
    r"""([^\s=>/"'][^\s=>/]*+)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>"'][^\s>]*+|["'][^\s>]*+)))?+"""
)
_RAW_TEXT = frozenset({"script", "style", "title", "textarea", "noembed", "iframe", "xmp", "plaintext"})
_WANTED = frozenset({"meta", "link", "script"})
RSL_TYPE = "application/rsl+xml"


@dataclass(frozen=True, slots=True)
class Link:
    """A `link` element or a `Link` header."""

    relations: frozenset[str]
    href: str
    media_type: str


@dataclass(slots=True)
class Page:
    """What a page says in tags, in its order."""

    metas: list[tuple[str, str]] = field(default_factory=list)
    """Name (or property) in lower case, and content."""
    links: list[Link] = field(default_factory=list)
    rsl_documents: list[str] = field(default_factory=list)

    def meta(self, name: str) -> list[str]:
        """Return the contents of every `meta` called `name`."""
        return [content for other, content in self.metas if other == name]


def scan_page(text: str) -> Page:
    """Read the tags of a page."""
    page = Page()
    match = _OPENING.search(text)
    while match is not None:
        match = _OPENING.search(text, _pass_tag(text, match.start(), page))
    return page


def _pass_tag(text: str, start: int, page: Page) -> int:
    """Read the tag, comment or declaration at `start`; return where to go on."""
    if text.startswith("<!--", start):
        end = text.find("-->", start + 4)
        return len(text) if end < 0 else end + 3
    match = _NAME.match(text, start + 1)
    if match is None:
        return start + 1
    name = match[0].lower()
    attributes, end = _attributes(text, match.end())
    content_end = end
    if name in _RAW_TEXT:
        content_end = _raw_text_end(text, name, end)
    if name in _WANTED:
        _keep(name, attributes, text[end:content_end], page)
    return content_end


def _attributes(text: str, position: int) -> tuple[dict[str, str], int]:
    """Return the attributes of a tag, the first of each name, and where the tag ends."""
    attributes: dict[str, str] = {}
    while True:
        gap = _GAP.match(text, position)
        position = position if gap is None else gap.end()
        match = _ATTRIBUTE.match(text, position)
        if match is None:
            break
        value = match[2] if match[2] is not None else match[3] if match[3] is not None else match[4] or ""
        attributes.setdefault(match[1].lower(), value)
        position = match.end()
    if position < len(text) and text[position] != "<":
        position += 1  # The `>` that ends it, or a quotation mark that begins nothing.
    return attributes, position


def _raw_text_end(text: str, name: str, start: int) -> int:
    closing = re.compile(f"</{name}(?=[\\s/>])", re.IGNORECASE).search(text, start)
    return len(text) if closing is None else closing.start()


def _keep(name: str, attributes: dict[str, str], content: str, page: Page) -> None:
    if name == "meta":
        key = attributes.get("name") or attributes.get("property") or attributes.get("http-equiv") or ""
        page.metas.append((html.unescape(key).strip().lower(), html.unescape(attributes.get("content", ""))))
    elif name == "link":
        relations = frozenset(attributes.get("rel", "").lower().split())
        media_type = attributes.get("type", "").split(";")[0].strip().lower()
        page.links.append(Link(relations, html.unescape(attributes.get("href", "")).strip(), media_type))
    elif attributes.get("type", "").strip().lower() == RSL_TYPE:
        page.rsl_documents.append(content)


_LINK_TARGET = re.compile(r"[\s,]*+<([^>]*+)>")
_LINK_PARAMETER = re.compile(
    r"""\s*+;\s*+([a-z*]++)\s*+(?:=\s*+(?:"([^"]*+)"|([^\s;,"]*+)))?+""", re.IGNORECASE
)


def parse_link_header(value: str) -> list[Link]:
    """Read a `Link` header (RFC 8288, section 3) as far as it can be read."""
    links = []
    position = 0
    while (target := _LINK_TARGET.match(value, position)) is not None:
        position = target.end()
        parameters: dict[str, str] = {}
        while (match := _LINK_PARAMETER.match(value, position)) is not None:
            parameters.setdefault(match[1].lower(), match[2] if match[2] is not None else match[3] or "")
            position = match.end()
        media_type = parameters.get("type", "").split(";")[0].strip().lower()
        links.append(
            Link(frozenset(parameters.get("rel", "").lower().split()), target[1].strip(), media_type)
        )
    return links
