"""Comparing sound: every asset whose sound was not searched yet, against the sound of all others.

As with pictures (`ingest.matching.comparison`) two assets have been compared once both have been searched. An asset
without sound that can be compared is never searched, so its search is never on record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from db import evidence, queries
from db.canonical import digest_of
from db.project import Project
from db.sounds import sounding_assets
from db.vocabularies import MatchKind, MatchTier
from ingest.encoders.encoder import EncoderIdentity
from ingest.intake.intake import register_encoder
from ingest.intake.reading import sound_store
from ingest.matching.match_rows import MatchRow, Side, merged, not_known, ordered
from ingest.sound.chromaprint import ALGORITHM, SAMPLE_RATE
from ingest.sound.matches import SoundSpan, find_sound_matches
from ingest.sound.prints import SHORTEST_ITEMS, SOUND_RULES
from ingest.sound.store import SOUND_ENGINE_DIGEST

SOUND_ENGINE = EncoderIdentity(
    name="chromaprint",
    weights_sha256=SOUND_ENGINE_DIGEST,
    preprocessing=f"{ALGORITHM}, mono at {SAMPLE_RATE} Hz, sound rules {SOUND_RULES}",
    dim=1,
)
"""The engine where an encoder is asked for. It has no weights; the digest in their place is that of its rules."""
SOUND_MATCH_RULES = 1
"""Number of the rules of `ingest.sound.matches` and `ingest.sound.lines`; matches by other rules are history."""
SOUND_DETECTOR: Mapping[str, Any] = {
    # By this the database tells detectors of sound from those of pictures.
    "kind": MatchKind.SOUND.value,
    "name": SOUND_ENGINE.name,
    "engine": SOUND_ENGINE_DIGEST,
    "rules": SOUND_MATCH_RULES,
    "min_items": SHORTEST_ITEMS,
}
SOUND_DETECTOR_DIGEST = digest_of(dict(SOUND_DETECTOR))

_BATCH_ASSETS = 1000
_SLACK_SECONDS = 0.5
"""The ends of a span are known to 0.43 s in 9 of 10 cases: see `ingest.sound.lines`."""


def compare_new_sounds(project: Project, *, on_progress: Callable[[int], None]) -> int:
    """Search the sound of every asset that waits for it; return the number of new matches.

    `on_progress` gets the number of assets of each batch that is done. Each batch is one transaction.

    Raises `EncoderError` if a fingerprint on record is missing or damaged.
    """
    store = sound_store(project.vectors)
    sounding, waiting = _sounding_and_waiting(project)
    num_new = 0
    for start in range(0, len(waiting), _BATCH_ASSETS):
        batch = waiting[start : start + _BATCH_ASSETS]
        spans = find_sound_matches(store, batch, list(sounding))
        num_new += _record(project, sounding, batch, merged(_found(span, sounding) for span in spans))
        on_progress(len(batch))
    return num_new


def num_sounds_waiting(project: Project) -> int:
    """Count the assets whose sound waits for its search."""
    return len(_sounding_and_waiting(project)[1])


def _sounding_and_waiting(project: Project) -> tuple[dict[str, int], list[str]]:
    with project.session() as session:
        sounding = sounding_assets(session, SOUND_ENGINE_DIGEST)
        searched = queries.searched_assets(session, SOUND_ENGINE.digest, SOUND_DETECTOR_DIGEST)
    return sounding, [sha256 for sha256, asset_id in sounding.items() if asset_id not in searched]


def _found(span: SoundSpan, ids: Mapping[str, int]) -> MatchRow:
    return ordered(
        Side(ids[span.query_sha256], span.query_start_seconds, span.query_end_seconds),
        Side(ids[span.other_sha256], span.other_start_seconds, span.other_end_seconds),
        kind=MatchKind.SOUND,
        tier=MatchTier.VERIFIED,
        # The share of bits that agree: 0.68 to 1. No calibration has made a probability of it.
        score=1 - span.bit_error_rate,
        num_votes=span.num_items,
        speed=1.0,
        is_mirrored=False,
        evidence={"bit_error_rate": span.bit_error_rate, "num_items": span.num_items},
    )


def _record(
    project: Project, sounding: Mapping[str, int], batch: Sequence[str], matches: Sequence[MatchRow]
) -> int:
    ids = [sounding[sha256] for sha256 in batch]
    with project.session() as session:
        evidence.add_detector(
            session, digest=SOUND_DETECTOR_DIGEST, name=SOUND_ENGINE.name, document=SOUND_DETECTOR
        )
        new = not_known(
            session,
            matches,
            asset_ids=ids,
            kind=MatchKind.SOUND,
            detector_digest=SOUND_DETECTOR_DIGEST,
            slack_seconds=_SLACK_SECONDS,
        )
        encoder_id = register_encoder(session, SOUND_ENGINE)
        shared = {"encoder_id": encoder_id, "detector_digest": SOUND_DETECTOR_DIGEST}
        num_new = evidence.add_matches(session, [asdict(match) | shared for match in new])
        evidence.add_search(
            session,
            asset_ids=ids,
            encoder_id=encoder_id,
            detector_digest=SOUND_DETECTOR_DIGEST,
            num_others=len(sounding) - 1,
        )
    return num_new
