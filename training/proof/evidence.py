"""What a run left behind, found for an audit: its folder, its snapshot, its model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519

from db import artefacts
from db.errors import ConfigError
from db.project import Project
from db.records import ModelRecord
from governance.signing.keys import load_permit_public_key
from training.errors import ProofError, TrainingConfigError
from training.licensed_run import WEIGHTS_NAME, model_folder
from training.papers.model_signature import KEY_NAME
from training.proof.intent import INTENT_NAME, RunIntent, read_intent
from training.proof.ledger import HEADS_NAME, LEDGER_NAME
from training.recipes import read_config
from training.settings import RunConfig


@dataclass(frozen=True, kw_only=True)
class RunEvidence:
    """A run whose intent is signed; the rest is for the checks to judge."""

    run_id: str
    folder: Path
    key: ed25519.Ed25519PublicKey
    intent: RunIntent
    config: RunConfig
    model: ModelRecord | None
    """`None`: the run has not finished."""
    weights: Path | None

    model_key: Path
    """Public key of OpenSSF signatures; there only once a model was signed with it."""

    @property
    def ledger(self) -> Path:
        """The leaves."""
        return self.folder / LEDGER_NAME

    @property
    def heads(self) -> Path:
        """The signed heads."""
        return self.folder / HEADS_NAME

    @property
    def snapshot_name(self) -> str:
        """The snapshot that the run declared."""
        return str(self.intent.document["snapshot"]["name"])


def find_run(project: Project, name: str) -> RunEvidence:
    """Return the run `name`, which may also be the name of its model.

    Raises `ConfigError` if there is none, `ProofError` if its intent is missing, malformed or not signed by us.
    """
    with project.session() as session:
        models = artefacts.list_models(session)
    model = next((model for model in models if name in {model.name, model.run_id}), None)
    run_id = name if model is None else model.run_id
    folder = project.runs / run_id
    if "/" in run_id or not folder.is_dir():
        known = ", ".join(model.name for model in models) or "none"
        raise ConfigError(
            f"no run is called {name!r}; models: {known}", hint="name a model, or a run as in store/runs"
        )
    key = load_permit_public_key(project.keys)
    intent = read_intent(folder / INTENT_NAME, key)
    return RunEvidence(
        run_id=run_id,
        folder=folder,
        key=key,
        intent=intent,
        config=_config(intent.document, folder),
        model=model,
        weights=None if model is None else model_folder(project, model.name) / WEIGHTS_NAME,
        model_key=project.keys / KEY_NAME,
    )


def _config(document: Mapping[str, Any], folder: Path) -> RunConfig:
    try:
        config = read_config(document["config"])
    except (TrainingConfigError, KeyError, TypeError) as exc:
        raise ProofError(f"{folder / INTENT_NAME}: states no configuration that can be read: {exc}") from exc
    if config.digest != document.get("config_digest"):
        raise ProofError(f"{folder / INTENT_NAME}: the configuration does not have the digest that is stated")
    return config


def read_json(path: Path) -> Mapping[str, Any]:
    """Return a JSON object. Raises `ProofError` if the file holds none."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as exc:
        raise ProofError(f"{path}: cannot be read: {exc}") from exc
    if not isinstance(document, dict):
        raise ProofError(f"{path}: is not a JSON object")
    return document
