from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from governance.signing.certificate_profile import (
    CLAIM_SIGNING,
    DOCUMENT_SIGNING,
    EMAIL_PROTECTION,
    departures,
    obstacles,
)
from tests.governance.signing.certificates import Issued, key_usage, make_leaf, make_root


@pytest.fixture(scope="module")
def root() -> Issued:
    return make_root()


def test_a_certificate_by_the_profile_has_nothing_against_it(root: Issued) -> None:
    leaf = make_leaf(root).certificate
    assert obstacles(leaf) == departures(leaf) == ()


@pytest.mark.parametrize("purpose", [CLAIM_SIGNING, EMAIL_PROTECTION, DOCUMENT_SIGNING])
def test_one_purpose_is_enough_to_sign_and_not_for_the_profile(
    root: Issued, purpose: x509.ObjectIdentifier
) -> None:
    leaf = make_leaf(root, purposes=(purpose,)).certificate
    assert obstacles(leaf) == ()
    assert len(departures(leaf)) == 1


def test_obstacles_are_all_named(root: Issued) -> None:
    leaf = make_leaf(
        root,
        purposes=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,),
        usage=key_usage("key_cert_sign"),
        is_ca=True,
    ).certificate
    assert obstacles(leaf) == (
        "its key usage lacks digitalSignature",
        "it is the certificate of a CA",
        "its extended key usage allows any purpose",
        "its extended key usage has none of C2PA claim signing, e-mail protection, document signing",
    )


def test_no_purpose_at_all_is_an_obstacle(root: Issued) -> None:
    assert len(obstacles(make_leaf(root, purposes=()).certificate)) == 1


def test_departures_are_all_named(root: Issued) -> None:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "us")])
    start = dt.datetime.now(dt.UTC)
    leaf = make_leaf(
        root,
        name=name,
        not_before=start,
        not_after=start + dt.timedelta(days=367),
        purposes=(CLAIM_SIGNING,),
        usage=key_usage("digital_signature"),
    ).certificate
    assert departures(leaf) == (
        "extended key usage e-mail protection or document signing",
        "key usage nonRepudiation, marked critical",
        "country (C) in the subject",
        "organisation (O) in the subject",
        "a validity of at most 366 days",
    )
