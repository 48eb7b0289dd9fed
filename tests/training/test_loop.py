"""The training loop: resuming, stopping, exposure, and what a finished run leaves behind."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from governance.snapshots.snapshot import Snapshot
from tests.media import flip_byte
from tests.training.cleared_footage import TINY, TINY_PIXELS, Footage, make_snapshot, open_clips, open_ledger
from training import loop
from training.checkpoint import load_newest_checkpoint
from training.config import TrainingConfig
from training.errors import CheckpointError, TrainingConfigError
from training.loop import (
    StepReport,
    draw_sheet,
    finish,
    is_sheet_cheap,
    learning_rate_at,
    prepare,
    train_steps,
    trained_model,
)
from training.pixels import PixelTokenizer
from training.proof.ledger import read_leaves
from training.randomness import batch_indices
from training.reference import ReferenceLearner, ReferenceRecipe
from training.run import TrainingRun, save_run
from training.team import Alone
from training.weights import load_weights


def _prepared(snapshot: Snapshot, folder: Path, config: TrainingConfig = TINY) -> TrainingRun:
    clips = open_clips(snapshot, folder / "frames", config=config)
    return prepare(
        clips,
        folder / "checkpoints",
        recipe=ReferenceRecipe(config),
        ledger=open_ledger(folder / "checkpoints"),
        team=Alone("cpu"),
    )


def _learner(run: TrainingRun) -> ReferenceLearner:
    assert isinstance(run.learner, ReferenceLearner)
    return run.learner


def _stopped_after(snapshot: Snapshot, folder: Path, num_steps: int) -> TrainingRun:
    run = _prepared(snapshot, folder)
    steps = train_steps(run)
    for _ in range(num_steps):
        next(steps)
    with pytest.raises(KeyboardInterrupt):
        steps.throw(KeyboardInterrupt)
    return run


def _final_tensors(folder: Path) -> dict[str, torch.Tensor]:
    checkpoint = load_newest_checkpoint(folder / "checkpoints")
    assert checkpoint is not None
    assert checkpoint.step == TINY.num_steps
    return dict(checkpoint.tensors)


def _assert_same_bits(first: Path, second: Path) -> None:
    expected, found = _final_tensors(first), _final_tensors(second)
    assert expected.keys() == found.keys()
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []


@pytest.fixture(scope="module")
def uninterrupted(
    footage: Footage, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[StepReport]]:
    """A run that was never stopped: its folder and its reports."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    return folder, list(train_steps(_prepared(make_snapshot(footage), folder)))


def test_every_step_is_reported(
    uninterrupted: tuple[Path, list[StepReport]], snapshot: Snapshot, tmp_path: Path
) -> None:
    _, reports = uninterrupted
    assert [report.step for report in reports] == [1, 2, 3, 4, 5, 6]
    run = _prepared(snapshot, tmp_path)
    consumed = batch_indices(run.seed, 3, num_clips=5, batch_size=4)
    assert reports[3].clip_ids == tuple(run.clips.spans[index].clip_id for index in consumed)


@pytest.mark.parametrize("num_steps", [1, 2, 5])
def test_an_interrupted_run_ends_with_the_same_bits(
    uninterrupted: tuple[Path, list[StepReport]], snapshot: Snapshot, tmp_path: Path, num_steps: int
) -> None:
    _stopped_after(snapshot, tmp_path, num_steps)
    resumed = _prepared(snapshot, tmp_path)
    assert resumed.step == num_steps
    assert [report.step for report in train_steps(resumed)] == list(range(num_steps + 1, 7))
    _assert_same_bits(uninterrupted[0], tmp_path)


