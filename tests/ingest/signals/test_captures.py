"""Capture folders: what is refused, what is unreadable, which capture of an address counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from db.vocabularies import SignalAction, SignalValidity, SignalValue
from ingest.signals import captures as captures_module
from ingest.signals.captures import normal_url, read_captures
from ingest.signals.combine import combine
from ingest.signals.errors import CaptureError, UnreadableError
from ingest.signals.sites import signals_for
from tests.ingest.signals.site import CORPUS, FETCHED_AT, ORIGIN, CaptureFolder

_URL = f"{ORIGIN}/clips/harbour.mp4"
_DENY_ALL = b"User-agent: *\nDisallow: /\n"
_ALLOW_ALL = b"User-agent: *\nAllow: /\n"


@pytest.fixture
def site(tmp_path: Path) -> CaptureFolder:
    return CaptureFolder(tmp_path / "site")


def _says(site: CaptureFolder, action: SignalAction, url: str = _URL) -> SignalValue:
    return combine(signals_for(url, read_captures(site.folder)))[action]


def _row(**changes: object) -> str:
    row = {
        "url": _URL,
        "status": 200,
        "headers": {},
        "fetched_at": FETCHED_AT,
        "body_file": None,
        "body_sha256": None,
    }
    return json.dumps(row | changes)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        (_row(url=7), "must be text"),
        (_row(url="ftp://example.com/"), "not an http or https address"),
        (_row(url="https://[::1/"), "not an address"),
        (_row(url="https://example.com:port/"), "not an address"),
        (_row(url="https://example.com/\ud800"), "control or invisible characters"),
        (_row(url="https://example.com/\0"), "control or invisible characters"),
        (_row(url="https://example.com/\u202e4pm.exe"), "control or invisible characters"),
        (_row(url="https://example.com/" + "a" * 2048), "longer than 2048 bytes"),
        (_row(status="200"), "not one of HTTP"),
        (_row(status=True), "not one of HTTP"),
        (_row(fetched_at="2026-11-20T10:00:00"), "no offset"),
        (_row(fetched_at="yesterday"), "yesterday"),
        (_row(fetched_at="9999-12-31T23:59:59-23:59"), "out of range"),
        (_row(fetched_at="0001-01-01T00:00:00+14:00"), "out of range"),
        (_row(headers=[]), "headers must be an object"),
        (_row(headers={"a": 1}), "must be text"),
        (_row(body_file="bodies/1"), "belong together"),
        (_row(body_file="bodies/1", body_sha256="A" * 64), "64 lower-case"),
        (_row(body_file="../../etc/passwd", body_sha256="0" * 64), "outside of the folder"),
        (_row(body_file="/etc/passwd", body_sha256="0" * 64), "outside of the folder"),
        (_row(body="here"), "unknown key"),
    ],
)
def test_a_line_that_is_no_capture_is_named(site: CaptureFolder, line: str, reason: str) -> None:
    """Addresses with half a surrogate pair and times beyond the calendar used to end in a traceback."""
    site.add(f"{ORIGIN}/robots.txt", _ALLOW_ALL)
    site.add_line(line)
    with pytest.raises(CaptureError, match=reason) as caught:
        read_captures(site.folder)
    assert "captures.jsonl: line 2" in str(caught.value)
    assert caught.value.hint


def test_a_line_without_end_is_not_read_whole(site: CaptureFolder) -> None:
    site.add_line(_row(headers={"x": "y" * (2 << 20)}))
    with pytest.raises(CaptureError, match="longer than"):
        read_captures(site.folder)


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"captures\.jsonl"):
        read_captures(tmp_path)


def test_an_empty_index_is_refused(site: CaptureFolder) -> None:
    with pytest.raises(CaptureError, match="no captures"):
        read_captures(site.folder)


def test_an_altered_body_is_unreadable(site: CaptureFolder) -> None:
    body = site.add(f"{ORIGIN}/robots.txt", _ALLOW_ALL)
    assert body is not None
    assert _says(site, SignalAction.ACQUIRE) is SignalValue.ALLOW
    body.write_bytes(_ALLOW_ALL.replace(b"/", b"*"))
    signals = signals_for(_URL, read_captures(site.folder))
    assert {signal.protocol for signal in signals} == {"robots", "aipref", "content_signals", "rsl"}
    assert {signal.validity for signal in signals} == {SignalValidity.INVALID}
    assert set(combine(signals).values()) == {SignalValue.CONDITIONAL}


def test_a_missing_body_is_unreadable(site: CaptureFolder) -> None:
    body = site.add(_URL, (CORPUS / "html/tdm_open.html").read_bytes(), headers={"content-type": "text/html"})
    assert body is not None
    assert _says(site, SignalAction.MINE) is SignalValue.ALLOW
    body.unlink()
    assert _says(site, SignalAction.MINE) is SignalValue.CONDITIONAL


def test_a_body_behind_a_link_out_of_the_folder_is_refused(site: CaptureFolder, tmp_path: Path) -> None:
    body = site.add(f"{ORIGIN}/robots.txt", _ALLOW_ALL)
    assert body is not None
    (tmp_path / "elsewhere").write_bytes(_ALLOW_ALL)
    body.unlink()
    body.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CaptureError, match="outside of the folder"):
        read_captures(site.folder)


def test_the_newest_capture_counts_whatever_the_order(site: CaptureFolder) -> None:
    site.add(f"{ORIGIN}/robots.txt", _DENY_ALL, fetched_at="2026-11-20T10:00:00+01:00")
    site.add(f"{ORIGIN}/robots.txt", _ALLOW_ALL, fetched_at="2026-11-20T08:59:59Z")
    assert _says(site, SignalAction.ACQUIRE) is SignalValue.DENY


def test_addresses_that_mean_the_same_are_one(site: CaptureFolder) -> None:
    site.add("HTTPS://EXAMPLE.com:443/robots.txt#top", _DENY_ALL)
    assert _says(site, SignalAction.ACQUIRE, "https://example.com") is SignalValue.DENY


def test_another_host_or_port_is_another_site(site: CaptureFolder) -> None:
    site.add(f"{ORIGIN}/robots.txt", _DENY_ALL)
    for url in ("https://www.example.com/", "http://example.com/", "https://example.com:8443/"):
        assert _says(site, SignalAction.ACQUIRE, url) is SignalValue.UNKNOWN


def test_redirects_that_were_saved_are_followed(site: CaptureFolder) -> None:
    site.add(
        f"{ORIGIN}/robots.txt", None, status=301, headers={"Location": "https://www.example.com/robots.txt"}
    )
    site.add("https://www.example.com/robots.txt", None, status=302, headers={"location": "/r.txt"})
    site.add("https://www.example.com/r.txt", _DENY_ALL)
    assert _says(site, SignalAction.ACQUIRE) is SignalValue.DENY


def test_every_site_on_the_way_of_a_redirect_is_asked(site: CaptureFolder) -> None:
    site.add(
        _URL, None, status=302, headers={"location": "https://cdn.example/1.mp4", "tdm-reservation": "1"}
    )
    site.add("https://cdn.example/1.mp4", None, headers={"content-type": "video/mp4", "tdm-reservation": "0"})
    site.add("https://cdn.example/robots.txt", _DENY_ALL)
    said = combine(signals_for(_URL, read_captures(site.folder)))
    assert said[SignalAction.ACQUIRE] is SignalValue.DENY
    assert said[SignalAction.MINE] is SignalValue.DENY


def test_a_redirect_out_of_the_captures_is_unreadable(site: CaptureFolder) -> None:
    site.add(_URL, None, status=302, headers={"location": "https://cdn.example/1.mp4"})
    signals = signals_for(_URL, read_captures(site.folder))
    assert {signal.protocol for signal in signals} == {"tdmrep", "noai", "rsl"}
    assert combine(signals)[SignalAction.TRAIN_GEN] is SignalValue.CONDITIONAL


@pytest.mark.parametrize(
    "target", ["/robots.txt", "https://[/", "ftp://example.com/", "", "/\ud800", "/" + "a" * 2048]
)
def test_a_redirect_in_a_circle_or_to_nowhere_is_unreadable(site: CaptureFolder, target: str) -> None:
    site.add(f"{ORIGIN}/robots.txt", None, status=301, headers={"location": target})
    assert _says(site, SignalAction.ACQUIRE) is SignalValue.CONDITIONAL


def test_a_page_longer_than_what_is_read_is_conditional(
    site: CaptureFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captures_module, "MAX_BODY_BYTES", 1000)
    page = b"<html>" + b" " * 2000 + b'<meta name="robots" content="noai">'
    site.add(_URL, page, headers={"content-type": "text/html"})
    assert _says(site, SignalAction.TRAIN_GEN) is SignalValue.CONDITIONAL


def test_signals_say_when_and_who(site: CaptureFolder) -> None:
    site.add(f"{ORIGIN}/robots.txt", _DENY_ALL)
    (signal,) = signals_for(_URL, read_captures(site.folder))
    assert signal.captured_at is not None
    assert signal.captured_at.isoformat() == "2026-11-20T10:00:00+00:00"
    assert signal.declaring_party == "server example.com"
    assert signal.raw == _DENY_ALL


def test_normal_addresses() -> None:
    assert normal_url(" HTTP://Example.COM:80 ") == "http://example.com/"
    assert normal_url("https://[2001:DB8::1]:8443/a?b#c") == "https://[2001:db8::1]:8443/a?b"
    with pytest.raises(UnreadableError):
        normal_url("javascript:alert(1)")
