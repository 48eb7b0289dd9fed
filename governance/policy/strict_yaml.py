"""A small, safe YAML: maps, lists, texts, whole and decimal numbers, true, false, null, and nothing else.

Policies are read by lawyers and written by many hands, so the file must mean what it seems to mean: no
anchors, aliases or tags (they can also explode or run code), no repeated keys, one document. Unlike YAML 1.1,
`no`, `yes` and `on` are texts: `commercial_use: no` and the country code `NO` stay what they look like (YAML
1.2.2, chapter 10.2).
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from governance.errors import PolicyError

MAX_BYTES = 256 * 1024
_MAX_DEPTH = 12
_INT = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)
_FLOAT = re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,17}", re.ASCII)
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


def load_strict_yaml(data: bytes, source: str) -> Any:
    """Return the value of the one document in `data`; `source` names the file in messages.

    Raises `PolicyError` with file and line for anything outside the subset above.
    """
    if len(data) > MAX_BYTES:
        raise PolicyError(f"{source}: the file has {len(data)} bytes, at most {MAX_BYTES} are read")
    try:
        text = data.decode("utf-8-sig")
        _check_events(text, source)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError as exc:
        raise PolicyError(f"{source}: the file is not UTF-8 text: {exc}") from exc
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        raise PolicyError(f"{source}: line {line}: {exc.problem or exc}") from exc
    except yaml.YAMLError as exc:
        raise PolicyError(f"{source}: the file is not YAML: {exc}") from exc
    if root is None:
        raise PolicyError(f"{source}: the file is empty")
    return _value(root, source)


def _check_events(text: str, source: str) -> None:
    """Refuse what the subset leaves out before a single node is built from it."""
    depth = num_documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        num_documents += isinstance(event, DocumentStartEvent)
        depth += isinstance(event, MappingStartEvent | SequenceStartEvent)
        depth -= isinstance(event, MappingEndEvent | SequenceEndEvent)
        if num_documents > 1:
            raise _refusal(event, source, "a second document")
        if depth > _MAX_DEPTH:
            raise _refusal(event, source, f"nesting deeper than {_MAX_DEPTH}")
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _refusal(event, source, "an anchor or alias (& or *)")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise _refusal(event, source, f"a tag ({tag})")


def _refusal(event: Event, source: str, what: str) -> PolicyError:
    line = event.start_mark.line + 1 if event.start_mark else 1
    hint = "put a text that begins with & * or ! in quotes"
    return PolicyError(f"{source}: line {line}: {what} is not allowed here", hint=hint)


def _value(node: yaml.Node, source: str) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return node.value if node.style else _plain_scalar(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, source) for item in node.value]
    return _mapping(node, source)


def _mapping(node: yaml.Node, source: str) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key, value in node.value:
        place = f"{source}: line {key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise PolicyError(f"{place}: a key must be a text")
        if key.value in mapping:
            raise PolicyError(f"{place}: the key {key.value!r} stands here twice")
        mapping[key.value] = _value(value, source)
    return mapping


def _plain_scalar(text: str) -> Any:
    """Resolve an unquoted scalar by the core schema of YAML 1.2, less its exotic numbers."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
