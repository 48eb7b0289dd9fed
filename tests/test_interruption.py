"""Kills, interruptions, full disks and closed pipes: every command answers truthfully, and run again it completes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, event, select
from sqlalchemy.engine import Engine

from db import evidence, models, output_models
from db.database import migrate
from db.errors import ConfigError, RefusedError, UndecidedError
from db.events import list_events
from db.files import durable_file, hidden_folder
from db.project import Project
from db.vocabularies import CollectionKind
from governance.bootstrap import bootstrap
from tests.cli import cleartitle
from tests.library import make_library, take_footage, write_footage
from tests.training.screener import passing
from tests.training.trained_library import CONFIG, generate, seal, train
from training.demo import run_demo
from training.generation import publish
from training.generation.generator import open_generator
from training.generation.request import ClipRequest
from training.licensed_run import begin_run

_PATIENCE_SECONDS = 120
_CHECKOUT = Path(__file__).resolve().parent.parent


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    """Start `cleartitle ARGUMENTS`."""
    # Whoever runs the tests in the background of a script has them ignore SIGINT, and so would their children.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "cleartitle", *arguments],
            cwd=cwd,
            env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def stop_when(process: subprocess.Popen[str], seen: Callable[[], bool], number: signal.Signals) -> str:
    """Send a signal as soon as something is seen; return what the process said on stderr."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not seen():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.01)
        assert process.returncode is None, "it ended before that was seen"
        assert time.monotonic() < deadline
    process.send_signal(number)
    return process.communicate(timeout=_PATIENCE_SECONDS)[1]


def changes(project: Project) -> list[tuple[str, str]]:
    with project.session() as session:
        return sorted(
            (found.kind, found.subject) for found in list_events(session) if found.kind != "project.opened"
        )


@pytest.fixture
def library(tmp_path: Path) -> Project:
    return make_library(tmp_path)


@pytest.fixture
def trained(library: Project) -> Project:
    seal(library)
    train(library)
    return library


