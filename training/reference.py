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
from training.config import TrainingConfig
from training.flow import draw_times, flow_loss
from training.learner import EncodedClip
from training.model import VideoDiT, build_model
from training.quality.flops import count_step_flops
from training.randomness import generator_for
from training.tensor_file import named_under, tensors_under
from training.tokenizer import PcaTokenizer, fit_tokenizer
from training.vocabulary import PADDING_ID, Vocabulary, build_vocabulary
from training.weights import TrainedModel, model_from_tensors, tokenizer_from_tensors, tokenizer_tensors

_FLOP_METHOD = (
    "matrix products and attention of the loss and its gradient for one batch, counted by PyTorch's FlopCounterMode on "
    "tensors without data, times the steps; a multiplication and an addition are 2; every caption counts as `max_words`"
)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ReferenceLearner:
    """The reference model in training (`training.learner.Learner`)."""

    config: TrainingConfig
    device: str
    tokenizer: PcaTokenizer
    vocabulary: Vocabulary
    model: VideoDiT
    averaged: VideoDiT
    """Exponential moving average of `model`; the weights that sample."""

    def encode(self, frames_TCHW: Tensor) -> Tensor:
        """Turn one uint8 clip into tokens NK."""
        return self.tokenizer.encode(frames_TCHW)

    def batch_loss(self, clips: Sequence[EncodedClip], generator: torch.Generator) -> Tensor:
        """Compute the loss of one batch."""
        tokens_BNK = torch.stack([clip.code for clip in clips])
        time_B = draw_times(len(clips), generator)
        noise_BNK = torch.randn(tokens_BNK.shape, generator=generator)
        words_BL = self._words([clip.caption for clip in clips], generator)
        return flow_loss(
            self.model,
            tokens_BNK,
            words_BL.to(self.device),
            time_B=time_B.to(self.device),
            noise_BNK=noise_BNK.to(self.device),
            variance_K=self.tokenizer.variances,
        )

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
            **named_under(tokenizer_tensors(self.tokenizer), "tokenizer"),
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

    def _words(self, captions: Sequence[str], generator: torch.Generator) -> Tensor:
        """Return caption ids BL with whole captions and single words left out at random."""
        config = self.config
        words_BL = torch.tensor([self.vocabulary.encode(caption, config.max_words) for caption in captions])
        # Padding beyond the longest caption of the batch would only cost time.
        words_BL = words_BL[:, : max(1, int((words_BL != PADDING_ID).sum(dim=1).max()))]
        is_uncaptioned_B1 = torch.rand(len(captions), 1, generator=generator) < config.caption_dropout
        is_left_out_BL = torch.rand(words_BL.shape, generator=generator) < config.word_dropout
        return words_BL.masked_fill(is_uncaptioned_B1 | is_left_out_BL, PADDING_ID)


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

    def begin(
        self, captions: Sequence[str], frames: Iterator[Tensor], *, seed: str, device: str
    ) -> ReferenceLearner:
        """Fit the tokenizer to `frames`, take the words of the captions, and initialise the transformer."""
        config = self.config
        tokenizer = fit_tokenizer(
            frames,
            clip_shape=(config.num_frames, config.height, config.width),
            patch_shape=(config.patch_frames, config.patch_height, config.patch_width),
            num_components=config.num_components,
        ).to(device)
        vocabulary = build_vocabulary(captions)
        model = build_model(
            config, num_components=tokenizer.num_components, num_ids=vocabulary.num_ids, device=device
        )
        model.initialise(generator_for(seed, "weights", 0), tokenizer.variances)
        return ReferenceLearner(
            config=config,
            device=device,
            tokenizer=tokenizer,
            vocabulary=vocabulary,
            model=model,
            averaged=copy.deepcopy(model).requires_grad_(False),
        )

    def rebuild(self, checkpoint: Checkpoint, *, device: str) -> ReferenceLearner:
        """Build tokenizer, vocabulary and both sets of weights again."""
        tensors = checkpoint.tensors
        tokenizer = tokenizer_from_tensors(tensors_under(tensors, "tokenizer"), self.config).to(device)
        vocabulary = Vocabulary(tuple(checkpoint.state["vocabulary"]))

        def rebuilt(prefix: str) -> VideoDiT:
            under = tensors_under(tensors, prefix)
            return model_from_tensors(
                under, self.config, tokenizer=tokenizer, vocabulary=vocabulary, device=device
            )

        return ReferenceLearner(
            config=self.config,
            device=device,
            tokenizer=tokenizer,
            vocabulary=vocabulary,
            model=rebuilt("model"),
            averaged=rebuilt("averaged").requires_grad_(False),
        )
