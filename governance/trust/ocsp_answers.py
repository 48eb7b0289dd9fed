"""What issuers said of a certificate when it was used: answers (OCSP, RFC 6960) that lie in the credentials.

They lie where no signature of the manifest reaches (`rVals`, C2PA 2.4, section 13.2), so anybody may take them out or
put others in; but an answer is signed by the issuer, and one that says "revoked" is true whoever brought it.
c2pa-rs 0.91 looks at none of them as long as it may not ask the network itself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from governance.trust.paths import has_issued
from governance.trust.revocation import Revocation

Single: TypeAlias = ocsp.OCSPSingleResponse
_MAX_ANSWERS = 64


class OcspAnswers:
    """The answers beside one signature. What cannot be read or was not signed by the issuer says nothing."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        """Take answers in DER, as they came."""
        self._responses = [response for each in answers[:_MAX_ANSWERS] for response in _parsed(each)]

    def find(self, certificate: x509.Certificate, others: Sequence[x509.Certificate]) -> Revocation | None:
        """Return the earliest revocation of a certificate; its issuer is looked for among `others`."""
        found = [
            Revocation(
                since=single.revocation_time_utc or single.this_update_utc,
                reason=single.revocation_reason,
                source=f"its issuer, {certificate.issuer.rfc4514_string()}, in an answer beside the signature",
            )
            for single in self._answers_on(certificate, others)
            if single.certificate_status is ocsp.OCSPCertStatus.REVOKED
        ]
        return min(found, key=lambda revocation: revocation.since, default=None)

    def good_as_of(
        self, certificate: x509.Certificate, others: Sequence[x509.Certificate], *, now: dt.datetime
    ) -> dt.datetime | None:
        """Return when the newest answer was given that says "good" and still holds at `now` (aware)."""
        dates = [
            single.this_update_utc
            for single in self._answers_on(certificate, others)
            if single.certificate_status is ocsp.OCSPCertStatus.GOOD
            and single.this_update_utc <= now < (single.next_update_utc or single.this_update_utc)
        ]
        return max(dates, default=None)

    def _answers_on(
        self, certificate: x509.Certificate, others: Sequence[x509.Certificate]
    ) -> Iterator[Single]:
        if not self._responses:
            return
        issuers = [other for other in others if has_issued(other, certificate)]
        for response in self._responses:
            for issuer in issuers:
                singles = [each for each in response.responses if _is_about(each, certificate, issuer)]
                if singles and _has_signed(response, issuer):
                    yield from singles


def _parsed(answer: bytes) -> Iterator[ocsp.OCSPResponse]:
    try:
        response = ocsp.load_der_ocsp_response(answer)
        if response.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL:
            list(response.responses)
            yield response
    except ValueError:
        return


def _is_about(single: Single, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether an answer names a certificate: by number, and by the name of the issuer, whose key is looked at next."""
    try:
        digest = hashes.Hash(single.hash_algorithm)
    except UnsupportedAlgorithm:
        return False
    digest.update(issuer.subject.public_bytes())
    return single.serial_number == certificate.serial_number and single.issuer_name_hash == digest.finalize()


def _has_signed(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> bool:
    """Whether an issuer answered, or somebody whom the issuer certified to answer (RFC 6960, section 4.2.2.2)."""
    delegates = [each for each in response.certificates if has_issued(issuer, each) and _may_answer(each)]
    return any(_is_signed_by(response, each) for each in (issuer, *delegates))


def _may_answer(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usage


def _is_signed_by(response: ocsp.OCSPResponse, certificate: x509.Certificate) -> bool:
    key, algorithm = certificate.public_key(), response.signature_hash_algorithm
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(algorithm))
        elif isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            key.verify(response.signature, response.tbs_response_bytes, padding.PKCS1v15(), algorithm)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True
