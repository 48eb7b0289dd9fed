"""Adapters of each kind of pipeline, through the loaders of diffusers: trained, taken up again, drawn from."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from db.errors import UndecidedError
from governance.manifests.statements import ComponentStatus
from governance.snapshots.snapshot import Snapshot
from tests.training.adapters.toy_bases import write_toy_base
from tests.training.cleared_footage import open_clips, open_ledger
from training.adapters.base_files import list_files, read_pipeline
from training.adapters.base_record import BaseRecord
from training.adapters.bases import BaseModel
from training.adapters.config import AdapterConfig, adapter_config, load_adapter_config, stored_config
from training.adapters.errors import BaseModelError
from training.adapters.learner import AdapterLearner, AdapterRecipe
from training.adapters.model import AdapterModel
from training.adapters.pipeline import load_pipeline
from training.errors import TrainingConfigError
from training.loop import prepare, train_steps, trained_model
from training.randomness import generator_for
from training.run import TrainingRun
from training.team import Alone

FAMILIES = ("ltx", "wan", "cogvideox", "mochi")
NUM_FRAMES = {"ltx": 5, "wan": 5, "cogvideox": 9, "mochi": 7}
SETTINGS: dict[str, Any] = {
    "rank": 2,
    "alpha": 2,
    "height": 32,
    "width": 32,
    "max_prompt_tokens": 16,
    "batch_size": 2,
    "num_steps": 3,
    "warmup_steps": 0,
    "learning_rate": 1e-2,
    "sampling_steps": 2,
    "guidance": 2.0,
    "checkpoint_every": 2,
}


def base_in(folder: Path) -> BaseModel:
    record = BaseRecord(
        name=folder.name,
        pipeline=read_pipeline(folder),
        files=list_files(folder, on_file=lambda _count: None),
        license_expression="Apache-2.0",
        license_sha256="0" * 64,
        status=ComponentStatus.UNDISCLOSED,
        reviewer="A reviewer",
    )
    return BaseModel(record=record, folder=folder)


@pytest.fixture(scope="module", params=FAMILIES)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    """A toy base of each kind, read back from disk."""
    return base_in(write_toy_base(tmp_path_factory.mktemp("base") / request.param, request.param))


@pytest.fixture(scope="module")
def ltx_base(ltx_folder: Path) -> BaseModel:
    return base_in(ltx_folder)


def config_of(base: BaseModel, **changes: Any) -> AdapterConfig:
    frames = {"num_frames": NUM_FRAMES[base.record.name]}
    return adapter_config({**SETTINGS, **frames, **changes}, base.record)


def prepared(base: BaseModel, snapshot: Snapshot, folder: Path, **changes: Any) -> TrainingRun:
    config = config_of(base, **changes)
    clips = open_clips(snapshot, folder / "frames", config=config)
    recipe, ledger = AdapterRecipe(config, base), open_ledger(folder)
    return prepare(clips, folder, recipe=recipe, ledger=ledger, team=Alone("cpu"))


def adapter_of(run: TrainingRun) -> AdapterModel:
    model = trained_model(run)
    assert isinstance(model, AdapterModel)
    return model


def test_an_untrained_adapter_draws_what_its_base_draws(
    base: BaseModel, snapshot: Snapshot, tmp_path: Path
) -> None:
    model = adapter_of(prepared(base, snapshot, tmp_path))
    pipe = load_pipeline(base.folder, base.record.pipeline, device="cpu")
    drawn = type(model.family)(pipe, max_prompt_tokens=16).draw(
        "the sea",
        generator_for("sample", "noise", 5),
        num_frames=model.config.num_frames,
        height=32,
        width=32,
        num_steps=2,
        guidance=2.0,
    )
    assert drawn.shape == (model.config.num_frames, 3, 32, 32)
    assert torch.equal(model.draw("the sea", 5), drawn)


def test_a_run_that_was_stopped_ends_with_the_same_bits(
    base: BaseModel, snapshot: Snapshot, tmp_path: Path
) -> None:
    straight = prepared(base, snapshot, tmp_path / "straight")
    losses = [report.loss for report in train_steps(straight)]
    stopped = prepared(base, snapshot, tmp_path / "stopped")
    steps = train_steps(stopped)
    next(steps)
    steps.close()
    again = prepared(base, snapshot, tmp_path / "stopped")
    assert again.step == 1
    assert [report.loss for report in train_steps(again)] == losses[1:]
    first, second = adapter_of(straight), adapter_of(again)
    assert first.save(tmp_path / "a.safetensors") == second.save(tmp_path / "b.safetensors")
    assert first.num_parameters == sum(layer.numel() for layer in first.layers.values()) > 100
    assert not torch.equal(
        first.draw("the sea", 5), adapter_of(prepared(base, snapshot, tmp_path / "new")).draw("the sea", 5)
    ), "training changed what is drawn"


def test_what_is_coded_comes_back_as_long_and_as_large(
    base: BaseModel, snapshot: Snapshot, tmp_path: Path
) -> None:
    run = prepared(base, snapshot, tmp_path)
    frames_TCHW = run.clips[0]["frames_TCHW"]
    assert torch.equal(run.learner.encode(frames_TCHW), run.learner.encode(frames_TCHW))
    assert adapter_of(run).retell(frames_TCHW).shape == frames_TCHW.shape
    assert run.learner.count_step_flops() > 0
    assert all(parameter.grad is None for parameter in run.learner.parameters().values())


def test_nothing_of_the_base_is_trained(ltx_base: BaseModel, snapshot: Snapshot, tmp_path: Path) -> None:
    run = prepared(ltx_base, snapshot, tmp_path)
    assert isinstance(run.learner, AdapterLearner)
    pipe = run.learner.family.pipe
    before = {name: value.clone() for name, value in pipe.transformer.state_dict().items()}
    list(train_steps(run))
    changed = {
        name for name, value in pipe.transformer.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed
    assert all(".lora_" in name for name in changed)
    trainable = [
        name
        for part in (pipe.vae, pipe.text_encoder)
        for name, parameter in part.named_parameters()
        if parameter.requires_grad
    ]
    assert trainable == []


def test_no_connection_is_opened(
    ltx_base: BaseModel, snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[object] = []

    def refuse(self: socket.socket, address: object) -> None:
        tried.append(address)
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    run = prepared(ltx_base, snapshot, tmp_path)
    next(train_steps(run))
    adapter_of(run).draw("the sea", 0)
    assert tried == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target_modules": ["to_q", "to_nowhere"]}, "the base has no layer called 'to_nowhere'"),
        ({"num_frames": 6}, "num_frames is 6: expected one more than a multiple of 4"),
        ({"height": 48}, "height is 48: expected a multiple of 32"),
    ],
)
def test_what_does_not_fit_the_base_is_refused(
    ltx_base: BaseModel, snapshot: Snapshot, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(TrainingConfigError, match=words):
        prepared(ltx_base, snapshot, tmp_path, **changes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rnak = 4", "unknown key 'rnak' of an adapter run: did you mean 'rank'"),
        ('base = "other"', "unknown key 'base'"),
        ("rank = 0", "rank is 0: expected at least 1"),
        ("rank = true", "rank is True: expected a whole number"),
        ('target_modules = "to_q"', "target_modules is 'to_q': expected a list of texts"),
        ("target_modules = []", "target_modules is empty"),
        ("caption_dropout = 1.5", "caption_dropout is 1.5: expected 0 to 1"),
        ("learning_rate = nan", "learning_rate is nan"),
        ("rank =", "cannot be read as TOML"),
    ],
)
def test_a_file_of_settings_is_read_strictly(
    ltx_base: BaseModel, tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "adapter.toml"
    path.write_text(text)
    with pytest.raises(TrainingConfigError, match=words) as raised:
        load_adapter_config(path, ltx_base.record)
    assert "adapter.toml" in str(raised.value)


def test_a_configuration_survives_json_and_its_digest_pins_the_base(ltx_base: BaseModel) -> None:
    config = config_of(ltx_base)
    assert stored_config(config.to_dict()) == config
    other = {**config.to_dict(), "base_digest": "0" * 64}
    assert stored_config(other).digest != config.digest


def test_files_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    folder = write_toy_base(tmp_path / "ltx", "ltx")
    weights = folder / "text_encoder" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(BaseModelError, match="diffusers cannot load it"):
        load_pipeline(folder, "LTXPipeline", device="cpu")


def test_without_the_libraries_the_answer_is_open(
    ltx_base: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UndecidedError, match="adapters need peft") as raised:
        load_pipeline(ltx_base.folder, "LTXPipeline", device="cpu")
    assert raised.value.hint == "install cleartitle[adapters]"
