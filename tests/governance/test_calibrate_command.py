from __future__ import annotations

from pathlib import Path

import pytest

from governance.bootstrap import bootstrap
from tests.cli import cleartitle
from tests.media import moving_scene, write_video


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bootstrap(tmp_path_factory.mktemp("calibrate") / "project").project.root


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (b"name,place\na.mp4,x\n", "no columns file and group"),
        (b"file,group\n\xff\xfe\n", "is no CSV in UTF-8"),
        (b"file,group\nelsewhere.mp4,x\n", "no file in"),
    ],
)
def test_a_table_of_groups_that_cannot_be_used_is_refused(
    project: Path, tmp_path: Path, table: bytes, said: str
) -> None:
    write_video(tmp_path / "a.mp4", moving_scene(1, 24, 96, 128))
    groups = tmp_path / "groups.csv"
    groups.write_bytes(table)
    result = cleartitle("calibrate", "--footage", str(tmp_path), "--groups", str(groups), cwd=project)
    assert result.exit_code == 2
    assert said in result.stderr


def test_one_clip_is_not_enough(project: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", moving_scene(1, 72, 96, 128))
    result = cleartitle("calibrate", "--footage", str(tmp_path), cwd=project)
    assert result.exit_code == 2
    assert "not even two contents" in result.stderr


def test_a_policy_that_is_none_is_refused_before_any_work(project: Path, tmp_path: Path) -> None:
    for seed in (1, 2):
        write_video(tmp_path / f"{seed}.mp4", moving_scene(seed, 72, 96, 128))
    broken = tmp_path / "own.yaml"
    broken.write_text("title: nothing else\n", encoding="utf-8")
    result = cleartitle("calibrate", "--footage", str(tmp_path), "--policy", str(broken), cwd=project)
    assert result.exit_code == 2
    assert "own.yaml" in result.stderr
    assert not list((project / "store" / "calibrations").glob("*.json"))
