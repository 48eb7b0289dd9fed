from __future__ import annotations

import dataclasses
import datetime as dt
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from db.errors import ConfigError
from governance.credentials.engine import sign_sidecar
from governance.errors import SigningError
from governance.manifests import manifest as m
from governance.signing import time_stamps
from governance.signing.time_stamp_messages import check_reply
from governance.signing.time_stamps import TimeStampAuthority, relay_to, request_time_stamp
from governance.trust.anchors import TrustAnchors
from governance.verification.verdict import VerdictOutcome
from governance.verification.verify import verify_file
from tests.governance.signed_chain import VERSION, SignedChain, snapshot_document, snapshot_statement
from tests.governance.signing.stamping import Authority, Behaviour, make_authority, serving

EXPIRED = Path(__file__).parents[1] / "verification" / "expired"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("stamps") / "tsa")


@pytest.fixture(scope="module")
def query(authority: Authority) -> bytes:
    """A request as OpenSSL makes it, with a nonce."""
    return _query(authority, "ab" * 32)


def _query(authority: Authority, digest: str) -> bytes:
    file = authority.folder / "made.tsq"
    arguments = ["-query", "-digest", digest, "-sha256", "-cert", "-out", str(file)]
    subprocess.run(["openssl", "ts", *arguments], check=True, capture_output=True)
    return file.read_bytes()


def _sign(chain: SignedChain, folder: Path, authority: TimeStampAuthority, time_stamp_pem: bytes) -> Path:
    """Sign a snapshot document with a time-stamp."""
    document = folder / "snapshot.json"
    document.write_bytes(snapshot_document())
    sign_sidecar(
        m.snapshot_manifest(snapshot_statement(snapshot_document()), generator_version=VERSION),
        document,
        folder / "snapshot.json.c2pa",
        media_type=m.SNAPSHOT_MEDIA_TYPE,
        identity=dataclasses.replace(chain.signer.identity, time_stamp=authority),
        trust=dataclasses.replace(chain.signer.trust, time_stamp_pem=time_stamp_pem),
    )
    return document


def test_a_stamped_file_verifies_with_the_authority_s_time(
    signed_chain: SignedChain, authority: Authority, tmp_path: Path
) -> None:
    with serving(lambda query, _number: (200, authority.stamp(query))) as served:
        document = _sign(signed_chain, tmp_path, TimeStampAuthority(url=served.url), authority.root_pem)
    trust = dataclasses.replace(signed_chain.signer.trust, time_stamp_pem=authority.root_pem)
    verdict = verify_file(document, trust)
    assert verdict.outcome is VerdictOutcome.PASS
    assert verdict.credentials is not None
    signed_at = dt.datetime.fromisoformat(str(verdict.credentials.signed_at))
    assert abs(dt.datetime.now(dt.UTC) - signed_at) < dt.timedelta(minutes=5)


def test_a_signature_outlives_its_certificate_only_with_a_time_stamp() -> None:
    """The files were signed with a certificate that lived for seconds: `make_expired.py`."""
    anchors, times = (EXPIRED / "trust.pem").read_bytes(), (EXPIRED / "times.pem").read_bytes()
    trust = TrustAnchors(anchors, "expired", times)
    assert verify_file(EXPIRED / "stamped.json", trust).outcome is VerdictOutcome.PASS
    without_stamp = verify_file(EXPIRED / "unstamped.json", trust)
    assert without_stamp.outcome is VerdictOutcome.FAIL
    assert "signingCredential.expired" in {failure.code for failure in without_stamp.failures}
    nobody_knows_the_clock = verify_file(EXPIRED / "stamped.json", TrustAnchors(anchors, "expired"))
    assert nobody_knows_the_clock.outcome is not VerdictOutcome.PASS


@pytest.mark.parametrize(
    ("behaviour", "reason", "num_queries"),
    [
        pytest.param(lambda _query, _number: (500, b""), "answered 500 .*attempt 3 of 3", 3, id="down"),
        pytest.param(lambda _query, _number: (403, b""), "answered 403 .*attempt 1 of 3", 1, id="refused"),
        pytest.param(lambda _query, _number: (302, b""), "answered 302", 1, id="redirect"),
        pytest.param(lambda _query, _number: (200, b"no stamp"), "no time-stamp .*RFC 3161", 1, id="garbage"),
        pytest.param(lambda _query, _number: (200, b""), "no time-stamp .*RFC 3161", 1, id="empty"),
        pytest.param(
            lambda _query, _number: (200, bytes.fromhex("3017 3015 020102 3010 0c0e") + b"too many today"),
            r"refuses \(rejection\): too many today",
            1,
            id="rejection",
        ),
    ],
)
def test_no_time_stamp_no_signature(
    signed_chain: SignedChain,
    authority: Authority,
    tmp_path: Path,
    behaviour: Behaviour,
    reason: str,
    num_queries: int,
) -> None:
    with serving(behaviour) as served:
        asked = TimeStampAuthority(url=served.url, back_off_seconds=0)
        with pytest.raises(SigningError, match=f"could not be signed: no time-stamp: .*{reason}") as caught:
            _sign(signed_chain, tmp_path, asked, authority.root_pem)
        assert len(served.queries) == num_queries
    assert isinstance(caught.value.__cause__, SigningError)
    assert "time_stamp_url" in str(caught.value.hint)
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot.json"]


