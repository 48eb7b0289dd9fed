"""Labels, actions, parameters and status codes that the rubrics of the C2PA conformance programme 0.2 know.

Edition: asset rubrics of 6 August 2026, for specification 2.4.
"""

from __future__ import annotations

INCEPTIONS = frozenset({"c2pa.created", "c2pa.opened"})

NON_EDITORIAL_ACTIONS = frozenset(
    """c2pa.converted c2pa.published c2pa.repackaged c2pa.transcoded c2pa.resized.proportional c2pa.enhanced
    c2pa.edited.metadata c2pa.watermarked c2pa.watermarked.bound c2pa.watermarked.unbound c2pa.redacted""".split()
)

SOURCE_TYPE_EXEMPT_ACTIONS = frozenset({"c2pa.placed"})
"""Perceptible, but what is placed brings its own source type."""

ACTIONS = frozenset(
    """c2pa.addedText c2pa.adjustedColor c2pa.changedSpeed c2pa.color_adjustments c2pa.converted c2pa.created
    c2pa.cropped c2pa.deleted c2pa.drawing c2pa.dubbed c2pa.edited c2pa.edited.metadata c2pa.enhanced c2pa.filtered
    c2pa.mastered c2pa.mixed c2pa.opened c2pa.orientation c2pa.placed c2pa.published c2pa.redacted c2pa.remixed
    c2pa.removed c2pa.repackaged c2pa.resized c2pa.resized.proportional c2pa.transcoded c2pa.translated c2pa.trimmed
    c2pa.unknown c2pa.watermarked c2pa.watermarked.bound c2pa.watermarked.unbound""".split()
)

DEPRECATED_ACTIONS = frozenset(
    """c2pa.copied c2pa.formatted c2pa.version_updated c2pa.printed c2pa.managed c2pa.produced c2pa.saved
    c2pa.color_adjustments c2pa.watermarked""".split()
)

PARAMETERS = frozenset(
    """redacted ingredients ingredient description relatedAssertions sourceLanguage targetLanguage multipleInstances
    ranges weight width italic slant optical-size""".split()
)

ASSERTIONS = frozenset(
    """c2pa.hash.data c2pa.hash.data.part c2pa.actions.v2 c2pa.ingredient.v3 c2pa.hash.boxes c2pa.hash.bmff.v3
    c2pa.hash.collection.data c2pa.soft-binding c2pa.cloud-data c2pa.embedded-data c2pa.metadata
    c2pa.certificate-status c2pa.asset-ref c2pa.asset-type.v2 c2pa.hash.multi-asset c2pa.thumbnail.claim
    c2pa.thumbnail.ingredient c2pa.depthmap.GDepth c2pa.icon c2pa.alternative-content-representation
    c2pa.external-reference c2pa.session-keys c2pa.environmental-sustainability c2pa.repository-receipt
    c2pa.ai-disclosure c2pa.assertion.metadata c2pa.time-stamp font.info""".split()
)

DEPRECATED_ASSERTIONS = frozenset(
    "c2pa.claim c2pa.hash.bmff.v2 c2pa.asset-type c2pa.ingredient c2pa.ingredient.v2 c2pa.actions".split()
)

UNREFERABLE_ASSERTIONS = frozenset(
    {"c2pa.actions", "c2pa.actions.v2", "c2pa.cloud-data", "c2pa.external-reference"}
)

RELATIONSHIPS = frozenset({"parentOf", "inputTo", "componentOf"})
HUMAN_ENTRY_SOURCES = frozenset({"humanEntry.anonymous", "humanEntry.credentialed"})
TIFF_MEDIA_TYPES = frozenset({"image/tiff", "image/x-adobe-dng"})

MALFORMATION_CODES = frozenset(
    """assertion.action.malformed assertion.bmffHash.malformed assertion.boxesHash.malformed
    assertion.collectionHash.malformed assertion.dataHash.malformed assertion.external-reference.malformed
    assertion.external-reference.labelMismatch assertion.external-reference.created assertion.ingredient.malformed
    assertion.alternativeContentRepresentation.malformed assertion.alternativeContentRepresentation.missing
    assertion.multiAssetHash.malformed assertion.cbor.invalid assertion.json.invalid claim.cbor.invalid
    claim.hardBindings.missing claim.malformed claim.missing claim.multiple hashedURI.missing
    ingredient.manifest.missing assertion.boxesHash.unknownBox assertion.multipleHardBindings
    manifest.compressed.invalid manifest.html.multipleManifests manifest.inaccessible manifest.multipleParents
    manifest.structuredText.emptyReference manifest.structuredText.malformedReference
    manifest.structuredText.multipleReferences manifest.structuredText.noManifest
    manifest.structuredText.noResolutionPath manifest.timestamp.invalid manifest.timestamp.wrongParents
    manifest.update.invalid manifest.update.wrongParents""".split()
)

MISMATCH_CODES = frozenset(
    """assertion.action.ingredientMismatch assertion.action.redactionMismatch assertion.bmffHash.mismatch
    assertion.boxesHash.mismatch assertion.collectionHash.mismatch assertion.dataHash.mismatch
    assertion.external-reference.hashMismatch assertion.alternativeContentRepresentation.hashMismatch
    assertion.multiAssetHash.mismatch assertion.hashedURI.mismatch assertion.hardBinding.redacted hashedURI.mismatch
    ingredient.manifest.mismatch ingredient.claimSignature.missing ingredient.claimSignature.mismatch
    claimSignature.missing""".split()
)

TRUST_CODES = frozenset(
    """claimSignature.mismatch claimSignature.outsideValidity signingCredential.invalid
    signingCredential.ocsp.revoked signingCredential.untrusted""".split()
)

_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_C2PA = "http://c2pa.org/digitalsourcetype/"

EMPTY = f"{_C2PA}empty"
DIGITAL_CAPTURE = f"{_IPTC}digitalCapture"
COMPUTATIONAL_CAPTURE = f"{_IPTC}computationalCapture"
COMPOSITE_CAPTURE = f"{_IPTC}compositeCapture"
COMPOSITE = f"{_IPTC}composite"
DIGITAL_CREATION = f"{_IPTC}digitalCreation"
SCREEN_CAPTURE = f"{_IPTC}screenCapture"
TRAINED_MEDIA = f"{_IPTC}trainedAlgorithmicMedia"
COMPOSITE_WITH_TRAINED_MEDIA = f"{_IPTC}compositeWithTrainedAlgorithmicMedia"

GENERATED_SOURCE_TYPES = frozenset(
    {
        TRAINED_MEDIA,
        COMPOSITE_WITH_TRAINED_MEDIA,
        f"{_IPTC}compositeSynthetic",
        f"{_C2PA}trainedAlgorithmicData",
    }
)
POSSIBLY_GENERATED_SOURCE_TYPES = frozenset({f"{_IPTC}digitalArt", COMPOSITE})
