"""Whether a certificate leads to one of given anchors, by the certificates that came with it.

The library has one pool of anchors for signers and time-stamp authorities. Once it has found that every
certificate leads to some anchor, in time and for its purpose, this finds out to which: a path in which every
certificate is issued, by name and by signature, by a CA that follows.
"""

from __future__ import annotations

import datetime as dt
import functools
import warnings
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.utils import CryptographyDeprecationWarning


@functools.lru_cache(maxsize=8)
def load_anchors(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Return the certificates in `pem`, which has been checked (`parse_trust_anchors`); empty text has none."""
    if not pem:
        return ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return tuple(x509.load_pem_x509_certificates(pem))


def leads_to(
    certificate: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    *,
    at: dt.datetime,
) -> bool:
    """Whether `certificate` leads through `others` to one of `anchors`, all of them CAs valid at `at` (aware)."""
    reached, position = [certificate], 0
    while position < len(reached):
        current = reached[position]
        if any(_issued(current, anchor, at) for anchor in anchors):
            return True
        # Each certificate is visited once: crossed signatures must not make paths without number.
        reached += [other for other in others if other not in reached and _issued(current, other, at)]
        position += 1
    return False


def _issued(certificate: x509.Certificate, issuer: x509.Certificate, at: dt.datetime) -> bool:
    return has_issued(issuer, certificate) and issuer.not_valid_before_utc <= at <= issuer.not_valid_after_utc


def has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether a CA issued a certificate, by name and by signature, whenever that was."""
    return certificate.issuer == issuer.subject and _has_signed(issuer, certificate)


@functools.lru_cache(maxsize=1024)
def _has_signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether a CA has signed a certificate. Chains repeat from manifest to manifest, so answers are kept."""
    if not is_authority(issuer):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False  # a wrong key, a strange algorithm, a malformed certificate
    return True


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether a certificate is that of a CA."""
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except (x509.ExtensionNotFound, ValueError):
        return False
