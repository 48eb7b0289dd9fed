"""L3: whether the clips that a run says it read look read to the model, and others do not. Evidence, never proof.

A model denoises what it was trained on a little better than other footage (membership inference by the loss; Yeom et
al. 2018, arXiv 1709.01604; for diffusion models Carlini et al. 2023, arXiv 2301.13188). How much better says how much
was learnt by heart: of a model that generalises the loss tells nothing, and that is then the answer.

A plain clip is easy whether it was read or not. So the loss of a clip is divided by that of the best linear denoiser
of footage with the tokenizer's variances (calibration by difficulty, Watson et al. 2022, arXiv 2111.08440), at the same
times with the same noise. Captions are left out: those of training clips were read as well.

Two samples of such scores are compared by the probability that a clip of the first has the lower one (the area under
the curve), with an interval from resampling sources, since clips of one source are alike. Of too few sources it is
clips that are resampled, which makes the interval narrower than it should be, and is said.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.flow import Velocity, flow_loss
from training.parametrisation import Spectrum
from training.randomness import generator_for
from training.vocabulary import PADDING_ID

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from training.weights import TrainedModel

MIN_CLIPS = 5
"""Of each kind; with fewer, one odd clip decides."""
_MIN_SOURCES = 5
"""From which on sources are resampled: of four, one sample in 64 is a single source over and over."""
_NUM_RESAMPLES = 2000
_SEED = 0
_TIMES = tuple((number + 0.5) / 8 for number in range(8))
"""Evenly over the path; at each, noise of its own, which is that of every clip."""


@dataclass(frozen=True, kw_only=True)
class ScoredClips:
    """Clips of one kind, and the source of each."""

    scores: tuple[float, ...]
    """Logarithm of the loss over that of the linear denoiser."""
    sources: tuple[str, ...]

    @property
    def told(self) -> str:
        """Return how many there are, in words."""
        return f"{len(self.scores)} clips of {len(set(self.sources))} sources"


class Tells(enum.Enum):
    """What a comparison says of its first sample."""

    LOWER = "lower"
    HIGHER = "higher"
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The probability that a clip of one sample has the lower score than one of another; .5 if they are alike."""

    probability: float
    low: float
    """Of a 95 % interval."""
    high: float
    is_by_source: bool
    """Whether sources were resampled; otherwise clips were."""

    @property
    def tells(self) -> Tells:
        """Return on which side of .5 the whole interval lies."""
        if self.low > 0.5:
            return Tells.LOWER
        return Tells.HIGHER if self.high < 0.5 else Tells.NOTHING

    @property
    def told(self) -> str:
        """Return the numbers in words."""
        unit = "sources" if self.is_by_source else "clips of too few sources, so rather wider"
        return f"probability {self.probability:.2f}, 95 %: {self.low:.2f} to {self.high:.2f} by {unit}"


def score_clips(trained: TrainedModel, clips: Iterable[tuple[str, Tensor]]) -> ScoredClips:
    """Score clips given as their source and their frames, uint8 TCHW."""
    sources, scores = [], []
    for source, frames_TCHW in clips:
        sources.append(source)
        scores.append(clip_score(trained, frames_TCHW))
    return ScoredClips(scores=tuple(scores), sources=tuple(sources))


def clip_score(trained: TrainedModel, frames_TCHW: Tensor) -> float:
    """Return how the model denoises a clip, as the logarithm of its loss over that of the linear denoiser."""
    loss, reference = clip_losses(trained, frames_TCHW)
    return math.log(loss / reference)


def clip_losses(trained: TrainedModel, frames_TCHW: Tensor) -> tuple[float, float]:
    """Return the loss of a clip without its caption, and that of the linear denoiser.

    The tokenizer must know the variances of its tokens, as that of pixels does not.
    """
    import torch

    assert trained.tokenizer.variances is not None
    spectrum = Spectrum(trained.tokenizer.variances)
    tokens_NK = trained.tokenizer.encode(frames_TCHW)
    tokens_BNK = tokens_NK.expand(len(_TIMES), *tokens_NK.shape)
    time_B = torch.tensor(_TIMES, device=tokens_NK.device)
    generator = generator_for("membership", "noise", 0)
    noise_BNK = torch.randn(tokens_BNK.shape, generator=generator).to(tokens_NK.device)
    words_BL = torch.full((len(_TIMES), 1), PADDING_ID, device=tokens_NK.device)

    def linear(noisy_BNK: Tensor, time_B: Tensor, _words_BL: Tensor) -> Tensor:
        return spectrum.velocity(noisy_BNK, time_B, torch.zeros_like(noisy_BNK))

    def loss_of(model: Velocity) -> float:
        return flow_loss(
            model,
            tokens_BNK,
            words_BL,
            time_B=time_B,
            noise_BNK=noise_BNK,
            weight_B1K=spectrum.error_weight(time_B),
        ).item()

    with torch.no_grad():
        return loss_of(trained.model), loss_of(linear)


def compare(first: ScoredClips, second: ScoredClips) -> Comparison:
    """Compare two samples of at least one clip each. The same samples give the same interval."""
    groups = [_by_source(first), _by_source(second)]
    is_by_source = min(map(len, groups)) >= _MIN_SOURCES
    if not is_by_source:
        groups = [[np.array([score]) for score in sample.scores] for sample in (first, second)]
    chooser = np.random.default_rng(_SEED)
    drawn = [
        _probability_lower(*(_resampled(group, chooser) for group in groups)) for _ in range(_NUM_RESAMPLES)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975))
    found = _probability_lower(*(np.array(sample.scores) for sample in (first, second)))
    return Comparison(probability=found, low=float(low), high=float(high), is_by_source=is_by_source)


def _by_source(clips: ScoredClips) -> list[NDArray[np.float64]]:
    scores, sources = np.array(clips.scores), np.array(clips.sources)
    return [scores[sources == source] for source in sorted(set(clips.sources))]


def _resampled(groups: Sequence[NDArray[np.float64]], chooser: np.random.Generator) -> NDArray[np.float64]:
    return np.concatenate([groups[number] for number in chooser.integers(len(groups), size=len(groups))])


def _probability_lower(first_F: NDArray[np.float64], second_S: NDArray[np.float64]) -> float:
    """Return the share of pairs whose first is lower; equals count half (Mann and Whitney's U over their number)."""
    ordered = np.sort(first_F)
    below = np.searchsorted(ordered, second_S, side="left") + np.searchsorted(ordered, second_S, side="right")
    return float(below.sum() / (2 * len(first_F) * len(second_S)))
