"""The `[signing]` table of `cleartitle.toml`: whose key signs, and which authority stamps the time.

Paths are as they are written, relative to the project folder. No secret stands in here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.errors import ConfigError

ALGORITHMS = ("es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519")
"""Signature algorithms of C2PA, as it spells them (C2PA 2.4, section 13.2)."""

SIGNING_TYPES: dict[str, type | tuple[type, ...]] = {
    "chain": str,
    "key": str,
    "pkcs12": str,
    "command": list,
    "algorithm": str,
    "time_stamp_url": str,
    "time_stamp_timeout_seconds": (int, float),
    "time_stamp_attempts": int,
}


@dataclass(frozen=True, kw_only=True)
class SigningSettings:
    """Where the signing identity comes from: one of four sources, and nothing half given."""

    chain: str | None = None
    """PEM file of certificates, leaf first. With `key` or `command`; without either, the project's own keys sign."""
    key: str | None = None
    """PEM file of the leaf's private key."""
    pkcs12: str | None = None
    """File with key and certificates; its passphrase comes from the environment."""
    command: tuple[str, ...] = ()
    """Program that signs what it reads."""
    algorithm: str | None = None
    """How `command` signs, one of `ALGORITHMS`; a key says so itself."""
    time_stamp_url: str | None = None
    """RFC 3161 authority; without one, nothing is time-stamped."""
    time_stamp_timeout_seconds: float = 10.0
    time_stamp_attempts: int = 3

    @property
    def needs_network(self) -> bool:
        """Whether signing asks a time-stamp authority, or a program that may ask anybody."""
        return self.time_stamp_url is not None or bool(self.command)

    def __post_init__(self) -> None:
        """Refuse two sources at once, half a source, and values out of range."""
        sources = [name for name in ("key", "pkcs12", "command") if getattr(self, name)]
        if len(sources) > 1:
            raise ConfigError(f"[signing] names {' and '.join(sources)}; only one of them can sign")
        needs_chain = bool(self.key or self.command)
        if needs_chain != (self.chain is not None):
            raise ConfigError(
                "[signing] chain goes with key or command, and each of them with chain",
                hint="a PKCS#12 file brings its own certificates",
            )
        if bool(self.command) != (self.algorithm is not None):
            raise ConfigError("[signing] command and algorithm go together")
        if self.algorithm is not None and self.algorithm not in ALGORITHMS:
            raise ConfigError(
                f"[signing] algorithm is {self.algorithm!r}, expected one of {', '.join(ALGORITHMS)}"
            )
        if not 0.1 <= self.time_stamp_timeout_seconds <= 25:
            raise ConfigError(
                f"[signing] time_stamp_timeout_seconds is {self.time_stamp_timeout_seconds}, expected 0.1 to 25"
            )
        if not 1 <= self.time_stamp_attempts <= 10:
            raise ConfigError(
                f"[signing] time_stamp_attempts is {self.time_stamp_attempts}, expected 1 to 10"
            )


def read_signing_settings(table: Mapping[str, Any], path: Path) -> SigningSettings:
    """Return what the table says; its keys and their types have been checked against `SIGNING_TYPES`.

    Raises `ConfigError` naming `path`.
    """
    command = table.get("command", [])
    if not all(isinstance(word, str) for word in command) or ("command" in table and not command):
        raise ConfigError(
            f"{path}: [signing] command must be a program and its arguments, as a list of texts"
        )
    for name in ("chain", "key", "pkcs12", "time_stamp_url"):
        if table.get(name) == "":
            raise ConfigError(f"{path}: [signing] {name} is empty")
    try:
        return SigningSettings(**{**table, "command": tuple(command)})
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc}", hint=exc.hint) from exc
