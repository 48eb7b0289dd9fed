"""What holds generated video back, one by one: what a card can say about each, and what it cannot.

Seven things are named because people who make films name them. Each is measured, or is said not to be, with the reason:
a card that is silent about physics would read as if physics were fine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from db.errors import ConfigError
from training.quality import definitions as d
from training.quality.definitions import Measure
from training.quality.effort import ComputeRecord

OVERSIGHT_LEVELS = {
    "fully_autonomous": "nobody looked at the clip before it was published",
    "prompt_guided": "a person wrote the prompt; nobody approved the clip",
    "human_validated": "a person approved the clip before it was published",
}
"""`contentProfile.humanOversightLevel` of `c2pa.ai-disclosure` (C2PA 2.4, section 18.28)."""

_COHERENCE = (
    d.TEMPORAL_FLICKER, d.WARPING_ERROR, d.UNMATCHED_SHARE, d.MOTION_SMOOTHNESS, d.SUBJECT_CONSISTENCY,
    d.BACKGROUND_CONSISTENCY,
)  # fmt: skip

_COMPARED = {"passed", "held", "refused"}
"""Outcomes of `training.screening` that say something; any other has left the question open."""


@dataclass(frozen=True, kw_only=True)
class Concern:
    """One of the seven."""

    name: str
    is_measured: bool
    statement: str
    """What is known, or why nothing is."""

    def as_json(self) -> dict[str, Any]:
        """Return it as a card holds it."""
        return asdict(self)


def concerns(
    measures: Sequence[Measure],
    compute: ComputeRecord | None,
    screen: Mapping[str, Any] | None,
    oversight: str | None,
) -> tuple[Concern, ...]:
    """Return all seven. Raises `ConfigError` for a level of oversight that does not exist."""
    return (
        _coherence(measures),
        _unmeasured(
            "physics",
            "no measure without a known scene tells whether things fall, bounce and stay whole as they should; "
            "uneven pace and unmatched pixels hint at trouble and prove none",
        ),
        _unmeasured(
            "control",
            "whether the clip shows what was asked for takes prompts whose right answer can be measured; one clip and "
            "its prompt do not give that",
        ),
        _compute(compute),
        _copyright(screen),
        _unmeasured(
            "uncanny people", "only people can tell whether people look right; no one was asked through this card"
        ),
        _oversight(oversight),
    )  # fmt: skip


def _unmeasured(name: str, reason: str) -> Concern:
    return Concern(name=name, is_measured=False, statement=reason)


def _coherence(measures: Sequence[Measure]) -> Concern:
    by_name = {measure.definition.name: measure for measure in measures}
    known = [by_name[wanted.name] for wanted in _COHERENCE if by_name[wanted.name].value is not None]
    if not known:
        return _unmeasured("temporal coherence", by_name[d.WARPING_ERROR.name].reason)
    said = "; ".join(f"{measure.definition.title.lower()} {measure.text}" for measure in known)
    return Concern(name="temporal coherence", is_measured=True, statement=said)


def _compute(compute: ComputeRecord | None) -> Concern:
    if compute is None:
        return _unmeasured("compute", "the clip came without a record of what making it took")
    said = [f"{measure.definition.title.lower()} {measure.text}" for measure in compute.measures]
    return Concern(
        name="compute",
        is_measured=any(measure.value is not None for measure in compute.measures),
        statement="; ".join(said),
    )


def _copyright(screen: Mapping[str, Any] | None) -> Concern:
    if screen is None:
        return _unmeasured(
            "copyright", "no result of the replication screen was given; licences are in the Content Credentials"
        )  # fmt: skip
    outcome, sentence = screen.get("outcome"), screen.get("sentence")
    said = f"replication screen: {outcome}" + (f", {sentence}" if isinstance(sentence, str) else "")
    return Concern(
        name="copyright",
        is_measured=outcome in _COMPARED,
        statement=f"{said}; it looks for copied pictures, and licences are in the Content Credentials",
    )


def _oversight(level: str | None) -> Concern:
    if level is None:
        return _unmeasured("human oversight", "nobody said whether a person has looked at the clip")
    if level not in OVERSIGHT_LEVELS:
        raise ConfigError(f"oversight is {level!r}, expected one of {', '.join(OVERSIGHT_LEVELS)}")
    return Concern(name="human oversight", is_measured=True, statement=f"{level}: {OVERSIGHT_LEVELS[level]}")


def concern_from_json(record: Mapping[str, Any]) -> Concern:
    """Read back what `Concern.as_json` gave. Raises `ConfigError` if it is not one."""
    name, is_measured, statement = (record.get(key) for key in ("name", "is_measured", "statement"))
    if not (isinstance(name, str) and isinstance(is_measured, bool) and isinstance(statement, str)):
        raise ConfigError("a concern of the card is not one")
    return Concern(name=name, is_measured=is_measured, statement=statement)
