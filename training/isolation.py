"""Leaving the network: a run whose process can reach no other, where the system allows it, and what was measured.

1. On Linux a process may move into a network namespace of its own, where there is no interface but an idle loopback.
   Who may not do that alone may do it together with a user namespace, in which ids stay as they were, so that files
   belong to whom they did. Whether it works is tried in a child first: there is no way back.
2. Threads do not move with the process, and what was connected stays connected. So it is done before PyTorch is loaded,
   and not at all where threads run already.
3. What cannot do without the network is said instead: a database behind TCP, a run of several processes.
4. Only what was measured afterwards is stated: no interface is up but the loopback, a listener on the loopback outside
   does not answer, no open connection was inherited.
5. Weights are signed when all steps are taken. Where that needs the network (a time-stamp authority, a program that
   signs), a process that stayed outside does it; it signs weights and does nothing else.

Sockets in the file system, such as that of a PostgreSQL server, stay within reach. Nobody can check afterwards whether
a statement is true: it is the word of whoever ran the process.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Never

from db.errors import Error, UndecidedError
from db.project import Project
from governance.errors import SigningError
from training.weights_signing import WeightsToSign, sign_weights

# <linux/sched.h>
_NEW_USER = 0x10000000
_NEW_NETWORK = 0x40000000
_KINDS = {
    "network namespace": _NEW_NETWORK,
    "user and network namespace": _NEW_USER | _NEW_NETWORK,
}
# <linux/sockios.h>, <linux/if.h>
_GET_FLAGS, _SET_FLAGS, _IS_UP = 0x8913, 0x8914, 0x1
_INTERNET = frozenset({socket.AF_INET, socket.AF_INET6})


@dataclass(frozen=True, kw_only=True)
class Isolation:
    """How the process of a run stands to the network."""

    statement: str
    """`off (KIND)` or `not off: REASON`, as the record of the run has it."""
    outside: OutsideSigner | None = None
    """Who signs for a process that left, where signing needs the network."""

    @property
    def is_off(self) -> bool:
        """Whether no network was within reach when it was measured."""
        return self.statement.startswith("off ")

    def sign(self, project: Project, request: WeightsToSign) -> None:
        """Have weights signed; raises as `training.weights_signing.sign_weights`."""
        if self.outside is None:
            sign_weights(project, request)
        else:
            self.outside.sign(request)


NOT_ASKED = Isolation(statement="not off: whoever began the run did not ask for it")


def leave_network(project: Project) -> Isolation:
    """Move this process, for good, to where there is no network, if that can be done; say whether it was.

    Raises `UndecidedError` if the process was moved and is not whole.
    """
    if reason := _obstacle(project):
        return Isolation(statement=f"not off: {reason}")
    reasons = {}
    for kind, flags in _KINDS.items():
        if number := _errno_of_trying(flags):
            reasons[kind] = os.strerror(number)
            continue
        outside = OutsideSigner(project) if project.settings.signing.needs_network else None
        ways = _leave(flags)
        statement = f"not off: {'; '.join(ways)}" if ways else f"off ({kind})"
        return Isolation(statement=statement, outside=outside)
    told = "; ".join(f"no {kind}: {reason}" for kind, reason in reasons.items())
    return Isolation(statement=f"not off: the system does not let this process leave it ({told})")


def leave_network_to_seal(project: Project) -> Isolation:
    """Leave as `leave_network` does, if the snapshot that is sealed before the run can be signed without it."""
    if project.settings.signing.needs_network:
        return Isolation(statement="not off: the snapshot of the run was signed over it, in the same process")
    return leave_network(project)


def _obstacle(project: Project) -> str | None:
    """Return what keeps the process from leaving, before the system is asked."""
    if sys.platform != "linux":
        return "this system has no network namespaces"
    if host := _database_host(project.database_url, os.environ):
        return f"the database is reached over it ({host})"
    if (num_processes := os.environ.get("WORLD_SIZE", "1")) != "1":
        return f"the {num_processes} processes of the run talk to each other over it"
    if "torch" in sys.modules or len(list(Path("/proc/self/task").iterdir())) > 1:
        return "this process has worked before the run, and its threads would have stayed behind"
    return None


def _database_host(url: str, environment: Mapping[str, str]) -> str | None:
    """Return where a PostgreSQL server is reached, `None` for a socket in the file system and for SQLite.

    libpq takes what the URL does not say from the environment, and without either a socket; an address comes before a
    name, wherever each is said. Of a malformed URL nothing is said here: whoever opens the database refuses it.
    """
    from sqlalchemy.engine.url import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    if parsed.get_backend_name() != "postgresql":
        return None
    if "service" in parsed.query or "PGSERVICE" in environment:
        return "by a service file"
    stated = parsed.query.get("hostaddr") or environment.get("PGHOSTADDR")
    stated = stated or parsed.host or parsed.query.get("host") or environment.get("PGHOST") or ()
    hosts = stated.split(",") if isinstance(stated, str) else stated
    return next((host for host in hosts if not host.startswith("/")), None)


def _errno_of_trying(flags: int) -> int:
    """Return 0 if a child of this process can leave, otherwise the number of the error that it got."""
    child = os.fork()
    if child == 0:
        number = errno.EIO
        try:
            _enter(flags)
            number = 0
        except OSError as exc:
            number = exc.errno or number
        finally:
            os._exit(number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _leave(flags: int) -> list[str]:
    """Move this process, and return what of the network is within its reach all the same."""
    listener = _listener()
    try:
        _enter(flags)
        ways = list(_ways_out(listener))
    except OSError as exc:
        raise UndecidedError(f"this process left the network and is not whole: {exc}") from exc
    finally:
        listener.close()
    return ways


def _enter(flags: int) -> None:
    """Move this process into new namespaces, where ids are what they were. Raises `OSError`."""
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    if flags & _NEW_USER:
        # Without `deny` the kernel takes no group from who has no privilege outside (user_namespaces(7)).
        for name, line in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            Path("/proc/self", name).write_text(line, encoding="ascii")
    _raise_loopback()


def _raise_loopback() -> None:
    """Bring the new loopback up, so that processes of the run that start later can talk to each other."""
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sH14x", b"lo", _IS_UP))


def _listener() -> socket.socket:
    """Return a socket that listens on the loopback of where the process is now, if there is one."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
    except OSError:  # no loopback here either; then `getsockname` gives port 0, where nobody answers
        pass
    return listener


