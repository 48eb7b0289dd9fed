"""Certificates for tests: roots and leaves that follow the profile, or depart from it in one place."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier

from governance.signing.certificate_profile import CLAIM_SIGNING, DOCUMENT_SIGNING, EMAIL_PROTECTION

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
ALL_PURPOSES = (CLAIM_SIGNING, EMAIL_PROTECTION, DOCUMENT_SIGNING)
_LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_FAR_OFF = dt.datetime(2045, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: PrivateKey


def make_root() -> Issued:
    """A root that outlives every test."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = subject("root of a test")
    builder = _builder(name, name, key, _LONG_AGO, _FAR_OFF)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
    builder = builder.add_extension(key_usage("key_cert_sign", "crl_sign"), critical=True)
    builder = builder.add_extension(
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
    )
    return Issued(builder.sign(key, hashes.SHA256()), key)


def make_leaf(
    root: Issued,
    *,
    key: PrivateKey | None = None,
    name: x509.Name | None = None,
    not_before: dt.datetime | None = None,
    not_after: dt.datetime | None = None,
    purposes: tuple[ObjectIdentifier, ...] = ALL_PURPOSES,
    usage: x509.KeyUsage | None = None,
    is_ca: bool = False,
) -> Issued:
    """A signing certificate under `root`, by the profile except for what is given."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    assert isinstance(root.key, ec.EllipticCurvePrivateKey)
    start = not_before or dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    end = not_after or start + dt.timedelta(days=90)
    builder = _builder(name or subject("signer of a test"), root.certificate.subject, key, start, end)
    builder = builder.add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    usage = usage or key_usage("digital_signature", "content_commitment")
    builder = builder.add_extension(usage, critical=True)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    builder = builder.add_extension(
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
    )
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key())
    builder = builder.add_extension(authority, critical=False)
    return Issued(builder.sign(root.key, hashes.SHA256()), key)


def subject(common_name: str) -> x509.Name:
    """A name of a test, in a country that does not exist."""
    parts = (
        (NameOID.COUNTRY_NAME, "ZZ"),
        (NameOID.ORGANIZATION_NAME, "Test"),
        (NameOID.COMMON_NAME, common_name),
    )
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])


def key_usage(*allowed: str) -> x509.KeyUsage:
    """A key usage that allows what is named and nothing else."""
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign "
        "encipher_only decipher_only"
    ).split()
    return x509.KeyUsage(**{name: name in allowed for name in names})


def pem_of(certificate: x509.Certificate) -> bytes:
    """The certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def private_pem_of(key: PrivateKey) -> bytes:
    """The private key as unencrypted PKCS#8."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _builder(
    name: x509.Name, issuer: x509.Name, key: PrivateKey, start: dt.datetime, end: dt.datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(subject_name=name, issuer_name=issuer, public_key=key.public_key())
    return builder.serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(end)
