"""robots.txt (RFC 9309): which group speaks to us, and whether it lets us fetch an address.

Also the lines that others have added to it: `Content-Usage` (AI Preferences), `Content-Signal` and `License` (RSL),
kept here for their readers. A line outside of every group speaks to everybody.

A parser of its own, because that of others drops those lines; what it does with the rest is the RFC's.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ingest.signals.patterns import PathPattern, parse_pattern
from ingest.signals.protocols import protocol_list
from ingest.signals.record import Signal, Source
from ingest.signals.text import quoted, text_of, whole_lines

MAX_ROBOTS_BYTES = 500 << 10
"""RFC 9309, 2.5: at least 500 KiB must be parsed. What lies beyond is not, and is said to be unread."""

_LINE_ENDS = re.compile(r"\r\n|\r|\n")
_TOKEN = re.compile(r"[a-z_-]++|\*", re.IGNORECASE)
_RULES = ("allow", "disallow", "content-usage", "content-signal")


@dataclass(frozen=True, slots=True)
class Rule:
    """An `Allow` or `Disallow` line."""

    pattern: PathPattern
    is_allowed: bool
    line: str


@dataclass(slots=True)
class Group:
    """Lines that speak to the same crawlers."""

    agents: set[str] = field(default_factory=set)
    rules: list[Rule] = field(default_factory=list)
    usages: list[str] = field(default_factory=list)
    """Values of `Content-Usage`."""
    content_signals: list[str] = field(default_factory=list)
    licenses: list[str] = field(default_factory=list)
    has_lines: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RobotsFile:
    """A parsed robots.txt."""

    groups: tuple[Group, ...]
    everybody: Group
    """Lines before any group; `Allow` and `Disallow` there are void."""
    is_cut: bool
    """Whether it is longer than what was parsed."""
    is_page: bool
    """Whether it is a web page that a server sent in place of a robots.txt."""

    def groups_for(self, product_token: str) -> tuple[Group, ...]:
        """Return the groups of `product_token`, else those of `*` (RFC 9309, 2.2.1); all lines of theirs count."""
        token = product_token.lower()
        own = tuple(group for group in self.groups if token in group.agents)
        return own or tuple(group for group in self.groups if "*" in group.agents)

    def speaking_to(self, product_token: str) -> tuple[Group, ...]:
        """Return the groups of `product_token` and the lines that speak to everybody."""
        return (self.everybody, *self.groups_for(product_token))


@functools.lru_cache(maxsize=16)
def parse_robots(raw: bytes) -> RobotsFile:
    """Parse a robots.txt; lines that are not understood are passed over, as the RFC asks."""
    kept, is_cut = whole_lines(raw, MAX_ROBOTS_BYTES)
    text = text_of(kept)
    everybody = Group()
    groups: list[Group] = []
    for line in _LINE_ENDS.split(text):
        key, colon, value = line.partition("#")[0].partition(":")
        if colon:
            _take_line(key.strip().lower(), value.strip(), line.strip(), groups, everybody)
    return RobotsFile(
        groups=tuple(groups),
        everybody=everybody,
        is_cut=is_cut,
        is_page=text.lstrip()[:15].lower().startswith(("<!doctype", "<html")),
    )


def _take_line(key: str, value: str, line: str, groups: list[Group], everybody: Group) -> None:
    if key == "user-agent":
        if not groups or groups[-1].has_lines:
            groups.append(Group())
        token = _TOKEN.match(value)
        groups[-1].agents.add(value.lower() if token is None else token[0].lower())
        return
    group = groups[-1] if groups else everybody
    if key in _RULES:
        group.has_lines = True
    if key in {"allow", "disallow"}:
        if value:  # An empty Disallow forbids nothing.
            group.rules.append(Rule(parse_pattern(value), key == "allow", line))
    elif key == "content-usage":
        group.usages.append(value)
    elif key == "content-signal":
        group.content_signals.append(value)
    elif key == "license":
        group.licenses.append(value)


def fetch_signal(robots: RobotsFile, path: str, source: Source, product_token: str) -> Signal:
    """Return whether `product_token` may fetch `path`: the longest rule that matches, `Allow` where two are alike."""
    protocol = protocol_list()["robots"]
    if robots.is_page:
        return protocol.unreadable(source, "a web page stands where robots.txt should be")
    rule = _longest([rule for group in robots.groups_for(product_token) for rule in group.rules], path)
    statement = "allow" if rule is None or rule.is_allowed else "disallow"
    reading = protocol.statements[statement]
    said = "no rule for this path" if rule is None else quoted(rule.line)
    if robots.is_cut:
        why = f"longer than {MAX_ROBOTS_BYTES >> 10} KiB, the rest was not read; before that: {said}"
        return protocol.unreadable(source, why, known=reading)
    return protocol.signal(source, reading, f"{said}, for {product_token}")


def _longest(rules: Sequence[Rule], path: str) -> Rule | None:
    if path == "/robots.txt":
        return None  # Section 2.2.2: implicitly allowed.
    matching = [rule for rule in rules if rule.pattern.matches(path)]
    return max(matching, key=lambda rule: (rule.pattern.num_octets, rule.is_allowed), default=None)
