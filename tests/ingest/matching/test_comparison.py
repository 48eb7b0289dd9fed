"""Comparing a library: every asset once, every copy once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from db import queries
from db.matches import matches_of
from db.project import Project
from db.records import MatchRecord
from db.vocabularies import MatchTier
from governance.bootstrap import bootstrap
from ingest.matching import comparison
from ingest.matching.comparison import compare_new_assets, num_waiting
from ingest.matching.detectors import CAUTIOUS_DETECTOR
from ingest.matching.match_rows import merged
from ingest.matching.scoring import Evidence
from ingest.matching.span import MatchSpan
from tests.library import ColourEncoder, take_footage, write_footage
from tests.media import moving_scene, write_video

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IDENTITY = ColourEncoder.identity
# Mean colours of any two pictures are much alike, so only very like ones may nominate each other.
DETECTOR = dataclasses.replace(CAUTIOUS_DETECTOR, min_similarity=0.999)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return bootstrap(tmp_path / "project").project


def _scene(seed: int, *, seconds: int = 4) -> Iterator[NDArray[np.uint8]]:
    return moving_scene(seed, 12 * seconds, 96, 128)


def _compare(project: Project) -> int:
    return compare_new_assets(project, IDENTITY, DETECTOR, on_progress=lambda _num: None)


def _matches(project: Project) -> list[MatchRecord]:
    """Every match once, as the asset with the lower id sees it."""
    with project.session() as session:
        ids = list(queries.embedded_assets(session, IDENTITY.digest).values())
        found = matches_of(session, ids, DETECTOR.digest)
    return [seen for seen in chain.from_iterable(found.values()) if seen.asset_id < seen.other_id]


@pytest.mark.parametrize("batch_assets", [200, 1])
def test_a_copy_found_from_both_sides_is_recorded_once(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_assets: int
) -> None:
    """Each side's search recorded a row of its own, so that every copy counted twice."""
    monkeypatch.setattr(comparison, "_BATCH_ASSETS", batch_assets)
    write_video(tmp_path / "a.mp4", _scene(1), rate=12)
    # Half a sample later, so that the two searches do not give the same seconds to the digit.
    later = list(_scene(1))[3:]
    write_video(tmp_path / "b.mp4", later, rate=12, options={"crf": "30"})
    take_footage(project, tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert _compare(project) == 1
    (match,) = _matches(project)
    assert match.start_seconds == pytest.approx(0.25, abs=0.5)
    assert match.end_seconds == pytest.approx(4.0, abs=0.5)


def test_two_copies_of_one_clip_in_a_film_are_two_matches(project: Project, tmp_path: Path) -> None:
    """One search sees only the best of them; taking its word for the pair would clear the other."""
    write_video(tmp_path / "clip.mp4", _scene(1), rate=12)
    write_video(tmp_path / "film.mp4", chain(_scene(1), _scene(2), _scene(1)), rate=12)
    take_footage(project, tmp_path / "clip.mp4", tmp_path / "film.mp4")
    assert _compare(project) == 2
    starts = sorted(match.other_start_seconds for match in _matches(project))
    assert starts == pytest.approx([0.0, 8.0], abs=0.5)


def test_comparing_again_searches_nothing_and_records_nothing(project: Project, tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, _scene(1), rate=12, options={"crf": str(20 + ord(name[0]) % 2)})
    take_footage(project, tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert num_waiting(project, IDENTITY, DETECTOR) == 2
    assert _compare(project) == 1
    assert num_waiting(project, IDENTITY, DETECTOR) == 0
    assert _compare(project) == 0


def test_an_asset_added_later_is_compared_with_what_was_there(project: Project, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", _scene(1), rate=12)
    take_footage(project, tmp_path / "a.mp4")
    assert _compare(project) == 0
    write_video(tmp_path / "b.mp4", _scene(1), rate=12, options={"crf": "30"})
    take_footage(project, tmp_path / "b.mp4")
    assert _compare(project) == 1


def test_different_scenes_do_not_match(project: Project, tmp_path: Path) -> None:
    write_footage(tmp_path / "footage", "a.mp4", "b.mp4", "c.mp4")
    take_footage(project, tmp_path / "footage")
    assert _compare(project) == 0
    assert _matches(project) == []


def test_progress_counts_assets_batch_by_batch(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "_BATCH_ASSETS", 2)
    write_footage(tmp_path / "footage", "a.mp4", "b.mp4", "c.mp4")
    take_footage(project, tmp_path / "footage")
    done: list[int] = []
    compare_new_assets(project, IDENTITY, DETECTOR, on_progress=done.append)
    assert done == [2, 1]


_EVIDENCE = Evidence(
    similarity=0.9,
    num_votes=4,
    coverage=1.0,
    num_inliers=40,
    texture=0.9,
    motion=0.9,
    overlap=1.0,
    correlation=0.9,
    is_moving=True,
    speed=1.0,
    pdq_distance=20.0,
)


def _span(
    query: str, start: float, end: float, other_start: float, other_end: float, probability: float
) -> MatchSpan:
    return MatchSpan(
        query_sha256=query,
        other_sha256="b" if query == "a" else "a",
        query_start_seconds=start,
        query_end_seconds=end,
        other_start_seconds=other_start,
        other_end_seconds=other_end,
        tier=MatchTier.VERIFIED,
        probability=probability,
        evidence=_EVIDENCE,
        speed=1.0,
        is_mirrored=False,
        query_view=0,
        other_view=0,
    )


def _seconds(*spans: MatchSpan) -> list[tuple[float, float, float, float]]:
    found = merged(comparison._found(span, {"a": 1, "b": 2}) for span in spans)
    return [(m.start_seconds, m.end_seconds, m.other_start_seconds, m.other_end_seconds) for m in found]


def test_what_only_one_search_calls_copied_stays_out_too() -> None:
    """The seconds that the stronger search missed would otherwise be cleared."""
    strong, weak = _span("a", 0, 6, 10, 16, 0.95), _span("b", 12, 20, 2, 10, 0.85)
    assert _seconds(strong, weak) == _seconds(weak, strong) == [(0, 10, 10, 20)]


def test_copies_that_only_touch_stay_apart() -> None:
    """A loop: the same seconds of one side, one after the other on the other side, sharing a sample at the seam."""
    assert len(_seconds(_span("a", 0, 5.5, 0, 5.5, 0.9), _span("a", 5, 10.5, 0, 5.5, 0.9))) == 2
