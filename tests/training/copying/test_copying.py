"""The data-copying test: a model that repeats its footage fails, one that cannot be tested has not passed."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from click.testing import CliRunner

from db.errors import AnsweredNo, AnsweredUndecided, ConfigError, RefusedError
from db.project import Project, open_project
from governance.snapshots.snapshot import ClearedSpan, Snapshot
from ingest.errors import MediaError
from tests.media import write_video
from tests.training.screening.licensed_model import MODEL, SNAPSHOT, GridEncoder, make_licensed_model, scene
from training.copying import copying_test
from training.copying.copying_test import CopyingTest, find_model, run_copying_test
from training.copying.distances import Distances, distances_of
from training.copying.held_out import HeldOutSpan, own_spans
from training.copying.record import accept_untested, record_test, require_no_copying
from training.copying.statistic import MIN_CLIPS, CopyingVerdict, compare_distances
from training.proof.commands import training
from training.screening.nearest import open_nearest

NEAR, FAR = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06], [0.3, 0.31, 0.35, 0.4, 0.42, 0.5]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Footage, a project with a model, and held-out films of other scenes."""
    root = tmp_path_factory.mktemp("copying")
    make_licensed_model(root)
    (root / "held-out").mkdir()
    for number in range(3):
        write_video(root / "held-out" / f"{number}.mp4", scene(20 + number, 8), rate=12)
    return root


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Project:
    return open_project(shutil.copytree(root / "project", tmp_path / "project"))


def run(project: Project, *held_out: Path, num_clips: int = 6) -> CopyingTest:
    return run_copying_test(
        project,
        MODEL,
        held_out=held_out,
        num_clips=num_clips,
        seed=0,
        encoder=GridEncoder(),
        on_clip=lambda _n: None,
    )


def released(project: Project) -> bool:
    try:
        require_no_copying(project, find_model(project, MODEL))
    except RefusedError:
        return False
    return True


def test_generated_clips_that_lie_nearer_fail() -> None:
    found = compare_distances(NEAR, FAR)
    assert (found.verdict, found.probability_nearer) == (CopyingVerdict.FAILED, 1.0)
    # The exact distribution: one order of 924 is as extreme.
    assert found.p_value == pytest.approx(1 / 924)


def test_generated_clips_that_lie_alike_or_farther_pass() -> None:
    farther = compare_distances(FAR, NEAR)
    assert (farther.verdict, farther.probability_nearer) == (CopyingVerdict.PASSED, 0.0)
    alike = compare_distances(NEAR, NEAR)
    assert (alike.verdict, alike.probability_nearer) == (CopyingVerdict.PASSED, 0.5)


@pytest.mark.parametrize(
    ("num_generated", "num_held_out"), [(0, 0), (6, MIN_CLIPS - 1), (MIN_CLIPS - 1, 6), (6, 0)]
)
def test_too_few_clips_are_not_a_pass(num_generated: int, num_held_out: int) -> None:
    found = compare_distances(NEAR[:num_generated], FAR[:num_held_out])
    assert (found.verdict, found.p_value) == (CopyingVerdict.NOT_TESTABLE, None)
    assert str(MIN_CLIPS) in found.reason


