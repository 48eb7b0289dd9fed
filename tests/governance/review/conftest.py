"""A library with a title conflict, made once and copied for whoever records verdicts in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from db.project import Project, open_project
from tests.governance.review.desk_maker import make_conflict


@pytest.fixture(scope="session")
def conflict(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The library. Read only: ask for `project` to change it."""
    return make_conflict(tmp_path_factory.mktemp("conflict"))


@pytest.fixture
def project(conflict: Project, tmp_path: Path) -> Project:
    """A copy of the library; the footage itself lies where it was."""
    shutil.copytree(conflict.root, tmp_path / "project")
    return open_project(tmp_path / "project")
