"""What is measured: each number of a card with its unit, its method, the method's version, and what good means.

A method that changes what its number means gets a new version: numbers of two versions are never compared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from training.errors import TrainingConfigError

WORKING_SIDE = 256
"""Pixels: the short side at which motion is measured. Clips are scaled down to it, never up."""


_SHARE, _SCORE, _RATIO = "share", "score", "ratio"


class Better(StrEnum):
    """Which way a number is better."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One number of a card."""

    name: str
    title: str
    unit: str
    method: str
    version: int
    better: Better
    good: str
    """What good means, as far as anybody can say; empty where it is not defined."""

    def value(self, value: float, *, method: str | None = None) -> Measure:
        """Return the number as measured; `method` says more where the way differs from clip to clip."""
        definition = self if method is None else dataclasses.replace(self, method=method)
        return Measure(definition=definition, value=value, reason="")

    def missing(self, reason: str) -> Measure:
        """Return the number as not measured."""
        return Measure(definition=self, value=None, reason=reason)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A number of a card, or why there is none."""

    definition: Definition
    value: float | None
    reason: str
    """Why it was not measured; empty if it was."""

    def as_json(self) -> dict[str, Any]:
        """Return it with everything that says what it means, so that a card can be read without this program."""
        definition = self.definition
        return {
            "value": self.value,
            "unit": definition.unit,
            "method": definition.method,
            "version": definition.version,
            "better": definition.better.value,
            "good": definition.good,
            "not_measured": self.reason or None,
        }

    @property
    def text(self) -> str:
        """The number with its unit as people read it, or `not measured`."""
        if self.value is None:
            return "not measured"
        unit = "" if self.definition.unit in {_SHARE, _SCORE, _RATIO} else self.definition.unit
        return f"{self.number} {unit}".strip()

    @property
    def number(self) -> str:
        """The number without its unit, shares as percent; a dash if there is none."""
        if self.value is None:
            return "–"
        if self.definition.unit == _SHARE:
            return f"{100 * self.value:.1f} %"
        is_whole = self.value == int(self.value) and abs(self.value) < 1e12
        return f"{int(self.value):,}" if is_whole else f"{self.value:.3g}"


def _define(
    name: str, title: str, unit: str, better: Better, *, method: str, good: str, version: int = 1
) -> Definition:
    return Definition(
        name=name, title=title, unit=unit, method=method, version=version, better=better, good=good
    )


TEMPORAL_FLICKER = _define(
    "temporal_flicker", "Temporal flicker", "levels", Better.LOWER,
    method=(
        f"luma at {WORKING_SIDE} pixels; each frame less the one before it, carried along DIS flow, averaged over the "
        "matched pixels of blocks of 16 x 16; half the mean absolute change of that from pair to pair, in levels of "
        "255. A steady fade counts nothing."
    ),
    good="0 means that no part changes its brightness to and fro.",
)  # fmt: skip
FRAME_STABILITY = _define(
    "frame_stability", "Frame stability", _SCORE, Better.HIGHER,
    method=(
        "(255 - d) / 255, d the mean absolute difference of neighbouring frames: temporal_flickering of VBench "
        f"(Huang et al. 2024, arXiv 2311.17982), but of luma at {WORKING_SIDE} pixels. Motion is not removed."
    ),
    good="comparable among still scenes only, and 1 for a frozen clip.",
)  # fmt: skip
WARPING_ERROR = _define(
    "warping_error", "Warping error", "levels", Better.LOWER,
    method=(
        f"luma at {WORKING_SIDE} pixels; mean absolute difference of a frame to the one before it, carried along DIS "
        "flow, over the pixels that the flow matches there and back, in levels of 255 (after Lai et al. 2018, arXiv "
        "1808.00449, who square differences of colours)."
    ),
    good="0 means that surfaces keep their looks while they move; noise and film grain count too.",
)  # fmt: skip
UNMATCHED_SHARE = _define(
    "unmatched_share", "Unmatched share", _SHARE, Better.LOWER,
    method=(
        "share of pixels whose DIS flow to the frame before and back does not return (Ruder et al. 2016, arXiv "
        "1604.08610, equation 5)."
    ),
    good="low where things do not appear, vanish or boil; what comes into view counts too.",
)  # fmt: skip
MOTION_SMOOTHNESS = _define(
    "motion_smoothness", "Motion smoothness", _SCORE, Better.HIGHER,
    method=(
        "(255 - d) / 255, d the mean absolute difference of every second frame to the one interpolated between its "
        "neighbours: motion_smoothness of VBench (Huang et al. 2024, arXiv 2311.17982), but interpolated along DIS "
        f"flow (Jiang et al. 2018, arXiv 1712.00080, equation 4) instead of by AMT, on luma at {WORKING_SIDE} pixels."
    ),
    good="1 means that each frame lies midway between its neighbours; also 1 for a frozen clip.",
)  # fmt: skip
PACE_UNEVENNESS = _define(
    "pace_unevenness", "Unevenness of pace", _RATIO, Better.LOWER,
    method=(
        "how far the speed between two frames lies from the median of it and of its neighbours, on average, over the "
        "mean speed; speed is the mean length of DIS flow over the time between the frames. Speeding up counts nothing."
    ),
    good="0 is an even pace; a step that falls out of line (a frame dropped or repeated, a cut) raises it.",
)  # fmt: skip
DYNAMIC_DEGREE = _define(
    "dynamic_degree", "Dynamic degree", "diagonals/s", Better.NEITHER,
    method=(
        "sum over pairs of frames of the mean length of DIS flow, as a part of the picture's diagonal, over the "
        "seconds from the first to the last frame. VBench asks whether the strongest 5 % of RAFT flow pass a threshold."
    ),
    good="none in itself: read every other measure of motion beside it, because a still picture scores best in them.",
)  # fmt: skip
FROZEN_SHARE = _define(
    "frozen_share", "Frozen share", _SHARE, Better.LOWER,
    method=(
        f"share of pairs of frames whose luma at {WORKING_SIDE} pixels differs by less than 0.1 levels of 255 on "
        "average: the same picture shown again."
    ),
    good="0, unless the clip is meant to stand still.",
)  # fmt: skip
_CONSISTENCY = (
    "the mean over samples, 4 a second, of the mean cosine to the first sample and to the one before (VBench, Huang et "
    "al. 2024, arXiv 2311.17982)"
)
SUBJECT_CONSISTENCY = _define(
    "subject_consistency", "Subject consistency", "cosine", Better.HIGHER,
    method=f"{_CONSISTENCY}, of the whole picture as VBench does, but not with DINO.",
    good="1 means that what is shown stays what it is; camera motion lowers it too.",
)  # fmt: skip
BACKGROUND_CONSISTENCY = _define(
    "background_consistency", "Background consistency", "cosine", Better.HIGHER,
    method=(
        f"{_CONSISTENCY}, of the four corners (a third of each side) put together as one picture, and not with CLIP."
    ),
    good="1 means that the surroundings stay; camera motion lowers it too.",
)  # fmt: skip

FLOP = _define(
    "flop", "Computing steps", "FLOP", Better.LOWER,
    method=(
        "matrix products, convolutions and attention of drawing the clip, counted by PyTorch's FlopCounterMode on "
        "tensors without data; a multiplication and an addition are 2. Elementwise work, encoding and signing are left "
        "out."
    ),
    good="",
)  # fmt: skip
WALL_SECONDS = _define(
    "wall_seconds",
    "Time",
    "s",
    Better.LOWER,
    method="clock time of making the clip on the machine named.",
    good="",
)
CPU_SECONDS = _define(
    "cpu_seconds", "CPU time", "CPU s", Better.LOWER,
    method="user and system time of this process, all threads; other processes are left out.", good="",
)  # fmt: skip
PEAK_MEMORY = _define(
    "peak_memory_bytes", "Peak memory", "bytes", Better.LOWER,
    method="most memory that this process has held since it began, libraries included.", good="",
)  # fmt: skip
ENERGY = _define("energy_joules", "Energy", "J", Better.LOWER, method="counters of the hardware.", good="")
COST = _define(
    "cost", "Cost", "", Better.LOWER, method="clock time by the price of an hour that the user gave.", good=""
)

CLIP_DEFINITIONS = (
    TEMPORAL_FLICKER, WARPING_ERROR, UNMATCHED_SHARE, FRAME_STABILITY, MOTION_SMOOTHNESS, PACE_UNEVENNESS,
    FROZEN_SHARE, DYNAMIC_DEGREE, SUBJECT_CONSISTENCY, BACKGROUND_CONSISTENCY,
)  # fmt: skip
COMPUTE_DEFINITIONS = (FLOP, WALL_SECONDS, CPU_SECONDS, PEAK_MEMORY, ENERGY, COST)
_MOST = 1e300
"""Beyond any measure, and still a number: keeps infinities and NaN out, which JSON readers let through."""
_BY_NAME = {definition.name: definition for definition in (*CLIP_DEFINITIONS, *COMPUTE_DEFINITIONS)}


def measure_from_json(name: str, record: Mapping[str, Any]) -> Measure:
    """Read back what `Measure.as_json` gave. The text of a card wins over the text of this version.

    Raises `TrainingConfigError` for a measure this version does not know or a record that is not one.
    """
    known = _BY_NAME.get(name)
    value, reason = record.get("value"), record.get("not_measured")
    if known is None or not (_is_number(value) or (value is None and isinstance(reason, str) and reason)):
        raise TrainingConfigError(f"measure {name!r} is not one")
    try:
        definition = Definition(
            name=name,
            title=known.title,
            unit=str(record["unit"]),
            method=str(record["method"]),
            version=int(record["version"]),
            better=Better(record["better"]),
            good=str(record["good"]),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise TrainingConfigError(f"measure {name!r} is not one: {exc!r}") from exc
    return Measure(definition=definition, value=value, reason=reason or "")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -_MOST <= value <= _MOST


def is_current(measure: Measure) -> bool:
    """Return whether this version measures that number the same way."""
    known = _BY_NAME.get(measure.definition.name)
    return known is not None and known.version == measure.definition.version
