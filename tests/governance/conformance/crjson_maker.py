"""A small manifest store in crJSON that satisfies every statement, and ways to change it."""

from __future__ import annotations

import copy
from typing import Any

ABSENT = object()
"""Stands for taking something out."""

TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
Changes = dict[str, Any]


def store(changes: Changes | None = None) -> dict[str, Any]:
    """Return the store with values put at places in its active manifest, such as `claim.v2/specVersion`."""
    manifest = copy.deepcopy(_MANIFEST)
    for place, value in (changes or {}).items():
        _put(manifest, place.split("/"), value)
    return {"manifests": [manifest]}


def _put(container: Any, path: list[str], value: Any) -> None:
    for step in path[:-1]:
        container = container[int(step)] if isinstance(container, list) else container.setdefault(step, {})
    last = path[-1]
    if isinstance(container, list):
        container[int(last) :] = [] if value is ABSENT else [value]
    elif value is ABSENT:
        del container[last]
    else:
        container[last] = copy.deepcopy(value)


_MANIFEST: dict[str, Any] = {
    "label": "urn:c2pa:4d8f2b1e-0000-4000-8000-000000000001",
    "assertions": {
        "c2pa.ingredient.v3": {
            "relationship": "inputTo",
            "dc:title": "tiny",
            "activeManifest": {"url": "self#jumbf=/c2pa/urn:c2pa:4d8f2b1e-0000-4000-8000-000000000002"},
            "validationResults": {"activeManifest": {"success": [], "informational": [], "failure": []}},
        },
        "c2pa.actions.v2": {
            "actions": [
                {
                    "action": "c2pa.created",
                    "digitalSourceType": TRAINED,
                    "parameters": {"ingredients": [{}], "org.example.seed": 7},
                }
            ],
            "allActionsIncluded": True,
        },
        "org.example.clip": {"seed": 7},
        "c2pa.hash.bmff.v3": {"hash": "b64''"},
    },
    "claim.v2": {
        "claim_generator_info": {"name": "maker", "version": "1", "specVersion": "2.4.0"},
        "created_assertions": [
            {"url": "self#jumbf=c2pa.assertions/c2pa.actions.v2"},
            {"url": "self#jumbf=c2pa.assertions/c2pa.hash.bmff.v3"},
        ],
        "gathered_assertions": [{"url": "self#jumbf=c2pa.assertions/c2pa.ingredient.v3"}],
    },
    "validationResults": {"success": [], "informational": [], "failure": []},
}

_ACTIONS = "assertions/c2pa.actions.v2/actions"
_SECOND = f"{_ACTIONS}/1"
_INGREDIENT = "assertions/c2pa.ingredient.v3"
_ORIGINAL = "assertions/c2pa.alternative-content-representation"
_OPENED = {"action": "c2pa.opened", "parameters": {"ingredients": [{}]}}
_REFERENCE = "assertions/c2pa.external-reference"

KEPT: dict[str, Changes] = {
    "mandatory_dst_for_perceptible_transformations": {
        _SECOND: {"action": "c2pa.cropped", "digitalSourceType": TRAINED}
    },
    "no_dst_for_opened_action": {_SECOND: _OPENED},
    "no_unrecognized_custom_actions": {_SECOND: {"action": "org.example.polished"}},
    "review_ratings_datasource": {
        "assertions/c2pa.assertion.metadata": {"reviewRatings": [], "dataSource": {"type": "signer"}}
    },
    "ingredient_v3_no_active_manifest": {"assertions/c2pa.ingredient.v3__1": {"relationship": "inputTo"}},
    "alternative_content_representation_choice": {
        _ORIGINAL: {"type": "exif.originalPreservationImage", "parameters": {"multiAssetPartIndex": 1}}
    },
    "forbidden_labels_in_external_references": {_REFERENCE: {"label": "c2pa.metadata", "url": "a.json"}},
    "all_actions_included_opened": {f"{_ACTIONS}/0": _OPENED},
    "opened_action_ingredient_reference": {_SECOND: _OPENED},
    "no_box_hash_for_tiff": {"assertions/c2pa.asset-type.v2": {"dc:format": "image/tiff"}},
}
"""Changes after which a statement that has nothing to say on the store as it is applies, and holds."""

