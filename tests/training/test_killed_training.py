"""Training killed with signal 9 at twenty random points ends with the same weights, and with one ledger that holds."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from db import artefacts
from db.exposures import RunExposure, exposures_of
from db.project import Project, open_project
from tests.cli import cleartitle
from tests.library import make_library
from tests.training.doomed import attempt, random_attempt
from tests.training.trained_library import CONFIG, seal
from training.proof.evidence import RunEvidence, find_run
from training.proof.ledger import Leaf, read_leaves

_NUM_KILLS = 20
_NUM_CHANGES = 60
"""Few enough that a run is killed some ten times before it is through."""
_TRAIN = ("train", "--snapshot", "spring", "--config", "tiny.toml", "--name", "model")


@pytest.fixture(scope="module")
def sealed_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a library, a sealed snapshot and settings of a small run that is saved often."""
    root = tmp_path_factory.mktemp("sealed")
    project = make_library(root)
    seal(project)
    settings = CONFIG.to_dict() | {"num_steps": 24, "checkpoint_every": 2}
    lines = [f"{name} = {value!r}".replace("'", '"') for name, value in settings.items()]
    (project.root / "tiny.toml").write_text("\n".join(lines), encoding="utf-8")
    return root


def sealed_projects(sealed_root: Path, folder: Path) -> Iterator[Project]:
    """Yield copies of the sealed project, as many as are asked for; the footage is shared."""
    number = 0
    while True:
        yield open_project(shutil.copytree(sealed_root / "project", folder / str(number)))
        number += 1


def remade(run: RunEvidence) -> list[Leaf]:
    """Return the leaves of a ledger that are the same in every run: what it consumed and what it left behind."""
    return [leaf for leaf in read_leaves(run.ledger) if leaf["kind"] not in {"intent", "permit"}]


def exposures(project: Project, run: RunEvidence) -> list[RunExposure]:
    with project.session() as session:
        return exposures_of(session, run.run_id)


def check_like(project: Project, whole: Project) -> None:
    """Check that a run that was killed is, but for its permits, the one that was not, and that its proof holds."""
    with project.session() as session, whole.session() as other:
        survivor, expected = artefacts.find_model(session, "model"), artefacts.find_model(other, "model")
    assert survivor is not None
    assert expected is not None
    assert survivor.weights_sha256 == expected.weights_sha256
    run, uninterrupted = find_run(project, "model"), find_run(whole, "model")
    # One ledger: every step once and in order, every checkpoint with the same state, nothing of the lost attempts.
    assert remade(run) == remade(uninterrupted)
    assert exposures(project, run) == exposures(whole, uninterrupted)
    answer = cleartitle("training", "verify", "model", "--replay", "2", cwd=project.root)
    assert answer.exit_code == 0, answer.stdout + answer.stderr
    assert not list(project.store.rglob(".*")), "a killed writer's files are gone"


@pytest.mark.slow
def test_a_run_killed_at_twenty_random_points_ends_with_the_same_weights(
    sealed_root: Path, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed of the kills: {seed}")  # noqa: T201 - shown if the test fails
    chooser, projects = random.Random(seed), sealed_projects(sealed_root, tmp_path)
    whole = next(projects)
    assert attempt(whole.root, _TRAIN, change=0, delay_seconds=0).exit_code == 0
    project, num_kills = next(projects), 0
    while num_kills < _NUM_KILLS:
        tried = random_attempt(project.root, _TRAIN, chooser, _NUM_CHANGES)
        print(f"change {tried.change}, {1000 * tried.delay_seconds:.0f} ms later: exit {tried.exit_code}")  # noqa: T201
        num_kills += tried.is_killed
        if not tried.is_killed:
            assert tried.exit_code == 0, tried.stderr
            check_like(project, whole)
            project = next(projects)
    assert attempt(project.root, _TRAIN, change=0, delay_seconds=0).exit_code == 0
    check_like(project, whole)
