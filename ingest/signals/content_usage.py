"""`Content-Usage` of IETF AI Preferences, the exceptions that CC signals add to it, and `Content-Signal`. Pure.

Rules of the draft: of the paths in robots.txt the longest that matches counts, several alike all count, and the most
restrictive statement wins. A category that is not in the protocol list is passed over, as the draft asks; a listed
category with a value other than `y` or `n` is conditional, and so is everything where the field cannot be read.

The draft implies no preferences for paths that may not be crawled. They are read all the same: a denial that was read
too many costs nothing, and an allow clears nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ingest.signals.combine import merged
from ingest.signals.errors import UnreadableError
from ingest.signals.patterns import PathPattern, parse_pattern
from ingest.signals.protocols import Protocol, Reading, protocol_list
from ingest.signals.record import Signal, Source
from ingest.signals.robots import Group
from ingest.signals.structured_fields import Member, parse_dictionary
from ingest.signals.text import bytes_of, quoted

_PATH = re.compile(r"([/*][^ \t]*+)[ \t]*+(.*)", re.DOTALL)
_CC_START = "cc-"


def usage_signals(value: str, source: Source) -> list[Signal]:
    """Return what one `Content-Usage` value says: an AI Preferences signal, a CC signal, or both."""
    protocols = protocol_list()
    aipref, cc_signals = protocols["aipref"], protocols["cc_signals"]
    try:
        members = parse_dictionary(value)
    except UnreadableError as exc:
        return [aipref.unreadable(source, f"{exc}: {quoted(value)}")]
    exceptional = [member for member in members if _exception(member) is not None]
    plain = [member for member in members if _exception(member) is None]
    signals = []
    if plain or not members:
        signals.append(_preferences(aipref, plain, source))
    if exceptional:
        signals.append(_exceptions(aipref, cc_signals, exceptional, source))
    return signals


def _preferences(aipref: Protocol, members: Sequence[Member], source: Source) -> Signal:
    readings: list[Reading] = []
    unknown = []
    for member in members:
        reading = aipref.reading(f"{member.key}={member.value}") if member.value in {"y", "n"} else None
        actions = aipref.subject(member.key)
        if reading is not None:
            readings.append(reading)
        elif actions:
            readings.append(aipref.conditional(actions))
        else:
            unknown.append(member.key)
    detail = ", ".join(f"{member.key}={member.value}" for member in members) or "no preference"
    if unknown:
        detail += f" (not in the protocol list: {', '.join(unknown)})"
    return aipref.signal(source, merged(*readings), detail)


def _exception(member: Member) -> str | None:
    """Return the CC signal that qualifies a preference, if one does."""
    exception = member.parameters.get("exceptions", "").lower()
    return exception if exception.startswith(_CC_START) else None


def _exceptions(aipref: Protocol, cc_signals: Protocol, members: Sequence[Member], source: Source) -> Signal:
    """Return the condition at the category it stands at; at a category we do not know, wherever it might mean."""
    readings = []
    for member in members:
        listed = cc_signals.reading(_exception(member) or "")
        actions = aipref.subject(member.key) or (() if listed is None else tuple(listed))
        readings.append(cc_signals.conditional(actions))
    said = ", ".join(f"{member.key}={member.value};exceptions={_exception(member)}" for member in members)
    return cc_signals.signal(source, merged(*readings), f"{said}: a condition to be met")


def robots_usage_signals(groups: Iterable[Group], path: str, source: Source) -> list[Signal]:
    """Return what the `Content-Usage` lines of `groups` say of `path`."""
    values = [_path_and_value(line) for group in groups for line in group.usages]
    signals = []
    for value in _most_specific(values, path):
        part = source.narrowed(source.carrier, bytes_of(value))
        signals += usage_signals(value, part)
    return signals


def robots_content_signals(groups: Iterable[Group], path: str, source: Source) -> list[Signal]:
    """Return what the `Content-Signal` lines of `groups` say of `path`."""
    protocol = protocol_list()["content_signals"]
    values = [_path_and_value(line) for group in groups for line in group.content_signals]
    return [_content_signal(protocol, value, source) for value in _most_specific(values, path)]


def _content_signal(protocol: Protocol, value: str, source: Source) -> Signal:
    part = source.narrowed(source.carrier, bytes_of(value))
    readings: list[Reading] = []
    for pair in value.split(","):
        key, _, choice = (text.strip().lower() for text in pair.partition("="))
        reading = protocol.reading(f"{key}={choice}")
        actions = protocol.subject(key)
        if reading is None and not actions and not choice:
            return protocol.unreadable(part, f"not a list of key=value: {quoted(value)}")
        if reading is not None:
            readings.append(reading)
        elif actions:
            readings.append(protocol.conditional(actions))
    return protocol.signal(part, merged(*readings), quoted(value))


def _path_and_value(line: str) -> tuple[PathPattern, str]:
    """Split a line; without a path, as CC signals and Content-Signal are published, it is about everything."""
    match = _PATH.fullmatch(line)
    return (parse_pattern("/"), line) if match is None else (parse_pattern(match[1]), match[2])


def _most_specific(values: Sequence[tuple[PathPattern, str]], path: str) -> list[str]:
    matching = [(pattern, value) for pattern, value in values if pattern.matches(path)]
    longest = max((pattern.num_octets for pattern, _ in matching), default=0)
    return [value for pattern, value in matching if pattern.num_octets == longest]
