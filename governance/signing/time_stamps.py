"""RFC 3161 time-stamps: who says when a signature was made, so that it outlives its certificate.

The library can only be given an address. It waits 30 seconds for an authority that hangs, tries once, and keeps the
reason of a failure to itself. So for the time of one signature it is given the address of a relay on this machine:

1. The library asks the relay, at a path that nobody else knows.
2. The relay asks the authority, with our time-out, and again after a pause if it cannot be reached or fails (5xx).
3. The relay checks that the answer grants a time-stamp for what was asked.
4. On failure it answers 502, the library gives up the signature, and the relay holds the reason.

There is no signature without the time-stamp that was asked for.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import secrets
import socketserver
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import IO, Any, ClassVar

from db.errors import ConfigError
from governance.errors import SigningError
from governance.signing.time_stamp_messages import check_reply

QUERY_MEDIA_TYPE = "application/timestamp-query"
REPLY_MEDIA_TYPE = "application/timestamp-reply"
_LOOPBACK = "127.0.0.1"
# The library gives up after 30 seconds (measured, c2pa-python 0.38.1); what the relay knows must be there before.
_PATIENCE_SECONDS = 27.0
_SHORTEST_ATTEMPT_SECONDS = 0.1
_MAX_MESSAGE_BYTES = 1 << 20
_HINT = (
    "check [signing] time_stamp_url and the network; without the setting, files are signed with no time-stamp"
)


@dataclass(frozen=True, kw_only=True)
class TimeStampAuthority:
    """An authority and how long it is waited for."""

    url: str
    timeout_seconds: float = 10.0
    """For one attempt. All attempts together get 27 seconds, which is as long as the library waits."""
    num_attempts: int = 3
    back_off_seconds: float = 0.25
    """Pause before the second attempt; it doubles each time."""

    def __post_init__(self) -> None:
        """Refuse addresses that are not plain HTTP(S)."""
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(f"time_stamp_url is {self.url!r}, expected an address with http:// or https://")
        if parts.username is not None or parts.password is not None:
            raise ConfigError("time_stamp_url holds a user name; no secret may stand in the settings")


class Relay:
    """What listens on this machine while one signature is made."""

    def __init__(self, authority: TimeStampAuthority, url: str) -> None:
        self.authority, self.url = authority, url
        self.failure: SigningError | None = None
        """Why there is no time-stamp, if there is none."""

    def answer(self, query: bytes) -> bytes | None:
        """Return the authority's answer to `query`, or keep the reason why there is none."""
        try:
            return request_time_stamp(self.authority, query)
        except SigningError as exc:
            self.failure = exc
            return None

    def explain(self, subject: str) -> None:
        """Raise what went wrong here, if anything did, as the `SigningError` of `subject`."""
        if self.failure is not None:
            raise SigningError(
                f"{subject}: could not be signed: no time-stamp: {self.failure}", hint=self.failure.hint
            ) from self.failure


def request_time_stamp(authority: TimeStampAuthority, query: bytes) -> bytes:
    """Ask the authority and return its checked answer, a DER-encoded `TimeStampResp`.

    Proxies and certificates are those of the environment, as urllib takes them. Redirects are not followed.

    Raises `SigningError` if no attempt brings an answer, or the answer is not a time-stamp for this query.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    attempt = 1
    while True:
        patience = min(authority.timeout_seconds, deadline - time.monotonic())
        outcome = _post(authority.url, query, timeout_seconds=patience)
        if isinstance(outcome, bytes):
            return _checked(authority, query, outcome)
        pause = authority.back_off_seconds * 2 ** (attempt - 1)
        has_time = time.monotonic() + pause + _SHORTEST_ATTEMPT_SECONDS < deadline
        if not outcome.may_pass or attempt == authority.num_attempts or not has_time:
            tries = f"attempt {attempt} of {authority.num_attempts}"
            raise SigningError(f"{authority.url} {outcome.reason} ({tries})", hint=_HINT)
        time.sleep(pause)
        attempt += 1


def _checked(authority: TimeStampAuthority, query: bytes, reply: bytes) -> bytes:
    try:
        check_reply(query, reply)
    except SigningError as exc:
        raise SigningError(f"{authority.url}: {exc}", hint=_HINT) from exc
    return reply


@dataclass(frozen=True)
class _Failure:
    """Why one attempt brought nothing, and whether another might."""

    reason: str
    may_pass: bool


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """urllib turns a redirected POST into a GET, which no authority answers."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Follow nothing: the redirect becomes an error of its own."""
        return None


