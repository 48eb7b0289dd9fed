"""Our manifests against the asset rubric of the C2PA conformance programme 0.2 for specification 2.4.

The rubric's statements are written in json-formula over the crJSON form of a store. Those that can fail for what we
write are put here in Python, under the names that the rubric gives them.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from governance.credentials import engine as content_credentials
from governance.credentials import manifest as m
from governance.credentials.companions import document_root
from governance.credentials.statements import LicenseShare
from governance.credentials.verify import sidecar_of
from tests.governance.signed_chain import (
    PROMPT,
    VERSION,
    SignedChain,
    clip_statement,
    model_statement,
    snapshot_document,
    snapshot_statement,
)

ROOT = "ab" * 32
ALLOWED_ASSERTIONS = {
    "c2pa.actions.v2",
    "c2pa.ai-disclosure",
    "c2pa.hash.bmff.v3",
    "c2pa.hash.data",
    "c2pa.ingredient.v3",
}
STANDARD_PARAMETERS = {"ingredients", "description", "relatedAssertions"}


def _crjson(
    path: Path, media_type: str, chain: SignedChain, *, sidecar: Path | None = None
) -> dict[str, Any]:
    import json

    from c2pa import Reader

    store = None if sidecar is None else sidecar.read_bytes()
    context = content_credentials._context(chain.signer.trust)
    with path.open("rb") as file, Reader(media_type, file, store, context=context) as reader:
        parsed: dict[str, Any] = json.loads(reader.crjson())
    return parsed


@pytest.fixture(params=["clip", "model", "snapshot"])
def active(request: pytest.FixtureRequest, signed_chain: SignedChain) -> Mapping[str, Any]:
    """The active manifest of each artefact, in crJSON."""
    if request.param == "clip":
        return _active(_crjson(signed_chain.clip, m.CLIP_MEDIA_TYPE, signed_chain))
    path = signed_chain.weights if request.param == "model" else signed_chain.snapshot
    return _active(_crjson(path, m.MODEL_MEDIA_TYPE, signed_chain, sidecar=sidecar_of(path)))


def _active(store: Mapping[str, Any]) -> Mapping[str, Any]:
    manifest: Mapping[str, Any] = store["manifests"][0]
    return manifest


def _actions(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [action for value in _action_assertions(manifest) for action in value["actions"]]


def _action_assertions(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [value for value in manifest["assertions"].values() if "actions" in value]


def _ingredients(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [value for value in manifest["assertions"].values() if "relationship" in value]


def _generator(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    info = manifest["claim.v2"]["claim_generator_info"]
    found: Mapping[str, Any] = info[0] if isinstance(info, list) else info
    return found


def _first_created_is_actions(manifest: Mapping[str, Any]) -> bool:
    urls = [
        entry["url"] for entry in manifest["claim.v2"]["created_assertions"] if "c2pa.actions" in entry["url"]
    ]
    return bool(urls[0].endswith("c2pa.actions.v2") and _actions(manifest)[0]["action"] == "c2pa.created")


def _parameter_names(manifest: Mapping[str, Any]) -> list[str]:
    return [name for action in _actions(manifest) for name in action.get("parameters", {})]


STATEMENTS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "mandatory_spec_version": lambda a: _generator(a)["specVersion"].startswith("2.4."),
    "mandatory_all_actions_included": lambda a: all("allActionsIncluded" in v for v in _action_assertions(a)),
    "well_formed_data_present": lambda a: a.get("validationResults") is not None,
    "well_formed_success and valid_success": lambda a: a["validationResults"]["failure"] == [],
    "inception_action_position": _first_created_is_actions,
    "no_deprecated_assertions and no_unsupported_assertions": lambda a: all(
        label.split("__")[0] in ALLOWED_ASSERTIONS
        for label in a["assertions"]
        if label.startswith(("c2pa.", "stds."))
    ),
    "no_deprecated_actions and no_unsupported_actions": lambda a: (
        [action["action"] for action in _actions(a)] == ["c2pa.created"]
    ),
    "no_unrecognized_custom_assertions": lambda a: all("." in label for label in a["assertions"]),
    "no_unrecognized_custom_action_parameters": lambda a: all(
        name in STANDARD_PARAMETERS or "." in name for name in _parameter_names(a)
    ),
    "discouraged_legacy_action_parameters": lambda a: (
        not {"description", "ingredient"} & set(_parameter_names(a))
    ),
    "active_manifest_urn": lambda a: a["label"].startswith("urn:c2pa:"),
    "ingredient_v3 validation results": lambda a: all(
        ("activeManifest" in value) == ("validationResults" in value) for value in _ingredients(a)
    ),
    "ingredient_relationship_values": lambda a: all(v["relationship"] == "inputTo" for v in _ingredients(a)),
    "mandatory_dst_for_created_action": lambda a: all("digitalSourceType" in v for v in _actions(a)),
    "no_deprecated_claim_fields": lambda a: "specVersion" not in a["claim.v2"],
    "ingredient_v3_choice": lambda a: not any("digitalSourceType" in value for value in _ingredients(a)),
    "no_url_in_hashes": lambda a: (
        not any("url" in value for label, value in a["assertions"].items() if label.startswith("c2pa.hash."))
    ),
    "forbidden_labels_in_external_references": lambda a: (
        not any("label" in value and "url" in value for value in a["assertions"].values())
    ),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_the_rubric_holds_for_every_artefact(active: Mapping[str, Any], name: str) -> None:
    assert STATEMENTS[name](active)


def test_every_statement_of_the_rubric_is_accounted_for(shared_c2pa: Path) -> None:
    """The remaining ones speak of things that we never write."""
    import yaml

    text = (shared_c2pa / "rubrics" / "asset-rubric-conformance0.2-spec2.4.yml").read_text()
    published = {entry["id"].removeprefix("validation:") for entry in list(yaml.safe_load_all(text))[1]}
    never_written = {
        "mandatory_dst_for_perceptible_transformations",
        "no_dst_for_opened_action",
        "all_actions_included_opened",
        "opened_action_ingredient_reference",
        "no_unrecognized_custom_actions",
        "review_ratings_datasource",
        "alternative_content_representation_choice",
        "no_box_hash_for_tiff",
    }
    covered = {word for name in STATEMENTS for word in name.split() if "_" in word} | {
        "valid_data_present",
        "ingredient_v3_no_active_manifest",
        "ingredient_v3_mandatory_validation_results",
    }
    assert published - never_written <= covered


def test_a_clip_says_what_a_disclosure_must_say(signed_chain: SignedChain) -> None:
    assertions = _active(_crjson(signed_chain.clip, m.CLIP_MEDIA_TYPE, signed_chain))["assertions"]
    action = assertions["c2pa.actions.v2"]["actions"][0]
    assert action["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert action["softwareAgent"] == {"name": "cleartitle", "version": VERSION}
    assert dt.datetime.fromisoformat(action["when"]) == signed_chain.clip_statement.generated_at
    assert len(action["parameters"]["ingredients"]) == 1
    assert action["parameters"]["org.cleartitle.seed"] == 7
    assert assertions["c2pa.ai-disclosure"]["modelType"] == "c2pa.types.model.pytorch"
    assert assertions["c2pa.ai-disclosure"]["contentProfile"] == {"humanOversightLevel": "prompt_guided"}
    uses = assertions["cawg.training-mining"]["entries"]
    assert {name: entry["use"] for name, entry in uses.items()} == {
        "cawg.ai_generative_training": "notAllowed",
        "cawg.ai_training": "notAllowed",
        "cawg.ai_inference": "notAllowed",
        "cawg.data_mining": "notAllowed",
    }
    assert (
        assertions["org.cleartitle.dataset-snapshot"]["merkleRoot"]
        == signed_chain.model_statement.snapshot_root
    )
    assert assertions["org.cleartitle.clip"]["clipUrn"] == "urn:cleartitle:clip:0001"


def test_the_model_is_an_input_of_known_type(signed_chain: SignedChain) -> None:
    (ingredient,) = _ingredients(_active(_crjson(signed_chain.clip, m.CLIP_MEDIA_TYPE, signed_chain)))
    assert ingredient["relationship"] == "inputTo"
    types = [entry["type"] for entry in ingredient["dataTypes"]]
    assert types == ["c2pa.types.generator", "c2pa.types.model.pytorch"]


def test_manifests_are_values_that_only_depend_on_the_statement() -> None:
    once, twice = (m.clip_manifest(clip_statement(ROOT), generator_version=VERSION) for _ in range(2))
    assert once == twice


def test_a_prompt_is_a_digest_and_nothing_else() -> None:
    assert PROMPT not in str(m.clip_manifest(clip_statement(ROOT), generator_version=VERSION))


def test_an_unlimited_snapshot_states_no_expiry() -> None:
    statement = dataclasses.replace(snapshot_statement(snapshot_document()), expires_at=None)
    facts = m.snapshot_manifest(statement, generator_version=VERSION)["assertions"][1]["data"]
    assert "expiresAt" not in facts


@pytest.mark.parametrize(
    "changes",
    [
        {"merkle_root": "AB" * 32},
        {"policy_digest": "ab"},
        {"sealed_at": dt.datetime(2026, 1, 1)},  # noqa: DTZ001 - naive on purpose
        {"num_clips": 0, "licenses": ()},
        {"num_assets": 0},
        {"num_clips": 4},
        {"licenses": ()},
    ],
)
def test_malformed_snapshot_statements_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        snapshot_statement(snapshot_document(), **changes)


def test_malformed_other_statements_are_refused() -> None:
    with pytest.raises(ValueError, match="weights_sha256"):
        model_statement(b"", ROOT, weights_sha256="x")
    with pytest.raises(ValueError, match="prompt_sha256"):
        clip_statement(ROOT, prompt_sha256=PROMPT)
    with pytest.raises(ValueError, match="num_clips"):
        LicenseShare(license_expression="CC0-1.0", num_clips=0, duration_seconds=0.0)


def test_shares_add_up() -> None:
    statement = snapshot_statement(snapshot_document())
    assert sum(share.num_clips for share in statement.licenses) == document_root(snapshot_document())[1]
