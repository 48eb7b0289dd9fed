"""The training loop: `prepare` a run, walk through `train_steps`, then `finish` it.

    clips = ClearedClips(snapshot, permit, config=config, public_key=key, cache_folder=folder / "frames")
    run = prepare(clips, folder, recipe=ReferenceRecipe(config), ledger=ledger, team=Alone("cpu"))
    with contextlib.closing(train_steps(run)) as steps:
        for report in steps:
            ...                         # draw the bar
    finished = finish(run, folder / "model")

The loop knows no database, signature or terminal. Everything random is a function of (run seed, step), see
`training.randomness`; a run that was stopped at any point and prepared again ends with the same bits on the
same CPU with the same number of threads.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Generator, Sequence
from pathlib import Path

import torch

from training.errors import CheckpointError, TrainingConfigError
from training.exposure import Exposure
from training.learner import EncodedClip
from training.memory import advising
from training.plots import draw_contact_sheet, draw_loss_curve
from training.randomness import batch_indices
from training.run import TrainingRun, prepare, save_run
from training.settings import RunConfig
from training.video_model import VideoModel, draw_all

__all__ = ["FinishedRun", "StepReport", "finish", "prepare", "train_steps"]

# A clip's code takes 12 KiB with the default configuration, 768 KiB with the preset `s`, 18 MiB with `b256`.
_MEMORY_BYTES = 2 << 30
_MAX_GRADIENT_NORM = 1.0
_NUM_SHEET_ROWS = 8
_SHEET_SHARE = 0.05


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepReport:
    """One optimiser step that has been taken."""

    step: int
    """Steps taken so far, this one included."""
    loss: float
    gradient_norm: float
    """Of the whole batch, before it is cut to at most 1."""
    learning_rate: float
    clip_ids: tuple[str, ...]
    """The clips of the batch, in order; one may occur twice."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """What a completed run leaves behind."""

    weights_path: Path
    weights_sha256: str
    loss_curve_path: Path
    contact_sheet_path: Path
    exposures: list[Exposure]
    """One row per clip of the snapshot, in reading order."""
    architecture: str
    num_parameters: int
    final_loss: float
    """Mean loss of the last tenth of the steps."""


def train_steps(run: TrainingRun) -> Generator[StepReport, None, None]:
    """Take the steps that are left, yielding after each; write a checkpoint every `config.checkpoint_every`.

    When interrupted, or closed early by the caller, the run is saved where it stands and the interruption
    goes on. Raises `TrainingConfigError` if loss or gradient is not finite or memory runs out, `NotCleared` if a clip
    may no longer be read; nothing is saved then.
    """
    try:
        while run.step < run.config.num_steps:
            report = _take_step(run)
            if run.step % run.config.checkpoint_every == 0 or run.step == run.config.num_steps:
                save_run(run)
            yield report
    except (KeyboardInterrupt, GeneratorExit):
        # In the middle of an update nothing is saved: the run goes on from the checkpoint before, to the same
        # end.
        if run.is_between_steps and run.saved_step != run.step:
            save_run(run)
        raise


def finish(run: TrainingRun, folder: Path) -> FinishedRun:
    """Write weights, loss curve and contact sheet into `folder`, and remove the decoded frames.

    The sheet shows the model's own drawing of up to eight captions of the snapshot.
    Raises `CheckpointError` if steps are left to take.
    """
    if run.step < run.config.num_steps:
        raise CheckpointError(f"the run has taken {run.step} of {run.config.num_steps} steps")
    trained = trained_model(run)
    weights_path = folder / "model.safetensors"
    weights_sha256 = trained.save(weights_path)
    run.ledger.note_weights(weights_sha256, run.step)
    loss_curve_path = folder / "loss.png"
    draw_loss_curve(loss_curve_path, run.losses, title=f"Training on snapshot {run.clips.snapshot.name}")
    contact_sheet_path = folder / "samples.png"
    draw_sheet(contact_sheet_path, run, trained)
    run.clips.close()
    run.clips.frame_cache.remove()
    tail = run.losses[-max(1, len(run.losses) // 10) :]
    return FinishedRun(
        weights_path=weights_path,
        weights_sha256=weights_sha256,
        loss_curve_path=loss_curve_path,
        contact_sheet_path=contact_sheet_path,
        exposures=run.exposures.rows(run.clips.spans),
        architecture=trained.architecture,
        num_parameters=trained.num_parameters,
        final_loss=sum(tail) / len(tail),
    )


def trained_model(run: TrainingRun) -> VideoModel:
    """Return the averaged model of the run as it stands, with the record of where it came from."""
    snapshot = run.clips.snapshot
    return run.learner.trained_model(
        {
            "policy_digest": snapshot.policy_digest,
            "run_seed": run.seed,
            "snapshot_name": snapshot.name,
            "snapshot_root": snapshot.merkle_root,
            "steps": run.step,
        }
    )


def learning_rate_at(step: int, config: RunConfig) -> float:
    """Return the rate of step `step` (from 0): linear warm-up, then cosine to zero."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.num_steps - config.warmup_steps)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * progress))


