"""The nearest footage: found in the part of the snapshot that it lies in, and only in its seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.clock import utc_now
from db.project import Project
from governance.snapshots.snapshot import open_snapshot
from ingest.lookup.find import read_query
from ingest.matching.detectors import _SHIPPED, read_calibration
from tests.media import write_video
from tests.training.screening.licensed_model import SNAPSHOT, GridEncoder, scene
from training.screening.held_vectors import HeldVectors
from training.screening.likeness import LIMITS, FootageSpan, NearFootage, NearTo, Neighbourhood


@pytest.fixture(scope="module")
def digests(project: Project) -> dict[str, str]:
    """Of sea and hill, by name."""
    sources = open_snapshot(project, SNAPSHOT, now=utc_now()).sources
    return {path.name: sha256 for sha256, path in sources.items()}


def nearest(
    project: Project, clip: Path, spans: dict[str, list[FootageSpan]], digests: dict[str, str]
) -> dict[NearTo, NearFootage]:
    query = read_query(project, clip, GridEncoder(), clip.parent / "query", name=clip.name)
    batches = [[digests["sea.mp4"]], [digests["hill.mp4"]]]
    found = Neighbourhood(HeldVectors(project.vectors), GridEncoder.identity, batches, spans).nearest(query)
    return {near.kind: near for near in found}


def test_held_out_footage_is_told_beside_training_footage(
    project: Project, digests: dict[str, str], tmp_path: Path
) -> None:
    clip = write_video(tmp_path / "clip.mp4", scene("hill.mp4"), rate=12)
    spans = {
        digests["sea.mp4"]: [FootageSpan(kind=NearTo.TRAINING, name="sea", clip_id="a")],
        digests["hill.mp4"]: [FootageSpan(kind=NearTo.HELD_OUT, name="hill", clip_id="b")],
    }
    near = nearest(project, clip, spans, digests)
    assert (near[NearTo.HELD_OUT].name, near[NearTo.HELD_OUT].clip_id) == ("hill", "b")
    assert near[NearTo.HELD_OUT].likeness > near[NearTo.TRAINING].likeness
    assert near[NearTo.HELD_OUT].seconds == pytest.approx(near[NearTo.HELD_OUT].other_seconds, abs=0.6)


def test_only_the_seconds_of_a_clip_count_as_its(
    project: Project, digests: dict[str, str], tmp_path: Path
) -> None:
    clip = write_video(tmp_path / "clip.mp4", scene("sea.mp4"), rate=12)
    early = FootageSpan(kind=NearTo.TRAINING, name="sea", clip_id="early", end_seconds=1.0)
    whole = FootageSpan(kind=NearTo.HELD_OUT, name="sea", clip_id="whole")
    near = nearest(project, clip, {digests["sea.mp4"]: [early, whole]}, digests)
    assert near[NearTo.TRAINING].other_seconds < 1.0
    assert near[NearTo.HELD_OUT].likeness >= near[NearTo.TRAINING].likeness
    assert set(near) == {NearTo.TRAINING, NearTo.HELD_OUT}


def test_nothing_is_near_where_nothing_is_kept(
    project: Project, digests: dict[str, str], tmp_path: Path
) -> None:
    clip = write_video(tmp_path / "clip.mp4", scene("sea.mp4"), rate=12)
    assert nearest(project, clip, {}, digests) == {}


def test_the_limit_is_that_of_the_encoder_that_is_shipped() -> None:
    """With other weights or other pictures before them the same number would mean something else."""
    _, measurement = read_calibration(_SHIPPED)
    assert set(LIMITS) == {measurement["encoder_digest"]}
