"""The kinds of model that a run can train, told apart by configuration or weights file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from db.project import Project
from training.adapters.bases import find_base
from training.adapters.config import AdapterConfig, is_adapter, stored_config
from training.adapters.learner import AdapterRecipe
from training.adapters.model import is_adapter_file, unpack_adapter
from training.config import TrainingConfig, config_from_mapping
from training.errors import TrainingConfigError
from training.learner import Recipe
from training.reference import ReferenceRecipe
from training.settings import RunConfig
from training.tensor_file import unpack_tensors
from training.video_model import VideoModel
from training.weights import load_weights, read_weights


def read_config(values: Mapping[str, Any]) -> RunConfig:
    """Read a configuration as it was stored with a run. Raises `TrainingConfigError`."""
    return stored_config(values) if is_adapter(values) else config_from_mapping(values)


def recipe_for(project: Project, config: RunConfig) -> Recipe:
    """Return how the model of `config` is trained. Raises `ConfigError` or `RefusedError` if its base is not there."""
    if isinstance(config, AdapterConfig):
        return AdapterRecipe(config, find_base(project, config.base))
    if isinstance(config, TrainingConfig):
        return ReferenceRecipe(config)
    raise TrainingConfigError(f"{type(config).__name__} is the configuration of no model")


def open_model(project: Project, weights: Path, *, device: str, expected_sha256: str) -> VideoModel:
    """Open the model of a weights file, and its base if it has one.

    Raises `CheckpointError` if the file does not hold, `BaseModelChanged` if the base is not the one on record.
    """
    data = read_weights(weights, expected_sha256=expected_sha256)
    _, record = unpack_tensors(data)
    if is_adapter_file(record):
        return unpack_adapter(data, find_base(project, str(record["base"]["name"])), device=device)
    return load_weights(weights, device=device, expected_sha256=expected_sha256)
