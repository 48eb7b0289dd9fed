"""Training configurations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from training.config import PRESETS, TrainingConfig, config_from_mapping, load_config
from training.errors import TrainingConfigError


def test_default_is_the_cpu_preset() -> None:
    assert config_from_mapping({}) == TrainingConfig()
    assert TrainingConfig().token_grid == (16, 1, 1)


def test_a_file_replaces_values_of_its_preset(tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text('preset = "toy"\nnum_steps = 5\nguidance = 3\n', encoding="utf-8")
    config = load_config(path)
    assert (config.height, config.num_steps, config.guidance) == (32, 5, 3.0)


def test_an_unknown_key_names_the_nearest_known_one(tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text("learning_rat = 1.0\n", encoding="utf-8")
    with pytest.raises(TrainingConfigError, match=r"train\.toml: .*'learning_rat'.*'learning_rate'"):
        load_config(path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"preset": "cpuu"}, r"preset is 'cpuu': expected 'cpu'"),
        ({"preset": 3}, "preset is 3"),
        ({"batch_size": 0}, "batch_size is 0: expected at least 1"),
        ({"batch_size": True}, "batch_size is True: expected a whole number"),
        ({"batch_size": 1.5}, "batch_size is 1.5: expected a whole number"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast': expected a number"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0: expected above 0"),
        ({"ema_decay": 1.0}, "ema_decay is 1.0"),
        ({"caption_dropout": 1.5}, "caption_dropout is 1.5: expected 0 to 1"),
        ({"temperature": -0.1}, "temperature is -0.1: expected at least 0"),
        ({"patch_height": 7}, "patch_height is 7: expected a divisor of height 64"),
        ({"model_width": 100, "num_heads": 3}, "model_width is 100: expected a multiple of 6"),
        ({"seed": 2**60}, "seed is"),
        ({"tokenizer": "pixel"}, "tokenizer is 'pixel': expected 'pixels'"),
        ({"precision": "half"}, "precision is 'half': expected one of float32, bfloat16"),
        ({"execution": True}, "execution is True: expected text"),
        ({"accumulation": 3}, "accumulation is 3: expected a divisor of batch_size 16"),
    ],
)
def test_a_bad_value_is_refused_with_what_was_expected(values: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingConfigError, match=message):
        config_from_mapping(values)


@pytest.mark.parametrize("content", [b"num_steps = ", b"\xff\xfe", None])
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "train.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingConfigError, match=r"train\.toml"):
        load_config(path)


def test_digest_follows_every_value() -> None:
    digest = TrainingConfig().digest
    assert TrainingConfig().digest == digest
    assert TrainingConfig(seed=1).digest != digest
    assert config_from_mapping(TrainingConfig().to_dict()).digest == digest


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_stored_of_a_preset_reads_as_it_was(preset: str) -> None:
    config = config_from_mapping({"preset": preset, "seed": 3})
    assert config_from_mapping(config.to_dict()) == config
    plain = {"tokenizer": "pca", "precision": "float32", "execution": "eager", "accumulation": 1}
    turned = config_from_mapping({"preset": preset, **plain})
    assert config_from_mapping(turned.to_dict()) == turned
    assert turned.num_fitting_clips == 4096


@pytest.mark.parametrize(
    ("preset", "digest"),
    [
        ("cpu", "cbb40c33d139293817a24d71e242921b5a756156430224c0010bb29f4f6976da"),
        ("toy", "a6c824c0c1c368315e56f529c0d40e94c337396bc26c958ac1c5a4c5c2749b36"),
    ],
)
def test_keys_that_came_later_leave_older_digests_alone(preset: str, digest: str) -> None:
    """Names of runs, sample order, initial weights and noise follow from it."""
    assert config_from_mapping({"preset": preset}).digest == digest
    assert config_from_mapping({"preset": preset, "accumulation": 2}).digest != digest


@pytest.mark.parametrize(("preset", "grid"), [("s", (8, 8, 8)), ("b", (8, 8, 8)), ("b256", (6, 16, 16))])
def test_presets_at_size_read_pixels_and_fit_nothing(preset: str, grid: tuple[int, int, int]) -> None:
    config = config_from_mapping({"preset": preset})
    assert (config.tokenizer, config.num_fitting_clips, config.token_grid) == ("pixels", 0, grid)
