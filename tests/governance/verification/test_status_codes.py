from __future__ import annotations

import pytest

from governance.verification.status_codes import KNOWN_CODES, explain

# C2PA 2.4, section 15.2.2, and what c2pa-rs 0.91.3 adds.
SPECIFIED = """
algorithm.deprecated algorithm.unsupported
assertion.accessible assertion.action.ingredientMismatch assertion.action.malformed assertion.action.redacted
assertion.action.redactionMismatch assertion.action.softBindingMissing
assertion.bmffHash.additionalExclusionsPresent assertion.bmffHash.malformed assertion.bmffHash.match
assertion.bmffHash.mismatch assertion.boxesHash.additionalExclusionsPresent assertion.boxesHash.malformed
assertion.boxesHash.match assertion.boxesHash.mismatch assertion.boxesHash.unknownBox assertion.cbor.invalid
assertion.cloud-data.actions assertion.cloud-data.hardBinding assertion.cloud-data.malformed
assertion.collectionHash.incorrectFileCount assertion.collectionHash.invalidURI assertion.collectionHash.malformed
assertion.collectionHash.match assertion.collectionHash.mismatch assertion.dataHash.additionalExclusionsPresent
assertion.dataHash.malformed assertion.dataHash.match assertion.dataHash.mismatch assertion.dataHash.redacted
assertion.external-reference.created assertion.external-reference.malformed assertion.hashedURI.match
assertion.hashedURI.mismatch assertion.inaccessible assertion.ingredient.malformed assertion.json.invalid
assertion.metadata.disallowed assertion.missing assertion.multiAssetHash.malformed assertion.multiAssetHash.match
assertion.multiAssetHash.mismatch assertion.multiAssetHash.missingPart assertion.multipleHardBindings
assertion.notRedacted assertion.outsideManifest assertion.required.missing assertion.selfRedacted
assertion.timestamp.malformed assertion.undeclared
claim.cbor.invalid claim.hardBindings.missing claim.malformed claim.missing claim.multiple claim.required.missing
claimSignature.insideValidity claimSignature.mismatch claimSignature.missing claimSignature.outsideValidity
claimSignature.validated com.adobe.prerelease general.error hashedURI.mismatch hashedURI.missing
ingredient.claimSignature.mismatch ingredient.claimSignature.missing ingredient.claimSignature.validated
ingredient.hashedURI.mismatch ingredient.manifest.mismatch ingredient.manifest.missing
ingredient.manifest.validated ingredient.unknownProvenance
manifest.compressed.invalid manifest.inaccessible manifest.multipleParents manifest.timestamp.invalid
manifest.timestamp.wrongParents manifest.unknownProvenance manifest.unreferenced manifest.update.invalid
manifest.update.wrongParents
signingCredential.expired signingCredential.invalid signingCredential.ocsp.inaccessible
signingCredential.ocsp.notRevoked signingCredential.ocsp.revoked signingCredential.ocsp.skipped
signingCredential.ocsp.unknown signingCredential.trusted signingCredential.untrusted
timeOfSigning.insideValidity timeOfSigning.outsideValidity timeStamp.malformed timeStamp.mismatch
timeStamp.outsideValidity timeStamp.trusted timeStamp.untrusted timeStamp.validated
cawg.ica.invalid_cose_sign1 cawg.ica.signature_mismatch cawg.identity.assertion.mismatch
cawg.identity.hard_binding_missing cawg.identity.pad.invalid cawg.identity.sig_type.unknown
cawg.identity.trusted cawg.identity.untrusted cawg.identity.well-formed cawg.x509.credential.untrusted
""".split()


@pytest.mark.parametrize("code", SPECIFIED)
def test_every_code_has_plain_words_of_its_own(code: str) -> None:
    words = explain(code)
    assert words != explain("no.such.code")
    assert code not in words
    assert 10 < len(words) <= 100


def test_an_unknown_code_says_so() -> None:
    assert "does not know" in explain("org.example.new")


def test_words_are_sentences_without_jargon() -> None:
    for code in KNOWN_CODES:
        words = explain(code)
        assert words == words.strip()
        assert not words.endswith(".")
        assert not {"JUMBF", "COSE", "CBOR", "URI"} & set(words.split())