BROKEN: dict[str, list[Changes]] = {
    "mandatory_dst_for_perceptible_transformations": [{_SECOND: {"action": "c2pa.cropped"}}],
    "mandatory_spec_version": [
        {"claim.v2/claim_generator_info/specVersion": "2.2.0"},
        {"claim.v2/claim_generator_info/specVersion": "2"},
        {"claim.v2/claim_generator_info/specVersion": 2.4},
        {"claim.v2/claim_generator_info/specVersion": ABSENT},
        {"claim.v2": ABSENT},
    ],
    "mandatory_all_actions_included": [
        {"assertions/c2pa.actions.v2/allActionsIncluded": ABSENT},
        {"assertions/c2pa.actions.v2__1": {"actions": []}},
    ],
    "no_dst_for_opened_action": [{_SECOND: {**_OPENED, "digitalSourceType": TRAINED}}],
    "well_formed_data_present": [{"validationResults": ABSENT}],
    "well_formed_success": [
        {"validationResults/failure": [{"code": "claim.missing"}]},
        {"validationResults": ABSENT},
    ],
    "valid_data_present": [{"validationResults": ABSENT}],
    "valid_success": [
        {"validationResults/failure": [{"code": "assertion.bmffHash.mismatch"}]},
        {"validationResults": {}},
    ],
    "inception_action_position": [
        {f"{_ACTIONS}/0": {"action": "org.example.first"}, _SECOND: {"action": "c2pa.created"}},
        {"claim.v2/created_assertions/0/url": "self#jumbf=c2pa.assertions/c2pa.actions"},
        {"claim.v2/created_assertions": []},
    ],
    "no_deprecated_assertions": [{"assertions/stds.exif": {}}, {"assertions/c2pa.actions": {}}],
    "no_unsupported_assertions": [{"assertions/c2pa.training-mining": {}}],
    "no_deprecated_actions": [{_SECOND: {"action": "c2pa.watermarked"}}],
    "no_unsupported_actions": [{_SECOND: {"action": "c2pa.invented"}}],
    "no_unrecognized_custom_assertions": [{"assertions/clip": {}}],
    "no_unrecognized_custom_actions": [{_SECOND: {"action": "polished"}}, {_SECOND: {}}],
    "no_unrecognized_custom_action_parameters": [{f"{_ACTIONS}/0/parameters/seed": 7}],
    "discouraged_legacy_action_parameters": [{f"{_ACTIONS}/0/parameters/description": "made"}],
    "active_manifest_urn": [{"label": "urn:uuid:1"}, {"label": ABSENT}],
    "review_ratings_datasource": [
        {
            "assertions/c2pa.assertion.metadata": {
                "reviewRatings": [],
                "dataSource": {"type": "humanEntry.anonymous"},
            }
        }
    ],
    "ingredient_v3_no_active_manifest": [{f"{_INGREDIENT}/activeManifest": ABSENT}],
    "ingredient_v3_mandatory_validation_results": [{f"{_INGREDIENT}/validationResults": ABSENT}],
    "ingredient_relationship_values": [{f"{_INGREDIENT}/relationship": "madeFrom"}],
    "mandatory_dst_for_created_action": [{f"{_ACTIONS}/0/digitalSourceType": ABSENT}],
    "no_deprecated_claim_fields": [{"claim.v2/specVersion": "2.4.0"}],
    "ingredient_v3_choice": [{f"{_INGREDIENT}/digitalSourceType": TRAINED}],
    "alternative_content_representation_choice": [
        {_ORIGINAL: {"type": "exif.originalPreservationImage"}},
        {
            _ORIGINAL: {
                "parameters": {
                    "type": "exif.originalPreservationImage",
                    "multiAssetPartIndex": 1,
                    "embeddedOriginalPreservationImage": {},
                }
            }
        },
    ],
    "forbidden_labels_in_external_references": [
        {_REFERENCE: {"label": "c2pa.actions.v2", "url": "a.cbor"}},
        {_REFERENCE: {"label": "c2pa.hash.data", "url": "a.cbor"}},
        {_REFERENCE: {"label": "c2pa.ingredient.v3", "url": "a.cbor"}},
    ],
    "no_url_in_hashes": [{"assertions/c2pa.hash.bmff.v3/url": "https://example.org/"}],
    "all_actions_included_opened": [
        {f"{_ACTIONS}/0": _OPENED, "assertions/c2pa.actions.v2/allActionsIncluded": False}
    ],
    "opened_action_ingredient_reference": [
        {_SECOND: {"action": "c2pa.opened"}},
        {_SECOND: {"action": "c2pa.opened", "parameters": {"ingredients": [{}, {}]}}},
    ],
    "no_box_hash_for_tiff": [
        {
            "assertions/c2pa.asset-type.v2": {"dc:format": "image/x-adobe-dng"},
            "assertions/c2pa.hash.boxes": {},
        }
    ],
    "trusted_data_present": [{"validationResults": ABSENT}],
    "trusted_success": [{"validationResults/failure": [{"code": "signingCredential.untrusted"}]}],
}
"""For each statement, changes each of which it refuses."""

