"""An adapter that draws: the base's own pipeline and scheduler, with the trained layers beside the transformer's.

The weights file holds the layers alone, under names that diffusers' `load_lora_weights` takes, and one metadata key.
A loader that does not know that key must be told `alpha` where it is not the rank.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.canonical import sha256_hex
from db.errors import ConfigError
from db.files import write_durably
from training.adapters.base_record import BaseRecord
from training.adapters.bases import BaseModel
from training.adapters.config import AdapterConfig, stored_config
from training.adapters.families import FAMILIES, Family
from training.adapters.lora import add_layers, fill, filled, layer_parameters
from training.adapters.pipeline import foreign_code, load_pipeline
from training.errors import CheckpointError, TrainingConfigError
from training.randomness import generator_for
from training.tensor_file import named_under, pack_tensors, tensors_under, unpack_tensors
from training.vocabulary import Vocabulary

if TYPE_CHECKING:
    from torch import Tensor

    from training.video_model import VariedClip

ARCHITECTURE = "cleartitle-video-adapter/1"
"""Name of what these weights are, stored with them; changes whenever old weights would mean something else."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AdapterModel:
    """An adapter and its base, opened (`training.video_model.VideoModel`)."""

    config: AdapterConfig
    base_record: BaseRecord
    family: Family
    layers: Mapping[str, Tensor]
    """The trained layers by name; they are in the transformer while it draws."""
    vocabulary: Vocabulary
    origin: Mapping[str, Any]

    @property
    def architecture(self) -> str:
        """That of an adapter."""
        return ARCHITECTURE

    @property
    def num_parameters(self) -> int:
        """Numbers of the trained layers; those of the base are not counted."""
        return sum(layer.numel() for layer in self.layers.values())

    @property
    def device(self) -> str:
        """Where the pipeline is."""
        return str(self.family.pipe.device)

    @property
    def draws_from_prompts_only(self) -> bool:
        """The pipelines that are supported take no frames."""
        return True

    def draw(
        self,
        prompt: str,
        seed: int,
        *,
        segment: int = 0,
        known_CHW: Mapping[int, Tensor] | None = None,
        varied: VariedClip | None = None,
    ) -> Tensor:
        """Draw one clip of the trained length from a prompt. Raises `ConfigError` for anything else."""
        if segment or known_CHW or varied is not None:
            raise ConfigError("an adapter draws clips of its own length, from a prompt alone")
        return self._draw(prompt, seed, self.config.sampling_steps)

    def retell(self, frames_TCHW: Tensor) -> Tensor:
        """Send a clip through the autoencoder of the base and back."""
        return self.family.decode(self.family.encode(frames_TCHW))

    def unknown_words(self, prompt: str) -> tuple[str, ...]:
        """Return nothing: the text encoder of the base reads every word."""
        return ()

    def count_draw_flops(self, num_steps: int) -> int:
        """Count two short walks, the first time, and work out the long one from them."""
        once, step = self._flops
        return once + num_steps * step

    def save(self, path: Path) -> str:
        """Write the weights file durably and return its SHA-256."""
        record = {
            "architecture": ARCHITECTURE,
            "base": {"name": self.base_record.name, "digest": self.base_record.digest},
            "config": self.config.to_dict(),
            "origin": dict(self.origin),
            "vocabulary": list(self.vocabulary.words),
        }
        data = pack_tensors(named_under(self.layers, self.config.weights_prefix), record)
        write_durably(path, data)
        return sha256_hex(data)

    @functools.cached_property
    def _flops(self) -> tuple[int, int]:
        """Return the operations of reading the prompt and decoding, and those of a step."""
        from torch.utils.flop_counter import FlopCounterMode

        counted = []
        for num_steps in (2, 3):
            with FlopCounterMode(display=False) as counter:
                self._draw("", 0, num_steps)
            counted.append(int(counter.get_total_flops()))
        step = counted[1] - counted[0]
        return counted[0] - 2 * step, step

    def _draw(self, prompt: str, seed: int, num_steps: int) -> Tensor:
        parameters = layer_parameters(self.family.pipe.transformer)
        with filled(parameters, self.layers):
            return self.family.draw(
                prompt,
                generator_for("sample", "noise", seed),
                num_frames=self.config.num_frames,
                height=self.config.height,
                width=self.config.width,
                num_steps=num_steps,
                guidance=self.config.guidance,
            )


def open_family(base: BaseModel, config: AdapterConfig, *, device: str) -> Family:
    """Verify every file of the base, load it, and put layers for an adapter beside those of its transformer.

    Raises `BaseModelChanged`, naming the file, if one is not that on record, `BaseModelError` or `UndecidedError` if
    the base cannot be loaded, `TrainingConfigError` if the configuration does not fit it.
    """
    if base.record.digest != config.base_digest:
        raise TrainingConfigError(
            f"base {base.record.name} has record {base.record.digest[:12]}, expected {config.base_digest[:12]}"
        )
    base.verify()
    pipe = load_pipeline(base.folder, base.record.pipeline, device=device)
    family = FAMILIES[base.record.pipeline](pipe, max_prompt_tokens=config.max_prompt_tokens)
    family.check_shape(config.num_frames, config.height, config.width)
    add_layers(pipe.transformer, rank=config.rank, alpha=config.alpha, target_modules=config.target_modules)
    with foreign_code():
        pipe.transformer.to(device).eval()
    return family


def is_adapter_file(record: Mapping[str, Any]) -> bool:
    """Return whether the record of a weights file is that of an adapter."""
    return record.get("architecture") == ARCHITECTURE


def unpack_adapter(data: bytes, base: BaseModel, *, device: str) -> AdapterModel:
    """Build the model of a weights file. Raises `CheckpointError` if it does not hold, and as `open_family` does."""
    tensors, record = unpack_tensors(data)
    try:
        config = stored_config(record["config"])
        vocabulary, origin = Vocabulary(tuple(record["vocabulary"])), dict(record["origin"])
        stated = (record["base"]["name"], record["base"]["digest"])
    except (KeyError, TypeError, ValueError, TrainingConfigError) as exc:
        raise CheckpointError(f"the record of an adapter is incomplete: {exc!r}") from exc
    if stated != (config.base, config.base_digest):
        raise CheckpointError(f"an adapter of {stated[0]}, whose configuration names {config.base}")
    family = open_family(base, config, device=device)
    layers = {
        name: tensor.to(device) for name, tensor in tensors_under(tensors, config.weights_prefix).items()
    }
    # Whether they fit is known now, and not when the first clip is drawn.
    fill(layer_parameters(family.pipe.transformer), layers)
    return AdapterModel(
        config=config,
        base_record=base.record,
        family=family,
        layers=layers,
        vocabulary=vocabulary,
        origin=origin,
    )