def test_an_authority_that_fails_once_is_asked_again(
    signed_chain: SignedChain, authority: Authority, tmp_path: Path
) -> None:
    def fails_first(query: bytes, number: int) -> tuple[int, bytes]:
        return (503, b"") if number == 0 else (200, authority.stamp(query))

    with serving(fails_first) as served:
        asked = TimeStampAuthority(url=served.url, back_off_seconds=0)
        assert _sign(signed_chain, tmp_path, asked, authority.root_pem).exists()
        assert len(served.queries) == 3  # self-test twice, then the document


def test_an_authority_that_hangs_is_not_waited_for(query: bytes) -> None:
    with serving(None) as served:
        asked = TimeStampAuthority(url=served.url, timeout_seconds=0.05, num_attempts=2, back_off_seconds=0)
        with pytest.raises(SigningError, match=r"did not answer within 0\.05 s \(attempt 2 of 2\)"):
            request_time_stamp(asked, query)


def test_all_attempts_together_end_before_the_library_gives_up(
    query: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_stamps, "_PATIENCE_SECONDS", 0.3)
    with serving(None) as served:
        asked = TimeStampAuthority(url=served.url, timeout_seconds=25, num_attempts=10, back_off_seconds=0)
        with pytest.raises(SigningError, match=r"did not answer within 0\.3 s \(attempt 1 of 10\)"):
            request_time_stamp(asked, query)
        assert len(served.queries) == 1


def test_an_authority_that_trickles_is_not_waited_for(query: bytes) -> None:
    """Each byte arrives in time, the answer never would."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        child = subprocess.Popen(
            [sys.executable, "-c", _TRICKLE, str(server.fileno())], pass_fds=[server.fileno()]
        )
        try:
            asked = TimeStampAuthority(url=url, timeout_seconds=0.5, num_attempts=1)
            with pytest.raises(SigningError, match=r"did not answer within 0\.5 s"):
                request_time_stamp(asked, query)
        finally:
            child.kill()
            child.wait()


_TRICKLE = """
import socket, sys, time
connection, _ = socket.socket(fileno=int(sys.argv[1])).accept()
connection.recv(4096)
connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 100000\\r\\n\\r\\n")
while True:
    connection.sendall(b"x")
    time.sleep(0.05)
