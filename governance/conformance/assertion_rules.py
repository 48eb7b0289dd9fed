"""Statements on the claim, on the labels of assertions, and on what single assertions may hold."""

from __future__ import annotations

from typing import Any

from governance.conformance import vocabulary as v
from governance.conformance.crjson import CrManifest, is_one_of, member, text
from governance.conformance.statement import Check, check_each, statement

SPEC_VERSION = ("2", "4")
"""Major and minor version of the specification that the rubric is for."""


def _base(label: str) -> str:
    """The label without the number that sets it apart from others of its kind."""
    return label.split("__", maxsplit=1)[0]


@statement(
    "validation:mandatory_spec_version",
    "Conformance programme 0.2, for specification 2.4",
    "The claim generator says that it follows specification 2.4.",
)
def spec_version_is_said(manifest: CrManifest) -> Check:
    """The generator is the first of a list or a single object."""
    generator = member(manifest.claim, "claim_generator_info")
    first = generator[0] if isinstance(generator, list) and generator else None
    version = member(first, "specVersion") or member(generator, "specVersion")
    if isinstance(version, str) and tuple(version.split(".")[:2]) == SPEC_VERSION:
        return Check(num_subjects=1)
    return Check(num_subjects=1, violations=("missing" if version is None else f"specVersion {version}",))


@statement(
    "validation:active_manifest_urn",
    "C2PA 2.2, sections 8.1 and 10.2.1",
    "The active manifest is named urn:c2pa:...",
)
def manifest_is_named(manifest: CrManifest) -> Check:
    """Older ones are named `urn:uuid:...`."""
    is_named = text(manifest.label).startswith("urn:c2pa:")
    return Check(num_subjects=1, violations=() if is_named else (text(manifest.label) or "unnamed",))


@statement(
    "validation:no_deprecated_claim_fields",
    "C2PA 2.4, sections 10.2.1 and 10.2.3.2",
    "The claim itself has no specVersion; it belongs to the claim generator.",
)
def claim_is_current(manifest: CrManifest) -> Check:
    """Only of version 2 claims."""
    is_deprecated = member(manifest.claim, "specVersion") is not None
    return Check(num_subjects=1, violations=("specVersion in the claim",) if is_deprecated else ())


@statement(
    "validation:no_deprecated_assertions",
    "C2PA 2.2, section 6.3 and appendix C.1",
    "No assertion is deprecated.",
)
def no_deprecated_assertions(manifest: CrManifest) -> Check:
    """Labels are compared whole, as in the rubric: a second, numbered one is not looked at."""
    return check_each(
        manifest.assertions,
        lambda label: label if label.startswith("stds.") or label in v.DEPRECATED_ASSERTIONS else None,
    )


@statement(
    "validation:no_unsupported_assertions",
    "C2PA 2.2, sections 6.2, 6.2.2 and 6.3",
    "Each assertion of the standard's name space is one of the standard.",
)
def standard_assertions_are_known(manifest: CrManifest) -> Check:
    """Deprecated ones are the business of another statement."""
    known = v.ASSERTIONS | v.DEPRECATED_ASSERTIONS
    subjects = (label for label in manifest.assertions if label.startswith("c2pa."))
    return check_each(subjects, lambda label: None if _base(label) in known else label)


@statement(
    "validation:no_unrecognized_custom_assertions",
    "C2PA 2.2, section 6.2.2",
    "Each other assertion has its owner's name space.",
)
def custom_assertions_have_name_spaces(manifest: CrManifest) -> Check:
    """A dot is what tells."""
    subjects = (label for label in manifest.assertions if not label.startswith("c2pa."))
    return check_each(subjects, lambda label: None if "." in label else label)


@statement(
    "validation:review_ratings_datasource",
    "C2PA 2.2, section 18.3.3",
    "What a person entered is not rated by reviewers.",
)
def human_entries_are_not_rated(manifest: CrManifest) -> Check:
    """Assertions with review ratings."""
    subjects = [data for data in manifest.assertions.values() if member(data, "reviewRatings") is not None]

    def _violation(data: Any) -> str | None:
        source = member(member(data, "dataSource"), "type")
        return str(source) if is_one_of(source, v.HUMAN_ENTRY_SOURCES) else None

    return check_each(subjects, _violation)


@statement(
    "validation:alternative_content_representation_choice",
    "C2PA 2.4, section 15.10.3.2.7",
    "A preserved original is either a part of a multi-asset file or embedded, never both or neither.",
)
def preserved_original_is_one_place(manifest: CrManifest) -> Check:
    """Alternative content representations of type `exif.originalPreservationImage`."""
    kind = "exif.originalPreservationImage"
    subjects = [
        data
        for data in manifest.assertions.values()
        if kind in (member(data, "type"), member(member(data, "parameters"), "type"))
    ]

    def _violation(data: Any) -> str | None:
        parameters = member(data, "parameters")
        places = ("multiAssetPartIndex", "embeddedOriginalPreservationImage")
        count = sum(member(parameters, place) is not None for place in places)
        return None if count == 1 else f"{count} places instead of one"

    return check_each(subjects, _violation)


@statement(
    "validation:forbidden_labels_in_external_references",
    "C2PA 2.4, sections 15.10.3.2.2 and 18.24.1",
    "No external reference stands for an assertion that must be in the manifest itself.",
)
def references_are_to_what_may_be_outside(manifest: CrManifest) -> Check:
    """Actions, hashes, ingredients and references to references may not."""
    subjects = [
        data
        for data in manifest.assertions.values()
        if member(data, "label") is not None
        and member(data, "url") is not None
        and member(data, "relationship") is None
    ]

    def _violation(data: Any) -> str | None:
        label = text(member(data, "label"))
        is_forbidden = label in v.UNREFERABLE_ASSERTIONS or label.startswith(("c2pa.hash", "c2pa.ingredient"))
        return label if is_forbidden else None

    return check_each(subjects, _violation)


@statement(
    "validation:no_url_in_hashes",
    "C2PA 2.4, sections 18.5 and 18.6",
    "No hash assertion names a URL.",
)
def hashes_have_no_url(manifest: CrManifest) -> Check:
    """Data and BMFF hashes."""
    labels = ("c2pa.hash.data", "c2pa.hash.bmff.v3")
    subjects = [label for label in labels if label in manifest.assertions]
    return check_each(subjects, lambda label: label if member(manifest.assertions[label], "url") else None)


@statement(
    "validation:no_box_hash_for_tiff",
    "C2PA 2.4, sections 15.10.1.2 and 18.7.3.3",
    "TIFF files are not bound by a box hash.",
)
def tiff_has_no_box_hash(manifest: CrManifest) -> Check:
    """Told by the media type in the asset type assertion."""
    media_type = member(manifest.assertions.get("c2pa.asset-type.v2"), "dc:format")
    if not is_one_of(media_type, v.TIFF_MEDIA_TYPES):
        return Check(num_subjects=0)
    has_box_hash = "c2pa.hash.boxes" in manifest.assertions
    return Check(num_subjects=1, violations=("c2pa.hash.boxes",) if has_box_hash else ())
