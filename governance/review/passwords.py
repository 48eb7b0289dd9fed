"""The password of a desk that others than this machine may reach: kept as a salted scrypt digest (RFC 7914).

Cost N = 2**15, r = 8, p = 1: about 32 MiB and a tenth of a second for each try.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from db.errors import ConfigError
from db.files import write_durably

_COST, _BLOCK, _PARALLEL = 2**15, 8, 1
_MEMORY = 64 << 20
_MIN_CHARACTERS = 10
_MAGIC = "cleartitle-scrypt-1"
_ADVICE = "make one with `cleartitle review password FILE`"


@dataclass(frozen=True, kw_only=True)
class PasswordDigest:
    """What is kept of a password."""

    salt: bytes
    digest: bytes

    def matches(self, password: str) -> bool:
        """Return whether this is the password; takes the same time either way."""
        return hmac.compare_digest(_scrypt(password, self.salt), self.digest)


def write_password(path: Path, password: str) -> None:
    """Write the digest of a password to a file that only its owner reads.

    Raises `ConfigError` if the password is shorter than ten characters.
    """
    if len(password) < _MIN_CHARACTERS:
        raise ConfigError(f"the password has {len(password)} characters, expected at least {_MIN_CHARACTERS}")
    salt = secrets.token_bytes(16)
    line = f"{_MAGIC} {salt.hex()} {_scrypt(password, salt).hex()}\n"
    write_durably(path, line.encode("ascii"))
    path.chmod(0o600)


def read_password(path: Path) -> PasswordDigest:
    """Read a password file. Raises `ConfigError` if it is none, or if others than its owner can read it."""
    try:
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError(f"{path}: others can read the password file", hint=f"run: chmod 600 {path}")
        words = path.read_bytes()[:1024].decode("ascii", "replace").split()
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror or exc}", hint=_ADVICE) from exc
    try:
        magic, salt, digest = words
        found = PasswordDigest(salt=bytes.fromhex(salt), digest=bytes.fromhex(digest))
    except ValueError as exc:
        raise ConfigError(f"{path} is not a password file", hint=_ADVICE) from exc
    if magic != _MAGIC or len(found.salt) != 16 or len(found.digest) != 32:
        raise ConfigError(f"{path} is not a password file", hint=_ADVICE)
    return found


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=_COST, r=_BLOCK, p=_PARALLEL, maxmem=_MEMORY, dklen=32
    )
