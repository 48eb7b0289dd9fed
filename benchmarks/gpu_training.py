"""Train a preset for some minutes, kill it, take it up, replay a part of it, and say what the device reached.

    python -m benchmarks.gpu_training [--preset s] [--minutes 8] [--out FOLDER] [--set KEY=VALUE ...] [--steps N]

A run on the 384 procedural scenes of `training.instrument`, which are drawn where they would be decoded: no media
library is needed, and decoding is not measured. Everything else is the code of `cleartitle train` below the database:
the cleared reader with its digests, ledger, signed heads, checkpoints.

1. A short run, thrown away, tells how long a step takes; that many steps as fit into the minutes are then planned.
2. The run is killed with signal 9 after two fifths of its steps, taken up again, and finished.
3. A segment between two checkpoints is trained again: same frames, same bits, or how far from them.

Starting, checkpoints (16 bytes a parameter, ten of them) and replay come on top of the minutes. Printed as JSON: steps
and clips per second, memory, model FLOP utilisation against the device's stated peak and against a matrix product
measured here, and what the replay found. Weights, samples, loss curve and ledger are left in FOLDER.

Needs Python 3.11 or later with torch 2.11 or later, numpy, safetensors, cryptography, rfc8785, sqlalchemy, matplotlib
and Pillow; no network. Without a GPU, small settings show that the script works and nothing else.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import math
import os
import platform
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from db.canonical import digest_of
from governance.snapshots.snapshot import ClearedSpan, Snapshot
from ingest.encoders.compute import choose_compute
from tests.training.cleared_footage import KEY, Footage, make_permit, make_snapshot, open_ledger
from training.checkpoint import checkpoint_paths, load_checkpoint, step_of
from training.config import TrainingConfig, config_from_mapping
from training.data import ClearedClips, FrameCache
from training.errors import ProofError
from training.execution import choose_execution
from training.instrument.scenes import procedural_scenes
from training.loop import finish, prepare, train_steps
from training.proof.ledger import HEADS_NAME, LEDGER_NAME
from training.reference import ReferenceRecipe
from training.run import TrainingRun, save_run
from training.team import Alone
from training.tensor_file import tensors_under

_CHECKOUT = Path(__file__).resolve().parents[1]
_DATASHEET_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12}
"""Dense bfloat16 products without sparsity, a second, as NVIDIA's data sheets state them (of the SXM boards)."""
_CALIBRATION_STEPS = 30
_NUM_CHECKPOINTS = 10
_KILLED_AFTER = Fraction(2, 5)
_SETTLED = 5
"""Steps of a process that are left out of its rate: the first compile, and fill the memory of clips."""


class DrawnFrames(FrameCache):
    """A cache whose names do not ask for a media library."""

    def path_of(self, span: ClearedSpan) -> Path:
        """Return where the frames of `span` are kept."""
        return self._folder / f"{span.clip_id}.rgb"


class DrawnClips(ClearedClips):
    """The scenes as cleared clips; frames are drawn where those of footage would be decoded."""

    def __init__(self, snapshot: Snapshot, config: TrainingConfig, cache_folder: Path) -> None:
        super().__init__(
            snapshot,
            make_permit(snapshot, config),
            config=config,
            public_key=KEY.public_key(),
            cache_folder=cache_folder,
            clock=lambda: dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC),
        )
        self.frame_cache = DrawnFrames(cache_folder, config)
        self._shape = config.clip_shape
        self._scenes = {f"{number:016x}": scene for number, scene in enumerate(procedural_scenes())}

    def _decode(self, span: ClearedSpan) -> Tensor:
        return torch.from_numpy(self._scenes[span.clip_id].draw(*self._shape))


def scene_snapshot() -> Snapshot:
    """Return a snapshot of the scenes; its assets have digests and no files."""
    spans = tuple(
        ClearedSpan(
            clip_id=f"{number:016x}",
            asset_sha256=digest_of(dataclasses.asdict(scene)),
            start_pts=0,
            end_pts=2,
            time_base=Fraction(1),
            duration_seconds=2.0,
            caption=scene.caption,
            grant_digest="0" * 64,
            license_expression="CC0-1.0",
        )
        for number, scene in enumerate(procedural_scenes())
    )
    return make_snapshot(Footage(sources={}, spans=spans))


