"""Writing the papers of a model beside its weights."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519

from db.canonical import canonical_json
from db.files import write_durably
from training.papers.attestation import ATTESTATION_NAME, provenance_statement, seal_envelope
from training.papers.bom import BOM_NAME, bill_of_materials
from training.papers.card import CARD_NAME, CARD_TEXT_NAME, card_text, model_card
from training.papers.record import ModelPaperwork


def write_papers(folder: Path, papers: ModelPaperwork, key: ed25519.Ed25519PrivateKey) -> None:
    """Write attestation, model card and bill of materials; `key` signs the attestation."""
    envelope = seal_envelope(provenance_statement(papers), key)
    write_durably(folder / ATTESTATION_NAME, canonical_json(envelope))
    write_durably(folder / BOM_NAME, canonical_json(bill_of_materials(papers)))
    write_durably(folder / CARD_NAME, canonical_json(model_card(papers)))
    write_durably(folder / CARD_TEXT_NAME, card_text(papers).encode())
