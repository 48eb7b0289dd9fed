"""Keys of a project: the identity that signs Content Credentials and the pair that signs run permits.

Identities that the settings name: `governance.signing.signers`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from db.clock import utc_now
from db.errors import ConfigError
from governance.signing.certificate_profile import departures, obstacles
from governance.signing.development_certificates import (
    DEVELOPMENT_MARK,
    leaf_certificate,
    root_certificate,
    subject,
)
from governance.signing.time_stamps import TimeStampAuthority

_logger = logging.getLogger(__name__)

SIGNING_CHAIN_FILE = "signing.chain.pem"
SIGNING_KEY_FILE = "signing.key.pem"
TRUST_ANCHOR_FILE = "trust.pem"
PERMIT_KEY_FILE = "permit.key.pem"
PERMIT_PUBLIC_KEY_FILE = "permit.pub.pem"

_CURVE_ALGORITHMS = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True, kw_only=True)
class SigningIdentity:
    """A certificate chain (leaf first) and what signs for its leaf: a private key, or a function that has it signed."""

    chain_pem: bytes
    key_pem: bytes = field(default=b"", repr=False)
    """Unencrypted PKCS#8; empty where `sign` signs."""
    algorithm: str
    """As C2PA spells it: es256, es384, es512, ed25519, ps256, ps384, ps512."""
    is_development: bool
    """The subject says that nobody should rely on it."""
    expires_at: dt.datetime
    sign: Callable[[bytes], bytes] | None = field(default=None, repr=False)
    """For keys that never leave their place (KMS, HSM): receives about 2 KB, returns the raw signature (for ECDSA r
    and s, or DER). What it raises is the cause of the `SigningError` that follows. Hashable, as functions are."""
    time_stamp: TimeStampAuthority | None = None
    """Stamps every signature. `None`: nothing says when it was made, and it dies with the certificate."""

    def __post_init__(self) -> None:
        """Refuse an identity with two ways to sign, or none."""
        if bool(self.key_pem) == (self.sign is not None):
            raise ValueError("an identity signs with a key or with a function, and with one of them only")


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
    root = root_certificate(root_key, subject(f"cleartitle development root {project}"))
    leaf = leaf_certificate(
        leaf_key.public_key(), subject(f"cleartitle development {project}"), root, root_key
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


def _private_pem(key: PrivateKeyTypes) -> bytes:
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
    return load_pem_identity(folder / SIGNING_CHAIN_FILE, folder / SIGNING_KEY_FILE)


def load_pem_identity(chain_path: Path, key_path: Path) -> SigningIdentity:
    """Read a chain and an unencrypted private key in PEM. Raises `ConfigError` as `load_signing_identity`."""
    leaf, chain_pem = read_chain_pem(chain_path)
    key = _load_private_key(key_path, _read(key_path))
    if key_path.stat().st_mode & 0o077:
        _logger.warning("%s can be read by others than its owner", key_path)
    return identity_with_key(leaf, chain_pem, key, chain_path=chain_path, key_path=key_path)


def read_chain_pem(path: Path) -> tuple[x509.Certificate, bytes]:
    """Return the leaf and the whole of a chain in PEM. Raises `ConfigError` if it is missing or damaged."""
    chain_pem = _read(path)
    try:
        return x509.load_pem_x509_certificates(chain_pem)[0], chain_pem
    except ValueError as exc:
        raise ConfigError(f"{path}: not a chain of PEM certificates: {exc}") from exc


def identity_with_key(
    leaf: x509.Certificate, chain_pem: bytes, key: PrivateKeyTypes, *, chain_path: Path, key_path: Path
) -> SigningIdentity:
    """Make an identity of parts that have been read; the paths are for messages.

    Raises `ConfigError` if the parts do not belong together or cannot sign today.
    """
    if key.public_key() != leaf.public_key():
        raise ConfigError(f"{key_path}: is not the key of the certificate in {chain_path}")
    check_certificate(chain_path, leaf)
    return SigningIdentity(
        chain_pem=chain_pem,
        key_pem=_private_pem(key),
        algorithm=_algorithm_of(key_path, key),
        is_development=is_development_certificate(leaf),
        expires_at=leaf.not_valid_after_utc,
    )


def is_development_certificate(leaf: x509.Certificate) -> bool:
    """Whether the subject says that nobody should rely on it."""
    return DEVELOPMENT_MARK in leaf.subject.rfc4514_string()


def check_certificate(path: Path, leaf: x509.Certificate) -> None:
    """Check that `leaf` can sign C2PA claims today; warn where it departs from the conformance profile.

    Raises `ConfigError` saying all that stands against it.
    """
    now = utc_now()
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        raise ConfigError(
            f"{path}: the certificate is valid from {leaf.not_valid_before_utc:%Y-%m-%d} to "
            f"{leaf.not_valid_after_utc:%Y-%m-%d}, today is {now:%Y-%m-%d}",
            hint="replace the signing keys of this project",
        )
    try:
        against, missing = obstacles(leaf), departures(leaf)
    except ValueError as exc:
        raise ConfigError(f"{path}: the certificate cannot be read: {exc}") from exc
    if against:
        raise ConfigError(
            f"{path}: the certificate cannot sign Content Credentials: {'; '.join(against)}",
            hint="ask its issuer for one with the C2PA certificate profile",
        )
    if missing:
        _logger.warning(
            "%s: the certificate lacks what C2PA conformance asks for: %s", path, "; ".join(missing)
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
