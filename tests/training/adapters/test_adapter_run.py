"""An adapter from base to clip: trained through the gate, proven, signed, drawn from, and never called clean."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from db.canonical import sha256_hex
from db.errors import ConfigError
from db.project import Project, open_project
from governance.conformance.examination import examine
from governance.credentials.engine import read_store
from governance.credentials.store import assertion_data
from governance.manifests.manifest import CLIP_MEDIA_TYPE, COMPONENTS_LABEL
from governance.policy.files import find_policy
from governance.signing.signers import load_project_trust
from governance.snapshots.snapshot import find_record, stated_spans, verified_document
from governance.verification.verdict import VerdictOutcome
from governance.verification.verify import verify_file
from tests.cli import cleartitle
from tests.media import flip_byte
from tests.training.adapters.conftest import statement_in
from tests.training.screener import SayingScreen
from training.adapters import permission
from training.adapters.base_record import NOT_ATTESTED
from training.adapters.bases import add_base, find_base
from training.adapters.config import AdapterConfig, adapter_config
from training.adapters.errors import BaseModelChanged, BaseModelRefused
from training.adapters.permission import require_releasable
from training.adapters.pipeline import foreign_code, load_pipeline
from training.config import TrainingConfig
from training.errors import CheckpointError
from training.forgetting.affected import affected_runs
from training.generation.generator import Generator, open_generator, require_commercial_release
from training.generation.publish import PublishedClip, publish_clip
from training.generation.request import ClipRequest
from training.licensed_run import LicensedModel, LicensedRun, begin_run, complete_run, model_folder
from training.proof.audit import record_findings
from training.proof.evidence import find_run
from training.proof.findings import ProofFinding, Standing
from training.proof.replay import replay, segments_of
from training.recipes import open_model
from training.screening.result import ScreenOutcome
from training.tensor_file import pack_tensors, unpack_tensors

SETTINGS: dict[str, Any] = {
    "rank": 2,
    "alpha": 4,
    "num_frames": 9,
    "height": 32,
    "width": 32,
    "max_prompt_tokens": 16,
    "batch_size": 2,
    "num_steps": 4,
    "warmup_steps": 1,
    "learning_rate": 1e-2,
    "sampling_steps": 2,
    "guidance": 2.0,
    "checkpoint_every": 2,
}
REQUEST = ClipRequest(prompt="the sea at night", seed=7, height=128, width=128)


def config_for(project: Project) -> AdapterConfig:
    return adapter_config(SETTINGS, find_base(project, "ltx").record)


def train(project: Project, name: str, *, stop_after: int | None = None) -> LicensedModel | None:
    """Train, or stop in the middle as a user does."""
    begun = begin_run(project, "spring", config_for(project), name=name, on_clip=lambda _n: None)
    assert isinstance(begun, LicensedRun)

    def on_step(report: Any) -> None:
        if report.step == stop_after:
            raise KeyboardInterrupt

    try:
        return complete_run(project, begun, on_step=on_step)
    except KeyboardInterrupt:
        return None


@pytest.fixture(scope="module")
def trained(library: Project) -> Project:
    """The library with an adapter called `tuned`, whose run was interrupted once."""
    assert train(library, "tuned", stop_after=1) is None
    assert train(library, "tuned") is not None
    return library


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    """A copy that a test may change; footage and base are shared."""
    shutil.copytree(trained.root, tmp_path / "project")
    return open_project(tmp_path / "project")


def opened(project: Project) -> Generator:
    return open_generator(
        project, "tuned", open_screener=lambda _project, _snapshot: SayingScreen(ScreenOutcome.PASSED)
    )


def findings(project: Project) -> dict[str, ProofFinding]:
    return {found.code: found for found in record_findings(project, find_run(project, "tuned"))}


def test_the_intent_names_the_base_and_pins_its_record(trained: Project) -> None:
    run = find_run(trained, "tuned")
    record = find_base(trained, "ltx").record
    stated = run.intent.document["base"]
    assert (stated["name"], stated["digest"], stated["training_data"]) == (
        "ltx",
        record.digest,
        "undisclosed",
    )
    assert run.intent.document["config"]["base_digest"] == record.digest
    assert {"diffusers", "peft", "transformers"} <= run.intent.document["environment"].keys()


def test_the_record_of_an_adapter_run_holds_on_every_level(trained: Project) -> None:
    found = findings(trained)
    assert {item.standing for item in found.values()} == {Standing.HOLDS}
    assert {"weights.origin", "order.step", "exposure", "attestation", "held_out"} <= found.keys()
    run = find_run(trained, "tuned")
    answers = [replay(trained, run, segment, on_step=lambda _n: None) for segment in segments_of(run)]
    assert [answer.standing for answer in answers] == [Standing.HOLDS] * len(answers)
    assert len(answers) >= 2


def test_one_changed_byte_of_the_base_is_named_before_anything_is_drawn_or_replayed(
    project: Project, tmp_path: Path
) -> None:
    base = find_base(project, "ltx")
    changed = Path(shutil.copytree(base.folder, tmp_path / "ltx"))
    # The same base, now said to lie where the test may change it.
    add_base(project, changed, "ltx", statement_in(tmp_path))
    flip_byte(changed / "vae" / "diffusion_pytorch_model.safetensors", -1)
    with pytest.raises(BaseModelChanged, match=r"ltx/vae/diffusion_pytorch_model\.safetensors has sha256"):
        opened(project)
    run = find_run(project, "tuned")
    answer = replay(project, run, segments_of(run)[0], on_step=lambda _n: None)
    assert (answer.standing, "vae/diffusion_pytorch_model" in answer.detail) == (Standing.NOT_CHECKED, True)


def test_the_weights_are_the_layers_alone_under_names_that_diffusers_loads(trained: Project) -> None:
    path = model_folder(trained, "tuned") / "model.safetensors"
    tensors, record = unpack_tensors(path.read_bytes())
    assert all(name.startswith("transformer.") for name in tensors)
    assert {name.rsplit(".", 2)[1] for name in tensors} == {"lora_A", "lora_B"}
    assert record["base"]["digest"] == find_base(trained, "ltx").record.digest
    layers = [tensor for name, tensor in tensors.items() if ".lora_B." in name]
    assert any(bool(layer.abs().max() > 0) for layer in layers), "something was learnt"

    pipe = load_pipeline(find_base(trained, "ltx").folder, "LTXPipeline", device="cpu")
    with foreign_code():
        pipe.load_lora_weights(str(path))
    assert pipe.get_active_adapters()


def test_its_papers_say_what_is_not_attested(trained: Project) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    folder = model_folder(trained, "tuned")
    card = json.loads((folder / "model-card.json").read_bytes())
    assert (card["clean"], card["base"]["name"], card["use"]["commercial_release"]) == (False, "ltx", False)
    text = (folder / "model-card.md").read_text()
    assert NOT_ATTESTED in text
    assert "licensed footage and nothing else" not in text
    bom = json.loads((folder / "bom.cdx.json").read_bytes())
    (base,) = [part for part in bom["components"] if part.get("bom-ref", "").startswith("base-model:")]
    assert {"name": "cleartitle:training-data", "value": "undisclosed"} in base["properties"]
    text = (folder / "bom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_7).validate_str(text) is None
    modification = card["compute"]["modification"]
    assert (modification["base_training_flop"], modification["reaches_threshold"]) == (None, False)
    assert modification["threshold_flop"] == pytest.approx(1e23 / 3)


def test_a_clip_carries_the_base_as_ingredient_and_conforms(project: Project) -> None:
    clip = publish_clip(project, opened(project), REQUEST, folder=project.outputs)
    assert isinstance(clip, PublishedClip)
    trust = load_project_trust(project)
    active = read_store(clip.path, trust, media_type=CLIP_MEDIA_TYPE).active
    stated = assertion_data(active, COMPONENTS_LABEL)
    assert stated is not None
    (component,) = stated["components"]
    assert (component["name"], component["status"], component["remark"]) == (
        "ltx",
        "undisclosed",
        NOT_ATTESTED,
    )
    (ingredient,) = [item for item in active["ingredients"] if item.get("title") == "ltx"]
    assert NOT_ATTESTED in ingredient["description"]
    assert examine(clip.path, trust, ["conformance"]).reports[0].num_held == 31
    verdict = verify_file(clip.path, trust)
    assert verdict.outcome is VerdictOutcome.PASS
    assert any(NOT_ATTESTED in remark for remark in verdict.remarks)
    assert verdict.for_commercial().outcome is VerdictOutcome.FAIL
    assert verdict.chain is not None
    assert not verdict.chain.is_promotable
    weights = model_folder(project, "tuned") / "model.safetensors"
    assert verify_file(weights, trust).outcome is VerdictOutcome.PASS


def test_the_same_request_draws_the_same_clip(trained: Project) -> None:
    model = opened(trained).trained
    first = model.draw("the sea", 3)
    assert (first.shape, first.dtype) == ((9, 3, 32, 32), torch.uint8)
    assert torch.equal(first, model.draw("the sea", 3))
    assert not torch.equal(first, model.draw("the sea", 4))
    assert not torch.equal(first, model.draw("red water", 3))
    assert model.retell(first).shape == first.shape
    assert model.count_draw_flops(4) > model.count_draw_flops(2) > 0
    assert model.unknown_words("a word of nobody") == ()


@pytest.mark.parametrize("changes", [{"num_frames": 18}, {"is_loop": True}])
def test_what_the_pipelines_cannot_draw_is_refused_before_anything_is_drawn(
    project: Project, changes: dict[str, Any]
) -> None:
    request = dataclasses.replace(REQUEST, **changes)
    with pytest.raises(ConfigError, match="draws clips of its own length from a prompt alone"):
        publish_clip(project, opened(project), request, folder=project.outputs)
    assert not list(project.outputs.glob("*.mp4"))


def test_a_commercial_release_is_refused_with_the_clause(trained: Project) -> None:
    with pytest.raises(
        BaseModelRefused, match=r"base_models\.release: the training data of ltx is undisclosed"
    ):
        require_commercial_release(trained, opened(trained))
    record = find_base(trained, "ltx").record
    with pytest.raises(BaseModelRefused, match=r"base_models\.territories: .* KR"):
        require_releasable(trained, "spring", dataclasses.replace(record, excluded_territories=("KR",)))


def test_a_policy_that_forbids_the_base_stops_the_run_before_it_begins(
    trained: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = find_policy("commercial-training-strict").base_models
    monkeypatch.setattr(permission, "_terms", lambda _project, _name: strict)
    before = sorted(path.name for path in trained.runs.iterdir())
    config = dataclasses.replace(config_for(trained), seed=1)
    with pytest.raises(BaseModelRefused, match=r"forbids it: base_models\.training: .* is undisclosed"):
        begin_run(trained, "spring", config, name="other", on_clip=lambda _n: None)
    assert sorted(path.name for path in trained.runs.iterdir()) == before


def test_weights_of_another_base_or_shape_are_refused(project: Project) -> None:
    path = model_folder(project, "tuned") / "model.safetensors"
    tensors, record = unpack_tensors(path.read_bytes())
    first = next(iter(tensors))
    broken = [
        (tensors, record | {"base": record["base"] | {"digest": "0" * 64}}, "whose configuration names"),
        (tensors | {first: torch.zeros(1, 1)}, record, "tensors do not fit the adapter"),
        ({name: value for name, value in tensors.items() if name != first}, record, "is not on both sides"),
        (tensors, {**record, "config": {**record["config"], "rnak": 2}}, "incomplete"),
    ]
    for changed, said, words in broken:
        path.write_bytes(pack_tensors(changed, said))
        with pytest.raises(CheckpointError, match=words):
            open_model(project, path, device="cpu", expected_sha256=sha256_hex(path.read_bytes()))


def test_forgetting_finds_an_adapter_by_its_ledger(trained: Project) -> None:
    ledger = (trained.runs / find_run(trained, "tuned").run_id / "ledger.jsonl").read_text().splitlines()
    assert '"fitting"' not in "".join(ledger), "nothing is read before the first step"
    spans = stated_spans(verified_document(trained, find_record(trained, "spring")))
    runs = affected_runs(trained, [span.clip_id for span in spans])
    assert [(run.model_name, run.basis, run.is_fitted) for run in runs] == [("tuned", "ledger", False)]


def test_the_reference_model_stays_clean(trained: Project) -> None:
    config = TrainingConfig(
        num_frames=4, height=16, width=16, patch_height=16, patch_width=16, num_steps=2, batch_size=2
    )
    begun = begin_run(trained, "spring", config, name="plain", on_clip=lambda _n: None)
    assert isinstance(begun, LicensedRun)
    folder = complete_run(trained, begun, on_step=lambda _r: None).folder
    card = json.loads((folder / "model-card.json").read_bytes())
    assert (card["clean"], card["base"]) == (True, None)
    assert "modification" not in card["compute"]


def test_no_run_begins_on_a_base_that_is_not_on_record(trained: Project) -> None:
    config = dataclasses.replace(config_for(trained), base="nobody")
    with pytest.raises(ConfigError, match="no base model is called 'nobody'; on record: ltx"):
        begin_run(trained, "spring", config, name="other", on_clip=lambda _n: None)
    pinned = dataclasses.replace(config_for(trained), base_digest="0" * 64)
    with pytest.raises(ConfigError, match="expected 000000000000"):
        begin_run(trained, "spring", pinned, name="other", on_clip=lambda _n: None)


@pytest.mark.slow
def test_the_commands_train_verify_and_refuse(project: Project, tmp_path: Path) -> None:
    """What a user sees: a second adapter by `train --base`, its proof, and what generating with it is refused."""
    lines = [
        f"{name} = {json.dumps(value)}"
        for name, value in SETTINGS.items()
        if name not in {"num_steps", "seed"}
    ]
    settings = tmp_path / "adapter.toml"
    settings.write_text("\n".join([*lines, "num_steps = 2", "seed = 3"]))
    words = ("train", "--snapshot", "spring", "--base", "ltx", "--config", settings, "--name", "second")
    trained = cleartitle(*words, cwd=project.root)
    assert trained.exit_code == 0, trained.stderr
    assert "base model ltx, training data undisclosed" in trained.stdout
    assert NOT_ATTESTED in trained.stdout
    proven = cleartitle("training", "verify", "second", "--replay", "1", cwd=project.root)
    assert proven.exit_code == 0, proven.stdout + proven.stderr
    assert "base.record" in proven.stdout
    generate = ("generate", "--model", "second", "--prompt", "the sea")
    sold = cleartitle(*generate, "--for", "commercial", cwd=project.root)
    assert (sold.exit_code, "base_models.release" in sold.stderr) == (1, True)
    longer = cleartitle(*generate, "--loop", cwd=project.root)
    assert (longer.exit_code, "from a prompt alone" in longer.stderr) == (2, True)
    unknown = cleartitle(*words[:4], "other", cwd=project.root)
    assert (unknown.exit_code, "no base model is called 'other'" in unknown.stderr) == (2, True)


def test_verify_names_a_base_whose_record_was_changed(project: Project) -> None:
    assert findings(project)["base.record"].standing is Standing.HOLDS
    path = project.bases / "ltx" / "base.json"
    path.write_text(path.read_text().replace("A reviewer", "Somebody"))
    found = findings(project)["base.record"]
    assert (found.standing, "is not the record that was made" in found.detail) == (Standing.FAILS, True)
