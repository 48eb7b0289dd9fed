"""The quality card of a clip: what was measured of it, what was not and why, as JSON beside the clip.

`clip.mp4` has its card in `clip.quality.json`; a clip of another suffix keeps that suffix (`clip.webm.quality.json`),
so that two clips of one name in a folder do not share a card. Every number carries its unit, method and version.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.errors import Error
from db.files import write_durably
from db.vocabularies import Tri
from ingest.media.sources import printable_path
from training.errors import TrainingConfigError
from training.quality.concerns import Concern, concern_from_json
from training.quality.definitions import CLIP_DEFINITIONS, Measure, is_current, measure_from_json
from training.quality.effort import ComputeRecord, compute_from_json
from training.quality.errors import NotMeasurable
from training.quality.frames import ClipFacts

FORMAT = "cleartitle.quality/1"
SUFFIX = ".quality.json"
_MAX_BYTES = 4 << 20
_NAMES = tuple(definition.name for definition in CLIP_DEFINITIONS)


@dataclass(frozen=True, kw_only=True)
class QualityCard:
    """What is known of the quality of one clip."""

    facts: ClipFacts
    measures: tuple[Measure, ...]
    """One of each of `definitions.CLIP_DEFINITIONS`, in that order."""
    encoder_digest: str | None
    """Of the encoder that the consistencies rest on."""
    compute: ComputeRecord | None
    screen: Mapping[str, Any] | None
    """The result of the replication screen, as it was given."""
    oversight: str | None
    """`humanOversightLevel`, as it was given."""
    concerns: tuple[Concern, ...]
    version: str
    """Of cleartitle."""

    def measure(self, name: str) -> Measure:
        """Return one measure by its name."""
        return self.measures[_NAMES.index(name)]

    @property
    def is_current(self) -> bool:
        """Whether this version would measure every number the same way."""
        return all(is_current(measure) for measure in self.measures)

    def as_json(self) -> dict[str, Any]:
        """Return the card as one JSON object; `card_from_json` reads it back."""
        facts = dataclasses.asdict(self.facts) | {
            "is_variable_frame_rate": self.facts.is_variable_frame_rate.value,
            "frame_rate": self.facts.frame_rate,
            "bitrate_bps": self.facts.bitrate_bps,
        }
        return {
            "format": FORMAT,
            "version": self.version,
            "facts": facts,
            "measures": {measure.definition.name: measure.as_json() for measure in self.measures},
            "encoder_digest": self.encoder_digest,
            "compute": None if self.compute is None else self.compute.as_json(),
            "screen": None if self.screen is None else dict(self.screen),
            "oversight": self.oversight,
            "concerns": [concern.as_json() for concern in self.concerns],
        }


def card_path(clip: Path) -> Path:
    """Return where the card of `clip` lies."""
    return clip.with_name((clip.stem if clip.suffix == ".mp4" else clip.name) + SUFFIX)


def clip_path(card: Path) -> Path:
    """Return the clip that the card at `card` is for, by its name."""
    name = card.name.removesuffix(SUFFIX)
    return card.with_name(name if Path(name).suffix and card.with_name(name).is_file() else f"{name}.mp4")


def write_card(card: QualityCard, path: Path) -> None:
    """Write the card durably; the same card gives the same bytes."""
    write_durably(
        path, (json.dumps(card.as_json(), indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
    )


def read_card(path: Path) -> QualityCard:
    """Read a card. Raises `NotMeasurable` if there is none at `path` or it is not one of this format."""
    name = printable_path(path)
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise NotMeasurable(f"{name}: a card has at most {_MAX_BYTES} bytes")
        return card_from_json(json.loads(data))
    except OSError as exc:
        raise NotMeasurable(f"{name}: the card cannot be read: {exc.strerror}") from exc
    except (Error, ValueError, ArithmeticError, RecursionError) as exc:
        raise NotMeasurable(
            f"{name}: not a quality card of format {FORMAT}: {exc}",
            hint="remove it and measure the clip again: cleartitle quality CLIP",
        ) from exc


def card_from_json(record: Any) -> QualityCard:
    """Read back what `QualityCard.as_json` gave. Raises `Error` or `ValueError` if it is not that."""
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise TrainingConfigError("it does not say that it is one")
    try:
        measures, compute, screen = record["measures"], record["compute"], record["screen"]
        if set(measures) != set(_NAMES) or not (screen is None or isinstance(screen, dict)):
            raise TrainingConfigError("its measures or its screen are not those of a card")
        return QualityCard(
            facts=_facts(record["facts"]),
            measures=tuple(measure_from_json(name, measures[name]) for name in _NAMES),
            encoder_digest=_optional_text(record["encoder_digest"]),
            compute=None if compute is None else compute_from_json(compute),
            screen=screen,
            oversight=_optional_text(record["oversight"]),
            concerns=tuple(concern_from_json(item) for item in record["concerns"]),
            version=str(record["version"]),
        )
    except (AttributeError, KeyError, TypeError) as exc:
        raise TrainingConfigError(f"it is incomplete: {exc!r}") from exc


def _optional_text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TrainingConfigError(f"{value!r} is not text")
    return value


def _facts(record: Mapping[str, Any]) -> ClipFacts:
    facts = ClipFacts(
        file_name=str(record["file_name"]),
        sha256=str(record["sha256"]),
        size_bytes=int(record["size_bytes"]),
        width=int(record["width"]),
        height=int(record["height"]),
        video_codec=str(record["video_codec"]),
        has_audio=bool(record["has_audio"]),
        num_frames=int(record["num_frames"]),
        duration_seconds=float(record["duration_seconds"]),
        is_variable_frame_rate=Tri(record["is_variable_frame_rate"]),
    )
    if not 0 < facts.duration_seconds < float("inf"):
        raise TrainingConfigError(f"a clip does not last {facts.duration_seconds} s")
    return facts
