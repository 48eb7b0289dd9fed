"""Assertions and unsigned ingredients of our manifests, as plain dicts for the signer.

What is created is ours; what is gathered was made by somebody else, or must not be among what is created.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from db.clock import rfc3339
from governance.manifests import terms as t
from governance.manifests.statements import (
    ClipStatement,
    ComponentStatement,
    PromptStatement,
    ScreenStatement,
    SnapshotReference,
    SourceStatement,
    WatermarkStatement,
)
from ingest.watermark.trustmark_payload import TRUSTMARK_PREFIX, id_of_value, value_of

_NAME_SPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
}
# A permission is for the owner of a clip to give. Until then, nothing is allowed.
_RESERVED_USES = ("cawg.ai_generative_training", "cawg.ai_training", "cawg.ai_inference", "cawg.data_mining")


def created_assertion(label: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return an assertion that we made ourselves (`created`), as opposed to one gathered from elsewhere."""
    return {"label": label, "created": True, "data": dict(data)}


def disclosure(statement: ClipStatement) -> dict[str, Any]:
    """The AI disclosure of C2PA 2.4, section 18.28."""
    return created_assertion(
        t.DISCLOSURE_LABEL,
        {
            "modelType": t.MODEL_TYPE,
            "modelName": statement.model_name,
            "modelIdentifier": statement.model_urn,
            "contentProfile": {"humanOversightLevel": statement.human_oversight.value},
        },
    )


def training_mining() -> dict[str, Any]:
    """The uses that CAWG's training and data mining assertion names, none of them allowed."""
    entries = {use: {"use": "notAllowed"} for use in _RESERVED_USES}
    return created_assertion(t.TRAINING_MINING_LABEL, {"entries": entries})


def metadata(statement: ClipStatement, generator_version: str) -> dict[str, Any]:
    """What California's SB 942 asks of a latent disclosure: system and version, time, and a name of its own."""
    data = {
        "@context": _NAME_SPACES,
        "dc:title": statement.title,
        "dc:identifier": statement.clip_urn,
        "dc:format": t.CLIP_MEDIA_TYPE,
        "xmp:CreateDate": rfc3339(statement.generated_at),
        "xmp:CreatorTool": f"{t.GENERATOR_NAME} {generator_version}",
        "Iptc4xmpExt:DigitalSourceType": t.CLIP_SOURCE_TYPE,
        "Iptc4xmpExt:AISystemUsed": statement.model_name,
    }
    return created_assertion(t.METADATA_LABEL, data) | {"kind": "Json"}


def replication_screen(screen: ScreenStatement) -> dict[str, Any]:
    """What the clip was compared with before it was signed, and what was found."""
    data = {
        "outcome": screen.outcome,
        "screenedSha256": screen.sha256,
        "detector": {"name": screen.detector_name, "digest": screen.detector_digest},
        "encoder": {"name": screen.encoder_name, "digest": screen.encoder_digest},
        "minProbability": screen.min_probability,
        "highestProbability": screen.highest_probability,
        "numMatches": screen.num_matches,
        "comparedWith": [
            {
                "name": part.name,
                "against": part.against,
                "numAssets": part.num_assets,
                "numCompared": part.num_compared,
            }
            for part in screen.compared
        ],
        "caveat": screen.caveat,
        "nearest": [
            {
                "kind": near.kind,
                "likeness": near.likeness,
                "seconds": near.seconds,
                "otherSeconds": near.other_seconds,
            }
            for near in screen.nearest
        ]
        or None,
        "likenessLimit": screen.likeness_limit,
    }
    return created_assertion(
        t.SCREEN_LABEL, {name: value for name, value in data.items() if value is not None}
    )


def soft_binding(watermark: WatermarkStatement) -> dict[str, Any]:
    """C2PA 2.4, section 18.10; the empty scope is the whole clip, the value is in the words of the algorithm."""
    value = watermark.mark_id
    if watermark.algorithm.startswith(TRUSTMARK_PREFIX):
        value = value_of(int(watermark.mark_id, 16))
    block = {"scope": {}, "value": value}
    return created_assertion(t.SOFT_BINDING_LABEL, {"alg": watermark.algorithm, "blocks": [block]})


def mark_id_of(binding: Mapping[str, Any]) -> str | None:
    """Return the id that a soft binding of ours names, 64 bits in hex; None if it is not written as we do."""
    value = str(binding["blocks"][0]["value"])
    if not str(binding["alg"]).startswith(TRUSTMARK_PREFIX):
        return value
    mark_id = id_of_value(value)
    return None if mark_id is None else f"{mark_id:016x}"


def external_reference(reference: SnapshotReference) -> dict[str, Any]:
    """C2PA 2.4, section 18.24: always gathered, never created (`assertion.external-reference.created`).

    The digest is a list of numbers, as close as a JSON definition can come to a byte string.
    """
    location = {
        "url": reference.url,
        "alg": "sha256",
        "hash": list(bytes.fromhex(reference.sha256)),
        "dc:format": t.SNAPSHOT_MEDIA_TYPE,
        "size": reference.size_bytes,
    }
    data = {"location": location, "description": "the dataset snapshot that the model was trained on"}
    return {"label": t.EXTERNAL_REFERENCE_LABEL, "data": data}


def components(stated: Sequence[ComponentStatement]) -> dict[str, Any]:
    """The models that another one was made with, and what is known of their training data."""
    return created_assertion(t.COMPONENTS_LABEL, {"components": [_component(part) for part in stated]})


def _component(component: ComponentStatement) -> dict[str, Any]:
    facts = {
        "role": component.role,
        "name": component.name,
        "version": component.version,
        "status": component.status.value,
        "sha256": component.sha256,
        "licenseExpression": component.license_expression,
        "remark": component.remark,
    }
    return {name: value for name, value in facts.items() if value is not None}


def prompt_ingredient(prompt: PromptStatement) -> dict[str, Any]:
    """The prompt as an input; its text lies in the resource `PROMPT_RESOURCE` if it is quoted."""
    text = {} if prompt.text is None else {"data": {"format": "text/plain", "identifier": t.PROMPT_RESOURCE}}
    return (
        _unsigned_ingredient("prompt", t.PROMPT_INGREDIENT, "text/plain", prompt.sha256)
        | text
        | {"data_types": [{"type": "c2pa.types.generator.prompt"}]}
    )


def source_ingredient(source: SourceStatement) -> dict[str, Any]:
    """A picture without a manifest as an input."""
    return _unsigned_ingredient(source.use, t.SOURCE_INGREDIENT, source.media_type, source.sha256)


def component_ingredient(component: ComponentStatement) -> dict[str, Any]:
    """A model without a manifest as an input of another one."""
    ingredient = _unsigned_ingredient(component.name, component.role, t.MODEL_MEDIA_TYPE, component.sha256)
    said = [f"{component.role}, {component.status.value}", component.remark]
    return ingredient | {
        "description": "; ".join(part for part in said if part),
        "data_types": [{"type": t.MODEL_TYPE, "version": component.version}],
    }


def _unsigned_ingredient(title: str, label: str, media_type: str, sha256: str | None) -> dict[str, Any]:
    """An input without a manifest. It can carry no hash; so its digest, where known, is its name."""
    definition = {"title": title, "relationship": "inputTo", "label": label, "format": media_type}
    return definition | ({} if sha256 is None else {"instance_id": f"urn:sha256:{sha256}"})
