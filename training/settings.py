"""Settings of a run as flat values: strictly typed, unknown keys refused, so that what was written is what is done."""

from __future__ import annotations

import dataclasses
import difflib
import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from training.errors import TrainingConfigError

MAX_SEED = 2**53
"""The largest integer that JSON readers agree on, and one more."""


class RunConfig(Protocol):
    """What the run protocol must know of a configuration, whatever it trains. Frozen; checks itself when made."""

    @property
    def num_frames(self) -> int:
        """Frames of a clip, spread evenly over the cleared span."""

    @property
    def height(self) -> int:
        """Pixels of a training frame."""

    @property
    def width(self) -> int:
        """Pixels of a training frame."""

    @property
    def batch_size(self) -> int:
        """Clips per optimiser step."""

    @property
    def accumulation(self) -> int:
        """Parts of a batch that are taken one after the other."""

    @property
    def num_steps(self) -> int:
        """Optimiser steps of the run."""

    @property
    def learning_rate(self) -> float:
        """Peak rate of AdamW, reached after `warmup_steps`, then cosine to zero."""

    @property
    def warmup_steps(self) -> int:
        """Steps of linear warm-up."""

    @property
    def weight_decay(self) -> float:
        """Decoupled weight decay of AdamW."""

    @property
    def ema_decay(self) -> float:
        """Decay per step of the averaged weights, which are the ones that sample."""

    @property
    def sampling_steps(self) -> int:
        """Steps per generated clip."""

    @property
    def seed(self) -> int:
        """Decides initial weights, sample order and noise."""

    @property
    def checkpoint_every(self) -> int:
        """Steps between checkpoints."""

    @property
    def num_fitting_clips(self) -> int:
        """At most so many clips are read before the first step."""

    @property
    def memory_advice(self) -> str:
        """What to set smaller where memory runs out, besides the batch."""

    @property
    def weights_prefix(self) -> str:
        """What the names of the averaged weights begin with in the file of the model."""

    @property
    def libraries(self) -> tuple[str, ...]:
        """Distributions that decide the numbers, besides those of every run."""

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of every value."""

    def to_dict(self) -> dict[str, Any]:
        """Return every value by name, as it is stored with checkpoints and weights."""


def read_toml(path: Path) -> dict[str, Any]:
    """Return the keys of a TOML file. Raises `TrainingConfigError`, naming the file, if it cannot be read as one."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise TrainingConfigError(f"{path}: cannot be read as TOML: {exc}") from exc


def typed_settings(cls: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` as the fields of the dataclass `cls` take them.

    Raises `TrainingConfigError` for an unknown key, naming the nearest known one, or a value of another type.
    """
    kinds = {field.name: str(field.type) for field in dataclasses.fields(cls)}
    typed: dict[str, Any] = {}
    for key, value in values.items():
        if key not in kinds:
            raise TrainingConfigError(
                f"unknown training key {key!r}: did you mean {nearest(key, list(kinds))}?"
            )
        typed[key] = _typed(key, value, kinds[key])
    return typed


def check_value(name: str, value: float, expected: str, *, is_valid: bool) -> None:
    """Raise `TrainingConfigError`, saying what is expected, for a number that is not finite or not valid."""
    if not math.isfinite(value) or not is_valid:
        raise TrainingConfigError(f"{name} is {value}: expected {expected}")


def check_minimum(config: object, minimum: Mapping[str, float]) -> None:
    """Raise `TrainingConfigError` if a field of `config` is below its minimum."""
    for name, least in minimum.items():
        value = getattr(config, name)
        check_value(name, value, f"at least {least}", is_valid=value >= least)


def check_optimiser(config: RunConfig) -> None:
    """Raise `TrainingConfigError` for a rate, a decay or a seed that no run can have."""
    check_value("learning_rate", config.learning_rate, "above 0", is_valid=config.learning_rate > 0.0)
    check_value(
        "ema_decay", config.ema_decay, "0 or more and below 1", is_valid=0.0 <= config.ema_decay < 1.0
    )
    check_value("seed", config.seed, "below 2**53", is_valid=config.seed < MAX_SEED)


def nearest(word: str, known: Sequence[str]) -> str:
    """Name the known word most like `word`, or list them all where none is alike."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return repr(close[0]) if close else "one of " + ", ".join(known)


_EXPECTED = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "tuple[str, ...]": "a list of texts",
}


def _typed(key: str, value: Any, kind: str) -> Any:
    # bool is an int in Python, but `batch_size = true` is a mistake.
    if kind == "str" and isinstance(value, str):
        return value
    if kind == "int" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind == "float" and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    is_list = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    if kind == "tuple[str, ...]" and is_list:
        return tuple(value)
    raise TrainingConfigError(f"{key} is {value!r}: expected {_EXPECTED[kind]}")
