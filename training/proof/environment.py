"""What a run was carried out with: our code by its digest, the interpreter, the libraries that decide the numbers."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from pathlib import Path

import db
import governance
import ingest
import training
from db.canonical import digest_of
from training.settings import RunConfig

_PACKAGES = (db, governance, ingest, training)
_LIBRARIES = ("torch", "numpy", "av", "safetensors", "cryptography")


def code_digest() -> str:
    """Return a digest over the Python files of our packages, by name and content."""
    files: dict[str, str] = {}
    for package in _PACKAGES:
        assert package.__file__ is not None
        root = Path(package.__file__).parent
        for path in sorted(root.rglob("*.py")):
            name = f"{package.__name__}/{path.relative_to(root).as_posix()}"
            files[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return digest_of(files)


def environment(device: str, config: RunConfig) -> dict[str, str]:
    """Return interpreter, system, processor and library versions, and what a run of `config` calculates on."""
    import torch

    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": device,
        "threads": str(torch.get_num_threads()),
        **{name: importlib.metadata.version(name) for name in (*_LIBRARIES, *config.libraries)},
    }
