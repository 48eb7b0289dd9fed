"""Sites beyond the corpus: long files, documents, names that are addresses of nothing, and any bytes at all."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.vocabularies import SignalAction, SignalValidity, SignalValue
from ingest.signals.captures import read_captures
from ingest.signals.combine import combine
from ingest.signals.errors import CaptureError
from ingest.signals.markup import parse_link_header, scan_page
from ingest.signals.record import Signal
from ingest.signals.robots import MAX_ROBOTS_BYTES
from ingest.signals.sites import signals_for
from tests.ingest.signals.site import CORPUS, ORIGIN, CaptureFolder

_URL = f"{ORIGIN}/clips/harbour.mp4"


@pytest.fixture
def site(tmp_path: Path) -> CaptureFolder:
    return CaptureFolder(tmp_path / "site")


def _signals(site: CaptureFolder) -> list[Signal]:
    return signals_for(_URL, read_captures(site.folder))


def test_a_robots_file_beyond_the_limit_allows_nothing(site: CaptureFolder) -> None:
    filler = b"# " + b"x" * 98 + b"\n"
    text = b"User-agent: *\nAllow: /\n" + filler * (2 * MAX_ROBOTS_BYTES // 100) + b"Disallow: /\n"
    site.add(f"{ORIGIN}/robots.txt", text)
    said = combine(_signals(site))
    assert said[SignalAction.ACQUIRE] is SignalValue.CONDITIONAL
    assert said[SignalAction.TRAIN_GEN] is SignalValue.CONDITIONAL


def test_what_a_robots_file_denies_before_the_limit_is_denied(site: CaptureFolder) -> None:
    text = b"User-agent: *\nDisallow: /clips/\nContent-Usage: / train-ai=n\n" + b"#\n" * MAX_ROBOTS_BYTES
    site.add(f"{ORIGIN}/robots.txt", text)
    said = combine(_signals(site))
    assert said[SignalAction.ACQUIRE] is SignalValue.DENY
    assert said[SignalAction.TRAIN_GEN] is SignalValue.DENY


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks_hide_no_rule(site: CaptureFolder, encoding: str) -> None:
    site.add(f"{ORIGIN}/robots.txt", "User-agent: *\r\nDisallow: /clips/\r\n".encode(encoding))
    assert combine(_signals(site))[SignalAction.ACQUIRE] is SignalValue.DENY


def test_rules_in_another_encoding_match_their_bytes(site: CaptureFolder) -> None:
    site.add(f"{ORIGIN}/robots.txt", "User-agent: *\nDisallow: /é/\n".encode("latin-1"))
    signals = signals_for(f"{ORIGIN}/%E9/1.mp4", read_captures(site.folder))
    assert combine(signals)[SignalAction.ACQUIRE] is SignalValue.DENY


def test_the_policy_of_a_reservation_is_kept(site: CaptureFolder) -> None:
    site.add_sample("/.well-known/tdmrep.json", "tdmrep/report_example.json")
    site.add_sample("/policies/policy.json", "odrl/policy.json")
    reservation, policy = _signals(site)
    assert "https://example.com/policies/policy.json" in reservation.detail
    assert policy.carrier == "tdm-policy"
    assert policy.raw == (CORPUS / "odrl" / "policy.json").read_bytes()


def test_what_was_overridden_is_said(site: CaptureFolder) -> None:
    site.add_sample("/.well-known/tdmrep.json", "tdmrep/report_example.json")
    site.add(_URL, None, headers={"content-type": "video/mp4", "tdm-reservation": "0"})
    (signal,) = _signals(site)
    assert "overrides .well-known/tdmrep.json: 1" in signal.detail


def _pdf(xmp: bytes) -> bytes:
    return (
        b"%PDF-1.7\n1 0 obj\n<</Type/Metadata/Subtype/XML>>\nstream\n" + xmp + b"\nendstream\nendobj\n%%EOF\n"
    )


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (_pdf((CORPUS / "xmp/tdm_reserved.xmp").read_bytes()), SignalValue.DENY),
        (_pdf((CORPUS / "xmp/tdm_reserved.xmp").read_bytes()[:300]), SignalValue.CONDITIONAL),
        (_pdf((CORPUS / "xmp/rights_only.xmp").read_bytes()), SignalValue.ALLOW),
        (b"%PDF-1.7\n<</Encrypt 5 0 R>>\n%%EOF", SignalValue.CONDITIONAL),
        (b"<html>", SignalValue.CONDITIONAL),
    ],
)
def test_a_pdf_overrides_the_header(site: CaptureFolder, body: bytes, value: SignalValue) -> None:
    site.add(_URL, body, headers={"content-type": "application/pdf", "tdm-reservation": "0"})
    assert combine(_signals(site))[SignalAction.MINE] is value


def _epub(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in files.items():
            package.writestr(f"{name}.opf", data)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (_epub(book=(CORPUS / "epub/package_2.opf").read_bytes()), SignalValue.DENY),
        (_epub(book=(CORPUS / "epub/package_3.opf").read_bytes()), SignalValue.DENY),
        (_epub(book=b"<package/>"), SignalValue.ALLOW),
        (_epub(book=b" " * (64 << 20)), SignalValue.CONDITIONAL),
        (_epub(**{f"book{number}": b"<package/>" for number in range(50)}), SignalValue.CONDITIONAL),
        (_epub(book=b"<package>"), SignalValue.CONDITIONAL),
        (_epub(book=b"<package/>")[:40], SignalValue.CONDITIONAL),
    ],
)
def test_an_epub_overrides_the_header(site: CaptureFolder, body: bytes, value: SignalValue) -> None:
    site.add(_URL, body, headers={"content-type": "application/epub+zip", "tdm-reservation": "0"})
    assert combine(_signals(site))[SignalAction.MINE] is value


def test_a_server_that_failed_to_send_other_files_is_conditional(site: CaptureFolder) -> None:
    for path in ("/.well-known/tdmrep.json", "/ai.txt"):
        site.add(ORIGIN + path, b"", status=500)
    signals = _signals(site)
    assert {signal.protocol for signal in signals} == {"tdmrep", "ai_txt"}
    assert {signal.validity for signal in signals} == {SignalValidity.INVALID}


def test_a_licence_nested_without_end_is_unreadable(site: CaptureFolder) -> None:
    depth = 100_000
    site.add(f"{ORIGIN}/robots.txt", b"License: /license.xml\nUser-agent: *\nAllow: /\n")
    site.add(f"{ORIGIN}/license.xml", b"<rsl>" + b"<content>" * depth + b"</content>" * depth + b"</rsl>")
    assert {signal.protocol for signal in _signals(site) if signal.validity is SignalValidity.INVALID} == {
        "rsl"
    }


@pytest.mark.parametrize("url", ["", "clips/1.mp4", "file:///clips/1.mp4", "https://[::1/"])
def test_what_is_not_an_address_is_refused(site: CaptureFolder, url: str) -> None:
    site.add(f"{ORIGIN}/robots.txt", b"")
    with pytest.raises(CaptureError, match="address"):
        signals_for(url, read_captures(site.folder))


def test_headers_of_any_text_are_read(site: CaptureFolder) -> None:
    odd = "\ud800train-ai=\udcff"
    names = ("content-usage", "x-robots-tag", "tdm-reservation", "tdm-policy", "link")
    site.add(_URL, None, headers={"content-type": "video/mp4"} | dict.fromkeys(names, odd))
    assert combine(_signals(site))[SignalAction.TRAIN_GEN] is SignalValue.CONDITIONAL


def test_addresses_that_are_none_are_passed_over_or_said(site: CaptureFolder) -> None:
    site.add(f"{ORIGIN}/robots.txt", b"License: http://[::1/\nLicense: nowhere:1\nUser-agent: *\nAllow: /\n")
    link = "<http://[x>; rel=license, <mailto:a@b.c>; rel=license"
    site.add(
        _URL,
        None,
        headers={"content-type": "video/mp4", "link": link, "tdm-reservation": "1", "tdm-policy": "//["},
    )
    said = combine(_signals(site))
    assert said[SignalAction.TRAIN_GEN] is SignalValue.DENY
    assert said[SignalAction.SEARCH] is SignalValue.CONDITIONAL


_FILES = ("/robots.txt", "/.well-known/tdmrep.json", "/ai.txt", "/license.xml")
_BODIES = st.one_of(
    st.binary(max_size=200),
    st.lists(
        st.sampled_from(
            [b"User-agent: *\n", b"Disallow: /\n", b"Content-Usage: / train-ai=n\n", b"License: /license.xml\n",
             b"[", b"]", b"{", b'"location"', b":", b'"/"', b",", b'"tdm-reservation"', b"1", b"<rsl>", b"</rsl>",
             b"<content url='/'>", b"<license>", b"<prohibits>", b"ai-train", b"\xff", b"\0"]
        ),
        max_size=12,
    ).map(b"".join),
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    bodies=st.lists(_BODIES, min_size=5, max_size=5),
    media_type=st.sampled_from(["", "text/html", "application/pdf"]),
)
def test_any_bytes_are_read_without_an_exception(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes], media_type: str
) -> None:
    site = CaptureFolder(tmp_path_factory.mktemp("any") / "site")
    for path, body in zip((*_FILES, "/clips/harbour.mp4"), bodies, strict=True):
        site.add(ORIGIN + path, body, headers={"content-type": media_type} if media_type else {})
    combine(_signals(site))


@pytest.mark.parametrize("piece", ["<", "<!--", "<a ", '<a b="', "<script>", "</", "<a b= ", "<a\t/"])
def test_pages_made_to_be_slow_are_read_once(piece: str) -> None:
    page = scan_page(piece * (1_000_000 // len(piece)) + '<meta name="x" content="y">')
    assert page.links == []


def test_link_headers_are_split_at_their_targets() -> None:
    links = parse_link_header(
        '<a,b>; rel="next license"; title="x;y,z", </c>;rel=license;type="application/rsl+xml;v=1"'
    )
    assert [(link.href, sorted(link.relations), link.media_type) for link in links] == [
        ("a,b", ["license", "next"], ""),
        ("/c", ["license"], "application/rsl+xml"),
    ]
