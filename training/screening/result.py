"""What screening says of one clip: whether it shows footage again, which, and what it was compared with.

Frozen records without a database or a file behind them, so that they can go into a manifest, a table and a report.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from db.vocabularies import COPY_TIERS, MatchTier
from ingest.lookup.find import Gap
from training.screening.likeness import NearFootage, too_like

FORMAT = "cleartitle.screening/1"
BLOCKING = frozenset({"file.too_plain", "training.no_vectors", "reference.no_vectors"})
"""Codes of gaps that keep a clip from having passed. The others are limits that are said beside it."""
_DECIMALS = 3


class ScreenOutcome(enum.StrEnum):
    """What becomes of a clip, and never merged: what was not compared has not passed."""

    PASSED = "passed"
    """Compared with all footage that the model was trained on and every reference set, and nothing of it is shown."""
    HELD = "held"
    """It may show such footage, less surely than the calibration asks for; or it shows other footage of the library."""
    REFUSED = "refused"
    """It shows footage that the model was trained on, or footage of a reference set, as surely as calibrated."""
    NOT_COMPARABLE = "not-comparable"
    """It is too plain or too short to be compared, or some of the footage could not be compared with it."""


class Against(enum.StrEnum):
    """Whose footage a match is with, the gravest first."""

    REFERENCE = "reference"
    """Footage that must not be contained, whatever else holds it."""
    TRAINING = "training"
    """Seconds that lie in a clip of the model's snapshot."""
    OTHER = "library-not-trained-on"
    """Library footage, or seconds of it, that the model was not trained on."""


@dataclass(frozen=True, kw_only=True)
class ScreenMatch:
    """Seconds of a generated clip that are, or look like, seconds of footage that is held."""

    against: Against
    name: str
    """How people are shown the footage."""
    asset_sha256: str
    collections: tuple[str, ...]
    """The library and the reference sets that hold it."""
    training_clips: tuple[str, ...]
    """Clips of the snapshot that the seconds lie in, by id."""
    rights_holders: tuple[str, ...]
    """Of those clips."""
    tier: MatchTier
    probability: float
    """Calibrated probability of a copy; 1 where the bytes are the same."""
    start_seconds: float
    """In the generated clip, like `end_seconds`."""
    end_seconds: float
    other_start_seconds: float
    """In the footage, like `other_end_seconds`."""
    other_end_seconds: float
    speed: float
    """Seconds of the footage per second of the clip."""
    is_mirrored: bool

    @property
    def is_copy(self) -> bool:
        """Whether it is as sure as the calibration asks for."""
        return self.tier in COPY_TIERS

    @property
    def outcome(self) -> ScreenOutcome:
        """What would become of the clip if this were its only match."""
        is_ours = self.against is Against.OTHER
        if self.is_copy:
            return ScreenOutcome.HELD if is_ours else ScreenOutcome.REFUSED
        is_unsure = self.tier is MatchTier.CANDIDATE and not is_ours
        return ScreenOutcome.HELD if is_unsure else ScreenOutcome.PASSED

    def as_json(self) -> dict[str, Any]:
        """Return the match as JSON values with stable keys."""
        rounded = {
            name: round(getattr(self, name), _DECIMALS)
            for name in ("start_seconds", "end_seconds", "other_start_seconds", "other_end_seconds", "speed")
        }
        lists = {
            name: list(getattr(self, name)) for name in ("collections", "training_clips", "rights_holders")
        }
        words = {"against": self.against.value, "tier": self.tier.value, "is_copy": self.is_copy}
        return asdict(self) | rounded | lists | words


@dataclass(frozen=True, kw_only=True)
class ComparedFootage:
    """Footage that a clip was compared with, and how much of it could be."""

    against: Against
    name: str
    """Of the snapshot or the reference set; `library` for the rest."""
    num_assets: int
    num_compared: int
    """Assets whose vectors of the encoder are in the store."""
    duration_seconds: float
    """Of the clips of the snapshot; of whole assets elsewhere."""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values with stable keys."""
        seconds = round(self.duration_seconds, _DECIMALS)
        return asdict(self) | {"against": self.against.value, "duration_seconds": seconds}


@dataclass(frozen=True, kw_only=True)
class ScreenedWith:
    """The encoder and the detector of a screening, and how well they are known to find copies."""

    encoder_name: str
    encoder_digest: str
    detector_name: str
    detector_digest: str
    min_probability: float
    """From which a match is a copy, and the clip refused."""
    min_candidate: float
    """From which it is held."""
    measured_recall: Mapping[str, Any] | None
    """`recall` of disguised copies with its bounds, from the detector's calibration; `None`: nobody measured it."""
    index_statement: str | None
    """What an approximate index may leave out; `None`: every row was compared."""

    def miss_statement(self) -> str:
        """Return in words how many copies are missed."""
        if self.measured_recall is None:
            return "how many copies are missed was not measured (`cleartitle calibrate`)"
        found, low = self.measured_recall["recall"], self.measured_recall["low"]
        return (
            f"{1 - found:.1%} of the disguised copies it was measured on were missed, at most {1 - low:.1%} of such "
            "with 95 % confidence; what a model draws anew was not among them"
        )


