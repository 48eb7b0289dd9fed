"""Signing finished weights: the one thing at the end of a run that may need the network.

A time-stamp authority is on it, and so may be the program that holds the key. Knows no tensors, so that a process
that only signs is small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.project import Project
from governance.credentials.engine import ingredient_from_sidecar, sign_sidecar
from governance.manifests.manifest import (
    MODEL_MEDIA_TYPE,
    SNAPSHOT_DATA_TYPES,
    SNAPSHOT_INGREDIENT,
    SNAPSHOT_MEDIA_TYPE,
)
from governance.signing.signers import load_project_identity, load_project_trust


@dataclass(frozen=True, kw_only=True)
class WeightsToSign:
    """Weights, what is to be said of them, and the snapshot they come from. Plain values, so that it can be sent."""

    manifest: Mapping[str, Any]
    weights: Path
    sidecar: Path
    snapshot_name: str
    document: Path
    document_sidecar: Path


def sign_weights(project: Project, request: WeightsToSign) -> None:
    """Sign the weights with the snapshot as ingredient, as `governance.credentials.engine.sign_sidecar` does.

    Raises `SigningError` or `VerificationError`, and `ConfigError` if keys or trust anchors cannot be used.
    """
    trust = load_project_trust(project)
    snapshot = ingredient_from_sidecar(
        request.document,
        request.document_sidecar,
        title=request.snapshot_name,
        label=SNAPSHOT_INGREDIENT,
        data_types=SNAPSHOT_DATA_TYPES,
        media_type=SNAPSHOT_MEDIA_TYPE,
        trust=trust,
    )
    sign_sidecar(
        request.manifest,
        request.weights,
        request.sidecar,
        media_type=MODEL_MEDIA_TYPE,
        identity=load_project_identity(project),
        trust=trust,
        ingredients=(snapshot,),
    )
