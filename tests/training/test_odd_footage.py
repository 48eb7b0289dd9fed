"""Training on footage as it comes and on a disk as it is: what is sound trains, what is not is named."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import multiprocessing
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from db.canonical import digest_of
from governance.snapshots.snapshot import ClearedSpan, Snapshot
from ingest.errors import MediaError
from tests import fixtures
from tests.media import flip_byte, moving_scene, write_video
from tests.training.cleared_footage import (
    TINY,
    TINY_PIXELS,
    Footage,
    make_snapshot,
    open_clips,
    open_ledger,
)
from training.checkpoint import checkpoint_paths, load_newest_checkpoint
from training.config import TrainingConfig
from training.errors import NotCleared
from training.loop import finish, prepare, train_steps
from training.reference import ReferenceRecipe
from training.run import TrainingRun
from training.team import Alone

_BOTH = pytest.mark.parametrize("config", [TINY, TINY_PIXELS], ids=["components", "pixels"])


def _footage(*films: tuple[Path, Fraction]) -> Footage:
    """Clear the first seconds of each film, as many as are said, as one clip."""
    sources: dict[str, Path] = {}
    spans: list[ClearedSpan] = []
    for path, seconds in films:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        sources[sha256] = path
        spans.append(
            ClearedSpan(
                clip_id=digest_of([sha256])[:16],
                asset_sha256=sha256,
                start_pts=0,
                end_pts=int(seconds * _ticks(path)),
                time_base=Fraction(1, _ticks(path)),
                duration_seconds=float(seconds),
                caption=f"Film {path.stem.replace('_', ' ')}",
                grant_digest="0" * 64,
                license_expression="CC0-1.0",
            )
        )
    return Footage(sources=sources, spans=tuple(spans))


def _ticks(path: Path) -> int:
    """Return the ticks of a second, of a file that can be opened."""
    import av

    with contextlib.suppress(av.FFmpegError, IndexError), av.open(str(path)) as container:
        time_base = container.streams.video[0].time_base
        assert time_base is not None
        return time_base.denominator
    return 12288


def _prepared(footage: Footage, folder: Path, config: TrainingConfig) -> TrainingRun:
    clips = open_clips(make_snapshot(footage), folder / "frames", config=config)
    return prepare(
        clips,
        folder / "run",
        recipe=ReferenceRecipe(config),
        ledger=open_ledger(folder / "run"),
        team=Alone("cpu"),
    )


def _trained(footage: Footage, folder: Path, config: TrainingConfig) -> TrainingRun:
    run = _prepared(footage, folder, config)
    list(train_steps(run))
    assert finish(run, folder / "model").weights_path.is_file()
    return run


@_BOTH
def test_sizes_rates_and_sound_may_differ(tmp_path: Path, config: TrainingConfig) -> None:
    films = [
        write_video(tmp_path / "wide.mp4", moving_scene(1, 24, 54, 128), rate=24, audio=True),
        write_video(tmp_path / "tall.mp4", moving_scene(2, 10, 128, 54), rate=Fraction(10)),
        write_video(tmp_path / "small.mp4", moving_scene(3, 50, 10, 10), rate=Fraction(50_000, 1001)),
        fixtures.clip_odd_size(tmp_path),
        fixtures.clip_10bit(tmp_path),
        fixtures.clip_rotated_90(tmp_path),
    ]
    run = _trained(_footage(*((film, Fraction(9, 10)) for film in films)), tmp_path, config)
    assert len(run.exposures.frames_digests()) == 6


@_BOTH
def test_a_clip_shorter_than_the_window_shows_its_frames_for_longer(
    tmp_path: Path, config: TrainingConfig
) -> None:
    two = write_video(tmp_path / "two.mp4", moving_scene(1, 2, 16, 16), rate=2)
    run = _trained(
        _footage((fixtures.clip_one_frame(tmp_path), Fraction(1, 24)), (two, Fraction(1))), tmp_path, config
    )
    shown = {sample["caption"]: sample["frames_TCHW"] for sample in map(run.clips.__getitem__, range(2))}
    still, moving = shown["Film clip one frame"], shown["Film two"]
    assert torch.equal(still, still[:1].expand_as(still))
    assert torch.equal(moving[0], moving[1])
    assert torch.equal(moving[2], moving[3])
    assert not torch.equal(moving[1], moving[2])


@_BOTH
def test_one_clip_is_enough(tmp_path: Path, config: TrainingConfig) -> None:
    film = write_video(tmp_path / "only.mp4", moving_scene(1, 12, 48, 64), rate=12)
    run = _trained(_footage((film, Fraction(1))), tmp_path, config)
    assert [row.count for row in run.exposures.rows(run.clips.spans)] == [
        config.num_steps * config.batch_size
    ]


@pytest.mark.parametrize(
    ("write", "code"),
    [
        (fixtures.clip_zero_bytes, "media.empty"),
        (fixtures.clip_not_a_video, "media.not_video"),
        (fixtures.clip_audio_only, "media.no_video"),
        (fixtures.clip_truncated, "media"),
    ],
)
@_BOTH
def test_a_file_that_cannot_be_decoded_is_named_and_nothing_is_saved(
    tmp_path: Path, write: Callable[[Path], Path], code: str, config: TrainingConfig
) -> None:
    """However it came to be sealed: its bytes are the sealed ones, and there is no picture where the clip should be."""
    sound = write_video(tmp_path / "sound.mp4", moving_scene(1, 12, 48, 64), rate=12)
    bad = write(tmp_path)
    footage = _footage((sound, Fraction(1)), (bad, Fraction(1)))
    late = dataclasses.replace(footage.spans[1], start_pts=400 * 12288, end_pts=401 * 12288)
    footage = dataclasses.replace(footage, spans=(footage.spans[0], late))
    with pytest.raises(MediaError, match=bad.name) as refused:
        _trained(footage, tmp_path, config)
    assert refused.value.code.startswith(code)
    assert checkpoint_paths(tmp_path / "run") == []


@_BOTH
def test_a_file_that_was_damaged_since_it_was_sealed_is_named(tmp_path: Path, config: TrainingConfig) -> None:
    film = write_video(tmp_path / "film.mp4", moving_scene(1, 12, 48, 64), rate=12)
    footage = _footage((film, Fraction(1)))
    flip_byte(film, -1)
    with pytest.raises(NotCleared, match=footage.spans[0].clip_id):
        _trained(footage, tmp_path, config)
    assert checkpoint_paths(tmp_path / "run") == []


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_full_disk_leaves_what_was_saved_and_the_run_goes_on_from_there(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    """The second checkpoint does not fit under the file size limit of the process: a full disk, as it sees it."""
    footage = Footage(sources=dict(snapshot.sources), spans=snapshot.clips)
    whole = _trained(footage, tmp_path / "whole", TINY)
    process = multiprocessing.get_context("spawn").Process(
        target=_train_on_a_full_disk, args=(footage, tmp_path)
    )
    process.start()
    process.join(120)
    assert process.exitcode == 0
    kept = load_newest_checkpoint(tmp_path / "run")
    assert kept is not None
    assert kept.step == 2
    assert [path.name for path in tmp_path.rglob(".*")] == []
    again = _trained(footage, tmp_path, TINY)
    for name, parameter in again.learner.parameters().items():
        assert torch.equal(parameter, whole.learner.parameters()[name])


def _train_on_a_full_disk(footage: Footage, folder: Path) -> None:
    import resource
    import signal

    run = _prepared(footage, folder, TINY)
    steps = train_steps(run)
    assert [next(steps).step, next(steps).step] == [1, 2]
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    with pytest.raises(OSError, match="File too large"):
        list(steps)