def open_run(folder: Path, config: TrainingConfig) -> TrainingRun:
    """Begin or take up the run in `folder` on the device of this machine."""
    clips = DrawnClips(scene_snapshot(), config, folder / "frames")
    return prepare(
        clips,
        folder / "run",
        recipe=ReferenceRecipe(config),
        ledger=open_ledger(folder / "run"),
        team=Alone(str(choose_compute().device)),
    )


def train(folder: Path, config: TrainingConfig, kill_after: int | None) -> dict[str, Any]:
    """Take the steps that are left and finish the run; after step `kill_after` the process kills itself."""
    run = open_run(folder, config)
    first, begin = run.step, time.perf_counter()
    seconds: list[float] = []
    since = begin
    for report in train_steps(run):
        now = time.perf_counter()
        seconds.append(now - since)
        since = now
        if report.step % max(1, config.num_steps // 20) == 0:
            print(
                f"step {report.step}: loss {report.loss:.4f}, {seconds[-1]:.3f} s",
                file=sys.stderr,
                flush=True,
            )
        if report.step == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)
    trained = time.perf_counter() - begin
    finished = finish(run, folder / "model")
    settled = seconds[_SETTLED:] or seconds
    return {
        "taken_up_at_step": first,
        "num_parameters": finished.num_parameters,
        "flop_per_step": run.learner.count_step_flops(),
        "execution": run.execution.facts(),
        "median_step_seconds": statistics.median(settled),
        "clips_per_second": config.batch_size / statistics.median(settled),
        "clips_per_second_with_start_and_checkpoints": config.batch_size * len(seconds) / trained,
        "peak_memory_bytes": _peak_memory(run.execution.device),
        "first_loss": run.losses[0],
        "final_loss": finished.final_loss,
        "weights_sha256": finished.weights_sha256,
    }


def _peak_memory(device: str) -> int:
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def replay(folder: Path, config: TrainingConfig) -> dict[str, Any]:
    """Train the segment before the last checkpoint but one again; its ledger must not differ by a leaf."""
    steps = sorted(step_of(path) for path in checkpoint_paths(folder / "run"))
    start, end = steps[-3:-1] if len(steps) > 2 else (0, steps[0])
    with tempfile.TemporaryDirectory() as name:
        again = Path(name)
        (again / "run").mkdir()
        for kept in [
            LEDGER_NAME,
            HEADS_NAME,
            *(path.name for path in (folder / "run").glob(f"step-{start:08d}.*")),
        ]:
            shutil.copyfile(folder / "run" / kept, again / "run" / kept)
        run = open_run(again, config)
        found: dict[str, Any] = {"from_step": start, "to_step": end, "begins_at": run.step}
        try:
            for report in train_steps(run):
                if report.step == end:
                    break
            save_run(run)
        except ProofError as exc:
            is_end = run.step == end
            return found | {
                "frames": "the same" if is_end else f"not the same: {exc}",
                "state": f"{_distance(folder, run):.1e} apart" if is_end else "not compared",
            }
    return found | {"frames": "the same", "state": "the same bits"}


def _distance(folder: Path, run: TrainingRun) -> float:
    """Return how far the weights of a replay are from those of the checkpoint, in lengths of the weights."""
    kept = load_checkpoint(folder / "run" / f"step-{run.step:08d}.json").tensors
    signed, found = tensors_under(kept, "model"), tensors_under(run.learner.tensors(), "model")
    apart = sum(float((found[name].cpu() - value).double().square().sum()) for name, value in signed.items())
    return math.sqrt(apart / sum(float(value.double().square().sum()) for value in signed.values()))


