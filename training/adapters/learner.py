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
from training.errors import TrainingConfigError
from training.execution import Execution
from training.learner import EncodedClip
from training.randomness import generator_for
from training.team import Team
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
    execution: Execution
    vocabulary: Vocabulary
    averaged: dict[str, Tensor]
    """Exponential moving averages of the layers; the weights that sample."""
    prompts: OrderedDict[str, PromptCode] = dataclasses.field(default_factory=OrderedDict)
    """Captions met lately, as the base's text encoder tells them."""

    def encode(self, frames_TCHW: Tensor) -> Tensor:
        """Turn one uint8 clip into latents CTHW of the base's autoencoder."""
        return self.family.encode(frames_TCHW)

    def draw_batch(self, captions: Sequence[str], *, seed: str, step: int) -> AdapterBatch:
        """Draw times, and which captions are left out; noise follows when its shape is known."""
        import torch

        generator = generator_for(seed, "step", step)
        time_B = self.family.draw_times(len(captions), generator)
        is_uncaptioned_B = torch.rand(len(captions), generator=generator) < self.config.caption_dropout
        read = [
            "" if is_uncaptioned else caption
            for caption, is_uncaptioned in zip(captions, is_uncaptioned_B.tolist(), strict=True)
        ]
        return AdapterBatch(self, captions=read, time_B=time_B, generator=generator)

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
        clip = EncodedClip(clip_id="", frames_sha256="", code=self.encode(black_TCHW))
        self.prompt("")
        with FlopCounterMode(display=False) as counter:
            loss = self.draw_batch([""] * batch_size, seed="flops", step=0).loss([clip] * batch_size, 0)
            torch.autograd.grad(loss, list(self.parameters().values()))
        return int(counter.get_total_flops())

    def prompt(self, caption: str) -> PromptCode:
        """Return a caption as the base's text encoder tells it."""
        if caption not in self.prompts:
            self.prompts[caption] = self.family.read_prompt(caption)
            if len(self.prompts) > _PROMPT_MEMORY:
                self.prompts.popitem(last=False)
        return self.prompts[caption]


@dataclasses.dataclass
class AdapterBatch:
    """A step of an adapter (`training.learner.Batch`)."""

    learner: AdapterLearner
    captions: Sequence[str]
    """Empty where the caption is left out."""
    time_B: Tensor
    generator: torch.Generator
    noise_BCTHW: Tensor | None = None

    def loss(self, clips: Sequence[EncodedClip], start: int) -> Tensor:
        """Compute the mean loss of the clips of the batch from place `start` on."""
        import torch

        places, learner = slice(start, start + len(clips)), self.learner
        latents_BCTHW = torch.stack([clip.code for clip in clips])
        if self.noise_BCTHW is None:
            shape = (len(self.captions), *latents_BCTHW.shape[1:])
            self.noise_BCTHW = torch.randn(shape, generator=self.generator)
        device = learner.execution.device
        with foreign_code():
            return learner.family.loss(
                latents_BCTHW,
                [learner.prompt(caption) for caption in self.captions[places]],
                self.noise_BCTHW[places].to(device),
                self.time_B[places].to(device),
            )


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

    def execution_on(self, device: str) -> Execution:
        """Calculate as the base does, in float32."""
        return Execution(device=device, noise_device="cpu", is_half=False, is_compiled=False)

    def begin(
        self,
        captions: Sequence[str],
        frames: Iterator[Tensor],
        *,
        seed: str,
        execution: Execution,
        team: Team,
    ) -> AdapterLearner:
        """Open the base and initialise the layers; no frames are read. Raises `TrainingConfigError` for a team."""
        del frames
        _require_alone(team)
        family = open_family(self.base, self.config, device=execution.device)
        initialise(layer_parameters(family.pipe.transformer), generator_for(seed, "weights", 0))
        return self._learner(family, execution, build_vocabulary(captions))

    def rebuild(self, checkpoint: Checkpoint, *, execution: Execution, team: Team) -> AdapterLearner:
        """Open the base and take the layers over. Raises `TrainingConfigError` for a team."""
        _require_alone(team)
        family = open_family(self.base, self.config, device=execution.device)
        fill(layer_parameters(family.pipe.transformer), tensors_under(checkpoint.tensors, "model"))
        learner = self._learner(family, execution, Vocabulary(tuple(checkpoint.state["vocabulary"])))
        averages = tensors_under(checkpoint.tensors, "averaged")
        learner.averaged.update({name: layer.to(execution.device) for name, layer in averages.items()})
        return learner

    def _learner(self, family: Family, execution: Execution, vocabulary: Vocabulary) -> AdapterLearner:
        parameters = layer_parameters(family.pipe.transformer)
        return AdapterLearner(
            config=self.config,
            base=self.base,
            family=family,
            execution=execution,
            vocabulary=vocabulary,
            averaged={name: parameter.detach().clone() for name, parameter in parameters.items()},
        )


def _require_alone(team: Team) -> None:
    if team.size > 1:
        raise TrainingConfigError(f"adapters are trained by one process, not by {team.size}")
