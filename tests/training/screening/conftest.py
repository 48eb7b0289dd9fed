"""One project with a trained model for all tests of this folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from db.project import Project, open_project
from tests.training.screening.licensed_model import make_licensed_model


@pytest.fixture(scope="session")
def screened_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Footage and, in `project`, a project with a model. Read only."""
    root = tmp_path_factory.mktemp("screened")
    make_licensed_model(root)
    return root


@pytest.fixture(scope="session")
def project(screened_root: Path) -> Project:
    """The project, which tests only read."""
    return open_project(screened_root / "project")


@pytest.fixture
def own_project(screened_root: Path, tmp_path: Path) -> Project:
    """A copy of the project that a test may change."""
    shutil.copytree(screened_root / "project", tmp_path / "project")
    return open_project(tmp_path / "project")
