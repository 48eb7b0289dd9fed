"""Verification opens no connection, whatever addresses a file names."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID

from governance.credentials.engine import sign_sidecar
from governance.manifests import manifest as m
from governance.signing.keys import SigningIdentity
from governance.signing.time_stamps import TimeStampAuthority
from governance.trust.anchors import TrustAnchors
from governance.verification.verdict import VerdictOutcome
from governance.verification.verify import sidecar_of, verify_file
from tests.governance.signed_chain import VERSION, SignedChain, snapshot_document, snapshot_statement
from tests.governance.signing.certificates import make_leaf, make_root, pem_of, private_pem_of
from tests.governance.signing.stamping import Served, make_authority, serving


@contextmanager
def _counting_connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Count what Python itself would connect to; what the library does shows at the server."""
    import socket

    connections: list[object] = []
    connect = socket.socket.connect

    def count(self: socket.socket, address: object) -> None:
        connections.append(address)
        connect(self, address)  # type: ignore[arg-type] # passed on as it came

    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "connect", count)
        yield connections


def _identity(url: str) -> tuple[SigningIdentity, bytes]:
    """A signer whose certificate says where its revocation and its issuer are to be asked for."""
    root = make_root()
    leaf = make_leaf(root)
    certificate = leaf.certificate
    builder = x509.CertificateBuilder(
        subject_name=certificate.subject,
        issuer_name=certificate.issuer,
        public_key=certificate.public_key(),
        serial_number=certificate.serial_number,
        not_valid_before=certificate.not_valid_before_utc,
        not_valid_after=certificate.not_valid_after_utc,
        extensions=list(certificate.extensions),
    )
    places = [
        x509.AccessDescription(
            AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url + "ocsp")
        ),
        x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(url + "issuer")
        ),
    ]
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(url + "crl")], None, None, None)
    builder = builder.add_extension(x509.AuthorityInformationAccess(places), critical=False)
    builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    assert isinstance(root.key, ec.EllipticCurvePrivateKey)
    named = builder.sign(root.key, hashes.SHA256())
    identity = SigningIdentity(
        chain_pem=pem_of(named),
        key_pem=private_pem_of(leaf.key),
        algorithm="es256",
        is_development=True,
        expires_at=named.not_valid_after_utc,
    )
    return identity, pem_of(root.certificate)


def test_certificates_and_time_stamps_with_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = make_authority(tmp_path / "tsa")
    stamping = serving(lambda query, _number: (200, authority.stamp(query)))
    with stamping as served, _web_server() as (url, requests):
        identity, root_pem = _identity(url)
        stamped = dataclasses.replace(identity, time_stamp=TimeStampAuthority(url=served.url))
        trust = TrustAnchors(root_pem, "root", authority.root_pem)
        document = tmp_path / "snapshot.json"
        document.write_bytes(snapshot_document())
        sign_sidecar(
            m.snapshot_manifest(snapshot_statement(snapshot_document()), generator_version=VERSION),
            document,
            sidecar_of(document),
            media_type=m.SNAPSHOT_MEDIA_TYPE,
            identity=stamped,
            trust=trust,
        )
        requests.clear()
        _verify_in_silence(document, trust, served, monkeypatch)
        assert requests == []


def _verify_in_silence(
    path: Path, trust: TrustAnchors, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verify, trusted and untrusted, and require that the server hears nothing."""
    asked = len(served.queries)
    assert asked > 0, "the server can be reached, and was, when the file was signed"
    with _counting_connections(monkeypatch) as connections:
        assert verify_file(path, trust).outcome is VerdictOutcome.PASS
        assert verify_file(path, TrustAnchors(pem_of(make_root().certificate), "other")).outcome is (
            VerdictOutcome.UNTRUSTED
        )
    assert connections == []
    assert len(served.queries) == asked


def test_a_manifest_that_lies_elsewhere_is_not_fetched(
    signed_chain: SignedChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library's own default would fetch it: from any address, also inside a company's network."""
    from c2pa import Builder, C2paSignerInfo, Context, Signer

    with _web_server() as (url, requests):
        identity = signed_chain.signer.identity
        assert identity.key_pem is not None
        info = C2paSignerInfo(
            alg=identity.algorithm, sign_cert=identity.chain_pem, private_key=identity.key_pem, ta_url=None
        )
        manifest = m.clip_manifest(signed_chain.clip_statement, generator_version=VERSION)
        del manifest["assertions"][0]["data"]["actions"][0]["parameters"]["ingredientIds"]
        remote, signed = tmp_path / "remote.mp4", io.BytesIO()
        with Signer.from_info(info) as signer, Builder(manifest, context=Context()) as builder:
            builder.set_no_embed()
            builder.set_remote_url(url + "manifest.c2pa")
            with signed_chain.unsigned_clip.open("rb") as source:
                builder.sign(signer, "video/mp4", source, signed)
        remote.write_bytes(signed.getvalue())
        assert url.encode() in remote.read_bytes()
        requests.clear()
        with _counting_connections(monkeypatch) as connections:
            verdict = verify_file(remote, signed_chain.signer.trust)
        assert verdict.outcome is not VerdictOutcome.PASS
        assert connections == []
        assert requests == []


@contextmanager
def _web_server() -> Iterator[tuple[str, list[str]]]:
    import threading
    from http.server import BaseHTTPRequestHandler
    from socketserver import ThreadingTCPServer

    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_error(404)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/", requests
        finally:
            server.shutdown()
            thread.join()