"""


def test_nobody_at_the_address_is_an_error_that_says_so(query: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
    with pytest.raises(SigningError, match=r"could not be reached: .*refused"):
        request_time_stamp(TimeStampAuthority(url=url, back_off_seconds=0), query)


def test_an_endless_answer_is_cut_off(query: bytes) -> None:
    with (
        serving(lambda _query, _number: (200, bytes(3 << 20))) as served,
        pytest.raises(SigningError, match="sent more than"),
    ):
        request_time_stamp(TimeStampAuthority(url=served.url), query)


def test_a_stamp_of_an_unknown_authority_is_no_stamp(
    signed_chain: SignedChain, authority: Authority, tmp_path: Path
) -> None:
    stranger = make_authority(tmp_path / "stranger")
    (tmp_path / "out").mkdir()
    with serving(lambda query, _number: (200, stranger.stamp(query))) as served:
        asked = TimeStampAuthority(url=served.url)
        with pytest.raises(SigningError, match="no anchor stands behind the time-stamp") as caught:
            _sign(signed_chain, tmp_path / "out", asked, authority.root_pem)
        assert "time_stamp_anchors" in str(caught.value.hint)
        with pytest.raises(SigningError, match="no anchor could vouch for the time-stamps"):
            _sign(signed_chain, tmp_path / "out", asked, b"")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["snapshot.json"]


def test_an_anchor_for_signers_stands_behind_no_time_stamp(
    signed_chain: SignedChain, authority: Authority, tmp_path: Path
) -> None:
    """The library has one pool of anchors, and would trust it."""
    stranger = make_authority(tmp_path / "stranger")
    trust = signed_chain.signer.trust
    both = dataclasses.replace(trust, pem=trust.pem + stranger.root_pem, time_stamp_pem=authority.root_pem)
    with serving(lambda query, _number: (200, stranger.stamp(query))) as served:
        identity = dataclasses.replace(
            signed_chain.signer.identity, time_stamp=TimeStampAuthority(url=served.url)
        )
        with pytest.raises(SigningError, match="no anchor stands behind the time-stamp"):
            sign_sidecar(
                m.snapshot_manifest(snapshot_statement(snapshot_document()), generator_version=VERSION),
                signed_chain.snapshot,
                tmp_path / "x.c2pa",
                media_type=m.SNAPSHOT_MEDIA_TYPE,
                identity=identity,
                trust=both,
            )


def test_an_anchor_for_time_stamps_vouches_for_no_signer(
    signed_chain: SignedChain, authority: Authority, tmp_path: Path
) -> None:
    signers = TrustAnchors(authority.root_pem, "another root", signed_chain.signer.trust.pem)
    with pytest.raises(
        SigningError, match=r"self-test: .* reads Valid \(signingCredential\.untrusted\), expected Trusted"
    ):
        sign_sidecar(
            m.snapshot_manifest(snapshot_statement(snapshot_document()), generator_version=VERSION),
            signed_chain.snapshot,
            tmp_path / "x.c2pa",
            media_type=m.SNAPSHOT_MEDIA_TYPE,
            identity=signed_chain.signer.identity,
            trust=signers,
        )


def test_a_granted_answer_is_accepted(authority: Authority, query: bytes) -> None:
    check_reply(query, authority.stamp(query))
    check_reply(query, authority.stamp_at(query, dt.datetime(2024, 2, 29, tzinfo=dt.UTC)))


def test_the_stamp_of_something_else_is_refused(authority: Authority, query: bytes) -> None:
    with pytest.raises(SigningError, match="the imprint is not that of the request"):
        check_reply(query, authority.stamp(_query(authority, "cd" * 32)))


def test_the_answer_to_another_request_is_refused(authority: Authority, query: bytes) -> None:
    """The same digest, asked for twice, has two nonces: an old answer is not a new one."""
    with pytest.raises(SigningError, match="the nonce is not that of the request"):
        check_reply(query, authority.stamp(_query(authority, "ab" * 32)))


def test_no_cut_of_an_answer_is_accepted_and_none_is_a_crash(authority: Authority, query: bytes) -> None:
    reply = authority.stamp(query)
    for length in range(len(reply)):
        with pytest.raises(SigningError):
            check_reply(query, reply[:length])


@pytest.mark.parametrize(
    "url", ["", "ftp://tsa.example/", "file:///etc/passwd", "http://", "https://user:secret@tsa.example/"]
)
def test_only_plain_web_addresses_are_authorities(url: str) -> None:
    with pytest.raises(ConfigError, match="time_stamp_url"):
        TimeStampAuthority(url=url)


def test_the_relay_answers_nobody_but_the_library(query: bytes) -> None:
    import urllib.error
    import urllib.request

    with serving(lambda _query, _number: (500, b"")) as served:
        with relay_to(TimeStampAuthority(url=served.url)) as relay:
            other = relay.url.rsplit("/", 1)[0] + "/guess"
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with pytest.raises(urllib.error.HTTPError) as caught:
                opener.open(other, data=query, timeout=5)
            assert caught.value.code == 404
            caught.value.close()
        assert served.queries == []


def test_a_proxy_of_the_environment_is_not_asked_for_the_relay(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library sent requests to this machine through HTTP_PROXY too, and no signature could be stamped."""
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://proxy.example:3128")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "intranet.example")
    time_stamps._exempt_loopback_from_proxies()
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "intranet.example,127.0.0.1"
    time_stamps._exempt_loopback_from_proxies()
    assert os.environ["NO_PROXY"] == "intranet.example,127.0.0.1"


def test_signing_behind_a_proxy_reaches_the_relay(authority: Authority, tmp_path: Path) -> None:
    """In a process of its own: the library remembers the proxies of its first request."""
    with serving(lambda query, _number: (200, authority.stamp(query))) as served:
        environment = os.environ | dict.fromkeys(("HTTP_PROXY", "http_proxy"), "http://127.0.0.1:1")
        environment |= {"NO_PROXY": "127.0.0.2", "no_proxy": "127.0.0.2"}
        arguments = [
            sys.executable,
            "-c",
            _SIGN_BEHIND_PROXY,
            str(tmp_path),
            served.url,
            str(authority.folder),
        ]
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


_SIGN_BEHIND_PROXY = """
import dataclasses, sys
from pathlib import Path
from governance.signing import time_stamps
from governance.credentials.self_test import require_working_identity
from governance.signing.time_stamps import TimeStampAuthority
from tests.governance.signed_chain import make_signer

folder, url, authority = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
signer = make_signer(folder / "keys")
# The authority itself is on this machine too here, where no proxy is asked any more.
identity = dataclasses.replace(signer.identity, time_stamp=TimeStampAuthority(url=url))
pem = (authority / "root.pem").read_bytes()
require_working_identity(identity, dataclasses.replace(signer.trust, time_stamp_pem=pem))
"""
