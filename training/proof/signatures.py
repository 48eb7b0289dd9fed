"""JSON documents signed with the project's permit key: Ed25519 over the canonical JSON of everything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from db.canonical import canonical_json
from training.errors import ProofError


def signed(content: Mapping[str, Any], key: ed25519.Ed25519PrivateKey) -> dict[str, Any]:
    """Return `content` with its `signature`."""
    return {**content, "signature": key.sign(canonical_json(dict(content))).hex()}


def check_signature(document: Mapping[str, Any], key: ed25519.Ed25519PublicKey, *, subject: str) -> None:
    """Raise `ProofError`, naming `subject`, unless `key` signed the document as it stands."""
    content = {name: value for name, value in document.items() if name != "signature"}
    try:
        key.verify(bytes.fromhex(str(document.get("signature", ""))), canonical_json(content))
    except (InvalidSignature, ValueError) as exc:
        raise ProofError(f"{subject}: its signature does not verify") from exc
