"""Other implementations from npm, installed once outside the tree; skipped where they cannot be had.

The lock leaves out the native accelerator of one package (cbor-extract), which is optional and runs a script when it is
installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_HERE = Path(__file__).resolve().parent
_MANIFESTS = ("package.json", "package-lock.json")
_UNREACHABLE = (
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ECONNRESET",
    "ETIMEDOUT",
    "ENETUNREACH",
    "EHOSTUNREACH",
)
_MIN_NODE = 20

Script = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def script() -> Iterator[Script]:
    """Run a script of this folder with `arguments` and `text` as its input; returns the JSON values it prints."""
    node = _node()
    # Below the packages, where the imports of the scripts find them, and apart from other runs.
    with tempfile.TemporaryDirectory(dir=_installed(), prefix=".run-") as folder:

        def _run(name: str, *arguments: str | Path, text: str = "") -> list[dict[str, Any]]:
            copied = Path(shutil.copy(_HERE / name, folder))
            done = subprocess.run(
                [node, copied, *map(str, arguments)],
                input=text,
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )
            assert done.returncode == 0, done.stderr
            return [json.loads(line) for line in done.stdout.splitlines()]

        yield _run


def _node() -> str:
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        pytest.skip("no node and npm here")
    version = subprocess.run(
        [node, "--version"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    if int(version.lstrip("v").partition(".")[0]) < _MIN_NODE:
        pytest.skip(f"node {version.strip()} is older than {_MIN_NODE}")
    return node


def _installed() -> Path:
    """Return a folder with the locked packages, shared by all checkouts that lock the same."""
    digest = hashlib.sha256(b"".join((_HERE / name).read_bytes() for name in _MANIFESTS)).hexdigest()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cleartitle"
    folder = cache / f"validators-{digest[:16]}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".installing-") as temporary:
        staged = Path(temporary) / "packages"
        _install(staged)
        if not folder.is_dir():  # another run may have been faster
            staged.rename(folder)
    return folder


def _install(folder: Path) -> None:
    folder.mkdir()
    for name in _MANIFESTS:
        shutil.copy(_HERE / name, folder)
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode == 0:
        return
    if any(code in done.stderr for code in _UNREACHABLE):
        pytest.skip("the package registry of npm cannot be reached")
    pytest.fail(f"npm ci failed:\n{done.stderr}")
