"""A time-stamp authority of our own for tests: real certificates, real tokens, a server on the loopback interface."""

from __future__ import annotations

import datetime as dt
import hashlib
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from governance.signing.der import INTEGER, OCTET_STRING, SEQUENCE, read_der

_NOT_BEFORE = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_NOT_AFTER = dt.datetime(2045, 1, 1, tzinfo=dt.UTC)
_TST_INFO = "1.2.840.113549.1.9.16.1.4"
_SET = 0x31
_CONFIG = """\
[tsa]
default_tsa = stamping
[stamping]
serial = {folder}/serial
signer_cert = {folder}/leaf.pem
signer_key = {folder}/leaf.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
ess_cert_id_alg = sha256
"""

Answer = tuple[int, bytes]
Behaviour = Callable[[bytes, int], Answer]
"""Given a query and how many came before it: HTTP status and body."""


@dataclass(frozen=True)
class Authority:
    """Key, certificate and root of an authority, as files in one folder."""

    folder: Path

    @property
    def root_pem(self) -> bytes:
        """The anchor that stands behind its stamps."""
        return (self.folder / "root.pem").read_bytes()

    def stamp(self, query: bytes) -> bytes:
        """Answer a query as OpenSSL's authority does, with the time of now."""
        query_file, reply_file = self.folder / "query.tsq", self.folder / "reply.tsr"
        query_file.write_bytes(query)
        config = self.folder / "tsa.cnf"
        arguments = ["-config", str(config), "-queryfile", str(query_file), "-out", str(reply_file)]
        _openssl("ts", "-reply", *arguments)
        return reply_file.read_bytes()

    def stamp_at(self, query: bytes, time: dt.datetime) -> bytes:
        """Answer a query with a time of our choice: as an authority would have answered then."""
        leaf = x509.load_pem_x509_certificate((self.folder / "leaf.pem").read_bytes())
        key = serialization.load_pem_private_key((self.folder / "leaf.key").read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        granted = _der(SEQUENCE, _der(INTEGER, b"\x00"))
        return _der(SEQUENCE, granted + _token(_tst_info(query, time), leaf, key))


def make_authority(folder: Path) -> Authority:
    """Make root, leaf and configuration in `folder`."""
    folder.mkdir(parents=True)
    root_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = _name("time-stamp root of a test")
    root = _certificate(root_name, root_name, root_key, root_key, _root_extensions(root_key))
    leaf = _certificate(
        _name("clock of a test"), root_name, leaf_key, root_key, _leaf_extensions(root_key, leaf_key)
    )
    (folder / "root.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    (folder / "leaf.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    for name, key in (("root", root_key), ("leaf", leaf_key)):
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    (folder / "serial").write_text("01\n")
    (folder / "tsa.cnf").write_text(_CONFIG.format(folder=folder))
    return Authority(folder)


@dataclass
class Served:
    """A running server and what it was asked."""

    url: str
    queries: list[bytes] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    """Set at the end: a behaviour that hangs waits for it."""


@contextmanager
def serving(behaviour: Behaviour | None) -> Iterator[Served]:
    """Serve on the loopback interface until the block ends; without a behaviour, take queries and never answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            served.queries.append(query)
            if behaviour is None:
                served.released.wait()
                return
            status, body = behaviour(query, len(served.queries) - 1)
            self.send_response(status)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        served = Served(f"http://127.0.0.1:{server.server_address[1]}/")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield served
        finally:
            served.released.set()
            server.shutdown()
            thread.join()


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def _name(common_name: str) -> x509.Name:
    parts = (
        (NameOID.COUNTRY_NAME, "ZZ"),
        (NameOID.ORGANIZATION_NAME, "Test"),
        (NameOID.COMMON_NAME, common_name),
    )
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    extensions: list[tuple[x509.ExtensionType, bool]],
) -> x509.Certificate:
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(_NOT_BEFORE).not_valid_after(_NOT_AFTER)
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, critical=is_critical)
    return builder.sign(issuer_key, hashes.SHA256())


def _root_extensions(key: ec.EllipticCurvePrivateKey) -> list[tuple[x509.ExtensionType, bool]]:
    return [
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (_key_usage(signs_certificates=True), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
    ]


def _leaf_extensions(
    root_key: ec.EllipticCurvePrivateKey, key: ec.EllipticCurvePrivateKey
) -> list[tuple[x509.ExtensionType, bool]]:
    return [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage(signs_certificates=False), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), False),
    ]


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=not signs_certificates,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _tst_info(query: bytes, time: dt.datetime) -> bytes:
    """TSTInfo of RFC 3161, section 2.4.2, for what the query asks."""
    fields = read_der(query).children()
    imprint = _der(SEQUENCE, fields[1].content)
    nonce = b"".join(_der(INTEGER, part.content) for part in fields[2:] if part.tag == INTEGER)
    generalized = _der(0x18, time.astimezone(dt.UTC).strftime("%Y%m%d%H%M%SZ").encode())
    policy = _oid("1.2.3.4.1")
    return _der(
        SEQUENCE, _der(INTEGER, b"\x01") + policy + imprint + _der(INTEGER, b"\x07") + generalized + nonce
    )


def _token(info: bytes, leaf: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bytes:
    """CMS SignedData around a TSTInfo (RFC 5652, section 5), with the attributes of RFC 3161 and no signing time.

    OpenSSL always adds the time of now, which c2pa-rs prefers to that of the TSTInfo.
    """
    certificate = leaf.public_bytes(serialization.Encoding.DER)
    attributes = sorted(
        _der(SEQUENCE, _oid(name) + _der(_SET, value))
        for name, value in (
            ("1.2.840.113549.1.9.3", _oid(_TST_INFO)),
            ("1.2.840.113549.1.9.4", _der(OCTET_STRING, hashlib.sha256(info).digest())),
            ("1.2.840.113549.1.9.16.2.47", _certificate_identifier(certificate)),
        )
    )
    signature = key.sign(_der(_SET, b"".join(attributes)), ec.ECDSA(hashes.SHA256()))
    serial = leaf.serial_number.to_bytes(leaf.serial_number.bit_length() // 8 + 1, "big")
    sha256 = _der(SEQUENCE, _oid("2.16.840.1.101.3.4.2.1"))
    signer = _der(
        SEQUENCE,
        _der(INTEGER, b"\x01")
        + _der(SEQUENCE, leaf.issuer.public_bytes() + _der(INTEGER, serial))
        + sha256
        + _der(0xA0, b"".join(attributes))
        + _der(SEQUENCE, _oid("1.2.840.10045.4.3.2"))
        + _der(OCTET_STRING, signature),
    )
    content = _der(SEQUENCE, _oid(_TST_INFO) + _der(0xA0, _der(OCTET_STRING, info)))
    signed = (
        _der(INTEGER, b"\x03") + _der(_SET, sha256) + content + _der(0xA0, certificate) + _der(_SET, signer)
    )
    return _der(SEQUENCE, _oid("1.2.840.113549.1.7.2") + _der(0xA0, _der(SEQUENCE, signed)))


def _certificate_identifier(certificate: bytes) -> bytes:
    """SigningCertificateV2 of RFC 5035, with SHA-256, which goes without saying."""
    return _der(
        SEQUENCE, _der(SEQUENCE, _der(SEQUENCE, _der(OCTET_STRING, hashlib.sha256(certificate).digest())))
    )


def _oid(dotted: str) -> bytes:
    first, second, *rest = (int(part) for part in dotted.split("."))
    content = bytearray([40 * first + second])
    for number in rest:
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(0x80 | number & 0x7F)
        content += bytes(reversed(groups))
    return _der(0x06, bytes(content))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content
