from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ingest.attacks import Caption, Crop, Excerpt, Letterbox, Mirror, Reencode, Resize, Transform, write_copy
from ingest.compute import choose_compute
from ingest.digests import file_digest
from ingest.encoders import Encoder, EncoderIdentity
from ingest.errors import EncoderError
from ingest.frames import scan_frames
from ingest.lite0 import open_lite0
from ingest.matches import LITE0_DETECTOR, MatchSpan, detector_for, find_matches
from ingest.vectors import STILLS_PER_SECOND, VectorsBuilder, VectorStore
from tests.media import flat_scene, moving_scene, write_video

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Library:
    """Videos embedded with the embedded default encoder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.encoder: Encoder = open_lite0(choose_compute())
        self.store = VectorStore(folder / "vectors")

    def write(self, name: str, frames: Iterable[NDArray[np.uint8]]) -> str:
        """Write a video at 24 frames a second and embed it; return its digest."""
        write_video(self.folder / f"{name}.mp4", frames, rate=24)
        return self.embed(name)

    def disguise(self, source: str, name: str, transforms: Sequence[Transform]) -> str:
        """Write a disguised copy of a video and embed it; return its digest."""
        write_copy(self.folder / f"{source}.mp4", self.folder / f"{name}.mp4", transforms=transforms)
        return self.embed(name)

    def embed(self, name: str) -> str:
        """Embed a video of the folder as intake does; return its digest."""
        path = self.folder / f"{name}.mp4"
        builder = VectorsBuilder(self.encoder, samples_per_second=Fraction(2))
        for frame in scan_frames(path, samples_per_second=STILLS_PER_SECOND):
            if frame.image is not None:
                builder.push(frame.pts, frame.seconds, frame.image)
        sha256 = file_digest(path).sha256
        self.store.write(sha256, self.encoder.identity, builder.finish())
        return sha256

    def matches(self, queries: Sequence[str], others: Sequence[str]) -> list[MatchSpan]:
        """Search with the detector of the encoder."""
        identity = self.encoder.identity
        return list(find_matches(self.store, identity, queries, others, detector_for(identity)))


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
        pytest.param([Caption("BEST MOMENTS"), Letterbox(0.15)], id="captioned_and_letterboxed"),
        pytest.param([Excerpt(0.7, 2.5)], id="excerpted"),
    ],
)
def test_a_disguised_copy_is_found_and_nothing_else(
    library: Library, references: list[str], transforms: list[Transform], request: pytest.FixtureRequest
) -> None:
    copy = library.disguise("reference2", f"copy-{request.node.callspec.id}", transforms)
    (span,) = library.matches([copy], references)
    start = next((edit.start_seconds for edit in transforms if isinstance(edit, Excerpt)), 0.0)
    seconds = next((edit.seconds for edit in transforms if isinstance(edit, Excerpt)), 4.0)
    assert (span.query_sha256, span.other_sha256) == (copy, references[1])
    assert (span.query_start_seconds, span.query_end_seconds) == pytest.approx((0.0, seconds), abs=0.6)
    assert span.other_start_seconds == pytest.approx(start, abs=0.15)
    assert span.other_end_seconds == pytest.approx(start + seconds, abs=0.6)
    assert span.is_mirrored == (Mirror() in transforms)
    assert span.speed == 1.0
    assert span.num_votes >= 1


def test_different_scenes_do_not_match(library: Library, references: list[str]) -> None:
    assert library.matches(references, references) == []


def test_another_subject_before_the_same_wall_is_no_copy(library: Library) -> None:
    """Embedding and alignment alone take these for copies: most of the picture is the same."""
    room = next(moving_scene(50, 1))

    def take(seed: int) -> Iterable[NDArray[np.uint8]]:
        subject = next(moving_scene(seed, 1, 80, 60))
        for index in range(72):
            frame = room.copy()
            row = 30 + round(25 * np.sin(index / 9 + seed))
            frame[row : row + 80, 65:125] = subject
            yield frame

    takes = [library.write(f"take{seed}", take(seed)) for seed in (60, 61)]
    vectors = [library.store.read(sha256, library.encoder.identity).vectors_ND for sha256 in takes]
    similarity = (vectors[0].astype(np.float32) @ vectors[1].astype(np.float32).T).max()
    assert similarity > LITE0_DETECTOR.min_similarity
    assert library.matches(takes[:1], takes[1:]) == []


def test_a_copied_stretch_inside_other_footage_is_located(library: Library, references: list[str]) -> None:
    frames = [*moving_scene(70, 48), *list(moving_scene(1, 96))[24:84], *moving_scene(71, 36)]
    compilation = library.write("compilation", frames)
    (span,) = library.matches([compilation], references)
    assert span.other_sha256 == references[0]
    assert (span.query_start_seconds, span.query_end_seconds) == pytest.approx((2.0, 4.5), abs=0.6)
    assert (span.other_start_seconds, span.other_end_seconds) == pytest.approx((1.0, 3.5), abs=0.6)


def test_black_frames_match_nothing(library: Library) -> None:
    black = [library.write(f"black{length}", flat_scene((0, 0, 0), length)) for length in (72, 96)]
    assert library.matches(black, black) == []


def test_nothing_is_compared_with_nothing(library: Library, references: list[str]) -> None:
    assert library.matches([], references) == []
    assert library.matches(references, []) == []


def test_an_asset_that_this_encoder_did_not_embed_is_an_error(
    library: Library, references: list[str]
) -> None:
    identity = dataclasses.replace(library.encoder.identity, weights_sha256="0" * 64)
    with pytest.raises(EncoderError):
        list(find_matches(library.store, identity, references, references, LITE0_DETECTOR))


def test_thresholds_belong_to_an_encoder() -> None:
    lite0 = EncoderIdentity("efficientnet-lite0-gem", "0" * 64, "p", 1280)
    clip = EncoderIdentity("open_clip:ViT-B-32", "0" * 64, "p", 512)
    assert detector_for(lite0) == LITE0_DETECTOR
    assert detector_for(lite0).is_calibrated
    assert not detector_for(clip).is_calibrated
    assert detector_for(clip).min_similarity > detector_for(lite0).min_similarity
    assert len({detector_for(lite0).digest, detector_for(clip).digest}) == 2
    assert dataclasses.replace(LITE0_DETECTOR).digest == LITE0_DETECTOR.digest
