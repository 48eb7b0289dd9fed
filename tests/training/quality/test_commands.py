"""The command: cards beside clips, a gallery, and a clear answer for what is no clip."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from db.errors import AnsweredUndecided, ConfigError
from ingest.encoders.compute import Compute
from ingest.encoders.encoder import Encoder, EncoderChoice
from tests.media import truncate_file
from tests.training.quality import films
from training.quality.card import card_path, read_card
from training.quality.commands import quality


@pytest.fixture(autouse=True)
def _one_encoder_for_all(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open the embedded encoder once for all commands: it takes seconds."""

    def opened(spec: str | None, _compute: Compute) -> EncoderChoice:
        assert spec is None
        return EncoderChoice(encoder, "opened before")

    monkeypatch.setattr("ingest.encoders.encoder.open_encoder", opened)


def run(*arguments: str | Path) -> Result:
    """Call the command as the front door does."""
    return CliRunner().invoke(quality, [str(argument) for argument in arguments], standalone_mode=False)


@pytest.fixture
def folder(tmp_path: Path, short_clip: Path) -> Path:
    """A whole clip, half a clip, and a text."""
    folder = tmp_path / "clips"
    folder.mkdir()
    shutil.copy(short_clip, folder / "whole.mp4")
    truncate_file(Path(shutil.copy(short_clip, folder / "half.mp4")), 0.5)
    (folder / "notes.txt").write_text("notes")
    return folder


def test_a_folder_gets_cards_and_a_gallery_and_its_damage_is_named(folder: Path, tmp_path: Path) -> None:
    films.write_film(folder / "other.mp4", films.film(6))
    page = tmp_path / "gallery.html"
    result = run(folder, "--html", page)
    assert isinstance(result.exception, AnsweredUndecided)
    assert "half.mp4" in result.stderr
    assert "passed over: 1 files" in result.stderr
    assert "whole.mp4" in result.stdout
    assert "2 clips measured, 0 of them before" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert read_card(folder / "whole.quality.json").facts.num_frames == films.SHORT_FRAMES
    assert not (folder / "half.quality.json").exists()
    assert "whole.mp4" in page.read_text(encoding="utf-8")


def test_one_clip_is_told_whole(folder: Path) -> None:
    result = run(folder / "whole.mp4")
    assert result.exception is None
    for text in ("warping error", "physics", "not measured: ", "192 x 144, 7 frames in 0.3 s"):
        assert text in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_json_is_one_object_a_clip(folder: Path) -> None:
    result = run(folder, "--json")
    assert isinstance(result.exception, AnsweredUndecided)
    half, whole = (json.loads(line) for line in result.stdout.splitlines())
    assert half["path"].endswith("half.mp4")
    assert half["error"]
    assert whole["is_new"]
    assert whole["card"] == json.loads((folder / "whole.quality.json").read_text())
    again = json.loads(run(folder / "whole.mp4", "--json").stdout)
    assert not again["is_new"]
    assert again["card"] == whole["card"]


def test_a_dry_run_writes_nothing(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "gallery.html"
    assert run(folder / "whole.mp4", "--dry-run", "--html", page).exception is None
    assert not page.exists()
    assert not card_path(folder / "whole.mp4").exists()


def test_what_cannot_be_asked_is_refused(folder: Path, tmp_path: Path) -> None:
    for arguments in (
        (folder / "whole.mp4", "--html", "page.pdf"),
        (folder / "whole.mp4", "--currency", "EUR"),
    ):
        assert isinstance(run(*arguments).exception, ConfigError)
    assert not card_path(folder / "whole.mp4").exists()
    empty = tmp_path / "empty"
    empty.mkdir()
    assert isinstance(run(empty).exception, ConfigError)


def test_a_file_that_is_not_there_is_named(folder: Path) -> None:
    result = run(folder / "whole.mp4", folder / "lost.mp4")
    assert isinstance(result.exception, AnsweredUndecided)
    assert "lost.mp4" in result.stderr
    assert card_path(folder / "whole.mp4").exists()


def test_a_broken_card_is_not_overwritten(folder: Path) -> None:
    path = folder / "whole.quality.json"
    path.write_text("{}")
    result = run(folder / "whole.mp4")
    assert isinstance(result.exception, AnsweredUndecided)
    assert "not a quality card" in result.stderr
    assert path.read_text() == "{}"
