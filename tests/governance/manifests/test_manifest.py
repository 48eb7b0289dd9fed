"""Our manifests: each holds every statement of the conformance rubric, and says what it should and no more."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from governance.conformance.reading import read_crjson
from governance.conformance.rubric import CONFORMANCE, INTEGRITY, read_signals
from governance.manifests import manifest as m
from governance.manifests.assertions import mark_id_of, soft_binding
from governance.manifests.statements import (
    ClipStatement,
    ComparedCollection,
    ComponentStatement,
    ComponentStatus,
    HumanOversight,
    LicenseShare,
    PromptStatement,
    SnapshotReference,
    SourceStatement,
    WatermarkStatement,
)
from governance.signing.editing import publish_signed, redact
from governance.verification.companions import document_root
from governance.verification.kinds import sidecar_of
from governance.verification.verdict import VerdictOutcome
from governance.verification.verify import verify_file
from tests.governance.signed_chain import (
    PROMPT,
    VERSION,
    SignedChain,
    base_components,
    clip_statement,
    model_ingredient,
    model_statement,
    screen_statement,
    sign_clip,
    sign_model,
    snapshot_document,
    snapshot_ingredient,
    snapshot_statement,
    thumbnail_jpeg,
    whole_clip_statement,
)

ROOT = "ab" * 32
PROMPT_SHA256 = hashlib.sha256(PROMPT.encode()).hexdigest()


@dataclass(frozen=True)
class Artefact:
    """A signed file and how it is read."""

    path: Path
    media_type: str
    chain: SignedChain

    def crjson(self) -> dict[str, Any]:
        """Its manifest store."""
        sidecar = sidecar_of(self.path)
        return read_crjson(
            self.path,
            self.chain.signer.trust,
            media_type=self.media_type,
            sidecar=sidecar if sidecar.is_file() else None,
        )

    def active(self) -> Mapping[str, Any]:
        """Its active manifest."""
        manifest: Mapping[str, Any] = self.crjson()["manifests"][0]
        return manifest


@pytest.fixture(scope="module")
def artefacts(signed_chain: SignedChain, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artefact]:
    """Everything that we sign: with as little as can be said, and with all of it, and published again."""
    folder = tmp_path_factory.mktemp("artefacts")
    signer = signed_chain.signer
    document = signed_chain.snapshot.read_bytes()
    statement = dataclasses.replace(signed_chain.model_statement, components=base_components())
    weights = folder / "whole.safetensors"
    weights.write_bytes(signed_chain.weights.read_bytes())
    sign_model(weights, statement, signer, snapshot=snapshot_ingredient(signed_chain.snapshot, signer))
    model = model_ingredient(weights, statement, signer)
    quoted = PromptStatement(sha256=PROMPT_SHA256, text=PROMPT)
    clips = {
        "whole clip": whole_clip_statement(document),
        "quoting clip": whole_clip_statement(document, prompt=quoted),
    }
    for name, clip in clips.items():
        sign_clip(signed_chain.unsigned_clip, folder / f"{name}.mp4", clip, signer, model=model)
    whole = folder / "whole clip.mp4"
    publish_signed(whole, folder / "published.mp4", identity=signer.identity, trust=signer.trust)
    redact(whole, folder / "redacted.mp4", ["cawg.metadata"], identity=signer.identity, trust=signer.trust)
    paths = {
        "snapshot": signed_chain.snapshot,
        "model": signed_chain.weights,
        "whole model": weights,
        "clip": signed_chain.clip,
        **{name: folder / f"{name}.mp4" for name in (*clips, "published", "redacted")},
    }
    return {name: Artefact(path, _media_type(path), signed_chain) for name, path in paths.items()}


def _media_type(path: Path) -> str:
    return m.CLIP_MEDIA_TYPE if path.suffix == ".mp4" else m.MODEL_MEDIA_TYPE


NAMES = ["snapshot", "model", "whole model", "clip", "whole clip", "quoting clip", "published", "redacted"]


@pytest.mark.parametrize("name", NAMES)
def test_every_statement_of_the_rubrics_holds(artefacts: dict[str, Artefact], name: str) -> None:
    store = artefacts[name].crjson()
    for rubric, number in ((CONFORMANCE, 31), (INTEGRITY, 6)):
        report = rubric.judge(store)
        assert [finding for finding in report.findings if not finding.holds] == []
        assert report.num_held == number


@pytest.mark.parametrize("name", NAMES)
def test_whatever_we_sign_passes_our_own_verification(artefacts: dict[str, Artefact], name: str) -> None:
    artefact = artefacts[name]
    verdict = verify_file(artefact.path, artefact.chain.signer.trust)
    assert (verdict.outcome, verdict.failures) == (VerdictOutcome.PASS, ())


@pytest.mark.parametrize(
    ("name", "signals"),
    [
        ("clip", {"inception:signal_fullyGenAIMedia"}),
        ("whole clip", {"inception:signal_fullyGenAIMedia", "transformation:signal_nonEditorial"}),
        ("whole model", set()),
        ("published", {"transformation:signal_nonEditorial"}),
        ("redacted", {"transformation:signal_nonEditorial"}),
    ],
)
def test_the_signals_are_those_of_generated_media(
    artefacts: dict[str, Artefact], name: str, signals: set[str]
) -> None:
    """Of an edited clip, the manifest below still says so. Nothing is ambiguous.

    A prompt or a base model without a manifest is of unknown provenance to the rubric if it comes first.
    """
    found = read_signals(artefacts[name].crjson())
    unknown = {"inception:signal_mediaUnknownProvenance"} if name.startswith("whole") else set()
    assert {signal.id for signal in found[0].signals} - unknown == signals
    every = [{signal.id for signal in manifest.signals} for manifest in found]
    assert not any("transformation:signal_ambiguousActions" in signals for signals in every)
    if name in {"published", "redacted"}:
        assert any("inception:signal_fullyGenAIMedia" in signals for signals in every[1:])


def test_a_clip_says_what_a_disclosure_must_say(
    signed_chain: SignedChain, artefacts: dict[str, Artefact]
) -> None:
    assertions = artefacts["clip"].active()["assertions"]
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


def _ingredients(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {value["dc:title"]: value for value in manifest["assertions"].values() if "relationship" in value}


def test_the_model_is_an_input_of_known_type(artefacts: dict[str, Artefact]) -> None:
    (ingredient,) = _ingredients(artefacts["clip"].active()).values()
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


def test_a_mark_of_trustmark_is_written_as_its_owner_does() -> None:
    ours = WatermarkStatement(mark_id="0123456789abcdef")
    theirs = WatermarkStatement(mark_id="0123456789abcdef", algorithm="com.adobe.trustmark.P")
    data = soft_binding(theirs)["data"]
    assert data["alg"] == "com.adobe.trustmark.P"
    assert data["blocks"] == [{"scope": {}, "value": f"2*{0x0123456789ABCDEF:064b}1110"}]
    assert mark_id_of(data) == mark_id_of(soft_binding(ours)["data"]) == "0123456789abcdef"
    assert mark_id_of(data | {"blocks": [{"scope": {}, "value": "1*01"}]}) is None


def test_a_whole_clip_says_everything(signed_chain: SignedChain, artefacts: dict[str, Artefact]) -> None:
    manifest = artefacts["whole clip"].active()
    assertions = manifest["assertions"]
    document = signed_chain.snapshot.read_bytes()
    assert assertions["c2pa.thumbnail.claim"]["format"] == "image/jpeg"
    assert assertions["c2pa.ai-disclosure"]["contentProfile"] == {"humanOversightLevel": "human_validated"}
    assert assertions["c2pa.soft-binding"]["alg"] == "org.cleartitle.ss1"
    assert assertions["c2pa.soft-binding"]["blocks"] == [{"scope": {}, "value": "0123456789abcdef"}]
    actions = [action["action"] for action in assertions["c2pa.actions.v2"]["actions"]]
    assert actions == ["c2pa.created", "c2pa.watermarked.bound"]
    location = assertions["c2pa.external-reference"]["location"]
    assert (location["url"], location["size"]) == ("snapshot.json", len(document))
    assert location["hash"] == f"b64'{_base64(hashlib.sha256(document).digest())}'"
    assert assertions["cawg.metadata"]["dc:identifier"] == "urn:cleartitle:clip:0001"
    assert assertions["cawg.metadata"]["Iptc4xmpExt:AISystemUsed"] == "tiny"


def test_an_external_reference_is_gathered_and_all_else_is_ours(artefacts: dict[str, Artefact]) -> None:
    """A created external reference is an error in the code list of 2.4."""
    claim = artefacts["whole clip"].active()["claim.v2"]
    created = {entry["url"].rpartition("/")[2] for entry in claim["created_assertions"]}
    assert "c2pa.external-reference" not in created
    assert {"org.cleartitle.replication-screen", "c2pa.soft-binding", "cawg.metadata"} <= created


def _base64(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode()


def test_a_prompt_is_an_input_by_digest(artefacts: dict[str, Artefact]) -> None:
    manifest = artefacts["whole clip"].active()
    prompt = _ingredients(manifest)["prompt"]
    assert prompt["instanceID"] == f"urn:sha256:{PROMPT_SHA256}"
    assert prompt["dataTypes"] == [{"type": "c2pa.types.generator.prompt"}]
    assert "data" not in prompt
    assert len(manifest["assertions"]["c2pa.actions.v2"]["actions"][0]["parameters"]["ingredients"]) == 4
    assert PROMPT.encode() not in artefacts["whole clip"].path.read_bytes()


def test_a_prompt_is_quoted_only_if_that_is_asked_for(artefacts: dict[str, Artefact]) -> None:
    manifest = artefacts["quoting clip"].active()
    assert "data" in _ingredients(manifest)["prompt"]
    assert "c2pa.embedded-data" in manifest["assertions"]
    assert PROMPT.encode() in artefacts["quoting clip"].path.read_bytes()


def test_a_screen_says_what_it_compared_with_and_what_it_found(artefacts: dict[str, Artefact]) -> None:
    screen = artefacts["whole clip"].active()["assertions"]["org.cleartitle.replication-screen"]
    assert (screen["outcome"], screen["numMatches"]) == ("passed", 0)
    assert "highestProbability" not in screen
    assert screen["comparedWith"][1] == {
        "name": "films",
        "against": "reference",
        "numAssets": 7,
        "numCompared": 6,
    }


def test_components_of_a_model_are_inputs_with_what_is_known_of_them(artefacts: dict[str, Artefact]) -> None:
    manifest = artefacts["whole model"].active()
    found = _ingredients(manifest)
    assert set(found) == {"spring", "tiny captioner", "video autoencoder"}
    assert found["tiny captioner"]["instanceID"] == f"urn:sha256:{'12' * 32}"
    assert found["tiny captioner"]["description"] == "captioner, licensed-claimed; not attested"
    statuses = {
        component["role"]: component["status"]
        for component in manifest["assertions"]["org.cleartitle.components"]["components"]
    }
    assert statuses == {"captioner": "licensed-claimed", "autoencoder": "undisclosed"}


def test_a_clip_names_the_components_of_its_model(artefacts: dict[str, Artefact]) -> None:
    manifest = artefacts["whole clip"].active()
    found = _ingredients(manifest)
    assert found["tiny captioner"]["description"] == "captioner, licensed-claimed; not attested"
    assert found["tiny captioner"]["relationship"] == "inputTo"
    stated = manifest["assertions"]["org.cleartitle.components"]["components"]
    assert [component["status"] for component in stated] == ["licensed-claimed", "undisclosed"]


def test_a_component_with_a_manifest_goes_in_with_it(signed_chain: SignedChain, tmp_path: Path) -> None:
    base = ComponentStatement(
        role="base", name="tiny", version="1", status=ComponentStatus.CLEARED, has_manifest=True
    )
    statement = dataclasses.replace(signed_chain.model_statement, name="tuned", components=(base,))
    path = tmp_path / "tuned.safetensors"
    path.write_bytes(signed_chain.weights.read_bytes())
    ingredient = signed_chain.model_ingredient
    base_model = dataclasses.replace(
        ingredient, label="base", definition={**ingredient.definition, "label": "base"}
    )
    snapshot = snapshot_ingredient(signed_chain.snapshot, signed_chain.signer)
    sign_model(path, statement, signed_chain.signer, snapshot=snapshot, bases=[base_model])
    tuned = Artefact(path, m.MODEL_MEDIA_TYPE, signed_chain)
    assert CONFORMANCE.judge(tuned.crjson()).num_held == 31
    assert "activeManifest" in _ingredients(tuned.active())["tiny"]


def test_resources_are_what_the_manifest_refers_to() -> None:
    document = snapshot_document()
    assert m.clip_resources(clip_statement(ROOT)) == {}
    quoting = whole_clip_statement(document, prompt=PromptStatement(sha256=PROMPT_SHA256, text=PROMPT))
    assert m.clip_resources(quoting) == {"thumbnail.jpg": thumbnail_jpeg(), "prompt.txt": PROMPT.encode()}
    definition = m.clip_manifest(quoting, generator_version=VERSION)
    identifiers = {definition["thumbnail"]["identifier"], definition["ingredients"][0]["data"]["identifier"]}
    assert identifiers == set(m.clip_resources(quoting))


@pytest.mark.parametrize(
    "malformed",
    [
        lambda: PromptStatement(sha256="ab" * 32, text="another prompt"),
        lambda: PromptStatement(sha256="prompt"),
        lambda: clip_statement(ROOT, prompt=PromptStatement(sha256="ab" * 32)),
        lambda: clip_statement(ROOT, thumbnail_jpeg=b"\x89PNG"),
        lambda: SnapshotReference(url=" ", sha256=ROOT, size_bytes=1),
        lambda: SnapshotReference(url="snapshot.json", sha256=ROOT, size_bytes=0),
        lambda: WatermarkStatement(mark_id="0123"),
        lambda: WatermarkStatement(mark_id="0123456789abcdef", algorithm="ss1"),
        lambda: screen_statement(outcome="refused"),
        lambda: screen_statement(compared=()),
        lambda: screen_statement(min_probability=1.5),
        lambda: screen_statement(num_matches=1),
        lambda: screen_statement(highest_probability=0.5),
        lambda: ComparedCollection(name="films", against="reference", num_assets=1, num_compared=2),
        lambda: clip_statement(ROOT, screen=screen_statement(outcome="held")),
        lambda: ComponentStatement(role="base", name="b", version="1", status=ComponentStatus.CLEARED),
        lambda: ComponentStatement(
            role="Base model", name="b", version="1", status=ComponentStatus.UNDISCLOSED
        ),
        lambda: model_statement(b"", ROOT, components=base_components()[:1] * 2),
    ],
)
def test_what_cannot_be_stated_is_refused(malformed: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        malformed()


def test_a_held_clip_is_stated_only_if_a_person_let_it_through() -> None:
    held = screen_statement(outcome="held", num_matches=1, highest_probability=0.4)
    statement = clip_statement(ROOT, screen=held, human_oversight=HumanOversight.HUMAN_VALIDATED)
    data = m.clip_manifest(statement, generator_version=VERSION)["assertions"]
    (screen,) = (entry["data"] for entry in data if entry["label"] == m.SCREEN_LABEL)
    assert (screen["outcome"], screen["highestProbability"]) == ("held", 0.4)


def test_a_clip_says_what_it_was_made_from_and_nothing_that_was_not_asked_for() -> None:
    plain = created_parameters(clip_statement(ROOT))
    assert not {key for key in plain if "source" in key or "loop" in key or "strength" in key}
    source = SourceStatement(
        use="varied", sha256="d" * 64, media_type="video/mp4", strength_percent=30, has_manifest=True
    )
    said = created_parameters(clip_statement(ROOT, source=source))
    assert said["ingredientIds"] == ["model", "source"]
    assert said["org.cleartitle.source-sha256"] == "d" * 64
    assert said["org.cleartitle.strength-percent"] == 30
    assert created_parameters(clip_statement(ROOT, is_loop=True))["org.cleartitle.loop"] is True


def test_a_source_without_a_manifest_is_an_input_by_digest() -> None:
    source = SourceStatement(use="first-frame", sha256="d" * 64, media_type="image/png")
    definition = m.clip_manifest(clip_statement(ROOT, source=source), generator_version=VERSION)
    (ingredient,) = definition["ingredients"]
    assert (ingredient["relationship"], ingredient["label"]) == ("inputTo", m.SOURCE_INGREDIENT)
    assert ingredient["instance_id"] == f"urn:sha256:{'d' * 64}"


@pytest.mark.parametrize(
    "changes", [{"sha256": "x"}, {"use": "First Frame"}, {"media_type": "png"}, {"strength_percent": 0}]
)
def test_a_malformed_source_is_refused(changes: dict[str, Any]) -> None:
    facts: dict[str, Any] = {"use": "varied", "sha256": "d" * 64, "media_type": "video/mp4"}
    with pytest.raises(ValueError, match="expected"):
        SourceStatement(**facts | changes)


def created_parameters(statement: ClipStatement) -> dict[str, Any]:
    """The parameters of the first action."""
    data = m.clip_manifest(statement, generator_version=VERSION)["assertions"]
    (actions,) = (entry["data"] for entry in data if entry["label"] == m.ACTIONS_LABEL)
    parameters: dict[str, Any] = actions["actions"][0]["parameters"]
    return parameters
