"""Keys of a project: the identity that signs Content Credentials and the pair that signs run permits.

The certificate profile is that of the C2PA conformance programme 0.2: X.509 v3, key usage digitalSignature
and nonRepudiation (critical), basic constraints CA=false (critical), subject and authority key identifiers,
extended key usage C2PA claim signing beside e-mail protection and document signing (so that validators with
older trust configurations accept it too), at most 366 days.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import NameOID, ObjectIdentifier

from db.clock import utc_now
from db.errors import ConfigError

_logger = logging.getLogger(__name__)

SIGNING_CHAIN_FILE = "signing.chain.pem"
SIGNING_KEY_FILE = "signing.key.pem"
TRUST_ANCHOR_FILE = "trust.pem"
PERMIT_KEY_FILE = "permit.key.pem"
PERMIT_PUBLIC_KEY_FILE = "permit.pub.pem"

DEVELOPMENT_MARK = "NOT FOR PRODUCTION"
_DEVELOPMENT_ORGANIZATION = f"cleartitle development - {DEVELOPMENT_MARK}"
_LEAF_VALIDITY = dt.timedelta(days=366)
# The root only verifies (its private key is gone), and must outlive every leaf somebody may want to look back
# on.
_ROOT_VALIDITY = dt.timedelta(days=3660)
_CLAIM_SIGNING = ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
_EMAIL_PROTECTION = ObjectIdentifier("1.3.6.1.5.5.7.3.4")
_DOCUMENT_SIGNING = ObjectIdentifier("1.3.6.1.5.5.7.3.36")
_CURVE_ALGORITHMS = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True, kw_only=True)
class SigningIdentity:
    """A certificate chain (leaf first) and the private key of its leaf."""

    chain_pem: bytes
    key_pem: bytes = field(repr=False)
    algorithm: str
    """As C2PA spells it: es256, es384, es512, ed25519, ps256."""
    is_development: bool
    """The subject says that nobody should rely on it."""
    expires_at: dt.datetime


def create_development_keys(folder: Path) -> None:
    """Write a fresh signing identity, its trust anchor and a permit key pair into the new folder `folder`.

    The private key of the root is never written: whoever held it could issue further certificates that this
    project trusts, and nothing needs it once the leaf is signed. After 366 days new keys are made instead.
    The files appear all at once or not at all.

    Raises `ConfigError` if `folder` exists and is not empty: keys are never overwritten.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: exists already; keys are never overwritten")
    with _appearing_at_once(folder) as staging:
        _write_signing_identity(staging)
        _write_permit_pair(staging)


@contextlib.contextmanager
def _appearing_at_once(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that is renamed to `folder` on success and removed on any failure.

    Unlike `db.files.staged_folder`, this fails if keys have appeared in `folder` meanwhile, and keeps others out.
    """
    staging = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    staging.mkdir(mode=0o700, parents=True)
    try:
        yield staging
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write_signing_identity(folder: Path) -> None:
    """Make root and leaf, write the leaf, its key and the root, and forget the key of the root."""
    project = secrets.token_hex(4)
    root_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _root_certificate(root_key, _subject(f"cleartitle development root {project}"))
    leaf = _leaf_certificate(
        leaf_key.public_key(), _subject(f"cleartitle development {project}"), root, root_key
    )
    _write(folder / TRUST_ANCHOR_FILE, root.public_bytes(serialization.Encoding.PEM), mode=0o644)
    _write(folder / SIGNING_CHAIN_FILE, leaf.public_bytes(serialization.Encoding.PEM), mode=0o644)
    _write(folder / SIGNING_KEY_FILE, _private_pem(leaf_key), mode=0o600)


def _write_permit_pair(folder: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    public_pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write(folder / PERMIT_KEY_FILE, _private_pem(key), mode=0o600)
    _write(folder / PERMIT_PUBLIC_KEY_FILE, public_pem, mode=0o644)


def _subject(common_name: str) -> x509.Name:
    """A subject that no reader can take for a company: ZZ is a user-assigned country code (ISO 3166-1)."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "ZZ"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _DEVELOPMENT_ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _key_usage(*, signs_documents: bool, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs_documents,
        content_commitment=signs_documents,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _root_certificate(key: ec.EllipticCurvePrivateKey, name: x509.Name) -> x509.Certificate:
    now = utc_now()
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + _ROOT_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_documents=False, signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )


