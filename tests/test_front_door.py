"""The front door: every ending has its exit code, and help opens no other door."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

import cleartitle as front_door
from db.errors import (
    AnsweredMisuse,
    AnsweredNo,
    AnsweredUndecided,
    ConfigError,
    Error,
    RefusedError,
    UndecidedError,
)
from tests.cli import cleartitle

Leave = Callable[[BaseException | None], int]


@pytest.fixture
def leave(monkeypatch: pytest.MonkeyPatch) -> Leave:
    """Run a command that ends with the given exception, or well, and return the exit code."""

    def leave_with(ending: BaseException | None) -> int:
        @click.command()
        def end() -> None:
            if ending is not None:
                raise ending

        monkeypatch.setitem(sys.modules, "some_commands", SimpleNamespace(end=end))
        monkeypatch.setitem(front_door._COMMANDS, "end", ("some_commands", "end", "End."))
        monkeypatch.setattr(sys, "argv", ["cleartitle", "end"])
        with pytest.raises(SystemExit) as caught:
            front_door.run()
        assert isinstance(caught.value.code, int)
        return caught.value.code

    return leave_with


@pytest.mark.parametrize(
    ("ending", "exit_code"),
    [
        (None, 0),
        (RefusedError("no"), 1),
        (AnsweredNo("no"), 1),
        (ConfigError("what?"), 2),
        (AnsweredMisuse("what?"), 2),
        (click.UsageError("what?"), 2),
        (UndecidedError("who knows"), 3),
        (AnsweredUndecided("who knows"), 3),
        (PermissionError(13, "Permission denied", "/footage/a.mp4"), 3),
        (Error("of no family"), 70),
        (ValueError("ours"), 70),
        (RecursionError("ours"), 70),
        (MemoryError(), 70),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_every_ending_has_its_exit_code(leave: Leave, ending: BaseException | None, exit_code: int) -> None:
    assert leave(ending) == exit_code


def test_an_error_is_one_harmless_line_and_its_hint(leave: Leave, capsys: pytest.CaptureFixture[str]) -> None:
    leave(ConfigError("unknown \x1b[31mname", hint="write\nanother"))
    assert capsys.readouterr() == ("", "error: unknown \\x1b[31mname\n  try: write\\nanother\n")


def test_what_was_already_said_is_not_said_again(leave: Leave, capsys: pytest.CaptureFixture[str]) -> None:
    for ending in (AnsweredNo("no"), AnsweredMisuse("what?"), AnsweredUndecided("who knows")):
        leave(ending)
    assert capsys.readouterr() == ("", "")


def test_a_file_that_cannot_be_opened_is_named(leave: Leave, capsys: pytest.CaptureFixture[str]) -> None:
    leave(PermissionError(13, "Permission denied", "/footage/a.mp4"))
    assert capsys.readouterr().err == "error: Permission denied: /footage/a.mp4\n"


def test_a_bug_shows_where_and_asks_for_a_report(leave: Leave, capsys: pytest.CaptureFixture[str]) -> None:
    leave(ValueError("ours"))
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "please report" in err


def test_an_unknown_command_is_a_misuse_that_is_named(tmp_path: Path) -> None:
    answer = cleartitle("ingset", cwd=tmp_path)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "ingset" in answer.stderr


def test_help_lists_every_command_in_the_order_of_the_work(tmp_path: Path) -> None:
    answer = cleartitle("--help", cwd=tmp_path)
    assert answer.exit_code == 0
    listed = re.findall(r"^  (\w+)  ", answer.stdout.partition("Commands:")[2], re.MULTILINE)
    assert listed == list(front_door._COMMANDS)


def test_the_one_line_help_is_true_to_each_command() -> None:
    """A command that is not there, or under another name, would show up only when somebody calls it."""
    context = click.Context(front_door.main)
    for name in front_door.main.list_commands(context):
        command = front_door.main.get_command(context, name)
        assert command is not None
        assert command.name == name


def test_the_version_is_that_of_the_distribution(tmp_path: Path) -> None:
    from importlib.metadata import version

    assert version("cleartitle") in cleartitle("--version", cwd=tmp_path).stdout


def test_a_closed_pipe_is_no_finding(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cleartitle", "policy", "facts"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()  # long before an interpreter has started
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141


def test_a_job_manager_that_ends_us_is_an_interruption(tmp_path: Path) -> None:
    """SIGTERM used to end the process at once, so a training run lost what it did since its last checkpoint."""
    script = (
        "import os, signal, cleartitle\n"
        "cleartitle.main.main = lambda **_: os.kill(os.getpid(), signal.SIGTERM)\n"
        "cleartitle.run()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 130
    assert "run the same command again" in done.stderr
