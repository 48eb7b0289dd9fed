"""The exported table is complete, and harmless in a spreadsheet."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from db.clock import utc_now
from db.errors import ConfigError
from db.project import Project
from governance.audit.export import export_decisions
from governance.decisions.clearance import clear_library, present_comparison
from governance.policy.files import find_policy
from tests.library import claim_rights, make_library, take_footage

POLICY = "commercial-training"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("library")
    project = make_library(root)
    files = take_footage(project, root / "footage")
    claim_rights(project, files, root / "footage" / "more.csv", "found.mp4,=1+1,@Films,CC0-1.0,")
    clear_library(
        project,
        find_policy(POLICY),
        present_comparison(project),
        as_of=utc_now(),
        on_progress=lambda _n: None,
    )
    return project


def _export(library: Project, path: Path) -> int:
    with library.session() as session:
        return export_decisions(session, POLICY, path)


def _read(path: Path) -> pd.DataFrame:
    if path.suffix == ".csv":
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    return pd.read_excel(path, dtype=str) if path.suffix == ".xlsx" else pd.read_parquet(path)


@pytest.mark.parametrize("name", ["clips.csv", "clips.xlsx", "clips.parquet"])
def test_every_clip_is_in_the_table(library: Project, tmp_path: Path, name: str) -> None:
    assert _export(library, tmp_path / name) == 4
    table = _read(tmp_path / name)
    assert sorted(table["outcome"]) == ["cleared", "cleared", "cleared", "excluded"]
    assert set(table["license_expression"]) == {"CC0-1.0", "CC-BY-4.0", "CC-BY-NC-4.0"}


def test_a_title_that_looks_like_a_formula_is_text(library: Project, tmp_path: Path) -> None:
    _export(library, tmp_path / "clips.csv")
    table = _read(tmp_path / "clips.csv")
    assert "'=1+1" in set(table["title"])
    assert "'@Films" in set(table["rights_holder"])


def test_another_suffix_is_refused_and_writes_nothing(library: Project, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.csv"):
        _export(library, tmp_path / "clips.doc")
    assert not list(tmp_path.iterdir())
