"""The weights file, and sampling from what it holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from governance.snapshots.snapshot import Snapshot
from tests.media import flip_byte
from tests.training.cleared_footage import TINY, open_clips, open_ledger
from training.errors import CheckpointError
from training.generation.sample import draw_clip
from training.loop import prepare, train_steps, trained_model
from training.reference import ReferenceRecipe
from training.team import Alone
from training.tensor_file import METADATA_KEY, pack_tensors, unpack_tensors
from training.video_model import draw_all
from training.weights import TrainedModel, load_weights


@pytest.fixture
def trained(snapshot: Snapshot, tmp_path: Path) -> TrainedModel:
    """A model after a few steps."""
    clips, ledger = open_clips(snapshot, tmp_path / "frames"), open_ledger(tmp_path / "checkpoints")
    run = prepare(
        clips, tmp_path / "checkpoints", recipe=ReferenceRecipe(TINY), ledger=ledger, team=Alone("cpu")
    )
    list(train_steps(run))
    model = trained_model(run)
    assert isinstance(model, TrainedModel)
    return model


def _draw(trained: TrainedModel, prompt: str, seed: int) -> torch.Tensor:
    return draw_clip(
        trained.model,
        trained.tokenizer,
        trained.vocabulary,
        prompt,
        seed,
        num_steps=2,
        guidance=2.0,
        temperature=1.0,
    )


def _rewritten(path: Path, **changes: object) -> Path:
    tensors, record = unpack_tensors(path.read_bytes())
    path.write_bytes(pack_tensors(tensors, record | changes))
    return path


def test_loaded_weights_draw_the_same_clips(trained: TrainedModel, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    sha256 = trained.save(path)
    loaded = load_weights(path, device="cpu", expected_sha256=sha256)
    assert (loaded.config, loaded.vocabulary, loaded.origin) == (TINY, trained.vocabulary, trained.origin)
    assert loaded.origin["snapshot_name"] == "tiny"
    assert loaded.num_parameters == trained.num_parameters > 1000
    assert torch.equal(_draw(loaded, "discs over sand", 3), _draw(trained, "discs over sand", 3))


def test_weights_are_reproducible_and_carry_one_metadata_key(trained: TrainedModel, tmp_path: Path) -> None:
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    assert trained.save(first) == trained.save(second)
    data = first.read_bytes()
    assert data == second.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert list(header["__metadata__"]) == [METADATA_KEY]


def test_one_changed_byte_of_weights_is_refused(trained: TrainedModel, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    sha256 = trained.save(path)
    flip_byte(path, -1)
    with pytest.raises(CheckpointError, match=rf"model\.safetensors: sha256 .*, expected {sha256[:12]}"):
        load_weights(path, device="cpu", expected_sha256=sha256)


def test_weights_of_another_architecture_are_refused(trained: TrainedModel, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    trained.save(path)
    with pytest.raises(CheckpointError, match="architecture 'other/1', expected 'cleartitle-video-dit/2'"):
        load_weights(_rewritten(path, architecture="other/1"), device="cpu")
    with pytest.raises(
        CheckpointError, match="'cleartitle-pixel-dit/1', its configuration is of 'cleartitle-v"
    ):
        load_weights(_rewritten(path, architecture="cleartitle-pixel-dit/1"), device="cpu")


def test_weights_that_do_not_fit_their_configuration_are_refused(
    trained: TrainedModel, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    trained.save(path)
    deeper = {**TINY.to_dict(), "model_depth": 2}
    with pytest.raises(CheckpointError, match=r"tensors do not fit the architecture: .*blocks\.1"):
        load_weights(_rewritten(path, config=deeper), device="cpu")
    wider = {**TINY.to_dict(), "patch_width": 16}
    with pytest.raises(CheckpointError, match="tokenizer shapes"):
        load_weights(_rewritten(path, config=wider), device="cpu")


@pytest.mark.parametrize("content", [b"", b"not a safetensors file at all", None])
def test_a_file_that_holds_no_weights_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"weights .*model\.safetensors"):
        load_weights(path, device="cpu")


def test_a_record_with_missing_parts_is_refused(trained: TrainedModel, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    trained.save(path)
    with pytest.raises(CheckpointError, match="record is incomplete"):
        load_weights(_rewritten(path, config={"misspelt": 1}), device="cpu")


def test_seed_and_prompt_decide_the_clip(trained: TrainedModel) -> None:
    clip = _draw(trained, "discs over sand", 3)
    assert (clip.shape, clip.dtype) == ((4, 3, 16, 16), torch.uint8)
    assert torch.equal(clip, _draw(trained, "Discs, over SAND!", 3))
    assert torch.equal(clip, _draw(trained, "discs over unheard sand", 3))
    assert not torch.equal(clip, _draw(trained, "discs over sand", 4))


def test_each_of_several_clips_can_be_drawn_alone(trained: TrainedModel) -> None:
    prompts = ["discs over sand", "discs over sand", ""]
    clips = draw_all(trained, prompts, 7)
    for number, prompt in enumerate(prompts):
        assert torch.equal(clips[number], trained.draw(prompt, 7 + number))


def test_temperature_scales_the_noise_that_a_clip_is_drawn_from(trained: TrainedModel) -> None:
    def drawn(seed: int, temperature: float) -> torch.Tensor:
        return draw_clip(
            trained.model,
            trained.tokenizer,
            trained.vocabulary,
            "discs",
            seed,
            num_steps=2,
            guidance=2.0,
            temperature=temperature,
        )

    assert torch.equal(drawn(1, 0.0), drawn(2, 0.0))
    assert not torch.equal(drawn(1, 1.0), drawn(2, 1.0))
    assert not torch.equal(drawn(1, 0.5), drawn(1, 1.0))
