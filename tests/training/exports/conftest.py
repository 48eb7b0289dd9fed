"""A sealed snapshot of seven films, one of them held out, and what it looks like when it has left."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from db.clock import utc_now
from db.project import Project, open_project
from governance.bootstrap import bootstrap
from governance.decisions.clearance import clear_library, present_comparison
from governance.policy.files import find_policy
from governance.snapshots.sealing import seal_snapshot
from tests.library import claim_rights, take_footage, write_footage
from training.exports.export import Exported, export_snapshot
from training.exports.webdataset import WEBDATASET

LICENSED = ("sea", "hill", "wood", "lake", "road", "town", "park")


@pytest.fixture(scope="session")
def sealed_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with footage, of which all but one file is licensed, and a project with the snapshot `spring`."""
    root = tmp_path_factory.mktemp("exports")
    project = bootstrap(root / "project").project
    footage = root / "footage"
    write_footage(footage, "found.mp4", *(f"{name}.mp4" for name in LICENSED))
    files = take_footage(project, footage)
    rows = [f"{name}.mp4,The {name},{name.title()} Films,CC-BY-4.0," for name in LICENSED]
    claim_rights(project, files, footage / "rights.csv", *rows)
    policy, comparison = find_policy("commercial-training"), present_comparison(project)
    clear_library(project, policy, comparison, as_of=utc_now(), on_progress=lambda _n: None)
    seal_snapshot(project, "spring", policy, comparison)
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
