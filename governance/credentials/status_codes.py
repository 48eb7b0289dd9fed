"""C2PA status codes in plain words (C2PA 2.4, section 15.2, and codes that c2pa-rs adds)."""

from __future__ import annotations

_PLAIN_WORDS = {
    "assertion.bmffHash.mismatch": "the media was changed after signing",
    "assertion.dataHash.mismatch": "the file was changed after signing",
    "assertion.boxesHash.mismatch": "the file was changed after signing",
    "assertion.hashedURI.mismatch": "a statement in the credentials was changed after signing",
    "assertion.missing": "a statement was removed from the credentials",
    "assertion.inaccessible": "a statement in the credentials cannot be reached",
    "assertion.action.malformed": "the list of actions is malformed",
    "claim.missing": "the credentials have no claim",
    "claim.malformed": "the claim is malformed",
    "claim.hardBindings.missing": "the credentials are not bound to the content",
    "claimSignature.missing": "the claim is not signed",
    "claimSignature.mismatch": "the signature does not match: the credentials were changed after signing",
    "claimSignature.outsideValidity": "signed outside the validity of the certificate",
    "ingredient.manifest.mismatch": "the credentials of an ingredient were changed after it was taken up",
    "ingredient.manifest.missing": "the credentials of an ingredient are missing",
    "ingredient.claimSignature.mismatch": "the credentials of an ingredient were changed",
    "ingredient.unvalidated": "an ingredient was taken up without being checked",
    "hashedURI.mismatch": "a link inside the credentials does not match what it points to",
    "manifest.inaccessible": "the credentials lie elsewhere and were not fetched",
    "signingCredential.untrusted": "the signer is unknown: no trust anchor stands behind the certificate",
    "signingCredential.invalid": "the signing certificate is not fit for Content Credentials",
    "signingCredential.expired": "the signing certificate has expired and no time stamp shows when it signed",
    "signingCredential.revoked": "the signing certificate was revoked",
    "timeStamp.mismatch": "the time stamp is for something else",
    "timeStamp.untrusted": "the time stamp comes from an unknown authority",
}


def explain(code: str) -> str:
    """Return what `code` means to somebody who has not read the specification."""
    return _PLAIN_WORDS.get(code, f"validation failed with {code}")
