"""The statistic of the data-copying test (pure).

Meehan, Chaudhuri and Dasgupta 2020, "A Non-Parametric Test to Detect Data-Copying in Generative Models" (arXiv
2004.05675, section 3): a model copies if what it makes lies nearer to the training clips than footage does that it was
not trained on. Both samples of distances are compared by the one-sided test of Mann and Whitney; the paper's division
of the space into cells needs more clips than are drawn here and is left out.
"""

from __future__ import annotations

import enum
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

METHOD = "data-copying-1"
LEVEL = 0.05
"""Fails below: one model in twenty that does not copy fails by chance. A convention, not a measurement."""
MIN_CLIPS = 5
"""Of each kind. The smallest p of 5 against 5 is 1/252; with fewer held-out clips one odd clip decides."""


class CopyingVerdict(enum.StrEnum):
    """What the test says."""

    PASSED = "passed"
    """No sign that the model copies; with few clips that is weak."""
    FAILED = "failed"
    NOT_TESTABLE = "not testable"
    """Never a pass."""


@dataclass(frozen=True, kw_only=True)
class CopyingStatistic:
    """Distances of generated clips to the training clips, against those of held-out clips."""

    verdict: CopyingVerdict
    reason: str
    """A sentence."""
    num_generated: int
    num_held_out: int
    median_generated: float | None
    median_held_out: float | None
    probability_nearer: float | None
    """That a generated clip lies nearer to the training clips than a held-out one; .5 if they lie alike."""
    p_value: float | None
    """Of generated clips lying as near by chance."""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values with stable keys."""
        return asdict(self) | {"verdict": self.verdict.value, "method": METHOD, "level": LEVEL}


def compare_distances(generated_G: Sequence[float], held_out_H: Sequence[float]) -> CopyingStatistic:
    """Compare the distances of generated and of held-out clips to their nearest training clip."""
    from scipy.stats import mannwhitneyu

    missing = [
        f"{len(distances)} {kind} clips can be compared, {MIN_CLIPS} are needed"
        for kind, distances in (("generated", generated_G), ("held-out", held_out_H))
        if len(distances) < MIN_CLIPS
    ]
    if missing:
        return _statistic(generated_G, held_out_H, CopyingVerdict.NOT_TESTABLE, "; ".join(missing))
    answer = mannwhitneyu(generated_G, held_out_H, alternative="less")
    nearer = 1 - float(answer.statistic) / (len(generated_G) * len(held_out_H))
    p_value = float(answer.pvalue)
    if p_value < LEVEL:
        verdict, reason = (
            CopyingVerdict.FAILED,
            "what it draws lies nearer to its training clips than other footage",
        )
    else:
        verdict, reason = (
            CopyingVerdict.PASSED,
            "what it draws lies no nearer to its training clips than other footage",
        )
    return _statistic(generated_G, held_out_H, verdict, reason, nearer=nearer, p_value=p_value)


def nothing_to_compare(reason: str) -> CopyingStatistic:
    """Return that nothing could be compared, and why."""
    return _statistic((), (), CopyingVerdict.NOT_TESTABLE, reason)


def _statistic(
    generated_G: Sequence[float],
    held_out_H: Sequence[float],
    verdict: CopyingVerdict,
    reason: str,
    *,
    nearer: float | None = None,
    p_value: float | None = None,
) -> CopyingStatistic:
    return CopyingStatistic(
        verdict=verdict,
        reason=reason,
        num_generated=len(generated_G),
        num_held_out=len(held_out_H),
        median_generated=statistics.median(generated_G) if generated_G else None,
        median_held_out=statistics.median(held_out_H) if held_out_H else None,
        probability_nearer=nearer,
        p_value=p_value,
    )