def _ways_out(listener: socket.socket) -> Iterator[str]:
    """Yield what of the network is within reach; `listener` was opened before the process left."""
    for name in _interfaces_up():
        if name != "lo":
            yield f"interface {name} is up"
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as caller:
        caller.settimeout(1)
        if caller.connect_ex(listener.getsockname()) == 0:
            yield "a listener outside answers"
    for number in _inherited_connections(listener):
        yield f"descriptor {number} is a connection that was open before"


def _interfaces_up() -> Iterator[str]:
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for _, name in socket.if_nameindex():
            answer = fcntl.ioctl(any_socket, _GET_FLAGS, struct.pack("16sH14x", name.encode(), 0))
            if struct.unpack("16sH14x", answer)[1] & _IS_UP:
                yield name


def _inherited_connections(but: socket.socket) -> Iterator[int]:
    """Yield the descriptors that are internet sockets, `but` one."""
    for entry in Path("/proc/self/fd").iterdir():
        number = int(entry.name)
        if number == but.fileno():
            continue
        try:
            copy = socket.socket(fileno=os.dup(number))
        except OSError:  # no socket, or closed since: the listing itself was open
            continue
        with copy:
            if copy.family in _INTERNET:
                yield number


class OutsideSigner:
    """A process that stays in the network when this one leaves it, and that signs weights for it.

    It ends when this process does, however that ends.
    """

    def __init__(self, project: Project) -> None:
        """Start it. Only a process with a single thread may, since it is a copy of this one."""
        self._pipe, theirs = Pipe()
        if os.fork() == 0:
            self._pipe.close()
            _serve(project, theirs)
        theirs.close()

    def sign(self, request: WeightsToSign) -> None:
        """Have weights signed. Raises what signing raised there, `SigningError` if the process is gone."""
        try:
            self._pipe.send(request)
            answer = self._pipe.recv()
        except (EOFError, OSError) as exc:
            raise SigningError(
                "the process that signs outside has ended", hint="run the same command again"
            ) from exc
        if answer is not None:
            raise answer


def _serve(project: Project, pipe: Connection) -> Never:
    """Sign what is asked for until whoever asks has ended; never return."""
    # Ctrl-C reaches every process of the terminal; this one ends with the one that it signs for.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        while True:
            request = pipe.recv()
            try:
                sign_weights(project, request)
                pipe.send(None)
            except (Error, OSError) as exc:
                pipe.send(exc)
    finally:
        # Whatever happened, this copy must not go on with the work of the process that it is a copy of.
        os._exit(0)
