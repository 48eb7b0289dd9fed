"""Snapshots and prompts that are not as they should be: each is answered in words that say what to do."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch  # noqa: F401 - the commands run in this process, and what has loaded PyTorch does not leave the network
from click.testing import CliRunner, Result

from db.errors import AnsweredUndecided, ConfigError, Error, RefusedError
from db.project import Project
from governance.bootstrap import bootstrap
from governance.commands import clear
from governance.snapshots.commands import snapshot
from tests.library import claim_rights, take_footage, write_film, write_footage
from tests.training.trained_library import CONFIG, seal
from training import licensed_run
from training.commands import train
from training.generation.commands import generate
from training.proof.commands import training

_OPEN = "CC0-1.0,"


def make_project(root: Path, *rows: str) -> Project:
    """A project over `root`/footage with these rights, and settings of a tiny run."""
    project = bootstrap(root / "project").project
    files = take_footage(project, root / "footage")
    claim_rights(project, files, root / "footage" / "rights.csv", *rows)
    lines = [f"{name} = {value!r}".replace("'", '"') for name, value in CONFIG.to_dict().items()]
    (project.root / "tiny.toml").write_text("\n".join(lines), encoding="utf-8")
    return project


def two_films(root: Path) -> Project:
    """Sea and hill, sealed as `spring` until the end of 2030."""
    write_footage(root / "footage", "sea.mp4", "hill.mp4")
    project = make_project(root, f"sea.mp4,The sea,Films,{_OPEN}", "hill.mp4,A hill,Films,CC0-1.0,2030-12-31")
    seal(project)
    return project


def call(project: Project, command: object, *arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments, "--project", str(project.root)])  # type: ignore[arg-type]


def train_it(project: Project) -> Result:
    config = str(project.root / "tiny.toml")
    return call(project, train, "--snapshot", "spring", "--config", config, "--name", "model")


def refusal(result: Result, kind: type[Error]) -> str:
    """Return what a command said when it refused."""
    assert isinstance(result.exception, kind), result.exception
    return f"{result.exception} {result.exception.hint or ''}"


def test_an_empty_snapshot_is_not_sealed_and_not_trained_on(tmp_path: Path) -> None:
    write_footage(tmp_path / "footage", "study.mp4")
    project = make_project(tmp_path, "study.mp4,A study,Films,CC-BY-NC-4.0,")
    assert call(project, clear, "--policy", "commercial-training").exception is None
    said = refusal(call(project, snapshot, "seal", "spring", "--policy", "commercial-training"), RefusedError)
    assert "no clip is cleared under commercial-training" in said
    assert "cleartitle audit" in said
    assert "no snapshot is called 'spring'" in refusal(train_it(project), ConfigError)
    assert not project.runs.exists() or not list(project.runs.iterdir())


def test_an_expired_snapshot_does_not_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = two_films(tmp_path)
    monkeypatch.setattr(licensed_run, "utc_now", lambda: dt.datetime(2031, 1, 2, tzinfo=dt.UTC))
    said = refusal(train_it(project), RefusedError)
    assert "snapshot spring expired at 2031-01-01T00:00:00Z" in said
    assert "seal a new snapshot" in said


def test_a_recalled_snapshot_does_not_train(tmp_path: Path) -> None:
    project = two_films(tmp_path)
    assert call(project, snapshot, "recall", "spring", "--reason", "licence withdrawn").exception is None
    assert "snapshot spring was recalled: licence withdrawn" in refusal(train_it(project), RefusedError)


def test_a_snapshot_with_one_clip_trains_and_says_what_it_cannot_be_tested_for(tmp_path: Path) -> None:
    write_footage(tmp_path / "footage", "sea.mp4")
    project = make_project(tmp_path, f"sea.mp4,The sea,Films,{_OPEN}")
    seal(project)
    assert train_it(project).exception is None
    verified = call(project, training, "verify", "model", "--replay", "2", "--membership", "--json")
    rows = {row["code"]: row for row in map(json.loads, verified.stdout.splitlines()) if "code" in row}
    assert rows["held_out"]["detail"] == "the snapshot holds nothing out"
    assert rows["exposure"]["detail"] == "8 readings of 1 of 1 clips"
    assert rows["membership.held_out"]["detail"] == "not tested: no held-out part"
    assert {row["standing"] for row in rows.values()} == {"holds", "not checked"}
    copying = call(project, training, "copying", "model")
    assert isinstance(copying.exception, AnsweredUndecided)
    assert "its snapshot holds nothing out, and no footage was named" in copying.stdout


def test_silent_films_and_films_with_sound_train_together(tmp_path: Path) -> None:
    footage = tmp_path / "footage"
    write_footage(footage, "silent.mp4")
    write_film(footage / "loud.mp4", 5, np.zeros(2 * 8000, np.int16), 8000)
    project = make_project(
        tmp_path, f"silent.mp4,A silent film,Films,{_OPEN}", f"loud.mp4,A film with sound,Films,{_OPEN}"
    )
    seal(project)
    assert train_it(project).exception is None
    assert call(project, training, "verify", "model", "--replay", "2").exception is None


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("byte", ["clip ", "restore the footage that was sealed"]),
        ("cut", ["asset ", "sea.mp4", "missing or changed", "put the footage back"]),
        ("empty", ["asset ", "sea.mp4", "missing or changed"]),
        ("gone", ["asset ", "sea.mp4", "missing or changed"]),
    ],
)
def test_footage_that_was_damaged_since_it_was_sealed_does_not_train(
    tmp_path: Path, damage: str, said: Sequence[str]
) -> None:
    project, sea = two_films(tmp_path), tmp_path / "footage" / "sea.mp4"
    content = sea.read_bytes()
    middle = len(content) // 2
    if damage == "gone":
        sea.unlink()
    else:
        changed = {"byte": content[:middle] + b"\x00\xff" + content[middle + 2 :], "cut": content[:middle]}
        sea.write_bytes(changed.get(damage, b""))
    told = refusal(train_it(project), RefusedError)
    assert all(words in told for words in said), told
    assert not list(project.models.rglob("*.safetensors"))
    sea.write_bytes(content)
    assert train_it(project).exception is None, "put back, the same command goes on"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--prompt", ""), "the prompt is empty"),
        (("--prompt", " \t "), "the prompt is empty"),
        (("--prompt", "x" * 10_000), "the prompt has 10000 characters, at most 1000 are read"),
        ((), "give --prompt TEXT, or --prompts FILE"),
        (("--prompts", "none.txt"), "none.txt: has no prompts"),
        (("--prompts", "none.csv"), "none.csv: has no prompts"),
        (("--prompts", "long.txt"), "1 of 2 rows cannot be used. row 2: the prompt has 10000 characters"),
    ],
)
def test_prompts_of_none_or_ten_thousand_characters_are_refused_before_a_model_is_opened(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    project = bootstrap(tmp_path / "project").project
    (tmp_path / "none.txt").write_text("", encoding="utf-8")
    (tmp_path / "none.csv").write_text("prompt,seed\n", encoding="utf-8")
    (tmp_path / "long.txt").write_text("the sea\n" + "x" * 10_000 + "\n", encoding="utf-8")
    found = [str(tmp_path / word) if word.endswith((".txt", ".csv")) else word for word in arguments]
    told = refusal(call(project, generate, "--model", "model", *found), ConfigError)
    assert said in told
    assert len(told) < 1000, "ten thousand characters are not repeated"
