"""Configuration of an adapter run: which base, what of it is adapted, and how.

The base is named by the digest of its record, so that the permit, the seed and the name of the run are for that base
and no other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from db.canonical import digest_of
from training.adapters.base_record import BaseRecord
from training.errors import TrainingConfigError
from training.settings import check_minimum, check_optimiser, check_value, nearest, read_toml, typed_settings

_MINIMUM: dict[str, float] = {
    "rank": 1,
    "alpha": 1,
    "num_frames": 1,
    "height": 1,
    "width": 1,
    "max_prompt_tokens": 1,
    "batch_size": 1,
    "accumulation": 1,
    "num_steps": 1,
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "guidance": 0.0,
    "sampling_steps": 1,
    "seed": 0,
    "checkpoint_every": 1,
}
_PINNED = ("base", "base_digest")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """Everything that decides the numbers of an adapter run, apart from the snapshot. Checks itself when made.

    Raises `TrainingConfigError` for a value out of range.
    """

    base: str
    """Name of the base model on record."""
    base_digest: str
    """Of its record, which pins every file."""
    rank: int = 16
    """Rank of the matrices that are learnt beside each adapted one (Hu et al. 2021, arXiv 2106.09685, "LoRA")."""
    alpha: int = 16
    """The learnt product is scaled by `alpha` / `rank`."""
    target_modules: tuple[str, ...] = ("to_q", "to_k", "to_v", "to_out.0")
    """Names, or ends of names, of the layers of the transformer that are adapted."""
    num_frames: int = 25
    """Frames of a clip, spread evenly over the cleared span; one more than a multiple of the base's compression."""
    height: int = 256
    """Pixels of a frame, a multiple of what the base asks for."""
    width: int = 256
    """Pixels of a frame, a multiple of what the base asks for."""
    max_prompt_tokens: int = 128
    """Tokens of a caption or prompt that are read, where the base does not fix their number."""
    batch_size: int = 1
    """Clips per optimiser step."""
    accumulation: int = 1
    """Parts of a batch that are taken one after the other, which needs as much less memory; divides `batch_size`."""
    num_steps: int = 1000
    """Optimiser steps of the run."""
    learning_rate: float = 1e-4
    """Peak rate of AdamW, reached after `warmup_steps`, then cosine to zero."""
    warmup_steps: int = 50
    """Steps of linear warm-up."""
    weight_decay: float = 0.0
    """Decoupled weight decay of AdamW."""
    ema_decay: float = 0.98
    """Decay per step of the averaged weights, which are the ones that sample."""
    caption_dropout: float = 0.1
    """Share of samples trained without a caption, which classifier-free guidance needs."""
    guidance: float = 4.0
    """Classifier-free guidance scale; at 1 and below there is none."""
    sampling_steps: int = 30
    """Steps of the base's scheduler per generated clip."""
    seed: int = 0
    """Decides initial weights, sample order and noise."""
    checkpoint_every: int = 100
    """Steps between checkpoints."""

    def __post_init__(self) -> None:
        check_minimum(self, _MINIMUM)
        check_optimiser(self)
        if self.batch_size % self.accumulation:
            raise TrainingConfigError(
                f"accumulation is {self.accumulation}: expected a divisor of batch_size {self.batch_size}"
            )
        dropout = self.caption_dropout
        check_value("caption_dropout", dropout, "0 to 1", is_valid=0.0 <= dropout <= 1.0)
        if not self.target_modules or not all(self.target_modules):
            raise TrainingConfigError("target_modules is empty: expected names of layers, such as 'to_q'")

    @property
    def num_fitting_clips(self) -> int:
        """Nothing is read before the first step."""
        return 0

    @property
    def memory_advice(self) -> str:
        """What is smaller, where memory runs out."""
        return f"fewer or smaller frames (now {self.num_frames} of {self.width} x {self.height})"

    @property
    def weights_prefix(self) -> str:
        """As pipelines name the part that is adapted."""
        return "transformer"

    @property
    def libraries(self) -> tuple[str, ...]:
        """Those that the base is made of."""
        return ("diffusers", "peft", "transformers")

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of every value."""
        return digest_of(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return every value by name, as it is stored with checkpoints and weights."""
        return dataclasses.asdict(self) | {"target_modules": list(self.target_modules)}


def is_adapter(values: Mapping[str, Any]) -> bool:
    """Return whether a stored configuration is that of an adapter run."""
    return "base_digest" in values


def stored_config(values: Mapping[str, Any]) -> AdapterConfig:
    """Read a configuration as `to_dict` wrote it. Raises `TrainingConfigError`."""
    return AdapterConfig(**typed_settings(AdapterConfig, values))


def adapter_config(values: Mapping[str, Any], record: BaseRecord) -> AdapterConfig:
    """Make the configuration of a run on the base `record`. Raises `TrainingConfigError` for an unknown key."""
    known = [field.name for field in dataclasses.fields(AdapterConfig) if field.name not in _PINNED]
    for key in values:
        if key not in known:
            raise TrainingConfigError(
                f"unknown key {key!r} of an adapter run: did you mean {nearest(key, known)}?"
            )
    return stored_config({**values, "base": record.name, "base_digest": record.digest})


def load_adapter_config(path: Path, record: BaseRecord) -> AdapterConfig:
    """Read a flat TOML file. Raises `TrainingConfigError`, naming the file, if it cannot be read or accepted."""
    values = read_toml(path)
    try:
        return adapter_config(values, record)
    except TrainingConfigError as exc:
        raise TrainingConfigError(f"{path}: {exc}", hint=exc.hint) from exc
