"""What a run trains, as the run protocol sees it.

The protocol (`training.run`, `training.loop`) decides which clips are consumed when, reads them through the gate, keeps
ledger and exposure, saves and takes up. A `Learner` makes of a clip what a step consumes and of a batch its loss, and
holds the parameters; a `Recipe` begins one, or builds it again from a checkpoint. There are two: the reference model
(`training.reference`), and adapters of a base model (`training.adapters.learner`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from training.adapters.base_record import BaseRecord
    from training.checkpoint import Checkpoint
    from training.execution import Execution
    from training.settings import RunConfig
    from training.team import Team
    from training.video_model import VideoModel


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class EncodedClip:
    """A clip as a step consumes it: read, checked and encoded in this process."""

    clip_id: str
    frames_sha256: str
    """Of the frames that the code was made from."""
    code: Tensor
    """Of a shape that is the learner's own."""


class Batch(Protocol):
    """What is random in a step, drawn for the whole batch at once, whoever then takes which part of it."""

    def loss(self, clips: Sequence[EncodedClip], start: int) -> Tensor:
        """Compute the mean loss of the clips of the batch from place `start` on."""


class Learner(Protocol):
    """What is trained."""

    def encode(self, frames_TCHW: Tensor) -> Tensor:
        """Turn one uint8 clip into what steps consume; one at a time, so that its bits depend on no other."""

    def draw_batch(self, captions: Sequence[str], *, seed: str, step: int) -> Batch:
        """Draw what is random in a step of a run, by a public function of both."""

    def parameters(self) -> Mapping[str, torch.nn.Parameter]:
        """Return what steps change, by name."""

    def averages(self) -> Mapping[str, Tensor]:
        """Return the moving averages of the parameters, by the same names; the loop moves them after each step."""

    def tensors(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps: under `model` what is trained, under `averaged` its averages, and others."""

    def words(self) -> Sequence[str]:
        """Return the words of the captions, which a checkpoint keeps too."""

    def trained_model(self, origin: Mapping[str, Any]) -> VideoModel:
        """Return the averaged model as it stands, with the record of where it came from."""

    def count_step_flops(self) -> int:
        """Return the floating-point operations of the loss of one batch and of its gradient."""


class Recipe(Protocol):
    """How the learner of a run is begun, and built again."""

    @property
    def config(self) -> RunConfig:
        """The configuration of the run."""

    @property
    def base_record(self) -> BaseRecord | None:
        """The model of others that is fine-tuned; `None`: nothing but the snapshot goes in."""

    @property
    def flop_method(self) -> str:
        """How the operations of a step are counted."""

    def execution_on(self, device: str) -> Execution:
        """Decide how the run is carried out on a device."""

    def begin(
        self,
        captions: Sequence[str],
        frames: Iterator[Tensor],
        *,
        seed: str,
        execution: Execution,
        team: Team,
    ) -> Learner:
        """Begin a learner. `frames` are `config.num_fitting_clips` clips or fewer, uint8 TCHW, read as they are met."""

    def rebuild(self, checkpoint: Checkpoint, *, execution: Execution, team: Team) -> Learner:
        """Build the learner of a checkpoint. Raises `CheckpointError` if its tensors do not fit."""
