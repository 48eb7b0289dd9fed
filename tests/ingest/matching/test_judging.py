from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ingest.encoders.compute import choose_compute
from ingest.encoders.encoder import EncoderIdentity
from ingest.encoders.lite0 import open_lite0
from ingest.matching import judging
from ingest.matching.alignment import PairHits, Segment
from ingest.matching.detectors import STARTING_DETECTOR
from ingest.matching.judging import NominatedPair, PairJudge
from ingest.matching.verification import Verified, verify
from ingest.media.digests import file_digest
from ingest.pictures.embedding import embed_file
from ingest.pictures.reel import Reel
from ingest.pictures.vectors import VectorStore
from tests.media import moving_scene, write_video

_SECONDS = np.arange(0.0, 4.0, 0.5)


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[VectorStore, EncoderIdentity, list[str]]:
    """One scene of four seconds, written twice."""
    folder: Path = tmp_path_factory.mktemp("twins")
    encoder = open_lite0(choose_compute())
    store = VectorStore(folder / "vectors")
    digests = []
    for crf in ("20", "30"):
        path = folder / f"{crf}.mp4"
        write_video(path, moving_scene(5, 96), options={"crf": crf})
        digests.append(file_digest(path).sha256)
        embed_file(path, digests[-1], store, encoder, samples_per_second=2)
    return store, encoder.identity, digests


def _hits(similarity: float) -> PairHits:
    return PairHits(_SECONDS, _SECONDS, np.full(len(_SECONDS), similarity))


@pytest.mark.parametrize("num_parts", [1, 6, 30])
@pytest.mark.parametrize("fate", ["still", "unlike"])
def test_parts_never_use_up_the_turn_of_the_whole_pictures(
    twins: tuple[VectorStore, EncoderIdentity, list[str]],
    num_parts: int,
    fate: str,
) -> None:
    """Posters on a wall were liker each other than what moved before them, and used up all tries."""
    store, identity, (one, other) = twins
    looked_at: list[Reel] = []

    class Judge(PairJudge):
        """Has parts that the film has not."""

        def _verified(
            self, query_sha256: str, other_sha256: str, views: tuple[int, int], segment: Segment
        ) -> Verified | None:
            reels = self._reel(query_sha256, 0), self._reel(other_sha256, 0)
            looked_at.append(reels[0])
            found = verify(*reels, segment)
            assert found is not None
            if views == (0, 0):
                return found
            return dataclasses.replace(found, is_moving=False) if fate == "still" else None

    hits = {(0, 0): _hits(0.7)} | {(n, n): _hits(0.97) for n in range(1, num_parts + 1)}
    pair = NominatedPair(one, other, hits, is_other_searched=False)
    (span,) = Judge(store, identity, STARTING_DETECTOR, 0.5).spans(pair)
    assert (span.query_view, span.other_view) == (0, 0)
    assert span.probability >= STARTING_DETECTOR.min_probability
    assert len(looked_at) <= STARTING_DETECTOR.max_failures + judging._MAX_STILL + 3


def test_a_part_that_stands_still_is_looked_at_once(
    twins: tuple[VectorStore, EncoderIdentity, list[str]],
) -> None:
    """At every other offset it stands as still."""
    store, identity, (one, other) = twins
    views_seen: list[tuple[int, int]] = []

    class Judge(PairJudge):
        """Sees one part, and nothing that moves."""

        def _verified(
            self, query_sha256: str, other_sha256: str, views: tuple[int, int], segment: Segment
        ) -> Verified | None:
            views_seen.append(views)
            found = verify(self._reel(query_sha256, 0), self._reel(other_sha256, 0), segment)
            assert found is not None
            return dataclasses.replace(found, is_moving=False)

    near, far = np.meshgrid(_SECONDS, _SECONDS)
    everywhere = PairHits(near.ravel(), far.ravel(), np.full(near.size, 0.9))
    pair = NominatedPair(one, other, {(1, 1): everywhere}, is_other_searched=False)
    assert list(Judge(store, identity, STARTING_DETECTOR, 0.5).spans(pair)) == []
    assert views_seen == [(1, 1)]
