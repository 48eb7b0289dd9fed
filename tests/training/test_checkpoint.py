"""Checkpoints on disk."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch

from tests.media import flip_byte, truncate_file
from training.checkpoint import (
    Checkpoint,
    checkpoint_paths,
    load_checkpoint,
    load_newest_checkpoint,
    save_checkpoint,
    step_of,
)
from training.errors import CheckpointError


def _checkpoint(step: int) -> Checkpoint:
    return Checkpoint(step=step, state={"words": ["a"]}, tensors={"weight": torch.full((3,), float(step))})


def _folder_with(folder: Path, *steps: int) -> Path:
    for step in steps:
        save_checkpoint(folder, _checkpoint(step))
    return folder


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    loaded = load_checkpoint(save_checkpoint(tmp_path, _checkpoint(7)))
    assert (loaded.step, loaded.state) == (7, {"words": ["a"]})
    assert torch.equal(loaded.tensors["weight"], torch.full((3,), 7.0))


def test_equal_checkpoints_are_equal_bytes(tmp_path: Path) -> None:
    first = save_checkpoint(tmp_path / "a", _checkpoint(7))
    second = save_checkpoint(tmp_path / "b", _checkpoint(7))
    assert first.read_bytes() == second.read_bytes()


def test_old_ones_are_thinned_out_and_leftovers_removed(tmp_path: Path) -> None:
    (tmp_path / ".step-00000001.abc.safetensors").write_bytes(b"half")
    (tmp_path / "step-00000001.safetensors").write_bytes(b"without its JSON")
    _folder_with(tmp_path, *range(2, 122, 2))
    steps = [step_of(path) for path in checkpoint_paths(tmp_path)]
    assert len(steps) == 16
    assert steps[:2] == [120, 118]
    assert steps[-1] == 2
    assert max(later - earlier for later, earlier in itertools.pairwise(steps)) <= 16
    assert len(list(tmp_path.iterdir())) == 32


def test_a_folder_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert load_newest_checkpoint(tmp_path / "nothing") is None


def test_a_damaged_newest_checkpoint_falls_back_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _folder_with(tmp_path, 2, 4)
    flip_byte(tmp_path / "step-00000004.safetensors", -1)
    loaded = load_newest_checkpoint(tmp_path)
    assert loaded is not None
    assert loaded.step == 2
    assert "step-00000004.safetensors: sha256" in caplog.text


def test_a_truncated_state_falls_back(tmp_path: Path) -> None:
    _folder_with(tmp_path, 2, 4)
    truncate_file(tmp_path / "step-00000004.json", 0.5)
    loaded = load_newest_checkpoint(tmp_path)
    assert loaded is not None
    assert loaded.step == 2


def test_nothing_but_damaged_checkpoints_is_refused(tmp_path: Path) -> None:
    _folder_with(tmp_path, 2, 4)
    for path in checkpoint_paths(tmp_path):
        path.with_suffix(".safetensors").unlink()
    with pytest.raises(CheckpointError, match="no intact checkpoint") as refused:
        load_newest_checkpoint(tmp_path)
    assert refused.value.hint is not None


def test_an_edited_state_is_refused(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, _checkpoint(2))
    document = json.loads(path.read_bytes())
    document["state"]["words"] = ["b"]
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(CheckpointError, match="its state differs"):
        load_checkpoint(path)


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, _checkpoint(2))
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "format": "other/9"}), encoding="utf-8")
    with pytest.raises(CheckpointError, match="format 'other/9'"):
        load_checkpoint(path)
