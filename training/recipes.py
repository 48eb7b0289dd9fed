"""The kinds of model that a run can train, told apart by configuration or weights file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.config import TrainingConfig, config_from_mapping
from training.learner import Recipe
from training.reference import ReferenceRecipe
from training.settings import RunConfig
from training.video_model import VideoModel
from training.weights import load_weights


def read_config(values: Mapping[str, Any]) -> RunConfig:
    """Read a configuration as it was stored with a run. Raises `TrainingConfigError`."""
    return config_from_mapping(values)


def recipe_for(config: RunConfig) -> Recipe:
    """Return how the model of `config` is trained."""
    assert isinstance(config, TrainingConfig)
    return ReferenceRecipe(config)


def open_model(weights: Path, *, device: str, expected_sha256: str) -> VideoModel:
    """Open the model of a weights file. Raises `CheckpointError` if the file does not hold."""
    return load_weights(weights, device=device, expected_sha256=expected_sha256)
