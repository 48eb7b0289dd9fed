"""What CI does where something is missing that tests need: it fails; elsewhere they are skipped, and that is said."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parent.parent
_TOOLS = ("bash", "dirname", "id")
_NEEDED = ("chromium", "node", "npm")


def _run(folder: Path, programs: tuple[str, ...], ci: str | None) -> subprocess.CompletedProcess[str]:
    """Run the script where only `programs` are there, nothing can be installed, and `make` says what it was asked."""
    folder.mkdir()
    for name in _TOOLS:
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"no {name} on this system")
        (folder / name).symlink_to(found)
    for name in (*programs, "make"):
        (folder / name).write_text(f'#!{folder / "bash"}\necho {name} "$@"\n')
        (folder / name).chmod(0o755)
    variables = {name: value for name, value in os.environ.items() if name != "CI"}
    variables |= {"PATH": str(folder), "CLEARTITLE_TEST_POSTGRES": "given"} | (
        {} if ci is None else {"CI": ci}
    )
    return subprocess.run(
        [folder / "bash", _ROOT / ".ci" / "run"],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("ci", ["true", None])
@pytest.mark.parametrize("browser", ["chromium", "chromium-browser"])
def test_with_everything_there_all_tests_run(tmp_path: Path, ci: str | None, browser: str) -> None:
    done = _run(tmp_path / "bin", (browser, "node", "npm"), ci)
    assert (done.returncode, done.stdout) == (0, "make lint\nmake test\n")
    assert "skipped" not in done.stderr


@pytest.mark.parametrize(
    ("missing", "what"),
    [
        ("chromium", "the tests in a browser"),
        ("npm", "the independent validators"),
        ("node", "the independent"),
    ],
)
def test_what_is_missing_fails_in_ci_and_is_skipped_elsewhere(
    tmp_path: Path, missing: str, what: str
) -> None:
    """Without Node.js CI used to pass, and nobody was told that two validators had not been asked."""
    programs = tuple(name for name in _NEEDED if name != missing)
    strict = _run(tmp_path / "strict", programs, "true")
    assert (strict.returncode, strict.stdout) == (1, "")
    assert f"error: CI runs {what}" in strict.stderr
    lenient = _run(tmp_path / "lenient", programs, None)
    assert (lenient.returncode, lenient.stdout) == (0, "make lint\nmake test\n")
    assert f"skipped: {what}" in lenient.stderr
