"""The attestation of a model: an in-toto Statement with SLSA provenance, in a signed DSSE envelope.

Formats: in-toto Attestation Framework 1.1 (Statement v1), SLSA 1.1 (provenance v1), DSSE 1.0.2. The names of build
type and builder are URNs of ours, since we own no address to put there.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from db.canonical import canonical_json, digest_of, sha256_hex
from training.errors import ProofError
from training.papers.record import TOOL_VERSION, ModelPaperwork

ATTESTATION_NAME = "attestation.dsse.json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
_BUILD_TYPE = "urn:cleartitle:build-type:licensed-run:1"
_BUILDER = "urn:cleartitle:builder:local"
_LIBRARIES = ("torch", "numpy", "av", "safetensors", "diffusers", "peft", "transformers")


def provenance_statement(papers: ModelPaperwork) -> dict[str, Any]:
    """Return the statement that these weights come from this snapshot, this code and this run."""
    return {
        "_type": _STATEMENT_TYPE,
        "subject": [{"name": "model.safetensors", "digest": {"sha256": papers.weights_sha256}}],
        "predicateType": _PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": _BUILD_TYPE,
                "externalParameters": {
                    "snapshot": papers.intent["snapshot"],
                    "policy": papers.intent["policy"],
                    "purpose": papers.purpose,
                    "config": papers.intent["config"],
                },
                "internalParameters": {
                    "permit": papers.intent["permit"]["permit_id"],
                    "intentSha256": sha256_hex(canonical_json(dict(papers.intent))),
                    "environment": papers.intent["environment"],
                    "network": [dict(claim) for claim in papers.networks],
                },
                "resolvedDependencies": _dependencies(papers),
            },
            "runDetails": {
                "builder": {"id": _BUILDER, "version": {"cleartitle": TOOL_VERSION}},
                "metadata": {
                    "invocationId": papers.run_id,
                    "startedOn": papers.intent["declared_at"],
                    "finishedOn": papers.finished_at,
                },
                "byproducts": [
                    {
                        "name": "ledger",
                        "digest": {"sha256": papers.ledger_root},
                        "annotations": {"leaves": papers.num_leaves, "digestOf": "RFC 6962 Merkle tree"},
                    },
                    {"name": "exposure", "digest": {"sha256": papers.exposure_digest}},
                    {
                        "name": "compute",
                        "digest": {"sha256": digest_of(dict(papers.effort))},
                        "annotations": dict(papers.effort),
                    },
                ],
            },
        },
    }


def _dependencies(papers: ModelPaperwork) -> list[dict[str, Any]]:
    snapshot = {
        "name": "snapshot",
        "uri": papers.intent["snapshot"]["urn"],
        "digest": {"sha256": papers.snapshot_document_sha256},
    }
    code = {"name": "code", "digest": {"sha256": papers.intent["code_digest"]}}
    versions: Mapping[str, str] = papers.intent["environment"]
    base = (
        []
        if papers.base is None
        else [
            {
                "name": "base-model",
                "uri": f"urn:cleartitle:base-model:{papers.base['digest']}",
                "digest": {"sha256": papers.base["digest"]},
                "annotations": dict(papers.base),
            }
        ]
    )
    libraries = [
        {"name": name, "uri": f"pkg:pypi/{name}@{versions[name]}"} for name in _LIBRARIES if name in versions
    ]
    return [snapshot, code, *base, *libraries]


def seal_envelope(statement: Mapping[str, Any], key: ed25519.Ed25519PrivateKey) -> dict[str, Any]:
    """Return the statement in a DSSE envelope."""
    payload = canonical_json(dict(statement))
    signature = key.sign(_pre_authentication(payload))
    return {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": key_id(key.public_key()), "sig": base64.b64encode(signature).decode()}],
    }


def open_envelope(
    envelope: Mapping[str, Any], key: ed25519.Ed25519PublicKey, *, subject: str
) -> dict[str, Any]:
    """Return the statement in an envelope that `key` signed. Raises `ProofError`, naming `subject`."""
    try:
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = [base64.b64decode(item["sig"], validate=True) for item in envelope["signatures"]]
        statement = json.loads(payload)
    except (KeyError, TypeError, ValueError, binascii.Error) as exc:
        raise ProofError(f"{subject}: is no DSSE envelope: {exc}") from exc
    if envelope.get("payloadType") != PAYLOAD_TYPE or not isinstance(statement, dict):
        raise ProofError(f"{subject}: holds no in-toto statement")
    if not any(_is_signed(signature, payload, key) for signature in signatures):
        raise ProofError(f"{subject}: its signature does not verify")
    return statement


def key_id(key: ed25519.Ed25519PublicKey) -> str:
    """Return the SHA-256 of the key as SubjectPublicKeyInfo."""
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return sha256_hex(encoded)


def _is_signed(signature: bytes, payload: bytes, key: ed25519.Ed25519PublicKey) -> bool:
    try:
        key.verify(signature, _pre_authentication(payload))
    except InvalidSignature:
        return False
    return True


def _pre_authentication(payload: bytes) -> bytes:
    """Return what DSSE signs: type and payload, each behind its length."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
