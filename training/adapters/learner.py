"""An adapter as a run trains it: low-rank layers of a frozen base, by what the run protocol gives it to read."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from training.adapters.base_record import BaseRecord
from training.adapters.bases import BaseModel
from training.adapters.config import AdapterConfig
from training.adapters.families import Family, PromptCode
from training.adapters.lora import fill, initialise, layer_parameters
from training.adapters.model import AdapterModel, open_family
from training.adapters.pipeline import foreign_code
from training.checkpoint import Checkpoint
from training.learner import EncodedClip
from training.randomness import generator_for
from training.tensor_file import named_under, tensors_under
from training.vocabulary import Vocabulary, build_vocabulary

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_PROMPT_MEMORY = 4096
_FLOP_METHOD = (
    "matrix products, convolutions and attention of the loss and its gradient for one batch, counted by PyTorch's "
    "FlopCounterMode on a batch of black clips without captions, times the steps; a multiplication and an addition are "
    "2; coding footage and captions, each once, is not counted"
)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AdapterLearner:
    """An adapter in training (`training.learner.Learner`)."""

    config: AdapterConfig
    base: BaseModel
    family: Family
    device: str
    vocabulary: Vocabulary
    averaged: dict[str, Tensor]
    """Exponential moving averages of the layers; the weights that sample."""
    prompts: OrderedDict[str, PromptCode] = dataclasses.field(default_factory=OrderedDict)
    """Captions met lately, as the base's text encoder tells them."""

    def encode(self, frames_TCHW: Tensor) -> Tensor:
        """Turn one uint8 clip into latents CTHW of the base's autoencoder."""
        return self.family.encode(frames_TCHW)

    def batch_loss(self, clips: Sequence[EncodedClip], generator: torch.Generator) -> Tensor:
        """Compute the loss of one batch."""
        import torch

        latents_BCTHW = torch.stack([clip.code for clip in clips])
        time_B = self.family.draw_times(len(clips), generator)
        noise_BCTHW = torch.randn(latents_BCTHW.shape, generator=generator)
        is_uncaptioned_B = torch.rand(len(clips), generator=generator) < self.config.caption_dropout
        captions = [
            "" if is_uncaptioned else clip.caption
            for clip, is_uncaptioned in zip(clips, is_uncaptioned_B.tolist(), strict=True)
        ]
        with foreign_code():
            return self.family.loss(
                latents_BCTHW,
                [self._prompt(caption) for caption in captions],
                noise_BCTHW.to(self.device),
                time_B.to(self.device),
            )

    def parameters(self) -> Mapping[str, torch.nn.Parameter]:
        """Return the low-rank layers."""
        return layer_parameters(self.family.pipe.transformer)

    def averages(self) -> Mapping[str, Tensor]:
        """Return the averaged layers."""
        return self.averaged

    def tensors(self) -> dict[str, Tensor]:
        """Return layers and average; of the base, nothing: it is frozen, and pinned by its record."""
        return {**named_under(self.parameters(), "model"), **named_under(self.averaged, "averaged")}

    def words(self) -> Sequence[str]:
        """Return the words of the captions; the base reads others too."""
        return self.vocabulary.words

    def trained_model(self, origin: Mapping[str, Any]) -> AdapterModel:
        """Return base and averaged layers."""
        return AdapterModel(
            config=self.config,
            base_record=self.base.record,
            family=self.family,
            layers={name: layer.clone() for name, layer in self.averaged.items()},
            vocabulary=self.vocabulary,
            origin=origin,
        )

    def count_step_flops(self) -> int:
        """Count a step on a batch of black clips."""
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        config, batch_size = self.config, self.config.batch_size
        black_TCHW = torch.zeros((config.num_frames, 3, config.height, config.width), dtype=torch.uint8)
        code = self.encode(black_TCHW)
        clip = EncodedClip(clip_id="", caption="", frames_sha256="", code=code)
        self._prompt("")
        with FlopCounterMode(display=False) as counter:
            loss = self.batch_loss([clip] * batch_size, generator_for("flops", "step", 0))
            torch.autograd.grad(loss, list(self.parameters().values()))
        return int(counter.get_total_flops())

    def _prompt(self, caption: str) -> PromptCode:
        if caption not in self.prompts:
            self.prompts[caption] = self.family.read_prompt(caption)
            if len(self.prompts) > _PROMPT_MEMORY:
                self.prompts.popitem(last=False)
        return self.prompts[caption]


@dataclasses.dataclass(frozen=True)
class AdapterRecipe:
    """How an adapter of `base` is begun and built again (`training.learner.Recipe`)."""

    config: AdapterConfig
    base: BaseModel

    @property
    def base_record(self) -> BaseRecord:
        """What is on record of the base."""
        return self.base.record

    @property
    def flop_method(self) -> str:
        """How the operations of a step are counted."""
        return _FLOP_METHOD

    def begin(
        self, captions: Sequence[str], frames: Iterator[Tensor], *, seed: str, device: str
    ) -> AdapterLearner:
        """Open the base and initialise the layers; no frames are read."""
        del frames
        family = open_family(self.base, self.config, device=device)
        initialise(layer_parameters(family.pipe.transformer), generator_for(seed, "weights", 0))
        return self._learner(family, device, build_vocabulary(captions))

    def rebuild(self, checkpoint: Checkpoint, *, device: str) -> AdapterLearner:
        """Open the base and take the layers over."""
        family = open_family(self.base, self.config, device=device)
        fill(layer_parameters(family.pipe.transformer), tensors_under(checkpoint.tensors, "model"))
        learner = self._learner(family, device, Vocabulary(tuple(checkpoint.state["vocabulary"])))
        averages = tensors_under(checkpoint.tensors, "averaged")
        learner.averaged.update({name: layer.to(device) for name, layer in averages.items()})
        return learner

    def _learner(self, family: Family, device: str, vocabulary: Vocabulary) -> AdapterLearner:
        parameters = layer_parameters(family.pipe.transformer)
        return AdapterLearner(
            config=self.config,
            base=self.base,
            family=family,
            device=device,
            vocabulary=vocabulary,
            averaged={name: parameter.detach().clone() for name, parameter in parameters.items()},
        )
