"""Comparing what was embedded: every asset that was not searched yet, against everything that was embedded.

When an asset is searched it is compared with all others, and others added later are compared with it, so that two
assets have been compared once both have been searched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from db import evidence, queries
from db.project import Project
from ingest.encoders import EncoderIdentity
from ingest.matches import Detector, MatchSpan, find_matches
from ingest.vectors import VectorStore

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
    waiting = [sha256 for sha256, asset_id in embedded.items() if asset_id not in searched]
    num_new = 0
    for start in range(0, len(waiting), _BATCH_ASSETS):
        batch = waiting[start : start + _BATCH_ASSETS]
        spans = find_matches(store, identity, batch, list(embedded), detector)
        num_new += _record(project, identity, detector, embedded, batch, list(spans))
        on_progress(len(batch))
    return num_new


def num_waiting(project: Project, identity: EncoderIdentity, detector: Detector) -> int:
    """Count the assets that wait for their search."""
    with project.session() as session:
        embedded = queries.embedded_assets(session, identity.digest)
        return len(
            set(embedded.values()) - queries.searched_assets(session, identity.digest, detector.digest)
        )


def _record(
    project: Project,
    identity: EncoderIdentity,
    detector: Detector,
    embedded: dict[str, int],
    batch: list[str],
    spans: list[MatchSpan],
) -> int:
    ids = [embedded[sha256] for sha256 in batch]
    with project.session() as session:
        columns = {
            "name": identity.name,
            "weights_sha256": identity.weights_sha256,
            "preprocessing": identity.preprocessing,
            "dim": identity.dim,
        }
        encoder_id = evidence.ensure_encoder(session, digest=identity.digest, columns=columns)
        shared = {"encoder_id": encoder_id, "detector_digest": detector.digest}
        num_new = evidence.add_matches(session, [_columns(span, embedded) | shared for span in spans])
        evidence.add_search(
            session,
            asset_ids=ids,
            encoder_id=encoder_id,
            detector_digest=detector.digest,
            num_others=len(embedded) - 1,
        )
    return num_new


def _columns(span: MatchSpan, ids: dict[str, int]) -> dict[str, Any]:
    near = (ids[span.query_sha256], span.query_start_seconds, span.query_end_seconds)
    far = (ids[span.other_sha256], span.other_start_seconds, span.other_end_seconds)
    (low, start, end), (high, other_start, other_end) = sorted((near, far))
    return {
        "asset_id": low,
        "other_id": high,
        "start_seconds": start,
        "end_seconds": end,
        "other_start_seconds": other_start,
        "other_end_seconds": other_end,
        "score": float(span.score),
        "num_votes": int(span.num_votes),
    }
