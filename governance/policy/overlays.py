"""Overlays: a policy that clears, combined with others that only hold and exclude.

A combined policy is called `BASE+OVERLAY+OVERLAY`, the overlays in order of name, so that each combination has one
name. Its text is canonical JSON (RFC 8785) of the form

    {"format": "cleartitle.combined-policy/1", "parts": [{"digest": ..., "name": ..., "text": ...}, ...]}

with the files of the base and then of the overlays, whole. Its digest is that of this text, and so covers the digest
of every part. What was combined is read back from the text alone (`read_policy_text`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from db.canonical import canonical_json, sha256_hex
from governance.errors import PolicyError
from governance.policy.policy import Policy
from governance.policy.reading import MAX_VERSION, parse_policy

FORMAT = "cleartitle.combined-policy/1"
SEPARATOR = "+"
MAX_COMBINED_NAME = 128
_START = b'{"format":"cleartitle.combined-policy/'


def combined_name(base: str, overlays: Sequence[str]) -> str:
    """Return the name of a combination; without overlays it is that of the base."""
    return SEPARATOR.join((base, *sorted(overlays)))


def combine(base: Policy, overlays: Sequence[Policy]) -> Policy:
    """Return `base` with the rules of `overlays` added, called `OVERLAY/RULE`. Without overlays, return `base`.

    The result clears nothing that the base does not clear, and excludes whatever one of them excludes; purpose, use,
    detector and whether it is promotable are those of the base. Raises `PolicyError` for an overlay in place of the
    base, a policy that clears in place of an overlay, or an overlay that is named twice.
    """
    _check_parts(base, overlays)
    if not overlays:
        return base
    ordered = sorted(overlays, key=lambda overlay: overlay.name)
    parts = (base, *ordered)
    text = _combined_text(parts)
    digest = sha256_hex(text)
    added = [replace(rule, id=f"{overlay.name}/{rule.id}") for overlay in ordered for rule in overlay.rules]
    return replace(
        base,
        name=_name(parts),
        version=_version(parts, digest),
        title=", with ".join(part.title for part in parts),
        about="\n\n".join(part.about for part in parts if part.about),
        rules=(*base.rules, *added),
        digest=digest,
        text=text.decode("utf-8"),
        source=" + ".join(part.source for part in parts),
        parts=parts,
    )


def read_policy_text(text: str, source: str) -> Policy:
    """Read a policy from the text that a snapshot holds: that of its file, or that of a combination.

    Raises `PolicyError` if it is neither, or if a part has not the digest that it is named by.
    """
    data = text.encode("utf-8")
    if not data.startswith(_START):
        return parse_policy(data, source)
    try:
        parts = [_read_part(part, source) for part in _parts(json.loads(data), source)]
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as exc:
        raise PolicyError(f"{source}: the combined policy is malformed: {type(exc).__name__} {exc}") from exc
    try:
        policy = combine(parts[0], parts[1:])
    except PolicyError as exc:
        raise PolicyError(f"{source}: {exc}", hint=exc.hint) from exc
    if policy.text != text:
        raise PolicyError(f"{source}: the combined policy is not written as this version writes it")
    return policy


def _parts(document: Any, source: str) -> list[Any]:
    if document["format"] != FORMAT:
        raise PolicyError(f"{source}: format is {document['format']!r}, this version reads {FORMAT!r}")
    if len(document["parts"]) < 2:
        raise PolicyError(f"{source}: a combined policy has at least two parts")
    return list(document["parts"])


def _read_part(part: Any, source: str) -> Policy:
    policy = parse_policy(part["text"].encode("utf-8"), f"{source}: {part['name']}")
    if (policy.name, policy.digest) != (part["name"], part["digest"]):
        raise PolicyError(f"{source}: the part {part['name']!r} is not the policy it is named as")
    return policy


def _check_parts(base: Policy, overlays: Sequence[Policy]) -> None:
    if base.parts or any(overlay.parts for overlay in overlays):
        raise PolicyError("a combined policy cannot be combined again", hint="name all overlays at once")
    for overlay in overlays:
        if not overlay.is_overlay:
            raise PolicyError(
                f"{overlay.name} is no overlay, so it cannot be combined with {base.name}",
                hint="an overlay has the line 'kind: overlay' and no rule that clears",
            )
    if overlays and base.is_overlay:
        raise PolicyError(
            f"{base.name} is an overlay, and the first of a combination must be a policy that clears",
            hint=f"put a policy first, as in commercial-training{SEPARATOR}{base.name}",
        )
    names = [overlay.name for overlay in overlays]
    if len(set(names)) < len(names):
        raise PolicyError(f"{base.name}: an overlay is named twice: {', '.join(sorted(names))}")


def _combined_text(parts: Sequence[Policy]) -> bytes:
    return canonical_json(
        {
            "format": FORMAT,
            "parts": [{"name": part.name, "digest": part.digest, "text": part.text} for part in parts],
        }
    )


def _name(parts: Sequence[Policy]) -> str:
    base, *overlays = (part.name for part in parts)
    name = combined_name(base, overlays)
    if len(name) > MAX_COMBINED_NAME:
        raise PolicyError(
            f"{name}: has {len(name)} characters, at most {MAX_COMBINED_NAME} are allowed",
            hint="write the rules of some overlays into one file",
        )
    return name


def _version(parts: Sequence[Policy], digest: str) -> str:
    joined = SEPARATOR.join(part.version for part in parts)
    return joined if len(joined) <= MAX_VERSION else f"sha256:{digest[:16]}"
