"""The gate: what training may read, and what is checked when it does."""

from __future__ import annotations

import dataclasses
import datetime as dt
import shutil
from pathlib import Path
from typing import BinaryIO

import pytest
import torch
from torch.utils.data import DataLoader

from db.errors import RefusedError
from governance.snapshots.permits import EVALUATION
from governance.snapshots.snapshot import Snapshot
from ingest.errors import MediaError
from ingest.media.digests import verified_copy
from tests.media import flip_byte
from tests.training.cleared_footage import (
    CAPTIONS,
    NOW,
    TINY,
    Footage,
    make_permit,
    make_snapshot,
    open_clips,
    open_ledger,
)
from training.config import TrainingConfig
from training.errors import NotCleared
from training.reference import ReferenceRecipe
from training.run import prepare
from training.team import Alone

HOUR = dt.timedelta(hours=1)


def _copied(footage: Footage, folder: Path) -> Footage:
    sources = {sha256: Path(shutil.copy(path, folder)) for sha256, path in footage.sources.items()}
    return dataclasses.replace(footage, sources=sources)


@pytest.fixture
def parted(footage: Footage) -> Snapshot:
    """A snapshot of three clips for training, and two of another film that are held out."""
    return make_snapshot(footage, num_held_out=2)


def test_every_cleared_clip_is_read_as_frames_with_its_caption(snapshot: Snapshot, tmp_path: Path) -> None:
    clips = open_clips(snapshot, tmp_path)
    samples = [clips[index] for index in range(len(clips))]
    assert {sample["clip_id"] for sample in samples} == {span.clip_id for span in snapshot.clips}
    assert {sample["caption"] for sample in samples} == set(CAPTIONS)
    assert {tuple(sample["frames_TCHW"].shape) for sample in samples} == {(4, 3, 16, 16)}
    assert {sample["frames_TCHW"].dtype for sample in samples} == {torch.uint8}
    red = next(sample for sample in samples if sample["caption"] == "Plain red")["frames_TCHW"]
    assert red[:, 0].min() > 240
    assert red[:, 1:].max() < 15


def test_clips_work_as_a_torch_dataset(snapshot: Snapshot, tmp_path: Path) -> None:
    batch = next(iter(DataLoader(open_clips(snapshot, tmp_path), batch_size=5)))
    assert batch["frames_TCHW"].shape == (5, 4, 3, 16, 16)


def test_clips_of_one_asset_stand_together_in_order_of_time(snapshot: Snapshot, tmp_path: Path) -> None:
    spans = open_clips(snapshot, tmp_path).spans
    assert [(span.asset_sha256, span.start_pts) for span in spans] == sorted(
        (span.asset_sha256, span.start_pts) for span in snapshot.clips
    )


