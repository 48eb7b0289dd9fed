"""Toy bases on disk, and a project with a sealed snapshot and one of them on record."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from db.project import Project, open_project
from governance.bootstrap import bootstrap
from tests.training.adapters.toy_bases import write_toy_base
from tests.training.sealed_library import make_sealed_library
from training.adapters.bases import BaseModel, BaseStatement, add_base


def statement_in(folder: Path, **stated: object) -> BaseStatement:
    """Return what is said of a base, its licence being a file in `folder`."""
    licence = folder / "LICENSE"
    licence.write_text("You may use these weights.\n")
    facts = {
        "license_file": licence,
        "license_expression": "Apache-2.0",
        "training_data": "undisclosed",
        "reviewer": "A reviewer",
    }
    return BaseStatement(**{**facts, **stated})  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def ltx_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy LTX-Video. Read only: copy what you change."""
    return write_toy_base(tmp_path_factory.mktemp("ltx") / "ltx", "ltx")


@pytest.fixture
def ltx_copy(ltx_folder: Path, tmp_path: Path) -> Path:
    """The same, for a test to change."""
    return Path(shutil.copytree(ltx_folder, tmp_path / "ltx"))


@pytest.fixture
def empty_project(tmp_path: Path) -> Project:
    """A project with nothing in it."""
    return bootstrap(tmp_path / "project").project


@pytest.fixture
def ltx(empty_project: Project, ltx_copy: Path, tmp_path: Path) -> BaseModel:
    """The toy LTX-Video on record in `empty_project`."""
    return add_base(empty_project, ltx_copy, "ltx", statement_in(tmp_path))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, ltx_folder: Path) -> Project:
    """A project with the snapshot `spring` and the toy LTX-Video on record."""
    root = tmp_path_factory.mktemp("library")
    project = make_sealed_library(root)
    add_base(project, ltx_folder, "ltx", statement_in(root))
    return open_project(project.root)
