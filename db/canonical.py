"""Canonical JSON (RFC 8785) and the digests taken over it: the one way this project serialises what it signs."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785

from db.errors import ConfigError


def canonical_json(value: Any) -> bytes:
    """Serialise `value` (dicts with text keys, lists, text, int, float, bool, None) as RFC 8785 bytes.

    Raises `ConfigError` for what JSON cannot carry: non-finite floats, integers beyond 2**53, other types.
    """
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as exc:
        raise ConfigError(f"value cannot be written as canonical JSON: {exc}") from exc


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 digest of `data` as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def digest_of(value: Any) -> str:
    """Return the SHA-256 digest of the canonical JSON of `value`."""
    return sha256_hex(canonical_json(value))
