"""A training run in progress: how it begins, how it is saved, and how it is taken up again."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from db.canonical import digest_of
from training.checkpoint import Checkpoint, load_newest_checkpoint, save_checkpoint
from training.data import ClearedClips
from training.errors import CheckpointError, NotCleared, TrainingConfigError
from training.execution import Execution
from training.exposure import ExposureTable
from training.learner import EncodedClip, Learner, Recipe
from training.memory import advising
from training.proof.ledger import Ledger
from training.randomness import run_seed
from training.settings import RunConfig
from training.team import Team
from training.tensor_file import named_under, tensors_digest, tensors_under

_ADAM_BETAS = (0.9, 0.99)


def _ignore_progress(num_clips: int) -> None:
    """Stand in for a caller who shows no progress."""


@dataclasses.dataclass(kw_only=True)
class TrainingRun:
    """A run in progress. `step` counts finished steps; the other fields belong to that step."""

    clips: ClearedClips
    folder: Path
    execution: Execution
    team: Team
    seed: str
    learner: Learner
    optimizer: torch.optim.AdamW
    exposures: ExposureTable
    ledger: Ledger
    permits: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    """Permits the run has had, each with the step it began at; a resumed run may have several."""
    step: int = 0
    saved_step: int = -1
    losses: list[float] = dataclasses.field(default_factory=list)
    is_between_steps: bool = True
    """False while parameters are being changed, when the run cannot be saved."""
    memory: OrderedDict[str, EncodedClip] = dataclasses.field(default_factory=OrderedDict)
    """Clips met lately, by name."""

    @property
    def config(self) -> RunConfig:
        """The configuration that the permit is for."""
        return self.clips.config


def prepare(
    clips: ClearedClips,
    folder: Path,
    *,
    recipe: Recipe,
    ledger: Ledger,
    team: Team,
    on_progress: Callable[[int], None] = _ignore_progress,
) -> TrainingRun:
    """Begin a run in `folder`, or take up the one whose newest intact checkpoint lies there.

    Whatever the run consumes goes into `ledger`, which was just opened. A new run of the reference model reads up to
    `config.num_fitting_clips` clips to fit the tokenizer; `on_progress` gets their number. `team`: the processes that
    carry the run.
    Raises `NotCleared` if the permit is not one for training, `CheckpointError` if the checkpoint is of another
    snapshot or configuration, or none is intact, `ProofError` if the ledger does not hold what led to the checkpoint,
    `TrainingConfigError` if batches cannot be shared evenly or the model does not fit into memory.
    """
    _check_shares(clips.config, team)
    execution = recipe.execution_on(team.device)
    checkpoint, permit = load_newest_checkpoint(folder), clips.permit
    if permit.purpose != clips.snapshot.purpose:
        raise NotCleared(f"permit {permit.permit_id} is for {permit.purpose}; no run trains under it")
    ledger.note_permit(digest_of(permit.document()), 0 if checkpoint is None else checkpoint.step)
    with advising(clips.config, team.device, doing="beginning the run"):
        if checkpoint is None:
            run = _begin(clips, folder, recipe, ledger, execution, team, on_progress)
        else:
            run = _take_up(clips, folder, recipe, ledger, execution, team, checkpoint)
    if not run.permits or run.permits[-1]["permit_id"] != permit.permit_id:
        run.permits.append(
            {"code_version": permit.code_version, "from_step": run.step, "permit_id": permit.permit_id}
        )
    return run


def _check_shares(config: RunConfig, team: Team) -> None:
    num_parts = team.size * config.accumulation
    if config.batch_size % num_parts:
        raise TrainingConfigError(
            f"batch_size is {config.batch_size}: expected a multiple of {num_parts} "
            f"({team.size} processes, accumulation {config.accumulation})"
        )


def save_run(run: TrainingRun) -> None:
    """Write a checkpoint of the run as it stands between two steps; of several processes, the first does.

    Raises `OSError` if it cannot be written; the checkpoint before then still stands.
    """
    if run.team.rank == 0:
        _write_checkpoint(run)
    run.saved_step = run.step


def _write_checkpoint(run: TrainingRun) -> None:
    state = {
        "config": run.config.to_dict(),
        "config_digest": run.config.digest,
        "data": {"next_sample": run.step * run.config.batch_size, "num_clips": len(run.clips)},
        "permits": list(run.permits),
        # The whole random state: step s draws from SHA-256(seed:purpose:s) and from nothing else.
        "random": {"next_step": run.step, "run_seed": run.seed},
        "snapshot_root": run.clips.snapshot.merkle_root,
        "torch": str(torch.__version__),
        "vocabulary": list(run.learner.words()),
    }
    tensors = {
        **run.learner.tensors(),
        **named_under(_optimizer_tensors(run), "optimizer"),
        **named_under(run.exposures.tensors(), "exposure"),
        "losses": torch.tensor(run.losses, dtype=torch.float64),
    }
    # Signed for before it is there: killed in between, the run comes by here again and must reach the same state.
    run.ledger.note_checkpoint(run.step, tensors_digest(tensors))
    save_checkpoint(run.folder, Checkpoint(step=run.step, state=state, tensors=tensors))


def _begin(
    clips: ClearedClips,
    folder: Path,
    recipe: Recipe,
    ledger: Ledger,
    execution: Execution,
    team: Team,
    on_progress: Callable[[int], None],
) -> TrainingRun:
    config = clips.config
    exposures = ExposureTable(len(clips))
    seed = run_seed(clips.snapshot.merkle_root, config)
    learner = recipe.begin(
        [span.caption for span in clips.spans],
        _frames_for_fitting(clips, exposures, on_progress),
        seed=seed,
        execution=execution,
        team=team,
    )
    if config.num_fitting_clips:
        _note_fitting(ledger, exposures)
    return TrainingRun(
        clips=clips,
        folder=folder,
        execution=execution,
        team=team,
        seed=seed,
        learner=learner,
        optimizer=_build_optimizer(learner, config),
        exposures=exposures,
        ledger=ledger,
    )


def _note_fitting(ledger: Ledger, exposures: ExposureTable) -> None:
    digests = exposures.frames_digests()
    ledger.note_fitting(list(digests), list(digests.values()))


def _frames_for_fitting(
    clips: ClearedClips, exposures: ExposureTable, on_progress: Callable[[int], None]
) -> Iterator[Tensor]:
    for number, (index, sample) in enumerate(clips.stream(clips.config.num_fitting_clips), start=1):
        exposures.note_frames(index, sample["frames_sha256"])
        yield sample["frames_TCHW"]
        on_progress(number)


def _take_up(
    clips: ClearedClips,
    folder: Path,
    recipe: Recipe,
    ledger: Ledger,
    execution: Execution,
    team: Team,
    checkpoint: Checkpoint,
) -> TrainingRun:
    state, tensors = checkpoint.state, checkpoint.tensors
    _check_same_run(clips, folder, state)
    ledger.skip_to(checkpoint.step)
    learner = recipe.rebuild(checkpoint, execution=execution, team=team)
    optimizer = _build_optimizer(learner, clips.config)
    _restore_optimizer(optimizer, learner, tensors_under(tensors, "optimizer"))
    exposures = ExposureTable(len(clips))
    exposures.restore(tensors_under(tensors, "exposure"))
    for index, frames_sha256 in exposures.frames_digests().items():
        clips.frame_cache.expect(clips.spans[index].clip_id, frames_sha256)
    return TrainingRun(
        clips=clips,
        folder=folder,
        execution=execution,
        team=team,
        seed=state["random"]["run_seed"],
        learner=learner,
        optimizer=optimizer,
        exposures=exposures,
        ledger=ledger,
        permits=list(state["permits"]),
        step=checkpoint.step,
        saved_step=checkpoint.step,
        losses=tensors["losses"].tolist(),
    )


def _check_same_run(clips: ClearedClips, folder: Path, state: Mapping[str, Any]) -> None:
    hint = "train in another folder, or remove this one to start again"
    root = clips.snapshot.merkle_root
    if state["snapshot_root"] != root:
        raise CheckpointError(
            f"checkpoint in {folder}: snapshot {state['snapshot_root'][:12]}, expected {root[:12]}", hint=hint
        )
    if state["config_digest"] != clips.config.digest:
        raise CheckpointError(
            f"checkpoint in {folder}: {_difference(state['config'], clips.config.to_dict())}", hint=hint
        )


def _difference(saved: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """Name the settings that differ, such as `batch_size is 32, expected 16`."""
    names = [name for name in {**saved, **asked} if saved.get(name) != asked.get(name)]
    return ", ".join(f"{name} is {saved.get(name)}, expected {asked.get(name)}" for name in names)


def _build_optimizer(learner: Learner, config: RunConfig) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        learner.parameters().values(),
        lr=config.learning_rate,
        betas=_ADAM_BETAS,
        weight_decay=config.weight_decay,
        fused=True,
    )


def _optimizer_tensors(run: TrainingRun) -> dict[str, Tensor]:
    """Return AdamW's moments and step counts as `<moment>.<parameter>`."""
    return {
        f"{moment}.{name}": value
        for name, parameter in run.learner.parameters().items()
        for moment, value in run.optimizer.state[parameter].items()
    }


def _restore_optimizer(optimizer: torch.optim.AdamW, learner: Learner, tensors: Mapping[str, Tensor]) -> None:
    moments = {
        number: {
            moment: tensors[f"{moment}.{name}"]
            for moment in ("step", "exp_avg", "exp_avg_sq")
            if f"{moment}.{name}" in tensors
        }
        for number, name in enumerate(learner.parameters())
    }
    # Before the first step there are no moments to restore.
    if any(moments.values()):
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
