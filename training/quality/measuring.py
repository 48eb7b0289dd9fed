"""Measuring a clip: one pass over its frames, and a card of everything that came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.version import VERSION
from training.quality.card import QualityCard
from training.quality.concerns import concerns
from training.quality.consistency import ConsistencyTally
from training.quality.definitions import CLIP_DEFINITIONS
from training.quality.effort import ComputeRecord
from training.quality.frames import opened_clip
from training.quality.motion import MotionTally

if TYPE_CHECKING:
    from ingest.encoders.encoder import Encoder


def measure_quality(
    path: Path,
    *,
    encoder: Encoder | None,
    compute: ComputeRecord | None = None,
    screen: Mapping[str, Any] | None = None,
    oversight: str | None = None,
    on_frame: Callable[[int], None] | None = None,
) -> QualityCard:
    """Measure the clip at `path`. Without an encoder the consistencies are not measured.

    `compute` says what making the clip took, `screen` is the answer of the replication screen, `oversight` the
    `humanOversightLevel` of its disclosure; what is not given is reported as not measured. `on_frame` is told 1 for
    each frame. Memory does not grow with the length of the clip.

    Raises `MediaError` if the file is not a whole video, `NotMeasurable` if it is too long or too large, `ConfigError`
    for a level of oversight that does not exist.
    """
    motion, consistency = MotionTally(), ConsistencyTally(encoder)
    with opened_clip(path) as clip:
        for frame in clip.frames():
            motion.add(frame.grey_HW, frame.seconds)
            if frame.sample_HWC is not None:
                consistency.add(frame.sample_HWC)
            if on_frame is not None:
                on_frame(1)
        facts = clip.facts()
    found = {measure.definition.name: measure for measure in (*motion.measures(), *consistency.measures())}
    measures = tuple(found[definition.name] for definition in CLIP_DEFINITIONS)
    return QualityCard(
        facts=facts,
        measures=measures,
        encoder_digest=None if encoder is None else encoder.identity.digest,
        compute=compute,
        screen=screen,
        oversight=oversight,
        concerns=concerns(measures, compute, screen, oversight),
        version=VERSION,
    )
