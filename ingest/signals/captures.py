"""Captures: what a site sent, saved in a folder. Nothing here fetches anything.

The folder holds `captures.jsonl`, one JSON object a line for each response, and the bodies as files beside it:

    {"url": "https://example.com/robots.txt",   the address that was asked for
     "status": 200,                             the status of the response
     "headers": {"content-type": "text/plain"}, names in any case; a header that came twice is a list
     "fetched_at": "2026-11-20T10:00:00Z",      RFC 3339, with an offset
     "body_file": "bodies/1",                   relative to the folder; null where there was no body (HEAD)
     "body_sha256": "..."}                      of the body as saved; null where there was none

Save redirects as the responses they are. Of several captures of one address the newest counts. A line that is not a
capture makes the folder unusable; a body that is missing, altered or outside of the folder makes what it would have
said unreadable, which is for its readers to report.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from ingest.signals.errors import CaptureError, UnreadableError
from ingest.signals.text import quoted

INDEX_NAME = "captures.jsonl"
MAX_BODY_BYTES = 4 << 20
"""How much of a body is kept; all of it is digested."""
_MAX_LINE_BYTES = 1 << 20
_MAX_URL_BYTES = 2048
"""Addresses are keys of an index, and databases do not take keys of any length."""
_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEYS = frozenset({"url", "status", "headers", "fetched_at", "body_file", "body_sha256"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """One saved response."""

    url: str
    """Normalised by `normal_url`."""
    status: int
    headers: Mapping[str, tuple[str, ...]]
    """By name in lower case, in the order they came."""
    fetched_at: dt.datetime
    body_path: Path | None
    body_sha256: str

    @property
    def media_type(self) -> str:
        """The media type without parameters, in lower case; empty if none was sent."""
        return self.header("content-type").partition(";")[0].strip().lower()

    def header(self, name: str) -> str:
        """Return the first value of a header; empty if it was not sent."""
        return next(iter(self.headers.get(name, ())), "")

    def body(self) -> bytes:
        """Return the first `MAX_BODY_BYTES` of the body; empty if there was none.

        Raises `UnreadableError` if it is missing or is not what was saved.
        """
        if self.body_path is None:
            return b""
        digest = hashlib.sha256()
        kept = b""
        try:
            with self.body_path.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    kept += chunk[: MAX_BODY_BYTES - len(kept)]
        except OSError as exc:
            raise UnreadableError(f"its saved body cannot be read: {exc.strerror or exc}") from exc
        if digest.hexdigest() != self.body_sha256:
            raise UnreadableError("its saved body is not the one whose digest was recorded")
        return kept

    @property
    def is_cut(self) -> bool:
        """Whether `body` returns less than was saved."""
        return self.body_path is not None and self.body_path.stat().st_size > MAX_BODY_BYTES


@dataclass(frozen=True, slots=True)
class Captures:
    """The newest capture of every address."""

    by_url: Mapping[str, Capture]

    def __iter__(self) -> Iterator[str]:
        """Yield the addresses in the order of their names."""
        return iter(sorted(self.by_url))

    def chain(self, url: str) -> tuple[list[Capture], str]:
        """Return the responses that `url` led through, the last one last, and why the way could not be followed.

        The list is empty where `url` was not captured, the reason where the way ends in something else than a redirect.
        Raises `UnreadableError` if `url` is not an address.
        """
        capture = self.by_url.get(normal_url(url))
        passed = [] if capture is None else [capture]
        while passed and passed[-1].status in _REDIRECTS:
            if len(passed) > _MAX_REDIRECTS:
                return passed, f"it redirects more than {_MAX_REDIRECTS} times"
            location = passed[-1].header("location")
            try:
                target = self.by_url.get(_target(passed[-1].url, location))
            except UnreadableError as exc:
                return passed, f"it redirects to {quoted(location)}: {exc}"
            if target is None:
                return passed, f"it redirects to {quoted(location)}, which was not captured"
            passed.append(target)
        return passed, ""

    def find(self, url: str) -> Capture | None:
        """Return the response that `url` led to in the end; None if it was not captured.

        Raises `UnreadableError` if a redirect leads out of what was saved, or in a circle, or `url` is no address.
        """
        passed, why = self.chain(url)
        if why:
            raise UnreadableError(why)
        return passed[-1] if passed else None


def _target(url: str, location: str) -> str:
    """Return the address that a `Location` header means. Raises `UnreadableError` if it is not one."""
    try:
        return normal_url(urljoin(url, location))
    except ValueError as exc:
        raise UnreadableError("not an address") from exc


def normal_url(url: str) -> str:
    """Return `url` with scheme and host in lower case, without default port and fragment, and with a path.

    Raises `UnreadableError` if it is not an http or https address, is too long, or has characters that no address has.
    """
    url = url.strip()
    if len(url.encode("utf-8", "surrogatepass")) > _MAX_URL_BYTES:
        raise UnreadableError(f"{quoted(url)} is longer than {_MAX_URL_BYTES} bytes")
    if not url.isprintable():
        raise UnreadableError(f"{quoted(url)} has control or invisible characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise UnreadableError(f"{quoted(url)} is not an address: {exc}") from exc
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    if scheme not in _DEFAULT_PORTS or not host:
        raise UnreadableError(f"{quoted(url)} is not an http or https address")
    host = f"[{host}]" if ":" in host else host
    place = host if port in {None, _DEFAULT_PORTS[scheme]} else f"{host}:{port}"
    return urlunsplit((scheme, place, parts.path or "/", parts.query, ""))


def read_captures(folder: Path) -> Captures:
    """Read the index of a capture folder; bodies are opened when a reader asks for them.

    Raises `CaptureError` if there is no index, or a line of it is not a capture.
    """
    index = folder / INDEX_NAME
    newest: dict[str, Capture] = {}
    try:
        with index.open("rb") as file:
            number = 0
            while line := file.readline(_MAX_LINE_BYTES + 1):
                number += 1
                if line.strip():
                    capture = _capture(folder, line, f"{index}: line {number}")
                    known = newest.get(capture.url)
                    if known is None or known.fetched_at <= capture.fetched_at:
                        newest[capture.url] = capture
    except OSError as exc:
        hint = f"a capture folder holds {INDEX_NAME} and the bodies it names"
        raise CaptureError(f"{index}: cannot be read: {exc.strerror or exc}", hint=hint) from exc
    if not newest:
        raise CaptureError(f"{index}: there are no captures in it", hint="save at least one response")
    return Captures(newest)


def _capture(folder: Path, line: bytes, where: str) -> Capture:
    if len(line) > _MAX_LINE_BYTES:
        raise CaptureError(f"{where}: longer than {_MAX_LINE_BYTES} bytes", hint="keep bodies in files")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise CaptureError(f"{where}: not JSON: {exc}", hint="write one JSON object on each line") from exc
    if not isinstance(row, dict):
        raise CaptureError(f"{where}: not a JSON object", hint="write one JSON object on each line")
    if unknown := sorted(set(row) - _KEYS):
        hint = f"known keys: {', '.join(sorted(_KEYS))}"
        raise CaptureError(f"{where}: unknown key {quoted(unknown[0])}", hint=hint)
    try:
        return _capture_of_row(folder, row)
    except (UnreadableError, ValueError, TypeError, OverflowError) as exc:
        hint = "a capture has url, status, headers, fetched_at with an offset, body_file and body_sha256"
        raise CaptureError(f"{where}: {exc}", hint=hint) from exc


def _capture_of_row(folder: Path, row: Mapping[str, Any]) -> Capture:
    url, status, fetched_at = row.get("url"), row.get("status"), row.get("fetched_at")
    if not isinstance(url, str) or not isinstance(fetched_at, str):
        raise TypeError("url and fetched_at must be text")
    if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 599:
        raise ValueError(f"status {quoted(str(status))} is not one of HTTP")
    at = dt.datetime.fromisoformat(fetched_at)
    if at.tzinfo is None:
        raise ValueError(f"fetched_at {quoted(fetched_at)} has no offset from UTC")
    body_path, body_sha256 = _body(folder, row.get("body_file"), row.get("body_sha256"))
    return Capture(
        url=normal_url(url),
        status=status,
        headers=_headers(row.get("headers")),
        fetched_at=at.astimezone(dt.UTC),
        body_path=body_path,
        body_sha256=body_sha256,
    )


def _headers(value: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise TypeError("headers must be an object")
    headers: dict[str, tuple[str, ...]] = {}
    for name, values in value.items():
        several = values if isinstance(values, list) else [values]
        if not all(isinstance(each, str) for each in several):
            raise TypeError(f"header {quoted(name)} must be text or a list of texts")
        headers[name.strip().lower()] = headers.get(name.strip().lower(), ()) + tuple(several)
    return headers


def _body(folder: Path, name: object, sha256: object) -> tuple[Path | None, str]:
    if name is None and sha256 is None:
        return None, ""
    if not isinstance(name, str) or not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise ValueError("body_file and body_sha256 belong together; the digest is 64 lower-case hex digits")
    path = (folder / name).resolve()
    if "\0" in name or not path.is_relative_to(folder.resolve()):
        raise ValueError(f"body_file {quoted(name)} lies outside of the folder")
    return path, sha256
