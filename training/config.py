"""Training configuration: what a run is told, checked before anything else happens.

A configuration is a preset with some values replaced by a flat TOML file. Its digest goes into the run
permit, so a run can be told apart from every other run with different settings.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from db.canonical import digest_of
from training.errors import TrainingConfigError
from training.settings import (
    check_minimum,
    check_optimiser,
    check_value,
    nearest,
    read_toml,
    typed_settings,
)

PCA, PIXELS = "pca", "pixels"
TOKENIZERS = (PCA, PIXELS)
FLOAT32, BFLOAT16 = "float32", "bfloat16"
PRECISIONS = (FLOAT32, BFLOAT16)
EAGER, COMPILED = "eager", "compiled"
EXECUTIONS = (EAGER, COMPILED)

Value = str | int | float

# `cpu` and `toy` make a token of every whole frame: its components are pictures that hang together, where tokens of a
# sixteenth of the frame left the model to join a shape across their borders, which it did not learn in a minute (of 96
# procedural clips 30 % had the right shape, which is chance). See docs/training.md.
# The others are for one GPU and learn from pixels. Their learning rate is that of the code of Li and He 2025 (arXiv
# 2511.13720); batch, averaging and steps are guesses for some ten minutes. Nobody has measured what they learn.
_AT_SIZE: dict[str, Value] = {
    "tokenizer": PIXELS,
    "precision": BFLOAT16,
    "execution": COMPILED,
    "model_depth": 12,
    "batch_size": 128,
    "learning_rate": 2e-4,
    "warmup_steps": 200,
    "ema_decay": 0.999,
    "guidance": 3.0,
    "temperature": 1.0,
    "sampling_steps": 50,
    "checkpoint_every": 500,
}
PRESETS: dict[str, dict[str, Value]] = {
    # The defaults below: what one core learns in two to three minutes. 1.3 M parameters, 16 tokens.
    "cpu": {},
    # A quarter of the pixels in half the frames and a ninth of the work, for first looks: 41 % of the shapes come out
    # right, colour and direction do. 1.3 M parameters, 8 tokens.
    "toy": {
        "num_frames": 8,
        "height": 32,
        "width": 32,
        "patch_height": 32,
        "patch_width": 32,
        "num_components": 96,
        "num_steps": 600,
    },
    # 33 M parameters, 512 tokens.
    "s": _AT_SIZE
    | {
        "patch_frames": 2,
        "patch_height": 8,
        "patch_width": 8,
        "model_width": 384,
        "num_heads": 6,
        "num_steps": 12_000,
    },
    # 132 M parameters, 512 tokens.
    "b": _AT_SIZE
    | {
        "height": 128,
        "width": 128,
        "patch_frames": 2,
        "patch_height": 16,
        "patch_width": 16,
        "model_width": 768,
        "num_heads": 12,
        "num_steps": 4000,
    },
    # 136 M parameters, 1,536 tokens.
    "b256": _AT_SIZE
    | {
        "num_frames": 24,
        "height": 256,
        "width": 256,
        "patch_frames": 4,
        "patch_height": 16,
        "patch_width": 16,
        "model_width": 768,
        "num_heads": 12,
        "batch_size": 64,
        "num_steps": 4000,
    },
}

# Keys that came after the first runs, with the value that those had. They are left out of what is stored where they
# have it, so that the digests of those runs, and all that follows from them, stand.
_CAME_LATER: dict[str, Value] = {
    "tokenizer": PCA,
    "precision": FLOAT32,
    "execution": EAGER,
    "accumulation": 1,
}

_MINIMUM: dict[str, float] = {
    "num_frames": 1,
    "height": 1,
    "width": 1,
    "patch_frames": 1,
    "patch_height": 1,
    "patch_width": 1,
    "num_components": 1,
    "tokenizer_clips": 1,
    "model_width": 8,
    "model_depth": 1,
    "num_heads": 1,
    "max_words": 1,
    "batch_size": 1,
    "num_steps": 1,
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "guidance": 0.0,
    "temperature": 0.0,
    "sampling_steps": 1,
    "seed": 0,
    "checkpoint_every": 1,
    "accumulation": 1,
}
_CHOICES = {"tokenizer": TOKENIZERS, "precision": PRECISIONS, "execution": EXECUTIONS}
_PROBABILITIES = ("caption_dropout", "word_dropout")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Everything that decides the numbers of a run, apart from the snapshot. Checks itself when made.

    Raises `TrainingConfigError` for a value out of range or values that do not fit together.
    """

    preset: str = "cpu"
    """The preset the other values started from; informative."""
    num_frames: int = 16
    """Frames of a clip, spread evenly over the cleared span."""
    height: int = 64
    """Pixels of a training frame."""
    width: int = 64
    """Pixels of a training frame."""
    patch_frames: int = 1
    """Frames of a token; divides `num_frames`."""
    patch_height: int = 64
    """Pixels of a token; divides `height`."""
    patch_width: int = 64
    """Pixels of a token; divides `width`."""
    num_components: int = 192
    """Principal components kept per token; fewer where the footage spans fewer. Pixels have none."""
    tokenizer_clips: int = 4096
    """At most so many clips, evenly spaced over the snapshot, are used to fit the tokenizer. Pixels need none."""
    model_width: int = 128
    """Features of a token inside the transformer; a multiple of twice `num_heads`."""
    model_depth: int = 4
    """Transformer blocks."""
    num_heads: int = 4
    """Attention heads."""
    max_words: int = 24
    """Words of a caption that are read; the rest is ignored."""
    batch_size: int = 16
    """Clips per optimiser step."""
    num_steps: int = 2800
    """Optimiser steps of the run."""
    learning_rate: float = 2.5e-3
    """Peak rate of AdamW, reached after `warmup_steps`, then cosine to zero."""
    warmup_steps: int = 30
    """Steps of linear warm-up."""
    weight_decay: float = 0.0
    """Decoupled weight decay of AdamW."""
    ema_decay: float = 0.98
    """Decay per step of the averaged weights, which are the ones that sample."""
    guidance: float = 4.0
    """Classifier-free guidance scale; 1 follows the caption without extrapolation, 0 ignores it."""
    temperature: float = 0.6
    """Scale of the noise that a clip is drawn from; 1 is that of training, less gives cleaner and more alike clips."""
    sampling_steps: int = 16
    """Euler steps per generated clip."""
    caption_dropout: float = 0.1
    """Share of samples trained without a caption, which classifier-free guidance needs."""
    word_dropout: float = 0.1
    """Share of words left out of the other captions, so that a prompt with fewer words still works."""
    seed: int = 0
    """Decides initial weights, sample order and noise."""
    checkpoint_every: int = 400
    """Steps between checkpoints."""
    tokenizer: str = PCA
    """`pca`: tokens are principal components of the footage; `pixels`: they are patches of it."""
    precision: str = FLOAT32
    """`bfloat16`: matrix products are taken in it where the device multiplies it; sums and weights stay float32."""
    execution: str = EAGER
    """`compiled`: the model is compiled for a GPU; on the CPU it runs as it is."""
    accumulation: int = 1
    """Parts of a batch that are taken one after the other, which needs as much less memory; divides `batch_size`."""

    def __post_init__(self) -> None:
        _check_ranges(self)
        for size, patch in (
            ("num_frames", "patch_frames"),
            ("height", "patch_height"),
            ("width", "patch_width"),
        ):
            if getattr(self, size) % getattr(self, patch):
                raise TrainingConfigError(
                    f"{patch} is {getattr(self, patch)}: expected a divisor of {size} {getattr(self, size)}"
                )
        if self.batch_size % self.accumulation:
            raise TrainingConfigError(
                f"accumulation is {self.accumulation}: expected a divisor of batch_size {self.batch_size}"
            )
        if self.model_width % (2 * self.num_heads):
            raise TrainingConfigError(
                f"model_width is {self.model_width}: expected a multiple of {2 * self.num_heads} (2 num_heads)"
            )

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of every value."""
        return digest_of(self.to_dict())

    @property
    def weights_prefix(self) -> str:
        """The averaged weights are those of the model."""
        return "model"

    @property
    def libraries(self) -> tuple[str, ...]:
        """None besides those of every run."""
        return ()

    @property
    def token_grid(self) -> tuple[int, int, int]:
        """Tokens of a clip along time, height and width."""
        return (
            self.num_frames // self.patch_frames,
            self.height // self.patch_height,
            self.width // self.patch_width,
        )

    @property
    def clip_shape(self) -> tuple[int, int, int]:
        """Frames, height and width of a clip."""
        return (self.num_frames, self.height, self.width)

    @property
    def patch_shape(self) -> tuple[int, int, int]:
        """Frames, height and width of a token."""
        return (self.patch_frames, self.patch_height, self.patch_width)

    @property
    def num_fitting_clips(self) -> int:
        """At most so many clips are used to fit the tokenizer."""
        return self.tokenizer_clips if self.tokenizer == PCA else 0

    @property
    def memory_advice(self) -> str:
        """What is smaller, where memory runs out."""
        return f"a smaller preset (now {self.preset}; b is smaller than b256, s than b, cpu than s)"

    def to_dict(self) -> dict[str, Value]:
        """Return every value by name, as it is stored with checkpoints and weights; `config_from_mapping` reads it."""
        chosen = PRESETS.get(self.preset, {})
        return {
            name: value
            for name, value in dataclasses.asdict(self).items()
            if name in chosen or _CAME_LATER.get(name) != value
        }


def _check_ranges(config: TrainingConfig) -> None:
    check_minimum(config, _MINIMUM)
    for name in _PROBABILITIES:
        value = getattr(config, name)
        check_value(name, value, "0 to 1", is_valid=0.0 <= value <= 1.0)
    for name, known in _CHOICES.items():
        if getattr(config, name) not in known:
            raise TrainingConfigError(
                f"{name} is {getattr(config, name)!r}: expected {nearest(getattr(config, name), list(known))}"
            )
    check_optimiser(config)


def config_from_mapping(values: Mapping[str, Any]) -> TrainingConfig:
    """Make a configuration from a preset name (key `preset`, default `cpu`) and replacements.

    Raises `TrainingConfigError` for an unknown preset or key (naming the nearest known one) or a bad value.
    """
    preset = values.get("preset", "cpu")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise TrainingConfigError(f"preset is {preset!r}: expected {nearest(str(preset), list(PRESETS))}")
    typed = typed_settings(TrainingConfig, values)
    return TrainingConfig(**({"preset": preset} | PRESETS[preset] | typed))


def load_config(path: Path) -> TrainingConfig:
    """Read a flat TOML file of training keys.

    Raises `TrainingConfigError`, naming the file, if it cannot be read, parsed or accepted.
    """
    values = read_toml(path)
    try:
        return config_from_mapping(values)
    except TrainingConfigError as exc:
        raise TrainingConfigError(f"{path}: {exc}", hint=exc.hint) from exc
