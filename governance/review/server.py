"""Serving a desk: a socket on one address, and uvicorn behind it until it is told to stop."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from db.errors import ConfigError
from governance.review.passwords import PasswordDigest

if TYPE_CHECKING:
    from uvicorn import Server

    from governance.review.desk import Desk

_GRACE_SECONDS = 3


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a desk is served, and what protects it there."""

    host: str = "127.0.0.1"
    port: int = 0
    """0: any that is free."""
    password: PasswordDigest | None = None

    def __post_init__(self) -> None:
        """Refuse an address that others can reach without a password, and one that is not an address of anybody."""
        if self.host in {"", "0.0.0.0", "::"}:  # noqa: S104 (refused, not bound)
            raise ConfigError(
                f"--host {self.host!r} names no address", hint="give the one that reviewers will type"
            )
        if not self.is_loopback and self.password is None:
            raise ConfigError(
                f"--host {self.host} can be reached by others, so the desk needs a password",
                hint="run `cleartitle review password FILE`, then add --password-file FILE",
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return False

    def hosts(self, port: int) -> tuple[str, ...]:
        """Return the values of the Host header that mean this desk, the one for links first."""
        names = [_bracketed(self.host)]
        if self.is_loopback:
            names += ["127.0.0.1", "localhost"]
        with_port = [f"{name}:{port}".lower() for name in dict.fromkeys(names)]
        return tuple(with_port)


@dataclass(frozen=True, kw_only=True)
class Opening:
    """A desk that is about to be served."""

    server: Server
    listener: socket.socket
    link: str
    """Opens the desk, once."""

    def run(self) -> None:
        """Serve until the process is interrupted, or somebody sets `server.should_exit`."""
        self.server.run(sockets=[self.listener])


@contextlib.contextmanager
def opened(desk: Desk, address: Address) -> Iterator[Opening]:
    """Bind the address and make everything ready. Raises `ConfigError` if the address cannot be bound."""
    import uvicorn

    from governance.review.app import make_app
    from governance.review.door import Door

    door = Door(now=desk.now, password=address.password)
    with _bound(address) as listener:
        hosts = address.hosts(listener.getsockname()[1])
        config = uvicorn.Config(
            make_app(desk, door, hosts=hosts),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        link = f"http://{hosts[0]}/enter?{urlencode({'token': door.token})}"
        yield Opening(server=uvicorn.Server(config), listener=listener, link=link)


def serve(desk: Desk, address: Address, *, on_ready: Callable[[str], None]) -> None:
    """Serve a desk until it is interrupted; `on_ready` is told the link."""
    with opened(desk, address) as opening:
        on_ready(opening.link)
        with contextlib.suppress(KeyboardInterrupt):
            opening.run()


def _bound(address: Address) -> socket.socket:
    try:
        family, kind, _, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(place)
            # Whoever is faster than the server waits for it instead of being refused.
            listener.listen()
        except OSError:
            listener.close()
            raise
        return listener
    except OSError as exc:
        raise ConfigError(
            f"cannot listen on {address.host} port {address.port}: {exc.strerror or exc}",
            hint="give another --port, or leave it out for any that is free",
        ) from exc


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
