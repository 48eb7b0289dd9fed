"""Manifest definitions of the three signed artefacts, for C2PA 2.4: frozen statements in, plain dicts out.

Every manifest has exactly one claim generator with `specVersion`, one `c2pa.actions.v2` assertion in the
created assertions with `allActionsIncluded`, and one assertion of our own. Labels and parameters that are not
C2PA's carry our reverse domain name (C2PA 2.4, section 6.2.2). No deprecated assertion is used, and nothing
is signed that the reader of a clip has no need to know.

Ingredients without a manifest of their own (a prompt, a base model that nobody signed) are part of a definition;
signed ones are added when it is signed. Bytes that a definition refers to are given by `clip_resources`.

There is no asset type assertion: c2pa-rs 0.91 writes `c2pa.asset-type.v2` under its old label, which is deprecated.
What kind of thing a model or a snapshot is stands in the data types of the ingredient that it becomes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from db.clock import rfc3339
from governance.manifests import assertions as parts
from governance.manifests.statements import ClipStatement, LicenseShare, ModelStatement, SnapshotStatement
from governance.manifests.terms import (
    ACTIONS_LABEL,
    CLIP_LABEL,
    CLIP_MEDIA_TYPE,
    CLIP_SOURCE_TYPE,
    COMPONENTS_LABEL,
    DISCLOSURE_LABEL,
    EXTERNAL_REFERENCE_LABEL,
    GENERATOR_NAME,
    MERKLE_ALGORITHM,
    METADATA_LABEL,
    MODEL_INGREDIENT,
    MODEL_LABEL,
    MODEL_MEDIA_TYPE,
    MODEL_SOURCE_TYPE,
    MODEL_TYPE,
    PROMOTABLE_KEY,
    PROMPT_INGREDIENT,
    PROMPT_RESOURCE,
    SCREEN_LABEL,
    SNAPSHOT_DATA_TYPES,
    SNAPSHOT_INGREDIENT,
    SNAPSHOT_LABEL,
    SNAPSHOT_MEDIA_TYPE,
    SNAPSHOT_SOURCE_TYPE,
    SOFT_BINDING_LABEL,
    SOURCE_INGREDIENT,
    SPEC_VERSION,
    THUMBNAIL_RESOURCE,
    TRAINING_MINING_LABEL,
)

# The terms are part of what this module offers: whoever reads a manifest needs them too.
__all__ = [
    "ACTIONS_LABEL",
    "CLIP_LABEL",
    "CLIP_MEDIA_TYPE",
    "CLIP_SOURCE_TYPE",
    "COMPONENTS_LABEL",
    "DISCLOSURE_LABEL",
    "EXTERNAL_REFERENCE_LABEL",
    "GENERATOR_NAME",
    "METADATA_LABEL",
    "MODEL_INGREDIENT",
    "MODEL_LABEL",
    "MODEL_MEDIA_TYPE",
    "MODEL_SOURCE_TYPE",
    "MODEL_TYPE",
    "PROMOTABLE_KEY",
    "PROMPT_INGREDIENT",
    "PROMPT_RESOURCE",
    "SCREEN_LABEL",
    "SNAPSHOT_DATA_TYPES",
    "SNAPSHOT_INGREDIENT",
    "SNAPSHOT_LABEL",
    "SNAPSHOT_MEDIA_TYPE",
    "SNAPSHOT_SOURCE_TYPE",
    "SOFT_BINDING_LABEL",
    "SOURCE_INGREDIENT",
    "SPEC_VERSION",
    "THUMBNAIL_RESOURCE",
    "TRAINING_MINING_LABEL",
    "clip_manifest",
    "clip_resources",
    "model_data_types",
    "model_manifest",
    "snapshot_manifest",
]


def model_data_types(version: str) -> tuple[Mapping[str, str], ...]:
    """Return the C2PA asset types of a model that serves as ingredient: a generator, made with PyTorch."""
    return ({"type": "c2pa.types.generator"}, {"type": MODEL_TYPE, "version": version})


def snapshot_manifest(statement: SnapshotStatement, *, generator_version: str) -> dict[str, Any]:
    """Return the manifest of a snapshot document."""
    facts: dict[str, Any] = {
        "name": statement.name,
        "snapshotUrn": statement.snapshot_urn,
        "alg": MERKLE_ALGORITHM,
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
    return _manifest(
        statement.name, generator_version, _actions(created), parts.created_assertion(SNAPSHOT_LABEL, facts)
    )


def model_manifest(statement: ModelStatement, *, generator_version: str) -> dict[str, Any]:
    """Return the manifest of weights, to be signed with the snapshot as ingredient `SNAPSHOT_INGREDIENT`.

    Components with manifests of their own are to be given as ingredients too, each labelled with its role.
    """
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
    labels = [SNAPSHOT_INGREDIENT, *(component.role for component in statement.components)]
    parameters = {"ingredientIds": labels, "org.cleartitle.run-id": statement.run_id}
    created = _created(MODEL_SOURCE_TYPE, facts["trainedAt"], generator_version, parameters)
    assertions = [_actions(created), parts.created_assertion(MODEL_LABEL, facts)]
    if statement.components:
        assertions.append(parts.components(statement.components))
    unsigned = (component for component in statement.components if not component.has_manifest)
    ingredients = [parts.component_ingredient(component) for component in unsigned]
    return _manifest(statement.name, generator_version, *assertions) | _ingredients(*ingredients)


def clip_manifest(statement: ClipStatement, *, generator_version: str) -> dict[str, Any]:
    """Return the manifest of a clip, to be signed with the model as ingredient `MODEL_INGREDIENT`.

    A source with a manifest of its own is to be given as ingredient `SOURCE_INGREDIENT` too. What the manifest refers
    to is given by `clip_resources`.
    """
    generated_at = rfc3339(statement.generated_at)
    parameters = _clip_parameters(statement)
    actions = [_created(CLIP_SOURCE_TYPE, generated_at, generator_version, parameters)]
    if statement.watermark is not None:
        actions.append(_action("c2pa.watermarked.bound", generated_at, generator_version))
    manifest = _manifest(
        statement.title,
        generator_version,
        _actions(*actions),
        *_clip_assertions(statement, generator_version),
    )
    if statement.thumbnail_jpeg is not None:
        manifest["thumbnail"] = {"format": "image/jpeg", "identifier": THUMBNAIL_RESOURCE}
    unsigned = [] if statement.prompt is None else [parts.prompt_ingredient(statement.prompt)]
    if statement.source is not None and not statement.source.has_manifest:
        unsigned.append(parts.source_ingredient(statement.source))
    unsigned += [parts.component_ingredient(component) for component in statement.components]
    return manifest | _ingredients(*unsigned)


def _clip_parameters(statement: ClipStatement) -> dict[str, Any]:
    """Return what the pictures of a clip follow from; what was not asked for is not said."""
    source = statement.source
    labels = [MODEL_INGREDIENT]
    labels += [PROMPT_INGREDIENT] if statement.prompt is not None else []
    labels += [SOURCE_INGREDIENT] if source is not None else []
    labels += [component.role for component in statement.components]
    facts: dict[str, Any] = {
        "ingredientIds": labels,
        "org.cleartitle.prompt-sha256": statement.prompt_sha256,
        "org.cleartitle.seed": statement.seed,
        "org.cleartitle.num-steps": statement.num_steps,
    }
    if statement.is_loop:
        facts["org.cleartitle.loop"] = True
    if source is not None:
        facts["org.cleartitle.source-use"] = source.use
        facts["org.cleartitle.source-sha256"] = source.sha256
        if source.strength_percent is not None:
            facts["org.cleartitle.strength-percent"] = source.strength_percent
    return facts


def clip_resources(statement: ClipStatement) -> dict[str, bytes]:
    """Return the bytes that the manifest of a clip refers to, by identifier, to be signed with it."""
    resources = {}
    if statement.thumbnail_jpeg is not None:
        resources[THUMBNAIL_RESOURCE] = statement.thumbnail_jpeg
    if statement.prompt is not None and statement.prompt.text is not None:
        resources[PROMPT_RESOURCE] = statement.prompt.text.encode()
    return resources


def _clip_assertions(statement: ClipStatement, generator_version: str) -> Iterator[dict[str, Any]]:
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
        "alg": MERKLE_ALGORITHM,
        "merkleRoot": statement.snapshot_root,
        "snapshotUrn": statement.snapshot_urn,
    }
    yield parts.created_assertion(CLIP_LABEL, facts)
    yield parts.created_assertion(SNAPSHOT_LABEL, root)
    yield parts.disclosure(statement)
    yield parts.training_mining()
    yield parts.metadata(statement, generator_version)
    if statement.components:
        yield parts.components(statement.components)
    if statement.screen is not None:
        yield parts.replication_screen(statement.screen)
    if statement.watermark is not None:
        yield parts.soft_binding(statement.watermark)
    if statement.snapshot_reference is not None:
        yield parts.external_reference(statement.snapshot_reference)


def _manifest(title: str, generator_version: str, *assertions: dict[str, Any]) -> dict[str, Any]:
    generator = {"name": GENERATOR_NAME, "version": generator_version, "specVersion": SPEC_VERSION}
    return {"title": title, "claim_generator_info": [generator], "assertions": list(assertions)}


def _actions(*actions: dict[str, Any]) -> dict[str, Any]:
    return parts.created_assertion(ACTIONS_LABEL, {"actions": list(actions), "allActionsIncluded": True})


def _action(name: str, when: str, generator_version: str) -> dict[str, Any]:
    agent = {"name": GENERATOR_NAME, "version": generator_version}
    return {"action": name, "when": when, "softwareAgent": agent}


def _created(
    source_type: str, when: str, generator_version: str, parameters: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    action = _action("c2pa.created", when, generator_version) | {"digitalSourceType": source_type}
    return action | ({"parameters": dict(parameters)} if parameters else {})


def _ingredients(*definitions: dict[str, Any]) -> dict[str, Any]:
    return {"ingredients": list(definitions)} if definitions else {}


def _promotion(*, is_promotable: bool) -> dict[str, Any]:
    """Say that something is for research only; that it is not goes without saying, as it always did."""
    return {} if is_promotable else {PROMOTABLE_KEY: False}


def _share(share: LicenseShare) -> dict[str, Any]:
    return {
        "licenseExpression": share.license_expression,
        "numClips": share.num_clips,
        "durationSeconds": share.duration_seconds,
    }