def _post(url: str, query: bytes, *, timeout_seconds: float) -> bytes | _Failure:
    """Send one request. The time-out holds for each wait on the network and for the answer as a whole."""
    request = urllib.request.Request(  # noqa: S310 - http or https: the authority has checked itself
        url, data=query, headers={"Content-Type": QUERY_MEDIA_TYPE, "Accept": REPLY_MEDIA_TYPE}
    )
    opener = urllib.request.build_opener(_NoRedirects)
    deadline = time.monotonic() + timeout_seconds
    try:
        with opener.open(request, timeout=timeout_seconds) as response:
            return _body(response, deadline)
    except urllib.error.HTTPError as exc:
        exc.close()
        return _Failure(f"answered {exc.code} {exc.reason}", may_pass=exc.code >= 500)
    except TimeoutError:
        return _Failure(f"did not answer within {timeout_seconds:.3g} s", may_pass=True)
    except urllib.error.URLError as exc:
        if isinstance(exc.reason, TimeoutError):
            return _Failure(f"could not be reached within {timeout_seconds:.3g} s", may_pass=True)
        return _Failure(f"could not be reached: {exc.reason}", may_pass=True)
    except (OSError, http.client.HTTPException) as exc:
        return _Failure(f"broke off: {exc or type(exc).__name__}", may_pass=True)


def _body(response: http.client.HTTPResponse, deadline: float) -> bytes | _Failure:
    """Read the answer, no longer than until `deadline` and no more than a time-stamp can be."""
    body = b""
    while chunk := response.read1(1 << 16):
        body += chunk
        if len(body) > _MAX_MESSAGE_BYTES:
            return _Failure(f"sent more than {_MAX_MESSAGE_BYTES} bytes", may_pass=False)
        if time.monotonic() > deadline:
            raise TimeoutError
    return body


@contextlib.contextmanager
def relay_to(authority: TimeStampAuthority) -> Iterator[Relay]:
    """Listen on the loopback interface, at a random port and path, until the block ends."""
    _exempt_loopback_from_proxies()
    path = f"/{secrets.token_urlsafe(24)}"
    with _Server((_LOOPBACK, 0), _Handler) as server:
        server.path = path
        server.relay = Relay(authority, f"http://{_LOOPBACK}:{server.server_address[1]}{path}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server.relay
        finally:
            server.shutdown()
            thread.join()


class _Server(socketserver.ThreadingTCPServer):
    """Not `http.server.HTTPServer`, which looks up the name of the machine."""

    # A handler that still waits for the authority must not hold up the error that its time-out has become.
    daemon_threads = True
    block_on_close = False
    path: str
    relay: Relay


class _Handler(BaseHTTPRequestHandler):
    """Takes the library's one request."""

    server: _Server
    timeout: ClassVar[float] = 30

    def do_POST(self) -> None:
        """Pass a request on."""
        length = self.headers.get("Content-Length", "")
        if not secrets.compare_digest(self.path.encode(), self.server.path.encode()):
            self._send(404, b"")
        elif not length.isdecimal() or int(length) > _MAX_MESSAGE_BYTES:
            self._send(400, b"")
        else:
            reply = self.server.relay.answer(self.rfile.read(int(length)))
            self._send(502 if reply is None else 200, reply or b"")

    def _send(self, status: int, body: bytes) -> None:
        with contextlib.suppress(OSError):  # the library has given up; its error is raised by whoever signs
            self.send_response(status)
            self.send_header("Content-Type", REPLY_MEDIA_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what matters is kept in the relay."""


def _exempt_loopback_from_proxies() -> None:
    """Keep the library's request to the relay away from any proxy.

    It sends even requests to this machine through HTTP_PROXY, and only heeds the NO_PROXY of its first request.
    """
    proxies = urllib.request.getproxies_environment()
    if not (proxies.keys() & {"http", "all"}) or urllib.request.proxy_bypass(_LOOPBACK):
        return
    exempt = ",".join(filter(None, (proxies.get("no"), _LOOPBACK)))
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = exempt
