"""Writing files so that a kill or a full disk leaves the old file or none, never half of one."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from db.errors import ConfigError


def write_durably(path: Path, content: bytes) -> None:
    """Write `content` to a temporary neighbour of `path`, sync it, and rename it into place. Parents are made.

    Raises `OSError` as the system gives it, for example when the disk is full; `path` is then as it was.
    """
    with durable_file(path) as staged:
        staged.write_bytes(content)


@contextlib.contextmanager
def durable_file(path: Path) -> Iterator[Path]:
    """Lend a temporary neighbour of `path`, same suffix, to be filled; sync and rename it on leaving.

    If the block raises, the temporary file is removed and `path` is as it was. Raises `ConfigError` for a device
    or a pipe, which a rename would replace.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ConfigError(f"{path} is there and is not a file", hint="give the name of a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path.parent, f".{path.stem}.", path.suffix, Path.unlink)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    staged = Path(name)
    try:
        _lock(descriptor)
        yield staged
        # mkstemp is private to the user; the finished file gets the usual rights.
        staged.chmod(0o666 & ~_umask())
        _sync(staged, os.O_RDWR)
        staged.replace(path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def place_new(staged: Path, path: Path) -> None:
    """Rename the finished file `staged` to the name `path` beside it, which must be free.

    Raises `FileExistsError` if it is not, even where another process took it a moment ago, and `OSError` as the system
    does; `staged` is not at `path` then.
    """
    try:
        os.link(staged, path)  # unlike a rename it never replaces anything
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        staged.replace(path)
    else:
        staged.unlink()
    try:
        sync_folder(path.parent)
    except OSError:
        path.unlink()
        raise


@contextlib.contextmanager
def staged_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `folder`; on success it replaces `folder`, on any failure it is removed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _hidden_folder(folder.parent, f".{folder.name}.", ".partial") as staged:
        yield staged
        if folder.exists():
            shutil.rmtree(folder)
        staged.rename(folder)
        sync_folder(folder.parent)


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `folder`; on success it becomes `folder`, on any failure it is removed.

    Raises `FileExistsError` if `folder` is there and not empty, even where another process made it a moment ago.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _hidden_folder(folder.parent, f".{folder.name}.", ".partial") as staged:
        yield staged
        try:
            staged.rename(folder)
        except OSError as exc:
            if exc.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder)) from exc
            raise
        sync_folder(folder.parent)


@contextlib.contextmanager
def hidden_folder(parent: Path) -> Iterator[Path]:
    """Yield an empty hidden folder in `parent` and remove it on leaving, with those of processes that were killed."""
    with _hidden_folder(parent, ".cleartitle-", "") as hidden:
        yield hidden


@contextlib.contextmanager
def _hidden_folder(parent: Path, prefix: str, suffix: str) -> Iterator[Path]:
    _remove_abandoned(parent, prefix, suffix, shutil.rmtree)
    hidden = Path(tempfile.mkdtemp(prefix=prefix, suffix=suffix, dir=parent))
    hidden.chmod(0o777 & ~_umask())
    descriptor = os.open(hidden, os.O_RDONLY) if os.name == "posix" else None
    try:
        if descriptor is not None:
            _lock(descriptor)
        yield hidden
    finally:
        if descriptor is not None:
            os.close(descriptor)
        shutil.rmtree(hidden, ignore_errors=True)


def _remove_abandoned(parent: Path, prefix: str, suffix: str, remove: Callable[[Path], object]) -> None:
    """Remove temporary neighbours that a killed process left: those that nobody holds a lock on."""
    if os.name != "posix":  # without such locks nobody can tell
        return
    for stray in parent.glob(f"{_literal(prefix)}????????{_literal(suffix)}"):
        with contextlib.suppress(OSError):  # somebody is writing it, or has finished meanwhile
            descriptor = os.open(stray, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                _lock(descriptor)
                remove(stray)
            finally:
                os.close(descriptor)


def _literal(text: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in text)


def _lock(descriptor: int) -> None:
    """Hold an open file or folder as ours until it is closed. Raises `OSError` if another process holds it."""
    if os.name == "posix":
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def sync_folder(folder: Path) -> None:
    """Sync a folder's entries, so that a rename survives a power cut."""
    if os.name == "posix":  # elsewhere folders cannot be opened, and need not be
        _sync(folder, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current


def path_text(path: Path) -> str:
    """Return an absolute path as text that any database takes; bytes outside UTF-8 become `%XX` after `bytes:`."""
    return place_text(path.absolute())


def place_text(path: Path) -> str:
    """Return a path, relative or not, as text that `path_of` undoes."""
    text = str(path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        escaped = "".join(
            chr(byte) if 32 <= byte < 127 and byte != 37 else f"%{byte:02X}" for byte in os.fsencode(text)
        )
        return f"bytes:{escaped}"
    return text


def path_of(text: str) -> Path:
    """Undo `path_text` and `place_text`."""
    if not text.startswith("bytes:"):
        return Path(text)
    raw = bytearray()
    escaped = text.removeprefix("bytes:")
    position = 0
    while position < len(escaped):
        if escaped[position] == "%":
            raw.append(int(escaped[position + 1 : position + 3], 16))
            position += 3
        else:
            raw.append(ord(escaped[position]))
            position += 1
    return Path(os.fsdecode(bytes(raw)))
