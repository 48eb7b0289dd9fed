"""Trust anchors: the root certificates that decide whose Content Credentials count.

There are none by default. A signature under a certificate that leads to no anchor proves only that somebody
signed, and anybody can sign under any name. Anchors for signers and anchors for time-stamp authorities are two
lists (C2PA 2.4, section 14.4): who may say when something was signed may not sign it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.utils import CryptographyDeprecationWarning

from db.errors import ConfigError, UndecidedError
from governance.trust.list_format import is_json_list, pem_of_list
from governance.trust.revocation import parse_revocation_lists

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_FENCE = re.compile(rb"-----(?:BEGIN|END) ")


@dataclass(frozen=True)
class TrustAnchors:
    """One or more CA certificates in PEM, every one of which has been parsed."""

    pem: bytes
    """CA certificates of signers."""
    description: str
    """Where they come from, for the report."""
    time_stamp_pem: bytes = b""
    """CA certificates of time-stamp authorities: they vouch for times, never for signers."""
    revocation_pem: bytes = b""
    """Revocation lists: what stands there no longer counts, whatever it leads to."""


def parse_trust_anchors(pem: bytes, *, description: str) -> TrustAnchors:
    """Check every certificate in `pem` and return them as anchors; text between the blocks is dropped.

    c2pa-rs drops a damaged block without a word, which would turn a typing mistake into a signer that nobody
    trusts. So each block is parsed here, and the library only sees what was parsed.

    Raises `ConfigError` for a damaged block, for anything that is not a certificate, and for a certificate
    that is not a CA (c2pa-rs accepts no leaf as an anchor), `UndecidedError` if there is no certificate at
    all.
    """
    blocks = list(_BLOCK.finditer(pem))
    if len(_FENCE.findall(pem)) != 2 * len(blocks):
        raise ConfigError(f"{description}: a PEM block has no matching BEGIN and END line")
    if not blocks:
        raise UndecidedError(
            f"{description}: holds no certificate", hint="a PEM file of root certificates is needed"
        )
    certificates = [
        _ca_certificate(block, number, description) for number, block in enumerate(blocks, start=1)
    ]
    clean = b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates)
    return TrustAnchors(clean, description)


def load_trust_anchors(
    paths: Iterable[Path], time_stamp_paths: Iterable[Path] = (), revocation_paths: Iterable[Path] = ()
) -> TrustAnchors:
    """Read the anchors in all `paths` together: PEM files, or trust lists in JSON (ETSI TS 119 602, as C2PA has it).

    `time_stamp_paths` hold those of time-stamp authorities; without any, no time stamp counts. `revocation_paths` are
    certificate revocation lists, PEM or DER.

    Raises `UndecidedError` if no path is given or one cannot be read, `ConfigError` as `parse_trust_anchors` and
    `parse_revocation_lists`.
    """
    parts = [_load(path) for path in paths]
    if not parts:
        raise UndecidedError(
            "no trust anchors: whether a signature counts cannot be decided",
            hint="give a PEM file of root certificates with --trust, or run inside a project",
        )
    stamps = [_load(path) for path in time_stamp_paths]
    return TrustAnchors(
        b"".join(part.pem for part in parts),
        ", ".join(part.description for part in parts),
        b"".join(part.pem for part in stamps),
        b"".join(read_revocation_lists(path) for path in revocation_paths),
    )


def read_revocation_lists(path: Path) -> bytes:
    """Return the lists of one file in PEM, checked.

    Raises as `parse_revocation_lists`, and `UndecidedError` if the file cannot be read.
    """
    return parse_revocation_lists(_read(path), description=str(path))


def _load(path: Path) -> TrustAnchors:
    content = _read(path)
    if is_json_list(content):
        content = pem_of_list(content, description=str(path))
    return parse_trust_anchors(content, description=str(path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise UndecidedError(f"{path}: cannot be read: {exc.strerror or exc}") from exc


def _ca_certificate(block: re.Match[bytes], number: int, description: str) -> x509.Certificate:
    """Parse one PEM block. Raises `ConfigError` with its number."""
    if block.group(1) != b"CERTIFICATE":
        raise ConfigError(
            f"{description}: PEM block {number} is a {block.group(1).decode()}, expected CERTIFICATE"
        )
    try:
        with warnings.catch_warnings():
            # Public trust lists hold roots with serial numbers that cryptography grumbles about but accepts.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            certificate = x509.load_pem_x509_certificate(block.group(0))
            constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound as exc:
        raise ConfigError(f"{description}: certificate {number} is not marked as a CA") from exc
    except ValueError as exc:
        raise ConfigError(f"{description}: certificate {number} is damaged: {exc}") from exc
    if not constraints.ca:
        raise ConfigError(
            f"{description}: certificate {number} ({certificate.subject.rfc4514_string()}) is not a CA",
            hint="give the root that issued the signing certificate, not the signing certificate itself",
        )
    return certificate
