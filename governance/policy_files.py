"""Where policies come from: a file by its path, the project's `policies/` folder, then the shipped ones."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

from governance.errors import PolicyError
from governance.policy import Policy, parse_policy
from governance.strict_yaml import MAX_BYTES

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFile:
    """A policy on disk or in the wheel, and the test cases beside it."""

    name: str
    file: Traversable
    tests: Traversable
    """Need not exist."""
    is_shipped: bool

    def load(self) -> Policy:
        """Read the policy.

        Raises `PolicyError` if it is unreadable or malformed, or if it does not bear the name of its file.
        """
        policy = parse_policy(read_limited(self.file), str(self.file))
        if policy.name != self.name:
            raise PolicyError(f"{self.file}: the policy is called {policy.name!r}, its file {self.name!r}")
        return policy


def find_policy(name: str, folder: Path | None = None) -> Policy:
    """Return the policy called `name` (or at that path); `folder` holds the project's own.

    Raises `PolicyError` if there is none or it is malformed.
    """
    return find_policy_file(name, folder).load()


def find_policy_file(name: str, folder: Path | None = None) -> PolicyFile:
    """Return where the policy called `name` is, or the one at a path that ends in `.yaml`.

    A name is only ever looked up in the two policy folders, so it cannot lead anywhere else.
    """
    if name.endswith((".yaml", ".yml")):
        return _at_path(Path(name))
    known = {file.name: file for file in reversed(list_policy_files(folder))}
    if name not in known:
        names = ", ".join(sorted(known)) or "none"
        raise PolicyError(
            f"there is no policy {name!r}", hint=f"policies: {names}; or give the path of a .yaml file"
        )
    return known[name]


def list_policy_files(folder: Path | None = None) -> tuple[PolicyFile, ...]:
    """Return the project's policies and then the shipped ones, each sorted by name."""
    own = () if folder is None or not folder.is_dir() else tuple(_in_folder(folder, is_shipped=False))
    return (*own, *_in_folder(importlib.resources.files("policies"), is_shipped=True))


def _in_folder(folder: Traversable, *, is_shipped: bool) -> Iterator[PolicyFile]:
    for file in sorted(folder.iterdir(), key=lambda item: item.name):
        name = file.name.removesuffix(".yaml")
        if file.name.endswith(".yaml") and _NAME.fullmatch(name):
            yield PolicyFile(
                name=name, file=file, tests=folder.joinpath(f"{name}.tests.yaml"), is_shipped=is_shipped
            )


def _at_path(path: Path) -> PolicyFile:
    name = path.stem
    return PolicyFile(name=name, file=path, tests=path.with_name(f"{name}.tests.yaml"), is_shipped=False)


def read_limited(file: Traversable) -> bytes:
    """Return the bytes of a policy or test file, one more than allowed at most. Raises `PolicyError`."""
    try:
        with file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as exc:
        raise PolicyError(f"{file}: the policy cannot be read: {exc.strerror or exc}") from exc
