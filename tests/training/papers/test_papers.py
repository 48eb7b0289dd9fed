"""The papers of a model: one record, three documents, each as its standard wants it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from db.canonical import sha256_hex
from db.project import open_project
from governance.signing.keys import load_permit_public_key
from tests.training.trained_library import CONFIG
from training.errors import ProofError
from training.licensed_run import model_folder
from training.papers.attestation import open_envelope
from training.papers.card import _cell


@pytest.fixture
def trained(trained_root: Path) -> tuple[Path, ed25519.Ed25519PublicKey]:
    """The folder of a trained model, and the project's public key."""
    project = open_project(trained_root / "project")
    return model_folder(project, "model"), load_permit_public_key(project.keys)


def read(folder: Path, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / name).read_bytes())
    return document


def test_the_attestation_speaks_of_these_weights(trained: tuple[Path, ed25519.Ed25519PublicKey]) -> None:
    folder, key = trained
    envelope = read(folder, "attestation.dsse.json")
    statement = open_envelope(envelope, key, subject="attestation")
    weights = sha256_hex((folder / "model.safetensors").read_bytes())
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert statement["subject"] == [{"name": "model.safetensors", "digest": {"sha256": weights}}]
    definition = statement["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["config"] == CONFIG.to_dict()
    names = [item["name"] for item in definition["resolvedDependencies"]]
    assert names == ["snapshot", "code", "torch", "numpy", "av", "safetensors"]


def test_a_changed_or_foreign_envelope_is_refused(trained: tuple[Path, ed25519.Ed25519PublicKey]) -> None:
    folder, key = trained
    envelope = read(folder, "attestation.dsse.json")
    with pytest.raises(ProofError, match="signature"):
        open_envelope(envelope, ed25519.Ed25519PrivateKey.generate().public_key(), subject="x")
    payload = base64.b64encode(base64.b64decode(envelope["payload"]).replace(b"spring", b"summer")).decode()
    with pytest.raises(ProofError, match="signature"):
        open_envelope({**envelope, "payload": payload}, key, subject="x")
    for broken in ({}, {**envelope, "payload": "?"}, {**envelope, "payloadType": "text/plain"}):
        with pytest.raises(ProofError):
            open_envelope(broken, key, subject="x")


def test_the_bill_is_valid_cyclonedx(trained: tuple[Path, ed25519.Ed25519PublicKey]) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = (trained[0] / "bom.cdx.json").read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_7).validate_str(text) is None
    bill = json.loads(text)
    assert bill["metadata"]["component"]["type"] == "machine-learning-model"
    names = {item["license"]["name"] for item in bill["components"][0]["licenses"]}
    assert names == {"CC0-1.0", "CC-BY-4.0"}


def test_card_and_text_say_the_same(trained: tuple[Path, ed25519.Ed25519PublicKey]) -> None:
    card, text = (
        read(trained[0], "model-card.json"),
        (trained[0] / "model-card.md").read_text(encoding="utf-8"),
    )
    assert card["data"]["num_readings"] == CONFIG.batch_size * CONFIG.num_steps
    for value in (card["weights_sha256"], card["data"]["merkle_root"], card["trained"]["ledger_root"]):
        assert value in text
    assert "may be released commercially" in text
    assert text.count("\n| CC") == len(card["data"]["licenses"])


def test_hostile_names_stay_text() -> None:
    assert _cell("a|b\n<img src=x>") == "a\\|b \\<img src=x\\>"