SIGNALLING: dict[str, Changes] = {
    "inception:signal_blankCanvas": {
        f"{_ACTIONS}/0/digitalSourceType": "http://c2pa.org/digitalsourcetype/empty"
    },
    "inception:signal_capturedMedia": {
        f"{_ACTIONS}/0/digitalSourceType": TRAINED.replace("trainedAlgorithmicMedia", "computationalCapture")
    },
    "inception:signal_capturedMediaStitched": {
        f"{_ACTIONS}/0/digitalSourceType": TRAINED.replace("trainedAlgorithmicMedia", "compositeCapture")
    },
    "inception:signal_compositionMayContainGenAI": {
        f"{_ACTIONS}/0/digitalSourceType": TRAINED.replace("trainedAlgorithmicMedia", "composite")
    },
    "inception:signal_fullyGenAIMedia": {},
    "inception:signal_mediaUnknownProvenance": {f"{_INGREDIENT}/activeManifest": ABSENT},
    "inception:signal_nonGenAIDigitalCreation": {
        f"{_ACTIONS}/0/digitalSourceType": TRAINED.replace("trainedAlgorithmicMedia", "digitalCreation")
    },
    "inception:signal_partlyGenAICreation": {
        f"{_ACTIONS}/0/digitalSourceType": TRAINED.replace("trained", "compositeWithTrained")
    },
    "inception:signal_screenCaptureMayContainGenAI": {
        f"{_ACTIONS}/0/digitalSourceType": TRAINED.replace("trainedAlgorithmicMedia", "screenCapture")
    },
    "transformation:signal_ambiguousActions": {_SECOND: {"action": "c2pa.unknown"}},
    "transformation:signal_nonEditorial": {_SECOND: {"action": "c2pa.transcoded"}},
    "transformation:signal_perceptibleGenAI": {
        _SECOND: {"action": "c2pa.edited", "digitalSourceType": TRAINED}
    },
    "transformation:signal_perceptibleNonGenAI": {
        _SECOND: {
            "action": "c2pa.cropped",
            "digitalSourceType": TRAINED.replace("trainedAlgorithmicMedia", "algorithmicMedia"),
        }
    },
    "transformation:signal_perceptiblePossiblyGenAI": {
        _SECOND: {
            "action": "c2pa.edited",
            "digitalSourceType": TRAINED.replace("trainedAlgorithmicMedia", "digitalArt"),
        }
    },
}
"""For each signal, changes after which the store gives it."""
