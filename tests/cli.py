"""Running the command line as a user does, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What a command answered."""

    exit_code: int
    stdout: str
    stderr: str

    def json_lines(self) -> list[dict[str, Any]]:
        """The result of a command that was called with --json."""
        return [json.loads(line) for line in self.stdout.splitlines()]


def cleartitle(*arguments: str | Path, cwd: Path, **environment: str) -> Answer:
    """Run `cleartitle ARGUMENTS` in `cwd`."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("CLEARTITLE_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "cleartitle", *map(str, arguments)],
        cwd=cwd,
        env=variables | {"OMP_WAIT_POLICY": "PASSIVE"} | environment,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
        timeout=300,
    )
    return Answer(done.returncode, done.stdout, done.stderr)