def _leaf_certificate(
    key: ec.EllipticCurvePublicKey,
    name: x509.Name,
    root: x509.Certificate,
    root_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    issuer_identifier = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    purposes = x509.ExtendedKeyUsage([_CLAIM_SIGNING, _EMAIL_PROTECTION, _DOCUMENT_SIGNING])
    return (
        x509.CertificateBuilder(subject_name=name, issuer_name=root.subject, public_key=key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(root.not_valid_before_utc)
        .not_valid_after(root.not_valid_before_utc + _LEAF_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_documents=True, signs_certificates=False), critical=True)
        .add_extension(purposes, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_identifier), critical=False
        )
        .sign(root_key, hashes.SHA256())
    )


def _private_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, *, mode: int) -> None:
    """Create `path` with `mode` from its first instant, and sync it."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def load_signing_identity(folder: Path) -> SigningIdentity:
    """Read the identity in `folder` and check that it can sign today.

    Raises `ConfigError` if a file is missing, unreadable or malformed, if the certificate is not valid now,
    or if the key is not that of the certificate.
    """
    chain_path, key_path = folder / SIGNING_CHAIN_FILE, folder / SIGNING_KEY_FILE
    chain_pem, key_pem = _read(chain_path), _read(key_path)
    try:
        leaf = x509.load_pem_x509_certificates(chain_pem)[0]
    except ValueError as exc:
        raise ConfigError(f"{chain_path}: not a chain of PEM certificates: {exc}") from exc
    key = _load_private_key(key_path, key_pem)
    if key.public_key() != leaf.public_key():
        raise ConfigError(f"{key_path}: is not the key of the certificate in {chain_path}")
    _check_validity(chain_path, leaf)
    if key_path.stat().st_mode & 0o077:
        _logger.warning("%s can be read by others than its owner", key_path)
    return SigningIdentity(
        chain_pem=chain_pem,
        key_pem=key_pem,
        algorithm=_algorithm_of(key_path, key),
        is_development=DEVELOPMENT_MARK in leaf.subject.rfc4514_string(),
        expires_at=leaf.not_valid_after_utc,
    )


def load_permit_key(folder: Path) -> ed25519.Ed25519PrivateKey:
    """Read the key that signs run permits. Raises `ConfigError` if it is missing or not an Ed25519 key."""
    path = folder / PERMIT_KEY_FILE
    key = _load_private_key(path, _read(path))
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise ConfigError(f"{path}: is a {type(key).__name__}, expected an Ed25519 key")
    return key


def load_permit_public_key(folder: Path) -> ed25519.Ed25519PublicKey:
    """Read the key that checks run permits. Raises `ConfigError` if it is missing or not Ed25519."""
    path = folder / PERMIT_PUBLIC_KEY_FILE
    try:
        key = serialization.load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise ConfigError(f"{path}: not a PEM public key: {exc}") from exc
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise ConfigError(f"{path}: is a {type(key).__name__}, expected an Ed25519 key")
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as exc:
        raise ConfigError(f"{path}: missing", hint="`cleartitle init` makes development keys") from exc
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror or exc}") from exc


def _load_private_key(path: Path, pem: bytes) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        # The message of `cryptography` speaks of the format only; the key itself is never shown.
        raise ConfigError(f"{path}: not an unencrypted PEM private key: {exc}") from exc


def _check_validity(path: Path, leaf: x509.Certificate) -> None:
    now = utc_now()
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        raise ConfigError(
            f"{path}: the certificate is valid from {leaf.not_valid_before_utc:%Y-%m-%d} to "
            f"{leaf.not_valid_after_utc:%Y-%m-%d}, today is {now:%Y-%m-%d}",
            hint="replace the signing keys of this project",
        )


def _algorithm_of(path: Path, key: object) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVE_ALGORITHMS:
        return _CURVE_ALGORITHMS[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "ps256"
    raise ConfigError(
        f"{path}: C2PA signs with ECDSA on a NIST curve, Ed25519 or RSA-PSS, not {type(key).__name__}"
    )
