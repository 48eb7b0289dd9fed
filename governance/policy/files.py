"""Where policies come from: a file by its path, the project's `policies/` folder, then the shipped ones.

`BASE+OVERLAY` names a combination of them wherever a policy is named.
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

from governance.errors import PolicyError
from governance.policy.overlays import SEPARATOR, combine
from governance.policy.policy import Policy
from governance.policy.reading import parse_policy
from governance.policy.strict_yaml import MAX_BYTES

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
_SUFFIXES = (".yaml", ".yml")


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
    """Return the policy called `name`, at that path, or combined as `BASE+OVERLAY`; `folder` holds the project's own.

    Raises `PolicyError` if there is none, if it is malformed, or if the parts cannot be combined so.
    """
    names = _part_names(name)
    base, *overlays = (find_policy_file(part, folder).load() for part in names)
    policy = combine(base, overlays)
    if overlays and [part.name for part in policy.parts[1:]] != [overlay.name for overlay in overlays]:
        raise PolicyError(
            f"{name}: overlays are named in order, so that a combination has one name",
            hint=f"write {SEPARATOR.join((names[0], *sorted(names[1:])))}",
        )
    return policy


def _part_names(name: str) -> list[str]:
    """Return the names in a combination; a path may have the separator in it."""
    is_file = name.endswith(_SUFFIXES) and Path(name).is_file()
    return [name] if is_file else name.split(SEPARATOR)


def find_policy_file(name: str, folder: Path | None = None) -> PolicyFile:
    """Return where the policy called `name` is, or the one at a path that ends in `.yaml`.

    A name is only ever looked up in the two policy folders, so it cannot lead anywhere else.
    """
    if name.endswith(_SUFFIXES) and (SEPARATOR not in name or Path(name).is_file()):
        return _at_path(Path(name))
    if SEPARATOR in name:
        raise PolicyError(f"{name!r} is a combination and has no file", hint="name one of its policies")
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
    if isinstance(file, Path) and file.exists() and not file.is_file():
        # Opening a pipe would wait for somebody to write into it.
        raise PolicyError(f"{file}: the policy cannot be read: is not a file")
    try:
        with file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as exc:
        raise PolicyError(f"{file}: the policy cannot be read: {exc.strerror or exc}") from exc