def matrix_flops(device: str, dtype: torch.dtype) -> float:
    """Return the operations a second of a large matrix product, the median of several."""
    side, repeats = (8192, 20) if device.startswith("cuda") else (1024, 5)
    one, other = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(repeats):
        _wait(device)
        begin = time.perf_counter()
        one @ other
        _wait(device)
        seconds.append(time.perf_counter() - begin)
    return 2 * side**3 / statistics.median(seconds)


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def peaks(config: TrainingConfig) -> dict[str, Any]:
    """Return what the device can do at most, as stated and as measured here, in the run's own number format."""
    device = str(choose_compute().device)
    execution = choose_execution(config, device)
    name = torch.cuda.get_device_name(device) if execution.is_on_gpu else platform.processor() or "CPU"
    stated = next((flops for board, flops in _DATASHEET_FLOPS.items() if board in name), None)
    return {
        "device": name,
        "torch": str(torch.__version__),
        "stated_peak_flops": stated if execution.is_half else None,
        "measured_matrix_flops": matrix_flops(device, torch.bfloat16 if execution.is_half else torch.float32),
    }


def _part(arguments: list[str], part: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Run one part in a process of its own; what it says on stderr is passed on."""
    command = [sys.executable, "-m", "benchmarks.gpu_training", *arguments, "--part", part, *more]
    return subprocess.run(command, cwd=_CHECKOUT, stdout=subprocess.PIPE, text=True, check=False)


def _answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    if done.returncode != 0:
        raise SystemExit(f"a part of the benchmark ended with {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Plan, train, kill, take up, replay; returns everything that was found."""
    folder: Path = arguments.out
    if folder.exists() and any(folder.iterdir()):
        raise SystemExit(f"{folder} is not empty")
    common = ["--preset", arguments.preset, "--set", *arguments.set]
    num_steps, planned = arguments.steps, None
    if num_steps is None:
        with tempfile.TemporaryDirectory() as name:
            planned = _answer(_part([*common, "--steps", str(_CALIBRATION_STEPS), "--out", name], "train"))
        num_steps = max(_NUM_CHECKPOINTS, round(arguments.minutes * 60 / planned["median_step_seconds"]))
    common += ["--steps", str(num_steps), "--out", str(folder)]
    kill_after = int(_KILLED_AFTER * num_steps) + 1
    begin = time.perf_counter()
    killed = _part(common, "train", "--kill-after", str(kill_after))
    if killed.returncode != -signal.SIGKILL:
        raise SystemExit(f"the run was not killed but ended with {killed.returncode}")
    trained = _answer(_part(common, "train"))
    wall = time.perf_counter() - begin
    limits, replayed = _answer(_part(common, "peaks")), _answer(_part(common, "replay"))
    reached = trained["flop_per_step"] / trained["median_step_seconds"]
    stated = limits["stated_peak_flops"]
    return {
        "measured_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "preset": arguments.preset,
        "set": arguments.set,
        "num_steps": num_steps,
        "killed_after_step": kill_after,
        **limits,
        **trained,
        "wall_seconds_of_both_processes": wall,
        "model_flops_per_second": reached,
        "mfu_of_stated_peak": None if stated is None else reached / stated,
        "mfu_of_measured_product": reached / limits["measured_matrix_flops"],
        "replay": replayed,
    }


def main() -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="s")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--steps", type=int, help="take so many steps instead of filling the minutes")
    parser.add_argument("--out", type=Path, default=Path("gpu-training"))
    parser.add_argument("--part", choices=("train", "peaks", "replay"), help=argparse.SUPPRESS)
    parser.add_argument("--kill-after", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.out = arguments.out.resolve()
    if arguments.part is None:
        found = measure(arguments)
        (arguments.out / "result.json").write_text(json.dumps(found, indent=2), encoding="utf-8")
        print(json.dumps(found, indent=2))
        return
    steps = arguments.steps
    values = tomllib.loads("\n".join(arguments.set))
    values |= {"num_steps": steps, "checkpoint_every": max(1, steps // _NUM_CHECKPOINTS)}
    config = config_from_mapping({"preset": arguments.preset, **values})
    if arguments.part == "train":
        found = train(arguments.out, config, arguments.kill_after)
    else:
        found = peaks(config) if arguments.part == "peaks" else replay(arguments.out, config)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
