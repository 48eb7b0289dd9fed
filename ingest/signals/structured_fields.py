"""Dictionaries of HTTP structured fields (RFC 9651, 3.2), as `Content-Usage` writes them. Pure.

It differs from the RFC in one respect: a key that stands twice keeps both of its values, where the RFC lets the last
one win, so that a second line can add a restriction but never lift one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ingest.signals.errors import UnreadableError

MAX_FIELD_CHARACTERS = 16 << 10

_KEY = re.compile(r"[a-z*][a-z0-9_.*-]*+")
_ITEM = re.compile(
    r"""(?P<token>[A-Za-z*][A-Za-z0-9!\#$%&'*+.^_`|~:/-]*+)"""
    r"""|"(?P<string>(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*+)\""""
    r"""|(?P<other>-?+[0-9]{1,15}(?:\.[0-9]{1,3})?+|\?[01]|:[A-Za-z0-9+/=]*+:|@-?+[0-9]{1,15})"""
)
_SPACES = re.compile(r"[ ]*+")
_BLANKS = re.compile(r"[ \t]*+")


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a dictionary."""

    key: str
    value: str
    """A token or a string as text; a key alone is `?1`; other items as written."""
    parameters: Mapping[str, str]


def parse_dictionary(text: str) -> list[Member]:
    """Read a dictionary whose members are items.

    Raises `UnreadableError` if it is too long or not one. Inner lists are not understood.
    """
    if len(text) > MAX_FIELD_CHARACTERS:
        raise UnreadableError(
            f"the field has {len(text)} characters; more than {MAX_FIELD_CHARACTERS} are not read"
        )
    text = text.strip(" ")
    members: list[Member] = []
    position = 0
    while position < len(text):
        member, position = _member(text, position)
        members.append(member)
        position = _end(_BLANKS, text, position)
        if position == len(text):
            break
        if text[position] != ",":
            raise UnreadableError(f"a comma is missing at character {position + 1} of the field")
        position = _end(_BLANKS, text, position + 1)
        if position == len(text):
            raise UnreadableError("the field ends in a comma")
    return members


def _member(text: str, position: int) -> tuple[Member, int]:
    key, position = _key(text, position)
    value = "?1"
    if text.startswith("=", position):
        value, position = _item(text, position + 1)
    parameters: dict[str, str] = {}
    while text.startswith(";", position):
        name, position = _key(text, _end(_SPACES, text, position + 1))
        parameters[name] = "?1"
        if text.startswith("=", position):
            parameters[name], position = _item(text, position + 1)
    return Member(key, value, parameters), position


def _key(text: str, position: int) -> tuple[str, int]:
    match = _KEY.match(text, position)
    if match is None:
        raise UnreadableError(f"there is no key at character {position + 1} of the field")
    return match[0], match.end()


def _item(text: str, position: int) -> tuple[str, int]:
    match = _ITEM.match(text, position)
    if match is None:
        raise UnreadableError(f"there is no value at character {position + 1} of the field")
    value = match["token"] or match["other"]
    if value is None:
        value = re.sub(r"\\(.)", r"\1", match["string"])
    return value, match.end()


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return position if match is None else match.end()
