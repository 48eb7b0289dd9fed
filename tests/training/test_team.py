"""A run that two processes carry is the run of one: the same ledger, nearly the same weights, a proof that holds."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from db import artefacts
from db.project import Project, open_project
from governance.snapshots.snapshot import Snapshot
from tests.cli import cleartitle
from tests.library import make_library
from tests.training.cleared_footage import TINY, open_clips, open_ledger
from tests.training.test_killed_training import exposures, remade
from tests.training.trained_library import CONFIG, seal
from training.checkpoint import checkpoint_paths, load_newest_checkpoint, step_of
from training.effort import read_lines
from training.errors import TrainingConfigError
from training.loop import prepare
from training.proof.evidence import RunEvidence, find_run
from training.proof.ledger import Leaf, read_leaves
from training.proof.replay import TOLERANCE
from training.reference import ReferenceRecipe
from training.team import Alone
from training.tensor_file import tensors_under

_CHECKOUT = Path(__file__).resolve().parents[2]
_PATIENCE_SECONDS = 300
_TRAIN = ("train", "--snapshot", "spring", "--config", "tiny.toml", "--name", "model")


class _Three(Alone):
    """A team that has two others, of whom nothing is heard before the first batch."""

    size = 3


def test_a_batch_that_cannot_be_shared_evenly_is_refused(snapshot: Snapshot, tmp_path: Path) -> None:
    clips, ledger = open_clips(snapshot, tmp_path / "frames"), open_ledger(tmp_path)
    with pytest.raises(TrainingConfigError, match="batch_size is 4: expected a multiple of 3"):
        prepare(clips, tmp_path, recipe=ReferenceRecipe(TINY), ledger=ledger, team=_Three("cpu"))


def _launch(folder: Path, *program: str) -> list[subprocess.Popen[str]]:
    """Start a module twice on the CPU, as a launcher starts the processes of one run."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    variables = os.environ | {
        "PYTHONPATH": str(_CHECKOUT),
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    variables |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    return [
        subprocess.Popen(
            [sys.executable, "-m", *program],
            cwd=folder,
            env=variables | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


def _train_together(project: Project) -> list[str]:
    """Train in two processes and return what each said on stdout."""
    processes = _launch(project.root, "cleartitle", *_TRAIN)
    said = [process.communicate(timeout=_PATIENCE_SECONDS) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    return [stdout for stdout, _ in said]


def _kill_both(project: Project, change: int) -> None:
    """Begin to train in two processes, and kill both when the first makes its n-th change to the project."""
    processes = _launch(project.root, "tests.training.doomed", str(project.root), str(change), *_TRAIN)
    assert processes[0].stdout is not None
    assert "reached\n" in iter(processes[0].stdout.readline, "")
    for process in processes:
        process.kill()
        process.communicate(timeout=_PATIENCE_SECONDS)
    assert [process.returncode for process in processes] == [-9, -9]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A library with a sealed snapshot, and settings of a small run that is saved often. To be copied."""
    project = make_library(tmp_path_factory.mktemp("sealed"))
    seal(project)
    settings = CONFIG.to_dict() | {"num_steps": 6, "batch_size": 4, "accumulation": 2}
    lines = [f"{name} = {value!r}".replace("'", '"') for name, value in settings.items()]
    (project.root / "tiny.toml").write_text("\n".join(lines), encoding="utf-8")
    return project


@pytest.fixture(scope="module")
def together(sealed: Project) -> Project:
    """A run that two processes carried from beginning to end. Read only."""
    project = open_project(shutil.copytree(sealed.root, sealed.root.with_name("together")))
    said = _train_together(project)
    # The first process alone speaks.
    assert "trained: model model" in said[0]
    assert said[1] == ""
    return project


def _consumed(run: RunEvidence) -> list[Leaf]:
    return [leaf for leaf in read_leaves(run.ledger) if leaf["kind"] in {"fitting", "step"}]


def _weights(project: Project) -> str:
    with project.session() as session:
        model = artefacts.find_model(session, "model")
    assert model is not None
    return model.weights_sha256


def _distance(run: RunEvidence, other: RunEvidence) -> float:
    """Return how far the final weights of two runs are apart, in lengths of the weights."""
    one, two = _final_weights(run), _final_weights(other)
    return float((one - two).norm() / two.norm())


def _final_weights(run: RunEvidence) -> torch.Tensor:
    kept = load_newest_checkpoint(run.folder)
    assert kept is not None
    weights = sorted(tensors_under(kept.tensors, "model").items())
    return torch.cat([value.flatten() for _, value in weights]).double()


@pytest.mark.slow
def test_two_processes_train_the_run_of_one(sealed: Project, together: Project, tmp_path: Path) -> None:
    alone = open_project(shutil.copytree(sealed.root, tmp_path / "alone"))
    answer = cleartitle(*_TRAIN, cwd=alone.root)
    assert answer.exit_code == 0, answer.stderr
    run, whole = find_run(together, "model"), find_run(alone, "model")
    assert [found.intent.document["environment"]["processes"] for found in (whole, run)] == ["1", "2"]
    assert _consumed(run) == _consumed(whole)
    assert [len(leaf["clips"]) for leaf in _consumed(run) if leaf["kind"] == "step"] == [4] * 6
    assert exposures(together, run) == exposures(alone, whole)
    assert 0 < _distance(run, whole) < TOLERANCE / 1000
    assert read_lines(run.folder)[-1]["energy_method"] == "1 other processes have counters of their own"

    proof = cleartitle("training", "verify", "model", "--replay", "9", cwd=together.root)
    assert proof.exit_code == 0, proof.stdout + proof.stderr
    assert "2 processes carried the run, one the replay" in " ".join(proof.stdout.split())


@pytest.mark.slow
def test_two_processes_that_were_killed_end_with_the_same_bits(
    sealed: Project, together: Project, tmp_path: Path
) -> None:
    killed = open_project(shutil.copytree(sealed.root, tmp_path / "killed"))
    _kill_both(killed, change=30)
    (folder,) = killed.runs.iterdir()
    assert 0 < max(step_of(path) for path in checkpoint_paths(folder)) < 6
    refused = cleartitle(*_TRAIN, cwd=killed.root)
    assert refused.exit_code == 1
    assert "processes is 1, the run was begun with 2" in refused.stderr
    _train_together(killed)
    assert _weights(killed) == _weights(together)
    run, expected = find_run(killed, "model"), find_run(together, "model")
    assert remade(run) == remade(expected)
    assert exposures(killed, run) == exposures(together, expected)
