"""Manifest definitions of the three signed artefacts, for C2PA 2.4: frozen statements in, plain dicts out.

Every manifest has exactly one claim generator with `specVersion`, one `c2pa.actions.v2` assertion in the
created assertions with `allActionsIncluded`, and one assertion of our own. Labels and parameters that are not
C2PA's carry our reverse domain name (C2PA 2.4, section 6.2.2). No deprecated assertion is used, and nothing
is signed that the reader of a clip has no need to know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from db.clock import rfc3339
from governance.credentials.statements import ClipStatement, LicenseShare, ModelStatement, SnapshotStatement

SPEC_VERSION = "2.4.0"
PROMOTABLE_KEY = "promotable"
"""In our assertions: `false` for what is for research only. Absent: nothing is said against commercial use."""
GENERATOR_NAME = "cleartitle"

SNAPSHOT_LABEL = "org.cleartitle.dataset-snapshot"
MODEL_LABEL = "org.cleartitle.model"
CLIP_LABEL = "org.cleartitle.clip"
ACTIONS_LABEL = "c2pa.actions.v2"
DISCLOSURE_LABEL = "c2pa.ai-disclosure"
TRAINING_MINING_LABEL = "cawg.training-mining"

# A table of facts made by a program, weights derived from sampled content, and media made with such weights:
# IPTC Digital Source Type vocabulary, and C2PA's own addition to it for what is data rather than media.
SNAPSHOT_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/dataDrivenMedia"
MODEL_SOURCE_TYPE = "http://c2pa.org/digitalsourcetype/trainedAlgorithmicData"
CLIP_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

MODEL_TYPE = "c2pa.types.model.pytorch"
SNAPSHOT_DATA_TYPES: tuple[Mapping[str, str], ...] = ({"type": "c2pa.types.dataset.pytorch"},)
SNAPSHOT_INGREDIENT = "snapshot"
MODEL_INGREDIENT = "model"

SNAPSHOT_MEDIA_TYPE = "application/json"
MODEL_MEDIA_TYPE = "application/octet-stream"
CLIP_MEDIA_TYPE = "video/mp4"

_MERKLE_ALGORITHM = "sha256-rfc6962"
# A permission is for the owner of a clip to give. Until then, nothing is allowed.
_RESERVED_USES = ("cawg.ai_generative_training", "cawg.ai_training", "cawg.ai_inference", "cawg.data_mining")


def model_data_types(version: str) -> tuple[Mapping[str, str], ...]:
    """Return the C2PA asset types of a model that serves as ingredient: a generator, made with PyTorch."""
    return ({"type": "c2pa.types.generator"}, {"type": MODEL_TYPE, "version": version})


def snapshot_manifest(statement: SnapshotStatement, *, generator_version: str) -> dict[str, Any]:
    """Return the manifest of a snapshot document."""
    facts: dict[str, Any] = {
        "name": statement.name,
        "snapshotUrn": statement.snapshot_urn,
        "alg": _MERKLE_ALGORITHM,
        "merkleRoot": statement.merkle_root,
        "numAssets": statement.num_assets,
        "numClips": statement.num_clips,
        "durationSeconds": statement.duration_seconds,
        "policyName": statement.policy_name,
        "policyVersion": statement.policy_version,
        "policyDigest": statement.policy_digest,
        "purpose": statement.purpose,
        "sealedAt": rfc3339(statement.sealed_at),
        "licenses": [_share(share) for share in statement.licenses],
    }
    if statement.expires_at is not None:
        facts["expiresAt"] = rfc3339(statement.expires_at)
    if statement.document_sha256 is not None:
        facts["documentSha256"] = statement.document_sha256
    facts |= _promotion(is_promotable=statement.is_promotable)
    created = _created(SNAPSHOT_SOURCE_TYPE, facts["sealedAt"], generator_version)
    return _manifest(statement.name, generator_version, _actions(created), _assertion(SNAPSHOT_LABEL, facts))


def model_manifest(statement: ModelStatement, *, generator_version: str) -> dict[str, Any]:
    """Return the manifest of weights, to be signed with the snapshot as ingredient `SNAPSHOT_INGREDIENT`."""
    facts: dict[str, Any] = {
        "name": statement.name,
        "modelUrn": statement.model_urn,
        "version": statement.version,
        "architecture": statement.architecture,
        "weightsSha256": statement.weights_sha256,
        "runId": statement.run_id,
        "numParameters": statement.num_parameters,
        "numSteps": statement.num_steps,
        "trainedAt": rfc3339(statement.trained_at),
        "snapshotUrn": statement.snapshot_urn,
        "snapshotRoot": statement.snapshot_root,
    } | _promotion(is_promotable=statement.is_promotable)
    parameters = {"ingredientIds": [SNAPSHOT_INGREDIENT], "org.cleartitle.run-id": statement.run_id}
    created = _created(MODEL_SOURCE_TYPE, facts["trainedAt"], generator_version, parameters)
    return _manifest(statement.name, generator_version, _actions(created), _assertion(MODEL_LABEL, facts))


def clip_manifest(statement: ClipStatement, *, generator_version: str) -> dict[str, Any]:
    """Return the manifest of a clip, to be signed with the model as ingredient `MODEL_INGREDIENT`."""
    facts = {
        "clipUrn": statement.clip_urn,
        "generatedAt": rfc3339(statement.generated_at),
        "modelName": statement.model_name,
        "modelUrn": statement.model_urn,
        "width": statement.width,
        "height": statement.height,
        "frameRate": f"{statement.frame_rate.numerator}/{statement.frame_rate.denominator}",
        "numFrames": statement.num_frames,
    } | _promotion(is_promotable=statement.is_promotable)
    root = {
        "alg": _MERKLE_ALGORITHM,
        "merkleRoot": statement.snapshot_root,
        "snapshotUrn": statement.snapshot_urn,
    }
    parameters = {
        "ingredientIds": [MODEL_INGREDIENT],
        "org.cleartitle.prompt-sha256": statement.prompt_sha256,
        "org.cleartitle.seed": statement.seed,
        "org.cleartitle.num-steps": statement.num_steps,
    }
    created = _created(CLIP_SOURCE_TYPE, rfc3339(statement.generated_at), generator_version, parameters)
    return _manifest(
        statement.title,
        generator_version,
        _actions(created),
        _assertion(CLIP_LABEL, facts),
        _assertion(SNAPSHOT_LABEL, root),
        _disclosure(statement),
        _training_mining(),
    )


def _manifest(title: str, generator_version: str, *assertions: dict[str, Any]) -> dict[str, Any]:
    generator = {"name": GENERATOR_NAME, "version": generator_version, "specVersion": SPEC_VERSION}
    return {"title": title, "claim_generator_info": [generator], "assertions": list(assertions)}


def _assertion(label: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """An assertion that we made ourselves (`created`), as opposed to one gathered from elsewhere."""
    return {"label": label, "created": True, "data": dict(data)}


def _actions(created: dict[str, Any]) -> dict[str, Any]:
    return _assertion(ACTIONS_LABEL, {"actions": [created], "allActionsIncluded": True})


def _created(
    source_type: str, when: str, generator_version: str, parameters: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    action: dict[str, Any] = {
        "action": "c2pa.created",
        "digitalSourceType": source_type,
        "when": when,
        "softwareAgent": {"name": GENERATOR_NAME, "version": generator_version},
    }
    return action | ({"parameters": dict(parameters)} if parameters else {})


def _disclosure(statement: ClipStatement) -> dict[str, Any]:
    """The AI disclosure of C2PA 2.4, section 18.28: somebody wrote the prompt, nobody approved the result."""
    return _assertion(
        DISCLOSURE_LABEL,
        {
            "modelType": MODEL_TYPE,
            "modelName": statement.model_name,
            "modelIdentifier": statement.model_urn,
            "contentProfile": {"humanOversightLevel": "prompt_guided"},
        },
    )


def _training_mining() -> dict[str, Any]:
    entries = {use: {"use": "notAllowed"} for use in _RESERVED_USES}
    return _assertion(TRAINING_MINING_LABEL, {"entries": entries})


def _promotion(*, is_promotable: bool) -> dict[str, Any]:
    """Say that something is for research only; that it is not goes without saying, as it always did."""
    return {} if is_promotable else {PROMOTABLE_KEY: False}


def _share(share: LicenseShare) -> dict[str, Any]:
    return {
        "licenseExpression": share.license_expression,
        "numClips": share.num_clips,
        "durationSeconds": share.duration_seconds,
    }
