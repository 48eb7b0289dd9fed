"""Training that is killed with signal 9 wherever it happens to be, again and again, until it is through.

A kill is aimed at the n-th change that the command makes to the files of the project (a file opened for writing,
renamed, cut or removed) and sent a little later, so that it also falls between two changes, into a step, or into a
commit of the database. Which changes and how much later follow from a seed; where exactly the command is by then does
not.

As a program, `python -m tests.training.doomed FOLDER N ARGUMENTS` runs `cleartitle ARGUMENTS` and says on stdout when
the n-th change under FOLDER is about to be made.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[2]
_CHANGES = frozenset({"os.rename", "os.truncate", "os.remove"})
_REACHED = "reached\n"
_MAX_DELAY_SECONDS = 0.05
"""A step of the smallest models takes a tenth of it."""
_PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class Attempt:
    """One attempt at a command."""

    change: int
    """The change at which it was to be killed."""
    delay_seconds: float
    """How much later."""
    exit_code: int
    """Minus 9: it was killed; 0: it was through before."""
    stderr: str

    @property
    def is_killed(self) -> bool:
        """Whether the kill came in time."""
        return self.exit_code == -9


def attempt(folder: Path, arguments: Sequence[str], *, change: int, delay_seconds: float) -> Attempt:
    """Run `cleartitle ARGUMENTS` in the project `folder`, and kill it after its n-th change."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.training.doomed", str(folder), str(change), *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(_CHECKOUT), "OMP_WAIT_POLICY": "PASSIVE"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line == _REACHED:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=delay_seconds)
            process.kill()
            break
    stderr = process.communicate(timeout=_PATIENCE_SECONDS)[1]
    return Attempt(change, delay_seconds, process.returncode, stderr)


def random_attempt(
    folder: Path, arguments: Sequence[str], chooser: random.Random, num_changes: int
) -> Attempt:
    """Run the command and kill it after one of its first `num_changes` changes."""
    change = chooser.randint(1, num_changes)
    return attempt(folder, arguments, change=change, delay_seconds=chooser.uniform(0, _MAX_DELAY_SECONDS))


def _announce_change(folder: str, number: int) -> None:
    """Say on stdout when this process is about to make its n-th change under `folder`."""
    num_changes = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal num_changes
        if not arguments or not str(arguments[0]).startswith(folder):
            return
        is_written = (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if event in _CHANGES or is_written:
            num_changes += 1
            if num_changes == number:
                os.write(1, _REACHED.encode())

    sys.addaudithook(count)


if __name__ == "__main__":
    _announce_change(sys.argv[1], int(sys.argv[2]))
    del sys.argv[1:3]

    import cleartitle

    cleartitle.run()
