"""A sealed snapshot of seven films, one of them held out, and what it looks like when it has left."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from db.project import Project, open_project
from tests.training.sealed_library import make_sealed_library
from training.exports.export import Exported, export_snapshot
from training.exports.webdataset import WEBDATASET


@pytest.fixture(scope="session")
def sealed_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with footage, of which all but one file is licensed, and a project with the snapshot `spring`."""
    root = tmp_path_factory.mktemp("exports")
    make_sealed_library(root)
    return root


@pytest.fixture
def project(sealed_root: Path, tmp_path: Path) -> Project:
    """A copy of the project that a test may change; the footage it points to is shared."""
    shutil.copytree(sealed_root / "project", tmp_path / "project")
    return open_project(tmp_path / "project")


@pytest.fixture(scope="session")
def shards(sealed_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The snapshot as WebDataset shards. Read only."""
    root = tmp_path_factory.mktemp("shards")
    shutil.copytree(sealed_root / "project", root / "project")
    project = open_project(root / "project")
    return export_snapshot(project, "spring", root / "spring", WEBDATASET, on_clip=lambda _n: None)
