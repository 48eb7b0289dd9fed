"""Write constraints.txt: the newest versions of everything, resolved for each supported Python found on PATH.

Pins hold on every platform that has the same versions; what only other platforms need (faiss-cpu) is asked
for as well. Only wheels are considered, so that nobody needs a compiler; TrustMark is plain Python and comes as source
alone. Run it through `make constraints`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_PYTHONS = ("3.11", "3.12", "3.13")
_REQUIREMENTS = (".[demo,dev]", "faiss-cpu", "pip")
_HEADER = """\
# The exact versions that cleartitle is tested with, on every supported Python. Do not edit:
# `make constraints` resolves pyproject.toml afresh and writes this file again.
"""


def find_interpreter(version: str) -> str | None:
    """Return the path of a Python `version` that runs, or None: a version manager's names need not run."""
    path = shutil.which(f"python{version}")
    if path is None:
        return None
    check = f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
    return (
        path
        if subprocess.run([path, "-c", check], capture_output=True, check=False).returncode == 0
        else None
    )


def resolve(interpreter: str) -> dict[str, str]:
    """Return {normalised name: version} of all that `interpreter` would install, installing nothing."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        pip = [sys.executable, "-m", "pip", "--python", interpreter, "install"]
        options = [
            "--quiet",
            "--dry-run",
            "--ignore-installed",
            "--only-binary=:all:",
            "--no-binary=trustmark",
            "--report",
            str(report),
        ]
        subprocess.run([*pip, *options, *_REQUIREMENTS], cwd=_ROOT, check=True)
        installs = json.loads(report.read_text(encoding="utf-8"))["install"]
    found = {_normalise(item["metadata"]["name"]): item["metadata"]["version"] for item in installs}
    del found["cleartitle"]
    return found


def _normalise(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def merge(resolved: dict[str, dict[str, str]]) -> list[str]:
    """Return constraint lines from {python: {name: version}}; a marker only where Pythons differ."""
    pythons_by_pin: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for python, versions in resolved.items():
        for name, version in versions.items():
            pythons_by_pin[name][version].append(python)
    lines = []
    for name, pins in sorted(pythons_by_pin.items()):
        for version, pythons in sorted(pins.items()):
            marker = " or ".join(f'python_version == "{python}"' for python in pythons)
            lines.append(f"{name}=={version}" + (f" ; {marker}" if len(pins) > 1 else ""))
    return lines


def main() -> None:
    """Resolve for each Python, say which could not be checked, write the file."""
    resolved = {}
    for version in _PYTHONS:
        interpreter = find_interpreter(version)
        if interpreter is None:
            print(f"Python {version} is not on PATH: not checked", file=sys.stderr)
            continue
        print(f"Python {version}: resolving with {interpreter}", file=sys.stderr)
        resolved[version] = resolve(interpreter)
    if not resolved:
        sys.exit("no supported Python on PATH: constraints.txt is left as it is")
    (_ROOT / "constraints.txt").write_text(_HEADER + "\n".join(merge(resolved)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
