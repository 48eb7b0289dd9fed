"""Statements on ingredients: whatever assertion states a relationship to the asset."""

from __future__ import annotations

from typing import Any

from governance.conformance.crjson import CrManifest, is_one_of, member
from governance.conformance.statement import Check, check_each, statement
from governance.conformance.vocabulary import RELATIONSHIPS


def _title(ingredient: Any) -> str:
    return f"ingredient {member(ingredient, 'dc:title') or 'without a title'}"


@statement(
    "validation:ingredient_v3_no_active_manifest",
    "C2PA 2.2, section 18.15.12.4.3",
    "An ingredient without a manifest has no validation results.",
)
def no_results_without_manifest(manifest: CrManifest) -> Check:
    """Nothing was there to validate."""
    subjects = [found for found in manifest.ingredients if member(found, "activeManifest") is None]

    def _violation(ingredient: Any) -> str | None:
        return _title(ingredient) if member(ingredient, "validationResults") is not None else None

    return check_each(subjects, _violation)


@statement(
    "validation:ingredient_v3_mandatory_validation_results",
    "C2PA 2.2, section 18.15.12.4.3",
    "An ingredient with a manifest says how that manifest validated.",
)
def manifests_were_validated(manifest: CrManifest) -> Check:
    """When it was taken up."""
    subjects = [found for found in manifest.ingredients if member(found, "activeManifest") is not None]

    def _violation(ingredient: Any) -> str | None:
        return _title(ingredient) if member(ingredient, "validationResults") is None else None

    return check_each(subjects, _violation)


@statement(
    "validation:ingredient_relationship_values",
    "C2PA 2.2, section 18.15.3",
    "Each ingredient is parentOf, inputTo or componentOf.",
)
def relationships_are_known(manifest: CrManifest) -> Check:
    """Spelled like this."""

    def _violation(ingredient: Any) -> str | None:
        relationship = member(ingredient, "relationship")
        return None if is_one_of(relationship, RELATIONSHIPS) else f"{_title(ingredient)}: {relationship}"

    return check_each(manifest.ingredients, _violation)


@statement(
    "validation:ingredient_v3_choice",
    "C2PA 2.4, section 18.16.12.3",
    "An ingredient with a manifest states no digital source type.",
)
def source_types_are_not_repeated(manifest: CrManifest) -> Check:
    """Its manifest does."""
    subjects = [found for found in manifest.ingredients if member(found, "activeManifest") is not None]

    def _violation(ingredient: Any) -> str | None:
        return _title(ingredient) if member(ingredient, "digitalSourceType") is not None else None

    return check_each(subjects, _violation)
