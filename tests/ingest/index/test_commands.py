"""The index commands on a small library with an encoder that costs nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from db.errors import ConfigError, RefusedError
from db.project import Project
from governance.bootstrap import bootstrap
from ingest.encoders.encoder import EncoderChoice
from ingest.index import commands as index_commands
from ingest.index import shards
from ingest.index.commands import index
from ingest.matching.nomination import index_folder
from tests.library import ColourEncoder, take_footage
from tests.media import flat_scene, flip_byte, moving_scene, write_video

if TYPE_CHECKING:
    from ingest.index.identity import IndexIdentity
    from ingest.index.manifest import ShardEntry
    from ingest.index.rows import IndexRows


@pytest.fixture(autouse=True)
def _cheap_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = EncoderChoice(ColourEncoder(), "colours serve in this test")
    monkeypatch.setattr("ingest.encoders.encoder.open_encoder", lambda *_arguments: choice)


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("footage")
    for seed in range(5):
        write_video(folder / f"{seed}.mp4", moving_scene(seed, 12, 48, 64), rate=6)
    return folder


@pytest.fixture
def project(tmp_path: Path, footage: Path) -> Project:
    project = bootstrap(tmp_path / "project").project
    take_footage(project, *(footage / f"{seed}.mp4" for seed in range(4)))
    return project


def _run(project: Project, *arguments: str) -> str:
    done = CliRunner().invoke(
        index, [*arguments, "--project", str(project.root)], standalone_mode=False, catch_exceptions=False
    )
    return done.stdout


def _facts(project: Project, *arguments: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(_run(project, *arguments, "--json"))
    return facts


def _manifest(project: Project) -> bytes:
    return (index_folder(project, ColourEncoder.identity) / "manifest.json").read_bytes()


def test_build_adds_what_is_new_and_removes_what_is_gone(
    project: Project, footage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _run(project, "show").startswith("no index")
    assert _facts(project, "show")["num_assets_missing"] == 4
    built = _facts(project, "build")
    assert (built["index_kind"], built["num_assets"], built["num_shards"]) == ("flat-fp16", 4, 1)
    before = _manifest(project)
    assert _facts(project, "build") == built == _facts(project, "show")
    assert _manifest(project) == before

    take_footage(project, footage / "4.mp4")
    assert "1 assets, compared one by one" in _run(project, "show")
    assert _facts(project, "build")["num_assets_missing"] == 0
    embedded = index_commands._embedded(project, ColourEncoder.identity)
    monkeypatch.setattr(index_commands, "_embedded", lambda *_arguments: embedded[1:])
    assert _facts(project, "show")["num_assets_gone"] == 1
    assert _facts(project, "build")["num_assets"] == 4


def test_a_picture_without_texture_does_not_end_a_build(project: Project, tmp_path: Path) -> None:
    """A shard of no rows cannot be added."""
    _run(project, "build")
    write_video(tmp_path / "black.mp4", flat_scene((0, 0, 0), 12, 48, 64), rate=6)
    take_footage(project, tmp_path / "black.mp4")
    assert _facts(project, "build")["num_shards"] == 1


def test_an_interrupted_build_goes_on_and_ends_the_same(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_commands, "_BLOCK_ROWS", 1)
    monkeypatch.setattr(index_commands, "_SHARD_ROWS", 8)
    whole = _facts(project, "build")
    assert whole["num_shards"] > 2
    expected = _manifest(project)
    _run(project, "drop")

    real = shards.add_shard

    def _killed(folder: Path, blocks: Iterable[IndexRows], identity: IndexIdentity) -> ShardEntry:
        if (folder / "shards").exists():

            def _cut() -> Iterator[IndexRows]:
                yield next(iter(blocks))
                raise KeyboardInterrupt

            return real(folder, _cut(), identity)
        return real(folder, blocks, identity)

    with monkeypatch.context() as patched:
        patched.setattr(shards, "add_shard", _killed)
        with pytest.raises(click.Abort):
            _run(project, "build")
    assert _facts(project, "show")["num_shards"] == 1
    assert _facts(project, "build") == whole
    assert _manifest(project) == expected


def test_a_kind_is_kept_until_another_is_asked_for(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.index.kind._MIN_LISTS", 1)
    monkeypatch.setattr("ingest.index.kind._MIN_TRAINING_ROWS_PER_LIST", 1)
    assert _facts(project, "build", "--kind", "ivf-sq8")["index_kind"] == "ivf-sq8"
    again = _facts(project, "build")
    assert again["index_kind"] == "ivf-sq8"
    assert again["statement"].startswith("nominated by an approximate index: finds ")
    assert _facts(project, "build", "--kind", "flat")["statement"] is None


def test_many_small_shards_become_one(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_commands, "_BLOCK_ROWS", 1)
    monkeypatch.setattr(index_commands, "_SHARD_ROWS", 1)
    assert _facts(project, "build")["num_shards"] == 4
    monkeypatch.setattr(index_commands, "_SHARD_ROWS", 1000)
    monkeypatch.setattr(index_commands, "_MAX_SMALL_SHARDS", 3)
    assert _facts(project, "build")["num_shards"] == 1
    assert _facts(project, "show")["num_assets"] == 4


def test_verify_names_the_file_that_differs_and_build_alone_heals_what_is_missing(project: Project) -> None:
    with pytest.raises(ConfigError, match="no index"):
        _run(project, "verify")
    _run(project, "build")
    assert "as recorded" in _run(project, "verify")
    folder = index_folder(project, ColourEncoder.identity)
    flip_byte(folder / "shards" / "0001" / "vectors.faiss", -1)
    with pytest.raises(RefusedError, match=r"vectors\.faiss: sha256") as caught:
        _run(project, "verify")
    assert "index drop" in str(caught.value.hint)
    (folder / "shards" / "0001" / "rows.parquet").unlink()
    _run(project, "build")
    assert "as recorded" in _run(project, "verify")


def test_drop_deletes_the_index_unless_asked_what_it_would_do(project: Project) -> None:
    _run(project, "build")
    folder = index_folder(project, ColourEncoder.identity)
    assert _run(project, "drop", "--dry-run").startswith("would delete")
    assert folder.is_dir()
    assert _run(project, "drop").startswith("deleted")
    assert list(folder.parent.iterdir()) == []


def test_nothing_embedded_is_a_mistake(tmp_path: Path) -> None:
    project = bootstrap(tmp_path / "empty").project
    with pytest.raises(ConfigError, match="nothing is embedded"):
        _run(project, "build")
