"""The bill of materials of a model: CycloneDX 1.7, with the model card of its own component."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from training.papers.record import TOOL_VERSION, ModelPaperwork

BOM_NAME = "bom.cdx.json"
_LIBRARIES = ("torch", "numpy", "av", "safetensors", "diffusers", "peft", "transformers")


def bill_of_materials(papers: ModelPaperwork) -> dict[str, Any]:
    """Return the bill: the model, the snapshot that it was trained on, and the libraries that trained it."""
    model, snapshot = f"model:{papers.weights_sha256}", f"snapshot:{papers.intent['snapshot']['merkle_root']}"
    bases = [] if papers.base is None else [_base(papers.base)]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        # The same weights have the same bill.
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, papers.urn)}",
        "version": 1,
        "metadata": {
            "timestamp": papers.finished_at,
            "tools": {"components": [{"type": "application", "name": "cleartitle", "version": TOOL_VERSION}]},
            "component": _model(papers, model, snapshot),
        },
        "components": [_snapshot(papers, snapshot), *bases, *_libraries(papers)],
        "dependencies": [{"ref": model, "dependsOn": [snapshot, *(base["bom-ref"] for base in bases)]}],
    }


def _model(papers: ModelPaperwork, reference: str, snapshot: str) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": reference,
        "name": papers.name,
        "version": papers.weights_sha256[:12],
        "hashes": [{"alg": "SHA-256", "content": papers.weights_sha256}],
        "modelCard": {
            "modelParameters": {
                "task": "text-to-video",
                "architectureFamily": "diffusion transformer",
                "modelArchitecture": papers.architecture,
                "datasets": [{"ref": snapshot}],
            },
            "quantitativeAnalysis": {
                "performanceMetrics": [{"type": "training loss", "value": f"{papers.final_loss:.6g}"}]
            },
            "considerations": {"useCases": [papers.purpose]},
        },
        "properties": [
            {"name": "cleartitle:run", "value": papers.run_id},
            {"name": "cleartitle:ledger-root", "value": papers.ledger_root},
            {"name": "cleartitle:promotable", "value": str(papers.is_promotable).lower()},
            {"name": "cleartitle:clean", "value": str(papers.is_clean).lower()},
        ],
    }


def _snapshot(papers: ModelPaperwork, reference: str) -> dict[str, Any]:
    totals = papers.totals
    return {
        "type": "data",
        "bom-ref": reference,
        "name": papers.snapshot["name"],
        "version": papers.intent["snapshot"]["merkle_root"][:12],
        "hashes": [{"alg": "SHA-256", "content": papers.snapshot_document_sha256}],
        "licenses": [{"license": {"name": share["license_expression"]}} for share in papers.licenses],
        "data": [
            {
                "type": "dataset",
                "name": papers.snapshot["name"],
                "description": f"{totals['num_clips']} clips of {totals['num_assets']} files, "
                f"{totals['duration_seconds']:.1f} s, cleared under {papers.snapshot['policy']['name']}",
                "classification": "licensed footage",
            }
        ],
    }


def _base(base: Mapping[str, Any]) -> dict[str, Any]:
    """Return the model that was fine-tuned, with its declared status."""
    return {
        "type": "machine-learning-model",
        "bom-ref": f"base-model:{base['digest']}",
        "name": base["name"],
        "version": base["digest"][:12],
        "description": base["attestation"],
        "hashes": [{"alg": "SHA-256", "content": base["files_sha256"]}],
        "licenses": [{"expression": base["license_expression"]}],
        "properties": [
            {"name": "cleartitle:pipeline", "value": base["pipeline"]},
            {"name": "cleartitle:training-data", "value": base["training_data"]},
            {"name": "cleartitle:licence-file", "value": base["license_sha256"]},
        ],
    }


def _libraries(papers: ModelPaperwork) -> list[dict[str, Any]]:
    versions = papers.intent["environment"]
    return [
        {
            "type": "library",
            "name": name,
            "version": versions[name],
            "purl": f"pkg:pypi/{name}@{versions[name]}",
        }
        for name in _LIBRARIES
        if name in versions
    ]
