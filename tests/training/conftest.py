"""Cleared footage, encoded once, and a model that was trained once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from db.project import Project, open_project
from governance.snapshots.snapshot import Snapshot
from tests.training.cleared_footage import Footage, make_footage, make_snapshot
from tests.training.trained_library import make_trained_library


@pytest.fixture(scope="session")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Footage:
    """Three short films. Read only: copy what you change."""
    return make_footage(tmp_path_factory.mktemp("footage"))


@pytest.fixture
def snapshot(footage: Footage) -> Snapshot:
    """A snapshot of five clips."""
    return make_snapshot(footage)


@pytest.fixture(scope="session")
def trained_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `footage` and a `project` in which a model was trained. Read only."""
    root = tmp_path_factory.mktemp("trained")
    make_trained_library(root)
    return root


@pytest.fixture
def project(trained_root: Path, tmp_path: Path) -> Project:
    """A copy of the project that a test may damage; the footage it points to is shared."""
    return open_project(shutil.copytree(trained_root / "project", tmp_path / "project"))
