"""Kill training with signal 9 at random points: the survivor must be the run that nobody killed.

    python -m benchmarks.kill_training [--kills 20] [--steps 200] [--seed N]

A small library is sealed and trained on with the `cpu` preset, saved every ten steps, once without a kill and then in
as many attempts as it takes, of which `--kills` are killed (`tests.training.doomed` says where). A run that is through
before is compared and another is begun. Printed are, for each kill, after how many steps the run was last saved, and at
the end whether weights and proof of every run held. The seed is printed, so that the same points can be aimed at again.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from db import artefacts
from db.project import Project, open_project
from tests.cli import cleartitle
from tests.library import make_library
from tests.training.doomed import attempt, random_attempt
from tests.training.trained_library import seal
from training.checkpoint import checkpoint_paths, step_of

_TRAIN = ("train", "--snapshot", "spring", "--config", "run.toml", "--name", "model")
_SAVED_EVERY = 10
_NUM_CHANGES = 60


def main() -> None:
    """Kill, take up, compare, and print one JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(_kill(Path(name), arguments.kills, arguments.steps, arguments.seed)))


def _kill(root: Path, num_kills: int, num_steps: int, seed: int) -> dict[str, object]:
    sealed = make_library(root)
    seal(sealed)
    settings = f"num_steps = {num_steps}\ncheckpoint_every = {_SAVED_EVERY}\n"
    (sealed.root / "run.toml").write_text(settings, encoding="utf-8")
    begin = time.perf_counter()
    whole = _copy(sealed, root / "whole")
    assert attempt(whole.root, _TRAIN, change=0, delay_seconds=0).exit_code == 0
    uninterrupted_seconds = time.perf_counter() - begin
    chooser, saved, runs = random.Random(seed), list[int](), [_copy(sealed, root / "0")]
    while len(saved) < num_kills:
        tried = random_attempt(runs[-1].root, _TRAIN, chooser, _NUM_CHANGES)
        if tried.is_killed:
            saved.append(_last_saved(runs[-1]))
            print(f"kill {len(saved)}: last saved after {saved[-1]} steps", file=sys.stderr)
        else:
            runs.append(_copy(sealed, root / str(len(runs))))
    assert attempt(runs[-1].root, _TRAIN, change=0, delay_seconds=0).exit_code == 0
    proofs = [
        cleartitle("training", "verify", "model", "--replay", "2", cwd=run.root).exit_code for run in runs
    ]
    return {
        "seed": seed,
        "num_kills": num_kills,
        "num_steps": num_steps,
        "num_runs": len(runs),
        "last_saved": saved,
        "uninterrupted_seconds": round(uninterrupted_seconds, 1),
        "same_weights": sum(_weights(run) == _weights(whole) for run in runs),
        "proofs_that_hold": proofs.count(0),
    }


def _copy(project: Project, folder: Path) -> Project:
    return open_project(shutil.copytree(project.root, folder))


def _last_saved(project: Project) -> int:
    return max((step_of(path) for run in project.runs.iterdir() for path in checkpoint_paths(run)), default=0)


def _weights(project: Project) -> str | None:
    with project.session() as session:
        model = artefacts.find_model(session, "model")
    return None if model is None else model.weights_sha256


if __name__ == "__main__":
    main()
