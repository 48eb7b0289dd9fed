"""The certificate profile of the C2PA conformance programme 0.2, checked of certificates that others issued.

X.509 v3; key usage digitalSignature and nonRepudiation, critical; basic constraints CA=false, critical; subject and
authority key identifiers; extended key usage C2PA claim signing beside e-mail protection or document signing; subject
with country, organisation and common name; at most 366 days.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

CLAIM_SIGNING = ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
EMAIL_PROTECTION = ObjectIdentifier("1.3.6.1.5.5.7.3.4")
DOCUMENT_SIGNING = ObjectIdentifier("1.3.6.1.5.5.7.3.36")
LONGEST_VALIDITY = dt.timedelta(days=366)

E = TypeVar("E", bound=x509.ExtensionType)

_PURPOSES = {
    CLAIM_SIGNING: "C2PA claim signing",
    EMAIL_PROTECTION: "e-mail protection",
    DOCUMENT_SIGNING: "document signing",
}
_SUBJECT_FIELDS = {
    NameOID.COUNTRY_NAME: "country (C)",
    NameOID.ORGANIZATION_NAME: "organisation (O)",
    NameOID.COMMON_NAME: "common name (CN)",
}
_IDENTIFIERS: tuple[tuple[type[x509.ExtensionType], str], ...] = (
    (x509.SubjectKeyIdentifier, "subject key identifier"),
    (x509.AuthorityKeyIdentifier, "authority key identifier"),
)


def obstacles(leaf: x509.Certificate) -> tuple[str, ...]:
    """Return why no C2PA validator accepts signatures under `leaf`; empty if nothing stands against it.

    Raises `ValueError` for a certificate whose extensions cannot be read.
    """
    return tuple(_obstacles(leaf))


def departures(leaf: x509.Certificate) -> tuple[str, ...]:
    """Return what else the profile asks for and `leaf` does not have: it signs, but would fail certification.

    Raises `ValueError` for a certificate whose extensions cannot be read.
    """
    return tuple(_departures(leaf))


def _obstacles(leaf: x509.Certificate) -> Iterator[str]:
    if leaf.version is not x509.Version.v3:
        yield "it is not X.509 version 3"
        return
    usage = _extension(leaf, x509.KeyUsage)
    if usage is None or not usage.value.digital_signature:
        yield "its key usage lacks digitalSignature"
    constraints = _extension(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.value.ca:
        yield "it is the certificate of a CA"
    purposes = _purposes(leaf)
    if ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in purposes:
        yield "its extended key usage allows any purpose"
    if not purposes & _PURPOSES.keys():
        yield f"its extended key usage has none of {', '.join(_PURPOSES.values())}"


def _departures(leaf: x509.Certificate) -> Iterator[str]:
    purposes = _purposes(leaf)
    if CLAIM_SIGNING not in purposes:
        yield f"extended key usage {_PURPOSES[CLAIM_SIGNING]}"
    if not purposes & {EMAIL_PROTECTION, DOCUMENT_SIGNING}:
        yield "extended key usage e-mail protection or document signing"
    usage = _extension(leaf, x509.KeyUsage)
    if usage is not None and not (usage.critical and usage.value.content_commitment):
        yield "key usage nonRepudiation, marked critical"
    constraints = _extension(leaf, x509.BasicConstraints)
    if constraints is None or not constraints.critical:
        yield "basic constraints CA=false, marked critical"
    for kind, name in _IDENTIFIERS:
        if _extension(leaf, kind) is None:
            yield name
    for field, name in _SUBJECT_FIELDS.items():
        if not leaf.subject.get_attributes_for_oid(field):
            yield f"{name} in the subject"
    if leaf.not_valid_after_utc - leaf.not_valid_before_utc > LONGEST_VALIDITY:
        yield f"a validity of at most {LONGEST_VALIDITY.days} days"


def _purposes(leaf: x509.Certificate) -> set[ObjectIdentifier]:
    found = _extension(leaf, x509.ExtendedKeyUsage)
    return set() if found is None else set(found.value)


def _extension(leaf: x509.Certificate, kind: type[E]) -> x509.Extension[E] | None:
    try:
        return leaf.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None