def test_a_killed_run_goes_on_from_its_last_checkpoint(
    uninterrupted: tuple[Path, list[StepReport]],
    snapshot: Snapshot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = _prepared(snapshot, tmp_path)
    steps = train_steps(run)
    for _ in range(5):
        next(steps)
    # A killed process saves nothing when it goes.
    monkeypatch.setattr(loop, "save_run", lambda _run: None)
    steps.close()
    monkeypatch.undo()
    resumed = _prepared(snapshot, tmp_path)
    assert resumed.step == 4
    list(train_steps(resumed))
    _assert_same_bits(uninterrupted[0], tmp_path)


def test_an_interruption_in_the_middle_of_an_update_saves_nothing_half_done(
    uninterrupted: tuple[Path, list[StepReport]],
    snapshot: Snapshot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = _prepared(snapshot, tmp_path)
    steps = train_steps(run)
    for _ in range(3):
        next(steps)

    def interrupt(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run.optimizer, "step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        next(steps)
    resumed = _prepared(snapshot, tmp_path)
    assert resumed.step == 2
    list(train_steps(resumed))
    _assert_same_bits(uninterrupted[0], tmp_path)


def test_a_damaged_checkpoint_leads_to_the_same_bits_from_the_one_before(
    uninterrupted: tuple[Path, list[StepReport]], snapshot: Snapshot, tmp_path: Path
) -> None:
    _stopped_after(snapshot, tmp_path, 5)
    flip_byte(tmp_path / "checkpoints" / "step-00000005.safetensors", -1)
    resumed = _prepared(snapshot, tmp_path)
    assert resumed.step == 4
    list(train_steps(resumed))
    _assert_same_bits(uninterrupted[0], tmp_path)


def test_a_resumed_run_keeps_its_permits(snapshot: Snapshot, tmp_path: Path) -> None:
    first = _stopped_after(snapshot, tmp_path, 1)
    resumed = _prepared(snapshot, tmp_path)
    assert [permit["from_step"] for permit in resumed.permits] == [0, 1]
    assert resumed.permits[0]["permit_id"] == first.clips.permit.permit_id


def test_another_snapshot_cannot_resume_the_run(footage: Footage, snapshot: Snapshot, tmp_path: Path) -> None:
    _stopped_after(snapshot, tmp_path, 1)
    smaller = make_snapshot(dataclasses.replace(footage, spans=footage.spans[:2]))
    with pytest.raises(CheckpointError, match=f"snapshot {snapshot.merkle_root[:12]}, expected"):
        _prepared(smaller, tmp_path)


def test_another_configuration_cannot_resume_the_run(snapshot: Snapshot, tmp_path: Path) -> None:
    _stopped_after(snapshot, tmp_path, 1)
    with pytest.raises(CheckpointError, match=r"learning_rate is 0\.0025, expected 0\.1"):
        _prepared(snapshot, tmp_path, dataclasses.replace(TINY, learning_rate=0.1))


def test_a_loss_that_is_not_finite_stops_the_run(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _prepared(snapshot, tmp_path)
    steps = train_steps(run)
    next(steps)
    with torch.no_grad():
        _learner(run).model.predict.bias.fill_(float("nan"))
    with pytest.raises(TrainingConfigError, match="step 2: the loss is nan") as stopped:
        next(steps)
    assert stopped.value.hint is not None
    assert "learning_rate" in stopped.value.hint
    assert not (tmp_path / "checkpoints" / "step-00000001.json").exists()
    assert _prepared(snapshot, tmp_path).step == 0


def test_a_gradient_that_is_not_finite_stops_the_run_before_it_changes_anything(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    run = _prepared(snapshot, tmp_path)
    steps = train_steps(run)
    next(steps)
    model = _learner(run).model
    model.predict.bias.register_hook(lambda gradient: gradient * float("inf"))  # type: ignore[no-untyped-call]
    before = model.predict.weight.detach().clone()
    with pytest.raises(TrainingConfigError, match=r"step 2: the norm of the gradient is (inf|nan)"):
        next(steps)
    assert torch.equal(model.predict.weight, before)
    assert not list((tmp_path / "checkpoints").glob("step-*"))


def test_memory_that_runs_out_in_a_step_is_advice_and_nothing_is_saved(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _prepared(snapshot, tmp_path)
    steps = train_steps(run)
    next(steps)

    def too_much(*_numbers: torch.Tensor) -> torch.Tensor:
        return torch.empty(2**60, dtype=torch.uint8)

    monkeypatch.setattr(_learner(run), "velocity", too_much)
    with pytest.raises(TrainingConfigError, match="step 2: cpu has too little memory for 4 clips at a time"):
        next(steps)
    assert not list((tmp_path / "checkpoints").glob("step-*"))


def test_a_batch_in_parts_is_the_same_batch(
    uninterrupted: tuple[Path, list[StepReport]], snapshot: Snapshot, tmp_path: Path
) -> None:
    """Order, noise and configuration digest differ, so one step is taken with the draws of the other run."""
    whole, parted = (
        _prepared(snapshot, tmp_path / "whole"),
        _prepared(snapshot, tmp_path / "parted", dataclasses.replace(TINY, accumulation=4)),
    )
    assert parted.seed != whole.seed
    parted.seed = whole.seed
    _learner(parted).model.load_state_dict(_learner(whole).model.state_dict())
    reports = [next(train_steps(run)) for run in (whole, parted)]
    assert reports[0].clip_ids == reports[1].clip_ids
    assert reports[1].loss == pytest.approx(reports[0].loss, rel=1e-5)
    assert reports[1].gradient_norm == pytest.approx(reports[0].gradient_norm, rel=1e-4)
    leaves = [read_leaves(tmp_path / name / "checkpoints" / "ledger.jsonl") for name in ("whole", "parted")]
    for run in (whole, parted):
        save_run(run)
    steps = [[leaf for leaf in kept if leaf["kind"] == "step"] for kept in leaves]
    assert steps[0] == steps[1]
    assert len(steps[0][0]["clips"]) == TINY.batch_size


@pytest.mark.parametrize("num_steps", [1, 2])
def test_a_run_of_pixels_that_was_stopped_ends_with_the_same_bits(
    snapshot: Snapshot, tmp_path: Path, num_steps: int
) -> None:
    digests = set()
    for name, stop_after in (("whole", None), ("stopped", num_steps)):
        run = _prepared(snapshot, tmp_path / name, TINY_PIXELS)
        steps = train_steps(run)
        if stop_after:
            for _ in range(stop_after):
                next(steps)
            steps.close()
            run = _prepared(snapshot, tmp_path / name, TINY_PIXELS)
            assert run.step == stop_after
            steps = train_steps(run)
        list(steps)
        finished = finish(run, tmp_path / name / "model")
        digests.add(finished.weights_sha256)
        loaded = load_weights(finished.weights_path, device="cpu")
        assert isinstance(loaded.tokenizer, PixelTokenizer)
    assert len(digests) == 1


def test_pixels_are_read_when_a_step_wants_them_and_not_before(snapshot: Snapshot, tmp_path: Path) -> None:
    run = _prepared(snapshot, tmp_path, TINY_PIXELS)
    assert run.exposures.frames_digests() == {}
    next(train_steps(run))
    save_run(run)
    leaves = list(read_leaves(tmp_path / "checkpoints" / "ledger.jsonl"))
    assert [leaf["clips"] for leaf in leaves if leaf["kind"] == "fitting"] == []


def test_fitting_reports_progress(snapshot: Snapshot, tmp_path: Path) -> None:
    seen: list[int] = []
    clips, ledger = open_clips(snapshot, tmp_path / "frames"), open_ledger(tmp_path)
    prepare(
        clips,
        tmp_path,
        recipe=ReferenceRecipe(TINY),
        ledger=ledger,
        team=Alone("cpu"),
        on_progress=seen.append,
    )
    assert seen == [1, 2, 3, 4, 5]


def test_learning_rate_warms_up_and_falls_to_zero() -> None:
    rates = [learning_rate_at(step, TINY) for step in range(7)]
    assert rates[0] == pytest.approx(TINY.learning_rate / 2)
    assert rates[1] == rates[2] == pytest.approx(TINY.learning_rate)
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[6] == pytest.approx(0.0)


def test_a_finished_run_leaves_weights_pictures_and_exposures(snapshot: Snapshot, tmp_path: Path) -> None:
    run = _prepared(snapshot, tmp_path)
    reports = list(train_steps(run))
    finished = finish(run, tmp_path / "model")
    assert finished.weights_path.is_file()
    assert finished.loss_curve_path.read_bytes().startswith(b"\x89PNG")
    assert finished.contact_sheet_path.read_bytes().startswith(b"\x89PNG")
    assert finished.final_loss == reports[-1].loss
    assert not (tmp_path / "frames").exists()
    consumed = [clip_id for report in reports for clip_id in report.clip_ids]
    for row in finished.exposures:
        steps = [number for number, report in enumerate(reports) if row.clip_id in report.clip_ids]
        assert (row.count, row.first_step, row.last_step) == (
            consumed.count(row.clip_id),
            steps[0],
            steps[-1],
        )
        assert row.frames_sha256 is not None


def test_equal_runs_leave_equal_weights(snapshot: Snapshot, tmp_path: Path) -> None:
    digests = set()
    for name in ("first", "second"):
        run = _prepared(snapshot, tmp_path / name)
        list(train_steps(run))
        digests.add(finish(run, tmp_path / name / "model").weights_sha256)
    assert len(digests) == 1


def test_an_unfinished_run_cannot_be_finished(snapshot: Snapshot, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="taken 0 of 6 steps"):
        finish(_prepared(snapshot, tmp_path), tmp_path / "model")


def test_a_sheet_is_drawn_between_where_it_costs_little(snapshot: Snapshot, tmp_path: Path) -> None:
    run = _prepared(snapshot, tmp_path)
    assert [is_sheet_cheap(run, num_steps) for num_steps in (1, 20, 21)] == [False, False, True]
    draw_sheet(tmp_path / "sheet.png", run, trained_model(run))
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.gpu
@pytest.mark.parametrize("config", [TINY, TINY_PIXELS], ids=["components", "pixels"])
def test_a_gpu_repeats_itself_bit_for_bit(snapshot: Snapshot, tmp_path: Path, config: TrainingConfig) -> None:
    digests = set()
    for name in ("first", "second"):
        clips, folder = open_clips(snapshot, tmp_path / name / "frames", config=config), tmp_path / name
        recipe, ledger = ReferenceRecipe(config), open_ledger(folder)
        run = prepare(clips, folder, recipe=recipe, ledger=ledger, team=Alone("cuda:0"))
        list(train_steps(run))
        digests.add(finish(run, folder / "model").weights_sha256)
    assert len(digests) == 1
