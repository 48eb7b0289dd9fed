"""The reference model as a run trains it: tokenizer, words and transformer, all made of the snapshot alone.

Shapes as in `training.model`.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from training.checkpoint import Checkpoint
from training.config import PIXELS, TrainingConfig
from training.draws import StepDraws, draw_words, noise_generator
from training.execution import Execution, choose_execution
from training.flow import Velocity, flow_loss
from training.learner import EncodedClip
from training.model import VideoDiT, build_model
from training.pixels import PixelTokenizer
from training.quality.flops import count_step_flops
from training.randomness import generator_for
from training.team import Team
from training.tensor_file import named_under, tensors_under
from training.tokenizer import Tokenizer, fit_tokenizer
from training.vocabulary import Vocabulary, build_vocabulary
from training.weights import TrainedModel, model_from_tensors, tokenizer_from_tensors

_FLOP_METHOD = (
    "matrix products and attention of the loss and its gradient for one batch, counted by PyTorch's FlopCounterMode on "
    "tensors without data, times the steps; a multiplication and an addition are 2; every caption counts as `max_words`"
)


@dataclasses.dataclass(kw_only=True, eq=False)
class ReferenceLearner:
    """The reference model in training (`training.learner.Learner`)."""

    config: TrainingConfig
    execution: Execution
    team: dataclasses.InitVar[Team]
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    model: VideoDiT
    averaged: VideoDiT
    """Exponential moving average of `model`; the weights that sample."""
    velocity: Velocity = dataclasses.field(init=False)
    """The model as it is run for training."""

    def __post_init__(self, team: Team) -> None:
        self.velocity = self.execution.carried_out(team.spread(self.model))

    def encode(self, frames_TCHW: Tensor) -> Tensor:
        """Turn one uint8 clip into tokens NK."""
        return self.tokenizer.encode(frames_TCHW)

    def draw_batch(self, captions: Sequence[str], *, seed: str, step: int) -> ReferenceBatch:
        """Draw times, noise, and which words are left out."""
        generator = generator_for(seed, "step", step)
        time_B = self.model.parametrisation.times.draw(len(captions), generator)
        device = self.execution.noise_device
        noise_BNK = torch.randn(
            (len(captions), self.tokenizer.num_tokens, self.tokenizer.num_components),
            generator=noise_generator(seed, step, generator, device),
            device=device,
        )
        is_cut = not self.model.reads_whole_captions
        words_BL = draw_words(captions, self.vocabulary, self.config, generator, is_cut=is_cut)
        return ReferenceBatch(self, StepDraws(time_B=time_B, noise_BNK=noise_BNK, words_BL=words_BL))

    def parameters(self) -> Mapping[str, torch.nn.Parameter]:
        """Return every parameter of the transformer."""
        return dict(self.model.named_parameters())

    def averages(self) -> Mapping[str, Tensor]:
        """Return the averaged parameters."""
        return dict(self.averaged.named_parameters())

    def tensors(self) -> dict[str, Tensor]:
        """Return transformer, average and tokenizer."""
        return {
            **named_under(self.model.state_dict(), "model"),
            **named_under(self.averaged.state_dict(), "averaged"),
            **named_under(self.tokenizer.tensors(), "tokenizer"),
        }

    def words(self) -> Sequence[str]:
        """Return the vocabulary."""
        return self.vocabulary.words

    def trained_model(self, origin: Mapping[str, Any]) -> TrainedModel:
        """Return the averaged model."""
        return TrainedModel(
            config=self.config,
            model=self.averaged,
            tokenizer=self.tokenizer,
            vocabulary=self.vocabulary,
            origin=origin,
        )

    def count_step_flops(self) -> int:
        """Count a step on tensors without data."""
        num_components, num_ids = self.tokenizer.num_components, self.vocabulary.num_ids
        return count_step_flops(self.config, num_components=num_components, num_ids=num_ids)


@dataclasses.dataclass(frozen=True)
class ReferenceBatch:
    """A step of the reference model (`training.learner.Batch`)."""

    learner: ReferenceLearner
    draws: StepDraws

    def loss(self, clips: Sequence[EncodedClip], start: int) -> Tensor:
        """Compute the mean loss of the clips of the batch from place `start` on."""
        learner, draws = self.learner, self.draws.part(start, start + len(clips))
        device = learner.execution.device
        time_B = draws.time_B.to(device)
        return flow_loss(
            learner.velocity,
            torch.stack([clip.code for clip in clips]),
            draws.words_BL.to(device),
            time_B=time_B,
            noise_BNK=draws.noise_BNK.to(device),
            weight_B1K=learner.model.parametrisation.error_weight(time_B),
        )


@dataclasses.dataclass(frozen=True)
class ReferenceRecipe:
    """How the reference model is begun and built again (`training.learner.Recipe`)."""

    config: TrainingConfig

    @property
    def base_record(self) -> None:
        """There is none."""

    @property
    def flop_method(self) -> str:
        """How the operations of a step are counted."""
        return _FLOP_METHOD

    def execution_on(self, device: str) -> Execution:
        """Decide by what the configuration asks for and the device has."""
        return choose_execution(self.config, device)

    def begin(
        self,
        captions: Sequence[str],
        frames: Iterator[Tensor],
        *,
        seed: str,
        execution: Execution,
        team: Team,
    ) -> ReferenceLearner:
        """Make the tokenizer, take the words of the captions, and initialise the transformer."""
        config, device = self.config, execution.device
        tokenizer = _new_tokenizer(config, frames).to(device)
        vocabulary = build_vocabulary(captions)
        model = build_model(
            config, num_components=tokenizer.num_components, num_ids=vocabulary.num_ids, device=device
        )
        model.initialise(generator_for(seed, "weights", 0), tokenizer.variances)
        return ReferenceLearner(
            config=config,
            execution=execution,
            team=team,
            tokenizer=tokenizer,
            vocabulary=vocabulary,
            model=model,
            averaged=copy.deepcopy(model).requires_grad_(False),
        )

    def rebuild(self, checkpoint: Checkpoint, *, execution: Execution, team: Team) -> ReferenceLearner:
        """Build tokenizer, vocabulary and both sets of weights again."""
        config, device, tensors = self.config, execution.device, checkpoint.tensors
        tokenizer = tokenizer_from_tensors(tensors_under(tensors, "tokenizer"), config).to(device)
        vocabulary = Vocabulary(tuple(checkpoint.state["vocabulary"]))

        def rebuilt(prefix: str) -> VideoDiT:
            under = tensors_under(tensors, prefix)
            return model_from_tensors(
                under, config, tokenizer=tokenizer, vocabulary=vocabulary, device=device
            )

        return ReferenceLearner(
            config=config,
            execution=execution,
            team=team,
            tokenizer=tokenizer,
            vocabulary=vocabulary,
            model=rebuilt("model"),
            averaged=rebuilt("averaged").requires_grad_(False),
        )


def _new_tokenizer(config: TrainingConfig, frames: Iterator[Tensor]) -> Tokenizer:
    """Return the tokenizer of a new run: fitted to `frames`, or, of pixels, without looking at any."""
    if config.tokenizer == PIXELS:
        return PixelTokenizer(clip_shape=config.clip_shape, patch_shape=config.patch_shape)
    return fit_tokenizer(
        frames,
        clip_shape=config.clip_shape,
        patch_shape=config.patch_shape,
        num_components=config.num_components,
    )
