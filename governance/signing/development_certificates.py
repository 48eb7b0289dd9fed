"""Certificates of development keys: a root and the leaf that signs, which say themselves that nobody vouches for them.

They follow `governance.signing.certificate_profile`, with all three purposes that it speaks of, so that validators
with older trust configurations accept them too.
"""

from __future__ import annotations

import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from db.clock import utc_now
from governance.signing.certificate_profile import (
    CLAIM_SIGNING,
    DOCUMENT_SIGNING,
    EMAIL_PROTECTION,
    LONGEST_VALIDITY,
)

DEVELOPMENT_MARK = "NOT FOR PRODUCTION"
_DEVELOPMENT_ORGANIZATION = f"cleartitle development - {DEVELOPMENT_MARK}"
# The root only verifies (its private key is gone), and must outlive every leaf somebody may want to look back
# on.
_ROOT_VALIDITY = dt.timedelta(days=3660)


def subject(common_name: str) -> x509.Name:
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


def root_certificate(key: ec.EllipticCurvePrivateKey, name: x509.Name) -> x509.Certificate:
    """Return a self-signed root, valid from now."""
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


def leaf_certificate(
    key: ec.EllipticCurvePublicKey,
    name: x509.Name,
    root: x509.Certificate,
    root_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    """Return a signing certificate by the profile, valid as of `root`."""
    issuer_identifier = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    purposes = x509.ExtendedKeyUsage([CLAIM_SIGNING, EMAIL_PROTECTION, DOCUMENT_SIGNING])
    return (
        x509.CertificateBuilder(subject_name=name, issuer_name=root.subject, public_key=key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(root.not_valid_before_utc)
        .not_valid_after(root.not_valid_before_utc + LONGEST_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_documents=True, signs_certificates=False), critical=True)
        .add_extension(purposes, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_identifier), critical=False
        )
        .sign(root_key, hashes.SHA256())
    )