def test_an_asset_is_copied_once_for_its_consecutive_clips(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []

    def counted_copy(path: Path, sha256: str) -> BinaryIO:
        copied.append(sha256)
        return verified_copy(path, sha256)

    monkeypatch.setattr("training.gate.verified_copy", counted_copy)
    assert len(list(open_clips(snapshot, tmp_path).stream(100))) == 5
    assert len(copied) == 3


def test_a_stream_is_spread_evenly(snapshot: Snapshot, tmp_path: Path) -> None:
    assert [index for index, _ in open_clips(snapshot, tmp_path).stream(2)] == [0, 2]


def test_a_clip_outside_the_snapshot_is_not_cleared(snapshot: Snapshot, tmp_path: Path) -> None:
    clips = open_clips(snapshot, tmp_path)
    assert clips.spans[clips.index_of(snapshot.clips[3].clip_id)] == snapshot.clips[3]
    with pytest.raises(NotCleared, match="clip 0123456789abcdef: not in snapshot tiny"):
        clips.index_of("0123456789abcdef")


def test_a_permit_for_training_opens_nothing_that_is_held_out(parted: Snapshot, tmp_path: Path) -> None:
    clips = open_clips(parted, tmp_path)
    held_out = parted.held_out[0].clip_id
    assert {span.clip_id for span in clips.spans} == {span.clip_id for span in parted.clips}
    with pytest.raises(NotCleared, match=f"clip {held_out}: held out in snapshot tiny, no run trains on it"):
        clips.index_of(held_out)


def test_a_permit_for_evaluation_opens_what_is_held_out_and_trains_nothing(
    parted: Snapshot, tmp_path: Path
) -> None:
    permit = make_permit(parted, purpose=EVALUATION)
    clips = open_clips(parted, tmp_path / "frames", permit=permit)
    assert [clips[index]["clip_id"] for index in range(len(clips))] == [span.clip_id for span in clips.spans]
    assert {span.clip_id for span in clips.spans} == {span.clip_id for span in parted.held_out}
    training = parted.clips[0].clip_id
    with pytest.raises(NotCleared, match=f"clip {training}: in the training part"):
        clips.index_of(training)
    with pytest.raises(NotCleared, match=r"is for cleartitle\.evaluation; no run trains under it"):
        prepare(
            clips,
            tmp_path / "run",
            recipe=ReferenceRecipe(TINY),
            ledger=open_ledger(tmp_path / "run"),
            team=Alone("cpu"),
        )
    assert not (tmp_path / "run").exists()


def test_where_nothing_is_held_out_there_is_nothing_to_evaluate_on(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    with pytest.raises(NotCleared, match="expected held-out clips, it has none"):
        open_clips(snapshot, tmp_path, permit=make_permit(snapshot, purpose=EVALUATION))


def test_a_permit_for_something_else_opens_nothing(snapshot: Snapshot, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="purpose is sale"):
        open_clips(snapshot, tmp_path, permit=make_permit(snapshot, purpose="sale"))


def test_an_empty_snapshot_does_not_train(footage: Footage, tmp_path: Path) -> None:
    with pytest.raises(NotCleared, match="has none"):
        open_clips(make_snapshot(dataclasses.replace(footage, spans=())), tmp_path)


def test_a_permit_for_another_configuration_opens_nothing(snapshot: Snapshot, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="configuration digest"):
        open_clips(snapshot, tmp_path, permit=make_permit(snapshot, TrainingConfig()))


def test_a_permit_for_another_snapshot_opens_nothing(
    footage: Footage, snapshot: Snapshot, tmp_path: Path
) -> None:
    smaller = make_snapshot(dataclasses.replace(footage, spans=footage.spans[:2]))
    with pytest.raises(RefusedError, match="snapshot root"):
        open_clips(snapshot, tmp_path, permit=make_permit(smaller))


def test_an_altered_permit_opens_nothing(snapshot: Snapshot, tmp_path: Path) -> None:
    permit = make_permit(snapshot)
    longer = dataclasses.replace(permit, not_after=permit.not_after + HOUR)
    with pytest.raises(RefusedError, match="signature"):
        open_clips(snapshot, tmp_path, permit=longer)


def test_a_permit_that_runs_out_stops_the_reading(snapshot: Snapshot, tmp_path: Path) -> None:
    permit = make_permit(snapshot)
    times = iter([NOW, NOW, NOW, permit.not_after])
    clips = open_clips(snapshot, tmp_path, permit=permit, clock=lambda: next(times))
    assert clips[0]
    with pytest.raises(NotCleared, match=rf"clip {clips.spans[0].clip_id}: permit {permit.permit_id} ended"):
        clips[0]


def test_a_snapshot_that_expires_stops_the_reading(footage: Footage, tmp_path: Path) -> None:
    expiring = make_snapshot(footage, expires_at=NOW + HOUR)
    # The permit never outlives the snapshot, so it is made for one that lasts.
    times = iter([NOW, NOW + HOUR])
    clips = open_clips(
        expiring, tmp_path, permit=make_permit(make_snapshot(footage)), clock=lambda: next(times)
    )
    with pytest.raises(NotCleared, match="snapshot tiny expired"):
        clips[0]


def test_one_changed_byte_of_footage_is_not_cleared(footage: Footage, tmp_path: Path) -> None:
    copies = _copied(footage, tmp_path)
    clips = open_clips(make_snapshot(copies), tmp_path / "frames")
    flip_byte(copies.sources[clips.spans[0].asset_sha256], 1000)
    with pytest.raises(NotCleared, match=rf"clip {clips.spans[0].clip_id}: .* sha256 is"):
        clips[0]


def test_missing_footage_is_named(footage: Footage, tmp_path: Path) -> None:
    copies = _copied(footage, tmp_path)
    clips = open_clips(make_snapshot(copies), tmp_path / "frames")
    copies.sources[clips.spans[0].asset_sha256].unlink()
    with pytest.raises(MediaError, match=copies.sources[clips.spans[0].asset_sha256].name):
        clips[0]
    unlocated = make_snapshot(dataclasses.replace(footage, sources={}))
    with pytest.raises(NotCleared, match="has no source file"):
        open_clips(unlocated, tmp_path / "frames")[0]


def test_a_second_reading_does_not_need_the_footage_again(footage: Footage, tmp_path: Path) -> None:
    copies = _copied(footage, tmp_path)
    clips = open_clips(make_snapshot(copies), tmp_path / "frames")
    first = [clips[index] for index in range(5)]
    for path in copies.sources.values():
        path.unlink()
    assert all(torch.equal(clips[index]["frames_TCHW"], first[index]["frames_TCHW"]) for index in range(5))


def test_changed_cached_frames_are_never_used(
    snapshot: Snapshot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clips = open_clips(snapshot, tmp_path)
    first = clips[0]
    flip_byte(clips.frame_cache.path_of(clips.spans[0]), 5)
    again = clips[0]
    assert torch.equal(again["frames_TCHW"], first["frames_TCHW"])
    assert again["frames_sha256"] == first["frames_sha256"]
    assert f"clip {first['clip_id']}: cached frames are missing or changed" in caplog.text


def test_frames_that_another_process_left_in_the_cache_are_not_trusted(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    clips = open_clips(snapshot, tmp_path)
    path = clips.frame_cache.path_of(clips.spans[0])
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(4 * 3 * 16 * 16))
    assert clips[0]["frames_TCHW"].any()


def test_a_resumed_run_refuses_frames_that_decode_differently(snapshot: Snapshot, tmp_path: Path) -> None:
    clips = open_clips(snapshot, tmp_path)
    clips.frame_cache.expect(clips.spans[0].clip_id, "0" * 64)
    with pytest.raises(NotCleared, match="the run began with 000000000000"):
        clips[0]


def test_other_settings_use_other_cache_files(snapshot: Snapshot, tmp_path: Path) -> None:
    span = snapshot.clips[0]
    wide = dataclasses.replace(TINY, width=32)
    tiny_path = open_clips(snapshot, tmp_path).frame_cache.path_of(span)
    assert open_clips(snapshot, tmp_path, config=wide).frame_cache.path_of(span) != tiny_path