@dataclass(frozen=True, kw_only=True)
class ScreenResult:
    """The screening of one clip."""

    outcome: ScreenOutcome
    sha256: str
    """Of the file that was screened, which is not signed yet."""
    duration_seconds: float
    num_samples: int
    num_textured: int
    """Sampled pictures with texture enough to be compared."""
    slowed_by: tuple[int, ...]
    """Tempos at which it was looked for: 1 as it is, 4 slowed to a quarter."""
    screened_with: ScreenedWith
    compared: tuple[ComparedFootage, ...]
    matches: tuple[ScreenMatch, ...]
    """The gravest first: what is shown again of training and reference footage, then of other footage."""
    gaps: tuple[Gap, ...]
    """What was not compared."""
    nearest: tuple[NearFootage, ...] = ()
    """The likest footage of each kind, whether it is shown or not."""
    likeness_limit: float | None = None
    """From which likeness to a training clip on it is held; `None`: not measured for this encoder."""

    @property
    def highest(self) -> ScreenMatch | None:
        """Return the surest match with training or reference footage."""
        counted = [match for match in self.matches if match.against is not Against.OTHER]
        return min(
            counted, key=lambda match: (list(MatchTier).index(match.tier), -match.probability), default=None
        )

    @property
    def too_like(self) -> NearFootage | None:
        """Return the training footage that it is as like as what is drawn from memory is, if it is."""
        if self.likeness_limit is None:
            return None
        return too_like(self.nearest, self.likeness_limit)

    @property
    def blocking_gaps(self) -> tuple[Gap, ...]:
        """Return the gaps that keep the clip from having passed."""
        return tuple(gap for gap in self.gaps if gap.code in BLOCKING)

    @property
    def num_compared(self) -> int:
        """Count the assets of the snapshot and the reference sets that it was compared with."""
        return sum(part.num_compared for part in self.compared if part.against is not Against.OTHER)

    @property
    def compared_seconds(self) -> float:
        """Return the seconds of footage of the snapshot and the reference sets."""
        return sum(part.duration_seconds for part in self.compared if part.against is not Against.OTHER)

    def sentence(self) -> str:
        """Say the outcome in one plain sentence."""
        with_what = f"{self.num_compared} files of training and reference footage"
        worst = self.matches[0] if self.matches else None
        if self.outcome is ScreenOutcome.HELD and (worst is None or worst.outcome is ScreenOutcome.PASSED):
            assert self.too_like is not None, "a clip without a grave match is held for its likeness"
            return _told_likeness(self.too_like, self.likeness_limit)
        match self.outcome:
            case ScreenOutcome.PASSED:
                return f"compared with {with_what}: nothing of it was found in the clip"
            case ScreenOutcome.NOT_COMPARABLE:
                return f"not compared, so not known to be new: {self.blocking_gaps[0].message}"
            case _:
                assert worst is not None, "a clip is held or refused for a match"
                return _told(worst)

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON values with stable keys, as the database keeps it."""
        highest, used = self.highest, self.screened_with
        return {
            "format": FORMAT,
            "outcome": self.outcome.value,
            "sentence": self.sentence(),
            "sha256": self.sha256,
            "duration_seconds": round(self.duration_seconds, _DECIMALS),
            "num_samples": self.num_samples,
            "num_textured_samples": self.num_textured,
            "slowed_by": list(self.slowed_by),
            "encoder": used.encoder_name,
            "encoder_digest": used.encoder_digest,
            "detector": used.detector_name,
            "detector_digest": used.detector_digest,
            "min_probability": used.min_probability,
            "min_candidate": used.min_candidate,
            "measured_recall": None if used.measured_recall is None else dict(used.measured_recall),
            "misses": used.miss_statement(),
            "index": used.index_statement,
            "compared": [part.as_json() for part in self.compared],
            "highest_probability": None if highest is None else highest.probability,
            "highest_tier": None if highest is None else highest.tier.value,
            "matches": [match.as_json() for match in self.matches],
            "nearest": [near.as_json() for near in self.nearest],
            "likeness_limit": self.likeness_limit,
            "not_compared": [asdict(gap) for gap in self.gaps],
            "is_sound_compared": False,
        }


def _told_likeness(near: NearFootage, limit: float | None) -> str:
    return (
        "no copied seconds were found, but it is as like training footage as clips are that models draw from memory: "
        f"likeness {near.likeness:.2f} to {near.name}, second {near.other_seconds:.1f}; from {limit} on a "
        "person decides"
    )


def _told(match: ScreenMatch) -> str:
    words = "shows" if match.is_copy else "may show"
    whose = {
        Against.REFERENCE: f"reference footage ({', '.join(name for name in match.collections if name != 'library')})",
        Against.TRAINING: "footage that the model was trained on",
        Against.OTHER: "library footage that the model was not trained on",
    }[match.against]
    how = ", mirrored" if match.is_mirrored else ""
    return (
        f"seconds {match.start_seconds:.1f} to {match.end_seconds:.1f} {words} {whose}: {match.name}, "
        f"seconds {match.other_start_seconds:.1f} to {match.other_end_seconds:.1f}{how} "
        f"(tier {match.tier.value}, probability {match.probability:.3f})"
    )
