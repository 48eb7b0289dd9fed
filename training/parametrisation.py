"""What the transformer's numbers mean: from what it reads and what it says to the velocity of tokens.

Two ways, by what is known of the tokens:

- `Spectrum`: the variances of their values over the footage are known. If tokens were independent Gaussians of these,
  the best velocity would be a closed formula; the transformer adds the rest, in units of the deviation that is left,
  and reads its input at unit power (the preconditioning of Karras et al. 2022, arXiv 2206.00364, section 5, for each
  component and for the straight path). Noise has as many dimensions as the tokens, and need not pass through the
  transformer's fewer features.
- `Footage`: nothing is known, tokens are pixels. The transformer says what the footage is, which lies near a surface of
  few dimensions as noise and velocity do not, and its error is weighed as one of the velocity (Li and He 2025, arXiv
  2511.13720, "Back to Basics: Let Denoising Generative Models Denoise": x-prediction, v-loss).

Shapes as in `training.model`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from training.flow import LogitNormal

# 0 weighs errors as they are, so that faint components count for little, 1 by what can be known of them.
_DETAIL = 0.3


class Parametrisation(Protocol):
    """The meaning of what goes into the transformer and comes out of it."""

    times: ClassVar[LogitNormal]
    """The times that it is trained at."""

    def reading(self, noisy_BNK: Tensor, time_B: Tensor) -> Tensor:
        """Return what the transformer reads of noisy tokens."""
        ...

    def velocity(self, noisy_BNK: Tensor, time_B: Tensor, output_BNK: Tensor) -> Tensor:
        """Return the velocity BNK that its output stands for; times are below 1."""
        ...

    def error_weight(self, time_B: Tensor) -> Tensor:
        """Return what a squared error of the velocity counts for: B1K, or B11 where all values count alike."""
        ...


@dataclass(frozen=True)
class Spectrum:
    """The output is what the variances of the footage do not say of the velocity."""

    variance_K: Tensor

    # The tokens of a clip say much the same, so that its layout shows through more noise than a picture's would, and
    # must be learned there: of 96 procedural clips a mean of 0 drew 98 % in the direction asked for, one of -0.8 all.
    times: ClassVar[LogitNormal] = LogitNormal(mean=-0.4, deviation=1.0)

    def reading(self, noisy_BNK: Tensor, time_B: Tensor) -> Tensor:
        """Return the noisy tokens at unit power."""
        return noisy_BNK * path_power(time_B, self.variance_K).rsqrt()

    def velocity(self, noisy_BNK: Tensor, time_B: Tensor, output_BNK: Tensor) -> Tensor:
        """Return the velocity of independent Gaussians, and the output in units of the deviation that is left."""
        time_B11, power_B1K = time_B[:, None, None], path_power(time_B, self.variance_K)
        expected_BNK = (time_B11 * self.variance_K - (1.0 - time_B11)) / power_B1K * noisy_BNK
        return expected_BNK + (self.variance_K / power_B1K).sqrt() * output_BNK

    def error_weight(self, time_B: Tensor) -> Tensor:
        """Return some more weight on faint detail.

        Where the noisy token is known, the velocity's variance is `variance_K` / power; a root of that divides.
        """
        return (path_power(time_B, self.variance_K) / self.variance_K) ** _DETAIL


@dataclass(frozen=True)
class Footage:
    """The output is the footage itself."""

    # Mean and deviation are those of Li and He 2025. Where 1 - t would divide by less than 0.05, they divide by that;
    # times are cut there instead, so that the loss stays that of the velocity (one time in 700,000 is later).
    times: ClassVar[LogitNormal] = LogitNormal(mean=-0.8, deviation=0.8, latest=0.95)

    def reading(self, noisy_BNK: Tensor, time_B: Tensor) -> Tensor:
        """Return the noisy tokens as they are."""
        return noisy_BNK

    def velocity(self, noisy_BNK: Tensor, time_B: Tensor, output_BNK: Tensor) -> Tensor:
        """Return the way from here to the footage over the time that is left."""
        return (output_BNK - noisy_BNK) / (1.0 - time_B[:, None, None])

    def error_weight(self, time_B: Tensor) -> Tensor:
        """Return 1."""
        return time_B.new_ones(len(time_B), 1, 1)


def path_power(time_B: Tensor, variance_K: Tensor) -> Tensor:
    """Return the mean square B1K of noisy tokens whose footage has these variances, at each time."""
    time_B11 = time_B[:, None, None]
    return time_B11.square() * variance_K + (1.0 - time_B11).square()
