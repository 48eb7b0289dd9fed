"""Comparing what was embedded: every asset that was not searched yet, against everything that was embedded.

When an asset is searched it is compared with all others, and others added later are compared with it, so that two
assets have been compared once both have been searched. Two that wait together are compared from one side. What is found
twice is recorded once (`ingest.matching.match_rows`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from db import evidence, queries
from db.project import Project
from db.vocabularies import MatchKind
from ingest.encoders.encoder import EncoderIdentity
from ingest.intake.intake import register_encoder
from ingest.matching.match_rows import MatchRow, Side, merged, not_known, ordered
from ingest.matching.matches import find_matches
from ingest.matching.nomination import nominator_for
from ingest.matching.scoring import Detector
from ingest.matching.span import MatchSpan
from ingest.pictures.vectors import VectorStore
from ingest.workers import num_cores

_BATCH_ASSETS = 200


def compare_new_assets(
    project: Project, identity: EncoderIdentity, detector: Detector, *, on_progress: Callable[[int], None]
) -> int:
    """Search every asset that lacks a search with this encoder and detector; return the number of new matches.

    `on_progress` gets the number of assets of each batch that is done. Each batch is one transaction.
    """
    store = VectorStore(project.vectors)
    with project.session() as session:
        embedded = queries.embedded_assets(session, identity.digest)
        searched = queries.searched_assets(session, identity.digest, detector.digest)
    nominator = nominator_for(project, identity, embedded)
    waiting = [sha256 for sha256, asset_id in embedded.items() if asset_id not in searched]
    num_new = 0
    for start in range(0, len(waiting), _BATCH_ASSETS):
        batch = waiting[start : start + _BATCH_ASSETS]
        spans = find_matches(
            store,
            identity,
            batch,
            nominator,
            detector,
            period_seconds=1 / project.settings.samples_per_second,
            num_workers=num_cores(),
        )
        matches = merged(_found(span, embedded) for span in spans)
        num_new += _record(project, identity, detector, embedded, batch, matches)
        on_progress(len(batch))
    return num_new


def num_waiting(project: Project, identity: EncoderIdentity, detector: Detector) -> int:
    """Count the assets that wait for their search."""
    with project.session() as session:
        embedded = queries.embedded_assets(session, identity.digest)
        return len(
            set(embedded.values()) - queries.searched_assets(session, identity.digest, detector.digest)
        )


def _found(span: MatchSpan, ids: Mapping[str, int]) -> MatchRow:
    near = Side(ids[span.query_sha256], span.query_start_seconds, span.query_end_seconds)
    far = Side(ids[span.other_sha256], span.other_start_seconds, span.other_end_seconds)
    views = {"view": span.query_view, "other_view": span.other_view}
    return ordered(
        near,
        far,
        kind=MatchKind.PICTURE,
        tier=span.tier,
        score=span.probability,
        num_votes=span.evidence.num_votes,
        speed=span.speed,
        is_mirrored=span.is_mirrored,
        evidence=asdict(span.evidence) | views,
    )


def _record(
    project: Project,
    identity: EncoderIdentity,
    detector: Detector,
    embedded: Mapping[str, int],
    batch: Sequence[str],
    matches: Sequence[MatchRow],
) -> int:
    ids = [embedded[sha256] for sha256 in batch]
    slack_seconds = 1 / project.settings.samples_per_second
    with project.session() as session:
        new = not_known(
            session,
            matches,
            asset_ids=ids,
            kind=MatchKind.PICTURE,
            detector_digest=detector.digest,
            slack_seconds=slack_seconds,
        )
        encoder_id = register_encoder(session, identity)
        shared = {"encoder_id": encoder_id, "detector_digest": detector.digest}
        num_new = evidence.add_matches(session, [asdict(match) | shared for match in new])
        evidence.add_detector(session, digest=detector.digest, name=detector.name, document=asdict(detector))
        evidence.add_search(
            session,
            asset_ids=ids,
            encoder_id=encoder_id,
            detector_digest=detector.digest,
            num_others=len(embedded) - 1,
        )
    return num_new
