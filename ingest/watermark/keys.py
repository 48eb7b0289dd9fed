"""Watermark keys: 32 secret bytes, and everything that is drawn from them.

Whoever holds the key can read a mark, put one into other pictures, and take one out. The draws come from SHAKE-256
(FIPS 202), so that the same key gives the same mark on every machine and with every version of numpy.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from db.errors import ConfigError
from db.files import sync_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

WATERMARK_KEY_FILE = "watermark.key"
"""Its name among the keys of a project."""
KEY_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class WatermarkKey:
    """The secret of one project's watermark. Raises `ConfigError` if it is not 32 bytes."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise ConfigError(f"a watermark key has {KEY_BYTES} bytes, not {len(self.secret)}")

    @property
    def fingerprint(self) -> str:
        """A name for the key that gives nothing away: 16 hexadecimal digits of its SHA-256."""
        return hashlib.sha256(b"cleartitle watermark key\0" + self.secret).hexdigest()[:16]

    def signs(self, label: str, num_signs: int) -> NDArray[np.float32]:
        """Return `num_signs` values, each -1 or 1 with equal chance; independent for different labels."""
        draw = np.frombuffer(self._draw(label, (num_signs + 7) // 8), np.uint8)
        bits = np.unpackbits(draw)[:num_signs]
        return (1 - 2 * bits.astype(np.float32)).astype(np.float32)

    def order(self, label: str, num_items: int) -> NDArray[np.intp]:
        """Return the numbers 0 to `num_items` - 1, shuffled; independent for different labels."""
        ranks = np.frombuffer(self._draw(label, 8 * num_items), "<u8")
        return np.argsort(ranks, kind="stable")

    def _draw(self, label: str, num_bytes: int) -> bytes:
        return hashlib.shake_256(self.secret + b"\0" + label.encode()).digest(num_bytes)


def new_key() -> WatermarkKey:
    """Return a fresh key from the system's source of randomness."""
    return WatermarkKey(secret=secrets.token_bytes(KEY_BYTES))


def write_watermark_key(path: Path) -> WatermarkKey:
    """Write a fresh key to the new file `path`, readable by its owner alone, and return it.

    The file is one line of 64 hexadecimal digits. Raises `ConfigError` if `path` exists: a key that is lost takes the
    reading of every mark made with it along.
    """
    key = new_key()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as exc:
        raise ConfigError(f"{path}: exists already; keys are never overwritten") from exc
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key.secret.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink()
        raise
    sync_folder(path.parent)
    return key


def load_reading_keys(folder: Path) -> tuple[WatermarkKey, ...]:
    """Read the key that clips are marked with, `watermark.key`, and the older ones, `watermark-*.key`, in `folder`.

    Raises `ConfigError` as `load_watermark_key` does, for the one that is in use as for the older ones.
    """
    current = folder / WATERMARK_KEY_FILE
    older = sorted(folder.glob(f"{current.stem}-*{current.suffix}"))
    return tuple(load_watermark_key(path) for path in (current, *older))


def load_watermark_key(path: Path) -> WatermarkKey:
    """Read the key in `path`. Raises `ConfigError` if it is missing, unreadable or not a key."""
    try:
        with path.open("rb") as file:
            content = file.read(4 * KEY_BYTES)
    except FileNotFoundError as exc:
        raise ConfigError(f"{path}: missing", hint="bring the key that the clips were marked with") from exc
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    try:
        secret = bytes.fromhex(content.decode("ascii"))
    except ValueError as exc:
        raise ConfigError(
            f"{path}: not a watermark key", hint="a key is one line of 64 hexadecimal digits"
        ) from exc
    if len(secret) != KEY_BYTES:
        raise ConfigError(f"{path}: not a watermark key: {len(secret)} bytes, expected {KEY_BYTES}")
    return WatermarkKey(secret=secret)
