"""A model that draws clips, as generation and the tests for copying see one: the reference model, or an adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from training.settings import RunConfig
from training.vocabulary import Vocabulary

if TYPE_CHECKING:
    from torch import Tensor

    from training.adapters.base_record import BaseRecord


@dataclass(frozen=True, kw_only=True)
class VariedClip:
    """A clip that another one departs from (Meng et al. 2021, arXiv 2108.01073, "SDEdit", for a straight path)."""

    frames_TCHW: Tensor
    """uint8 RGB, as many frames and as large as the model draws."""
    strength_percent: int
    """How much of the way is walked anew: 1 keeps nearly everything, 100 nothing."""


class VideoModel(Protocol):
    """What draws clips from prompts. Same model, prompt and seed: same clip."""

    @property
    def config(self) -> RunConfig:
        """The configuration of the run that made it."""

    @property
    def architecture(self) -> str:
        """Name of what it is, stored with its weights."""

    @property
    def base_record(self) -> BaseRecord | None:
        """The model of others that was fine-tuned; `None`: it learnt from the snapshot alone."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The words of the captions that it was trained on."""

    @property
    def origin(self) -> Mapping[str, Any]:
        """Snapshot, seed and steps of the run."""

    @property
    def num_parameters(self) -> int:
        """Trained numbers."""

    @property
    def device(self) -> str:
        """What it calculates on."""

    @property
    def draws_from_prompts_only(self) -> bool:
        """It cannot be held to known frames: it draws neither longer clips, nor loops, nor from a source."""

    def draw(
        self,
        prompt: str,
        seed: int,
        *,
        segment: int = 0,
        known_CHW: Mapping[int, Tensor] | None = None,
        varied: VariedClip | None = None,
    ) -> Tensor:
        """Draw one clip as uint8 RGB TCHW on the CPU, of the configured size.

        `segment`: the segments of a longer clip have noise of their own. `known_CHW`: uint8 frames that it is to have,
        by their place. `varied`: a clip to depart from.
        """

    def retell(self, frames_TCHW: Tensor) -> Tensor:
        """Return a clip as the model's own coding of pictures can tell it, uint8 TCHW."""

    def unknown_words(self, prompt: str) -> tuple[str, ...]:
        """Name the words of `prompt` that the model ignores."""

    def count_draw_flops(self, num_steps: int) -> int:
        """Return the floating-point operations of drawing one clip in `num_steps` steps."""

    def save(self, path: Path) -> str:
        """Write the weights file durably and return its SHA-256. Equal models give equal bytes."""


def draw_all(model: VideoModel, prompts: Sequence[str], seed: int) -> Tensor:
    """Draw one clip per prompt as uint8 RGB BTCHW; prompt i uses `seed + i` and can be drawn again alone.

    Clips are drawn one by one: in a batch, the last digits of each would depend on the others.
    """
    import torch

    return torch.stack([model.draw(prompt, seed + number) for number, prompt in enumerate(prompts)])