@pytest.fixture
def small_disk() -> Iterator[Callable[[int], None]]:
    """Limit the pages of every SQLite database opened from now on, as a full disk does."""
    limits: list[int] = []

    def apply(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA max_page_count={limits[-1] if limits else 2**30}")

    event.listen(Engine, "connect", apply)
    yield limits.append
    event.remove(Engine, "connect", apply)


@pytest.mark.parametrize("num_pages", [4, 12, 30])
def test_a_migration_that_was_cut_short_can_be_run_again(
    tmp_path: Path, small_disk: Callable[[int], None], num_pages: int
) -> None:
    """Tables were made outside a transaction: after a kill, `init` said "table asset already exists" for ever."""
    url = f"sqlite:///{tmp_path / 'new.db'}"
    small_disk(num_pages)
    with pytest.raises(UndecidedError, match="full"):
        migrate(url)
    small_disk(2**30)
    migrate(url)


def ingest_in_another_process(project: Project) -> subprocess.Popen[str]:
    """Take in all footage, without the search, with the encoder of `tests.library`, which is there at once."""
    code = (
        "from pathlib import Path; from db import evidence; from db.project import open_project\n"
        "from db.vocabularies import CollectionKind; from ingest.intake.intake import take_in\n"
        "from tests.library import ColourEncoder\n"
        "project = open_project(Path())\n"
        "with project.session() as session:\n"
        "    library = evidence.ensure_collection(session, evidence.LIBRARY, CollectionKind.LIBRARY)\n"
        "encoder = ColourEncoder()\n"
        "list(take_in(project, [Path('../footage')], collection_id=library, encoder=encoder))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=project.root,
        env=os.environ | {"PYTHONPATH": str(_CHECKOUT)},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("num_files_done", [0, 1, 4])
def test_a_killed_ingest_ends_like_one_that_was_not(tmp_path: Path, num_files_done: int) -> None:
    write_footage(tmp_path / "footage", *(f"scene{number}.mp4" for number in range(6)))
    killed, whole = (bootstrap(tmp_path / name).project for name in ("killed", "whole"))
    process = ingest_in_another_process(killed)
    stop_when(process, lambda: len(list(killed.vectors.rglob("*.parquet"))) >= num_files_done, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    for project in (killed, whole):
        take_footage(project, tmp_path / "footage")
    assert changes(killed) == changes(whole)
    assert not list(killed.vectors.rglob(".*"))


def test_two_ingests_at_once_record_everything_once(tmp_path: Path) -> None:
    """One of the two ended with "UNIQUE constraint failed: asset.sha256"."""
    write_footage(tmp_path / "footage", *(f"scene{number}.mp4" for number in range(6)), seconds=1)
    shared, whole = (bootstrap(tmp_path / name).project for name in ("shared", "whole"))
    with shared.session() as session:
        evidence.ensure_collection(session, evidence.LIBRARY, CollectionKind.LIBRARY)
    both = [ingest_in_another_process(shared) for _ in range(2)]
    said = [process.communicate(timeout=_PATIENCE_SECONDS)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    for project in (shared, whole):
        take_footage(project, tmp_path / "footage")
    assert changes(shared) == changes(whole)


@pytest.mark.slow
def test_an_interrupted_ingest_says_so_and_goes_on(tmp_path: Path) -> None:
    # Enough of it that the signal comes while there is more to read.
    write_footage(tmp_path / "footage", *(f"scene{number}.mp4" for number in range(12)), seconds=6)
    project = bootstrap(tmp_path / "project").project
    process = start("ingest", "../footage", cwd=project.root)
    said = stop_when(process, lambda: "asset.ingested" in dict(changes(project)), signal.SIGINT)
    assert (process.returncode, "run the same command again" in said) == (130, True), said
    assert "Traceback" not in said
    again = cleartitle("ingest", "../footage", "--json", cwd=project.root)
    assert again.exit_code == 0, again.stderr
    found = [line["intake"] for line in again.json_lines() if line["kind"] == "file"]
    assert len(found) == 12
    assert "known" in found


def test_what_a_killed_writer_left_is_removed_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    """Every kill left a hidden file or folder for good; in outputs/ it held a clip without credentials."""
    target = tmp_path / "vectors [1].parquet"
    (tmp_path / ".vectors [1].a1b2c3d4.parquet").write_bytes(b"abandoned")
    abandoned = tmp_path / ".cleartitle-a1b2c3d4"
    abandoned.mkdir()
    (abandoned / "plain.mp4").write_bytes(b"no credentials")
    with durable_file(target) as first, hidden_folder(tmp_path) as hidden:
        with durable_file(target) as second, hidden_folder(tmp_path):
            assert first.exists()
            assert hidden.exists()
            second.write_bytes(b"second")
        first.write_bytes(b"first")
    assert target.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [target]


def test_generating_again_keeps_the_clip_that_is_there(trained: Project) -> None:
    """An interrupted `generate --count 4` could not be run again: the first clip "exists", exit 1."""
    first, again = generate(trained), generate(trained)
    assert (first.is_new, again.is_new) == (True, False)
    assert again.urn == first.urn


def test_a_clip_killed_before_its_record_is_recorded_by_the_next_run(trained: Project) -> None:
    """Killed between the move and the commit, a clip was neither on record nor could it be made again."""
    clip = generate(trained)
    with trained.session() as session:
        for table in (output_models.CredentialPrint, output_models.Credential, models.OutputClip):
            session.execute(delete(table))
    assert generate(trained).urn == clip.urn
    with trained.session() as session:
        assert session.scalars(select(models.OutputClip)).one().urn == clip.urn


@pytest.mark.parametrize("prompt", ["the sea", "the hill"])
def test_another_file_of_the_same_name_is_never_overwritten(trained: Project, prompt: str) -> None:
    clip = generate(trained)
    request = ClipRequest(prompt=prompt, seed=1, height=64, width=64)
    other = trained.outputs / request.file_name
    other.write_bytes(clip.path.read_bytes())
    generator = open_generator(trained, "model", open_screener=passing)
    with pytest.raises(RefusedError, match="never overwritten"):
        publish.publish_clip(trained, generator, request, folder=trained.outputs)


def test_a_record_that_fails_leaves_no_clip(trained: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk the commit failed after the clip had been moved into place, and it stayed."""

    def fail(folder: Path) -> None:
        if folder == trained.outputs:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("db.files.sync_folder", fail)
    with pytest.raises(OSError, match="space"):
        generate(trained)
    assert not list(trained.outputs.iterdir())


def test_a_model_has_one_name(trained: Project) -> None:
    """A second name trained to the end and then failed with "UNIQUE constraint failed: model.urn"."""
    with pytest.raises(ConfigError, match="'model' already"):
        train(trained, "other")


@pytest.mark.parametrize("name", ["../escape", "/tmp/escape", "", ".", "a b", "x" * 200])
def test_a_model_name_cannot_leave_its_folder(library: Project, name: str) -> None:
    """`train --name ../../x` wrote weights outside the project."""
    with pytest.raises(ConfigError, match="model name"):
        begin_run(library, "spring", CONFIG, name=name, on_clip=lambda _n: None)


@pytest.mark.parametrize("name", ["", " ", "library", "x" * 129, "a\x1bb"])
def test_a_reference_set_needs_a_usable_name(library: Project, name: str) -> None:
    """`--reference library`, or an empty name, in a new project made the library itself a reference set."""
    with pytest.raises(ConfigError), library.session() as session:
        evidence.ensure_collection(session, name, CollectionKind.REFERENCE)


def test_the_demo_leaves_a_folder_of_yours_alone(tmp_path: Path) -> None:
    """`cleartitle demo .` in a project with footage/rights.csv wrote its own table over it."""
    (tmp_path / "footage").mkdir()
    (tmp_path / "footage" / "rights.csv").write_text("mine", encoding="utf-8")
    (tmp_path / "cleartitle.toml").touch()
    with pytest.raises(ConfigError, match="something else"):
        run_demo(tmp_path)
    assert (tmp_path / "footage" / "rights.csv").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    "arguments", [("audit",), ("audit", "--json"), ("policy", "list"), ("policy", "facts"), ("--help",)]
)
def test_a_closed_pipe_is_no_finding(library: Project, arguments: tuple[str, ...]) -> None:
    """click and rich turned it into exit 1, which reads as a finding."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "cleartitle", *arguments],
        cwd=library.root,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_closed_standard_streams_are_no_bug_of_ours(library: Project) -> None:
    """`cleartitle snapshot list >&-` answered 70 with a traceback."""
    command = f"exec {sys.executable} -m cleartitle snapshot list >&- 2>&- <&-"
    done = subprocess.run(["sh", "-c", command], cwd=library.root, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("arguments", [("snapshot", "seal", "s", "--policy", "commercial-training")])
def test_a_file_that_cannot_be_written_is_undecided(library: Project, arguments: tuple[str, ...]) -> None:
    assert cleartitle("clear", "--policy", "commercial-training", cwd=library.root).exit_code == 0
    # No file may grow beyond 2 KiB, which is a full disk to whoever writes.
    command = f"ulimit -f 4; exec {sys.executable} -m cleartitle {' '.join(arguments)}"
    done = subprocess.run(
        ["sh", "-c", command], cwd=library.root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert not list(library.store.rglob("snapshot.json"))
    again = cleartitle(*arguments, cwd=library.root)
    assert again.exit_code == 0, again.stderr
