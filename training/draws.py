"""What a step draws at random for its batch: times, noise, and which words it leaves out.

Drawn for the whole batch at once, by a public function of (run seed, step), whoever then takes which part of it. Shapes
as in `training.model`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.config import TrainingConfig
from training.randomness import generator_for
from training.vocabulary import PADDING_ID, Vocabulary


@dataclass(frozen=True, kw_only=True)
class StepDraws:
    """The random part of a batch, or of a part of it."""

    time_B: Tensor
    noise_BNK: Tensor
    words_BL: Tensor

    def part(self, start: int, end: int) -> StepDraws:
        """Return what belongs to the clips from `start` to before `end`."""
        places = slice(start, end)
        return StepDraws(
            time_B=self.time_B[places], noise_BNK=self.noise_BNK[places], words_BL=self.words_BL[places]
        )


def noise_generator(seed: str, step: int, drawn_before: torch.Generator, device: str) -> torch.Generator:
    """Return what noise is drawn from: on the CPU what times were drawn from, elsewhere a generator for the device."""
    return drawn_before if device == "cpu" else generator_for(seed, "noise", step, device)


def draw_words(
    captions: Sequence[str],
    vocabulary: Vocabulary,
    config: TrainingConfig,
    generator: torch.Generator,
    *,
    is_cut: bool,
) -> Tensor:
    """Return caption ids BL with whole captions and single words left out at random.

    `is_cut`: padding beyond the longest caption of the batch, which would only cost time, is cut off.
    """
    words_BL = torch.tensor([vocabulary.encode(caption, config.max_words) for caption in captions])
    if is_cut:
        words_BL = words_BL[:, : max(1, int((words_BL != PADDING_ID).sum(dim=1).max()))]
    is_uncaptioned_B1 = torch.rand(len(captions), 1, generator=generator) < config.caption_dropout
    is_left_out_BL = torch.rand(words_BL.shape, generator=generator) < config.word_dropout
    return words_BL.masked_fill(is_uncaptioned_B1 | is_left_out_BL, PADDING_ID)
