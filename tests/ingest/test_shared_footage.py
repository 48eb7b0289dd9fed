"""Real footage with known copies, when it lies beside the project: what is a copy is found, what is not is not."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import pytest

from ingest.encoders.compute import choose_compute
from ingest.encoders.encoder import EncoderIdentity, open_encoder
from ingest.matching.detectors import detector_for
from ingest.matching.matches import find_matches
from ingest.matching.span import MatchSpan
from ingest.media.digests import file_digest
from ingest.pictures.embedding import embed_file
from ingest.pictures.vectors import VectorStore

_NEVER_COPIES = ("intel_asl_*.mkv", "mdn_crystal.webm", "mdn_frog.webm", "mdn_rabbit.webm")
"""Signers before one wall, and toys on one table: other footage of the same place, the hardest there is."""

pytestmark = pytest.mark.slow


class _Searched:
    """The clips of the known groups and of the hard places, each searched among all of them."""

    def __init__(self, footage: Path, folder: Path) -> None:
        with (footage / "GROUND_TRUTH.csv").open(newline="", encoding="utf-8") as file:
            self.groups = [row["files"].split(";") for row in csv.DictReader(file)]
        self.hard = [path.name for pattern in _NEVER_COPIES for path in footage.glob(pattern)]
        encoder = open_encoder(None, choose_compute()).encoder
        store = VectorStore(folder)
        self.names: dict[str, str] = {}
        for name in sorted({*itertools.chain.from_iterable(self.groups), *self.hard}):
            sha256 = file_digest(footage / name).sha256
            embed_file(footage / name, sha256, store, encoder, samples_per_second=2)
            self.names[sha256] = name
        self.copies = self._copies(store, encoder.identity)

    def _copies(
        self, store: VectorStore, identity: EncoderIdentity
    ) -> dict[tuple[str, str], list[MatchSpan]]:
        copies: dict[tuple[str, str], list[MatchSpan]] = {}
        detector = detector_for(identity, Path())
        for span in find_matches(store, identity, list(self.names), list(self.names), detector):
            if span.probability >= detector.min_probability:
                pair = (self.names[span.query_sha256], self.names[span.other_sha256])
                copies.setdefault(pair, []).append(span)
        return copies

    def is_copy(self, one: str, other: str) -> bool:
        return (one, other) in self.copies or (other, one) in self.copies


@pytest.fixture(scope="module")
def searched(shared_footage: Path, tmp_path_factory: pytest.TempPathFactory) -> _Searched:
    return _Searched(shared_footage, tmp_path_factory.mktemp("vectors"))


def test_every_pair_of_every_known_group_is_found(searched: _Searched) -> None:
    pairs = [pair for group in searched.groups for pair in itertools.combinations(group, 2)]
    assert len(pairs) == 23
    assert [pair for pair in pairs if not searched.is_copy(*pair)] == []


def test_other_takes_in_one_place_are_no_copies(searched: _Searched) -> None:
    assert len(searched.hard) == 11
    found = [pair for pair in itertools.combinations(searched.hard, 2) if searched.is_copy(*pair)]
    assert found == []


def test_the_seconds_are_those_that_are_known(searched: _Searched) -> None:
    (span,) = searched.copies["sintel_trailer_10s.mp4", "sintel_trailer_30s.mp4"]
    assert span.other_start_seconds == pytest.approx(3.0, abs=0.1)
    assert span.other_end_seconds == pytest.approx(13.0, abs=0.1)
    (span,) = searched.copies["chrome_story_clip4s.mp4", "chrome_story_240p.mp4"]
    assert (span.other_start_seconds, span.other_end_seconds) == pytest.approx((3.0, 7.4), abs=0.1)