def _take_step(run: TrainingRun) -> StepReport:
    config = run.config
    indices = batch_indices(run.seed, run.step, num_clips=len(run.clips), batch_size=config.batch_size)
    advice = advising(config, run.execution.device, doing=f"step {run.step + 1}")
    with run.execution.deterministic(), advice:
        loss, frames_sha256 = _accumulate(run, indices)
        _require_finite(run, "loss", loss)
        norm = float(torch.nn.utils.clip_grad_norm_(run.learner.parameters().values(), _MAX_GRADIENT_NORM))
        _require_finite(run, "norm of the gradient", norm)
        rate = learning_rate_at(run.step, config)
        run.is_between_steps = False
        _update(run, rate)
    run.exposures.note_step(run.step, indices)
    for index, digest in zip(indices, frames_sha256, strict=True):
        # What another process read must be what this one would.
        run.clips.frame_cache.expect(run.clips.spans[index].clip_id, digest)
        run.exposures.note_frames(index, digest)
    run.ledger.note_step(run.step, indices, frames_sha256)
    run.losses.append(loss)
    run.step += 1
    run.is_between_steps = True
    return StepReport(
        step=run.step,
        loss=loss,
        gradient_norm=norm,
        learning_rate=rate,
        clip_ids=tuple(run.clips.spans[index].clip_id for index in indices),
    )


def _require_finite(run: TrainingRun, name: str, value: float) -> None:
    """Raise `TrainingConfigError` before anything is changed; the run is not saved after."""
    if not math.isfinite(value):
        raise TrainingConfigError(
            f"step {run.step + 1}: the {name} is {value}, expected a finite number",
            hint=f"lower learning_rate (now {run.config.learning_rate}); the checkpoint before is kept",
        )


def _accumulate(run: TrainingRun, indices: Sequence[int]) -> tuple[float, list[str]]:
    """Add up the gradient of a batch: each process of the team takes its share, in parts.

    Returns the loss of the whole batch, and the digests of its frames in the order of `indices`.
    """
    team, num_parts = run.team, run.config.accumulation
    run.optimizer.zero_grad()
    captions = [run.clips.spans[index].caption for index in indices]
    batch = run.learner.draw_batch(captions, seed=run.seed, step=run.step)
    size = len(indices) // (team.size * num_parts)
    share, loss, digests = team.rank * num_parts * size, 0.0, list[str]()
    for start in range(share, share + num_parts * size, size):
        samples = [_encoded(run, index) for index in indices[start : start + size]]
        is_last = start + size == share + num_parts * size
        with contextlib.nullcontext() if is_last else team.holding_back():
            part = batch.loss(samples, start) / num_parts
            part.backward()  # type: ignore[no-untyped-call]
        loss += part.item()
        digests += [sample.frames_sha256 for sample in samples]
    shares = team.gather((loss, digests))
    return sum(value for value, _ in shares) / team.size, [digest for _, part in shares for digest in part]


def _encoded(run: TrainingRun, index: int) -> EncodedClip:
    """Return clip `index`, read and checked, or remembered from when that was done in this process.

    Raises `NotCleared` as reading it does, if permit or snapshot has run out also for what is remembered.
    """
    memory, span = run.memory, run.clips.spans[index]
    if span.clip_id in memory:
        run.clips.require_in_time(span)
        return memory[span.clip_id]
    sample = run.clips[index]
    clip = memory[span.clip_id] = EncodedClip(
        clip_id=span.clip_id,
        frames_sha256=sample["frames_sha256"],
        code=run.learner.encode(sample["frames_TCHW"]),
    )
    if len(memory) * clip.code.nbytes > _MEMORY_BYTES:
        memory.popitem(last=False)
    return clip


def _update(run: TrainingRun, rate: float) -> None:
    """Take one optimiser step and move the average after it."""
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    run.optimizer.step()
    # A shorter memory at the beginning, so that the average forgets the initial weights.
    decay = min(run.config.ema_decay, (1 + run.step) / (10 + run.step))
    averages = run.learner.averages()
    with torch.no_grad():
        for name, parameter in run.learner.parameters().items():
            averages[name].lerp_(parameter, 1.0 - decay)


def is_sheet_cheap(run: TrainingRun, num_steps: int) -> bool:
    """Whether drawing a sheet takes less than a twentieth of the work of `num_steps` steps."""
    config = run.config
    # A pass forward with and without the caption, for each step of drawing; a step of training is three passes.
    drawing = len(_sheet_captions(run)) * 2 * config.sampling_steps
    return drawing < _SHEET_SHARE * num_steps * config.batch_size * 3


def draw_sheet(path: Path, run: TrainingRun, trained: VideoModel) -> None:
    """Write what the model of a run draws for up to eight captions of its snapshot, as a picture."""
    captions = _sheet_captions(run)
    draw_contact_sheet(path, captions, draw_all(trained, captions, run.config.seed))


def _sheet_captions(run: TrainingRun) -> list[str]:
    captions = list(dict.fromkeys(span.caption for span in run.clips.spans))
    count = min(_NUM_SHEET_ROWS, len(captions))
    return [captions[number * len(captions) // count] for number in range(count)]