def test_a_model_that_draws_its_clips_again_fails(
    project: Project, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its drawing is replaced by what a model that has learnt its clips by heart draws."""
    from ingest.media.frames import decode_clip

    def by_heart(trained: object, prompts: list[str], seed: int) -> object:
        for number, _ in enumerate(prompts):
            film = root / ("sea.mp4", "hill.mp4")[number % 2]
            yield torch.from_numpy(
                decode_clip(film, start_pts=0, end_pts=24 * 1024, num_frames=4, height=64, width=64)
            )

    monkeypatch.setattr(copying_test, "drawn_frames", by_heart)
    test = run(project, root / "held-out")
    assert test.statistic.verdict is CopyingVerdict.FAILED, test
    assert (test.statistic.num_generated, test.num_held_out_files) == (6, 3)
    assert not released(project)
    with pytest.raises(RefusedError, match="failed a test"):
        accept_untested(project, find_model(project, MODEL), "a person looked at it")
    passed = test.as_json() | {"verdict": "passed"}
    record_test(project, find_model(project, MODEL), passed)
    assert not released(project), "one that failed counts for good"


def test_a_test_is_repeatable_and_on_record(project: Project, root: Path) -> None:
    first, second = run(project, root / "held-out"), run(project, root / "held-out")
    assert first == second
    assert first.statistic.num_held_out == 6
    assert first.statistic.verdict is not CopyingVerdict.NOT_TESTABLE
    assert released(project) == (first.statistic.verdict is CopyingVerdict.PASSED)


def test_without_held_out_footage_a_model_is_not_testable_and_not_released(project: Project) -> None:
    assert not released(project), "it was never tested"
    assert run(project).statistic.verdict is CopyingVerdict.NOT_TESTABLE
    with pytest.raises(RefusedError, match="could not be tested"):
        require_no_copying(project, find_model(project, MODEL))
    with pytest.raises(ConfigError, match="empty"):
        accept_untested(project, find_model(project, MODEL), " ")
    accept_untested(project, find_model(project, MODEL), "its clips are backgrounds of our own")
    assert released(project)


def test_plain_clips_are_left_out_and_counted(project: Project, tmp_path: Path) -> None:
    found = distances_of(
        [torch.zeros(4, 3, 16, 16, dtype=torch.uint8)],
        open_nearest(project, MODEL, GridEncoder.identity),
        project=project,
        encoder=GridEncoder(),
        folder=tmp_path / "clips",
        on_clip=lambda _n: None,
    )
    assert found == Distances(values=(), num_left_out=1)


def test_held_out_footage_that_cannot_be_used_is_named(project: Project, root: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"sea\.mp4 is a file of snapshot {SNAPSHOT}"):
        run(project, root / "sea.mp4")
    with pytest.raises(ConfigError, match="missing"):
        run(project, tmp_path / "missing.mp4")
    (tmp_path / "text.mp4").write_text("no video", encoding="utf-8")
    with pytest.raises(MediaError, match=r"text\.mp4"):
        run(project, tmp_path / "text.mp4")


def test_the_command(project: Project, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ingest.encoders import encoder as encoders

    class Opened:
        encoder = GridEncoder()

    monkeypatch.setattr(encoders, "open_encoder", lambda _name, _compute: Opened())

    def call(*arguments: str) -> tuple[object, str]:
        done = CliRunner().invoke(training, ["copying", MODEL, *arguments, "--project", str(project.root)])
        return done.exception, done.stdout

    assert isinstance(call()[0], AnsweredUndecided)
    error, said = call("--held-out", str(root / "held-out"), "--count", "6")
    assert error is None or isinstance(error, AnsweredNo)
    assert "held out, of 3 files" in said
    assert isinstance(call("--accept", "x", "--held-out", str(root))[0], ConfigError)


def test_what_a_snapshot_holds_out_is_taken_source_by_source() -> None:
    def clip(source: str, start: int) -> ClearedSpan:
        return cast("ClearedSpan", SimpleNamespace(asset_sha256=source, start_pts=start, end_pts=start + 10))

    snapshot = SimpleNamespace(
        held_out=(clip("a", 0), clip("a", 10), clip("b", 5)),
        sources={"a": Path("a.mp4"), "b": Path("b.mp4")},
    )
    spans = own_spans(cast("Snapshot", snapshot), max_clips=2)
    assert spans == [HeldOutSpan(Path("a.mp4"), 0, 10), HeldOutSpan(Path("b.mp4"), 5, 15)]
    assert len(own_spans(cast("Snapshot", snapshot), max_clips=9)) == 3
