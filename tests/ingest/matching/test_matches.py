from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from db.vocabularies import COPY_TIERS
from ingest.attacks.copies import (
    Caption,
    Crop,
    Excerpt,
    Letterbox,
    Mirror,
    Reencode,
    Resize,
    Transform,
    write_copy,
)
from ingest.encoders.compute import choose_compute
from ingest.encoders.encoder import Encoder
from ingest.encoders.lite0 import open_lite0
from ingest.errors import EncoderError
from ingest.matching import matches
from ingest.matching.detectors import STARTING_DETECTOR
from ingest.matching.matches import find_matches
from ingest.matching.span import MatchSpan
from ingest.media.digests import file_digest
from ingest.pictures.embedding import embed_file
from ingest.pictures.vectors import VectorStore
from tests.ingest.pictures.test_reel import scene
from tests.media import flat_scene, moving_scene, write_video

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Frames = Iterable[NDArray[np.uint8]]


class Library:
    """Videos embedded with the embedded default encoder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.encoder: Encoder = open_lite0(choose_compute())
        self.store = VectorStore(folder / "vectors")
        # Not what a calibration made of it: what is tested here must not hang on that.
        self.detector = STARTING_DETECTOR

    def write(self, name: str, frames: Frames, *, rate: int = 24) -> str:
        """Write a video and embed it; return its digest."""
        write_video(self.folder / f"{name}.mp4", frames, rate=rate)
        return self.embed(name)

    def disguise(self, source: str, name: str, transforms: Sequence[Transform]) -> str:
        """Write a disguised copy of a video and embed it; return its digest."""
        write_copy(self.folder / f"{source}.mp4", self.folder / f"{name}.mp4", transforms=transforms)
        return self.embed(name)

    def embed(self, name: str) -> str:
        """Embed a video of the folder as intake does; return its digest."""
        path = self.folder / f"{name}.mp4"
        sha256 = file_digest(path).sha256
        embed_file(path, sha256, self.store, self.encoder, samples_per_second=2)
        return sha256

    def spans(self, queries: Sequence[str], others: Sequence[str]) -> list[MatchSpan]:
        """Search with the detector that a calibration starts from."""
        return list(find_matches(self.store, self.encoder.identity, queries, others, self.detector))

    def copies(self, queries: Sequence[str], others: Sequence[str]) -> list[MatchSpan]:
        """Search, and keep what is called a copy."""
        return [span for span in self.spans(queries, others) if span.tier in COPY_TIERS]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return Library(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def references(library: Library) -> list[str]:
    """Two scenes of four seconds that have nothing in common."""
    return [library.write(f"reference{seed}", moving_scene(seed, 96)) for seed in (1, 2)]


@pytest.mark.parametrize(
    "transforms",
    [
        pytest.param([Reencode(38)], id="reencoded"),
        pytest.param([Mirror(), Resize(0.5)], id="mirrored_and_resized"),
        pytest.param([Crop(0.75)], id="cropped"),
        pytest.param([Mirror(), Crop(0.8)], id="mirrored_and_cropped"),
        pytest.param([Caption("BEST MOMENTS"), Letterbox(0.15)], id="captioned_and_letterboxed"),
        pytest.param([Excerpt(0.7, 2.5)], id="excerpted"),
    ],
)
def test_a_disguised_copy_is_found_and_nothing_else(
    library: Library, references: list[str], transforms: list[Transform], request: pytest.FixtureRequest
) -> None:
    copy = library.disguise("reference2", f"copy-{request.node.callspec.id}", transforms)
    (span,) = library.copies([copy], references)
    start = next((edit.start_seconds for edit in transforms if isinstance(edit, Excerpt)), 0.0)
    seconds = next((edit.seconds for edit in transforms if isinstance(edit, Excerpt)), 4.0)
    assert (span.query_sha256, span.other_sha256) == (copy, references[1])
    assert (span.query_start_seconds, span.query_end_seconds) == pytest.approx((0.0, seconds), abs=0.15)
    assert (span.other_start_seconds, span.other_end_seconds) == pytest.approx(
        (start, start + seconds), abs=0.15
    )
    assert span.is_mirrored == (Mirror() in transforms)
    assert span.speed == pytest.approx(1.0, abs=0.02)
    assert span.probability >= library.detector.min_probability
    assert (span.query_view, span.other_view) == (0, 0)
    assert span.evidence.num_votes >= 3


def test_several_processes_find_the_same_in_the_same_order(
    library: Library, references: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = [
        library.disguise("reference1", "shared-1", [Mirror()]),
        library.disguise("reference2", "shared-2", [Crop(0.75)]),
        library.disguise("reference2", "shared-3", [Reencode(38)]),
    ]
    monkeypatch.setattr(matches, "_WORTH_A_WORKER", 1)
    everything = [*references, *copies]

    def spans(num_workers: int) -> list[MatchSpan]:
        identity, detector = library.encoder.identity, library.detector
        found = find_matches(
            library.store, identity, everything, everything, detector, num_workers=num_workers
        )
        return list(found)

    alone = spans(1)
    assert len(alone) >= 4
    assert spans(2) == alone


def test_what_a_process_meets_is_said_here(
    library: Library, references: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = [library.disguise("reference1", f"lost-{crf}", [Reencode(crf)]) for crf in (34, 36)]
    library.store.stills_path(copies[0], library.encoder.identity).write_bytes(b"")
    monkeypatch.setattr(matches, "_WORTH_A_WORKER", 1)
    with pytest.raises(EncoderError, match="stills"):
        list(
            find_matches(
                library.store,
                library.encoder.identity,
                [*references, *copies],
                [*references, *copies],
                library.detector,
                num_workers=2,
            )
        )


def test_different_scenes_do_not_match(library: Library, references: list[str]) -> None:
    assert library.copies(references, references) == []


def test_another_take_in_the_same_room_is_no_copy(library: Library) -> None:
    """Embedding and alignment alone take these for copies: most of the picture is the same."""

    def take(seed: int) -> Iterator[NDArray[np.uint8]]:
        seen = scene(seed, room=3, num_subjects=2)
        return (np.repeat(seen(index / 12)[:, :, None], 3, axis=2) for index in range(48))

    takes = [library.write(f"take{seed}", take(seed), rate=12) for seed in (60, 61)]
    vectors = [library.store.read(sha256, library.encoder.identity).vectors_ND for sha256 in takes]
    similarity = (vectors[0].astype(np.float32) @ vectors[1].astype(np.float32).T).max()
    assert similarity > library.detector.min_similarity
    assert library.copies(takes[:1], takes[1:]) == []


def test_an_asset_is_never_compared_with_itself_and_a_pair_of_queries_is_judged_once(
    library: Library, references: list[str]
) -> None:
    copy = library.disguise("reference1", "copy-both-sides", [Reencode(34)])
    both = [references[0], copy]
    assert library.spans([copy, copy], [copy]) == []
    (span,) = library.copies(both, both)
    assert {span.query_sha256, span.other_sha256} == set(both)
    assert library.copies(both[::-1], both) == [span]


def test_seconds_that_the_other_of_two_queries_shows_twice_are_both_found(library: Library) -> None:
    """Of the clip's seconds only the best copy is told; the film's are asked for once that is set aside."""
    clip = library.write("shown", moving_scene(75, 48, 96, 128), rate=12)
    frames = [*moving_scene(75, 48, 96, 128), *moving_scene(76, 48, 96, 128), *moving_scene(75, 48, 96, 128)]
    film = library.write("twice", frames, rate=12)
    spans = library.copies([clip, film], [clip, film])
    assert spans[0].query_sha256 == clip
    starts = [
        span.other_start_seconds if span.other_sha256 == film else span.query_start_seconds for span in spans
    ]
    assert sorted(starts) == pytest.approx([0.0, 8.0], abs=0.35)


def test_the_same_search_gives_the_same_spans(library: Library, references: list[str]) -> None:
    copy = library.disguise("reference1", "copy-again", [Crop(0.8), Reencode(30)])
    spans = library.spans([copy, references[1]], references)
    assert spans
    assert library.spans([copy, references[1]], references) == spans
    assert library.spans([references[1], copy], references[::-1]) == spans


def test_a_clip_of_one_frame_matches_nothing(library: Library, references: list[str]) -> None:
    frame = library.write("frame", islice(moving_scene(1, 1), 1))
    assert library.spans([frame], references) == []
    assert library.spans(references, [frame]) == []


def test_black_frames_match_nothing(library: Library) -> None:
    black = [library.write(f"black{length}", flat_scene((0, 0, 0), length)) for length in (72, 96)]
    assert library.spans(black, black) == []


def test_nothing_is_compared_with_nothing(library: Library, references: list[str]) -> None:
    assert library.spans([], references) == []
    assert library.spans(references, []) == []
    assert library.spans([], []) == []


def test_an_asset_that_this_encoder_did_not_embed_is_an_error(
    library: Library, references: list[str]
) -> None:
    identity = dataclasses.replace(library.encoder.identity, weights_sha256="0" * 64)
    with pytest.raises(EncoderError, match="cannot be read"):
        list(find_matches(library.store, identity, references, references, STARTING_DETECTOR))


def _take(seed: int) -> Frames:
    """Somebody moves up and down before a wall that is the same whatever the seed."""
    room = next(moving_scene(50, 1))
    subject = next(moving_scene(seed, 1, 80, 60))
    for index in range(72):
        frame = room.copy()
        row = 30 + round(25 * np.sin(index / 9 + seed))
        frame[row : row + 80, 65:125] = subject
        yield frame


def test_another_subject_before_the_same_wall_is_no_copy(library: Library) -> None:
    """Embedding and alignment alone take these for copies: most of the picture is the same."""
    takes = [library.write(f"take{seed}", _take(seed)) for seed in (60, 61)]
    vectors = [library.store.read(sha256, library.encoder.identity).vectors_ND for sha256 in takes]
    similarity = (vectors[0].astype(np.float32) @ vectors[1].astype(np.float32).T).max()
    assert similarity > library.detector.min_similarity
    assert library.copies(takes[:1], takes[1:]) == []


def test_a_copied_stretch_inside_other_footage_is_located(library: Library, references: list[str]) -> None:
    frames = [*moving_scene(70, 48), *list(moving_scene(1, 96))[24:84], *moving_scene(71, 36)]
    compilation = library.write("compilation", frames)
    (span,) = library.copies([compilation], references)
    assert span.other_sha256 == references[0]
    assert (span.query_start_seconds, span.query_end_seconds) == pytest.approx((2.0, 4.5), abs=0.15)
    assert (span.other_start_seconds, span.other_end_seconds) == pytest.approx((1.0, 3.5), abs=0.15)


def test_a_supercut_of_six_pieces_of_one_film_is_six_spans(library: Library) -> None:
    """Any number of copies of one pair of films is found: what succeeded does not count as a failure."""

    def shot(number: int) -> Iterator[NDArray[np.uint8]]:
        return moving_scene(80 + number, 48, 96, 128)

    order, start = [3, 0, 5, 2, 4, 1], 0.75
    film = library.write("film", (frame for number in range(6) for frame in shot(number)), rate=12)
    pieces = (frame for number in order for frame in islice(shot(number), 9, 39))
    supercut = library.write("supercut", pieces, rate=12)
    spans = library.copies([supercut], [film])
    wanted = [(2.5 * place, 4.0 * number + start) for place, number in enumerate(order)]
    found = [(span.query_start_seconds, span.other_start_seconds) for span in spans]
    # An even pan at twelve frames a second fits at speeds near its own as well, to a few tenths.
    assert found == [pytest.approx(pair, abs=0.35) for pair in wanted]
    ends = [(span.query_end_seconds, span.other_end_seconds) for span in spans]
    assert ends == [pytest.approx((query + 2.5, other + 2.5), abs=0.35) for query, other in wanted]
