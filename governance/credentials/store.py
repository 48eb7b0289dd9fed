"""A C2PA manifest store as it was read, and the failures in it, wherever they hide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from governance.errors import VerificationError

TRUSTED = "Trusted"
# From this version on, an ingredient with a manifest must say how that manifest validated (18.15.12.4.3).
_INGREDIENT_V3 = "c2pa.ingredient.v3"
UNTRUSTED_SIGNER_CODE = "signingCredential.untrusted"


@dataclass(frozen=True)
class ValidationFailure:
    """One failure that the validator recorded."""

    code: str
    """C2PA status code, such as `assertion.bmffHash.mismatch`."""
    where: str
    """The manifest concerned: `active manifest`, or which ingredient."""
    explanation: str


@dataclass(frozen=True)
class ManifestStore:
    """Every manifest that a file carries, and what the validator says of them.

    All text in here was written by whoever made the file: make it safe before showing it.
    """

    state: str
    """Validation state: Invalid, Valid or Trusted. Only Trusted means that an anchor stands behind it."""
    active_label: str
    manifests: Mapping[str, Mapping[str, Any]]
    validation_results: Mapping[str, Any]

    @property
    def active(self) -> Mapping[str, Any]:
        """The manifest that speaks for the file itself."""
        return self.manifests[self.active_label]

    def active_failures(self) -> tuple[ValidationFailure, ...]:
        """Return the failures in the active manifest."""
        return tuple(_failures(self.validation_results.get("activeManifest"), "active manifest"))

    def ingredient_failures(self) -> tuple[ValidationFailure, ...]:
        """Return the failures in ingredients, at any depth.

        A store reads Trusted although an ingredient was tampered with before it was taken up, or was signed
        by nobody we know: such failures stand only in the deltas and in the results recorded beside each
        ingredient.
        """
        found = list(_delta_failures(self.validation_results, "ingredient"))
        for label, manifest in self.manifests.items():
            for ingredient in manifest.get("ingredients") or ():
                found += _recorded_failures(ingredient, f"ingredient {ingredient.get('title')!r} of {label}")
        return tuple(found)

    def require_sound(self, subject: str) -> None:
        """Raise `VerificationError` unless the store is Trusted and free of failures everywhere."""
        failures = (*self.active_failures(), *self.ingredient_failures())
        if self.state != TRUSTED or failures:
            reasons = ", ".join(f"{failure.code} in {failure.where}" for failure in failures)
            raise VerificationError(
                f"{subject}: credentials are {self.state}{': ' + reasons if reasons else ''}"
            )


def assertion_data(manifest: Mapping[str, Any], label: str) -> Any | None:
    """Return the data of the one assertion called `label`, `None` if there is none.

    Raises `VerificationError` if there are several: which of them holds would be a matter of taste.
    """
    found = [entry["data"] for entry in manifest.get("assertions") or () if entry["label"] == label]
    if len(found) > 1:
        raise VerificationError(f"{len(found)} assertions {label}, expected at most one")
    return found[0] if found else None


def _failures(results: Mapping[str, Any] | None, where: str) -> Iterator[ValidationFailure]:
    for entry in (results or {}).get("failure") or ():
        yield ValidationFailure(entry["code"], where, entry.get("explanation") or "")


def _delta_failures(results: Mapping[str, Any], where: str) -> Iterator[ValidationFailure]:
    for delta in results.get("ingredientDeltas") or ():
        yield from _failures(delta.get("validationDeltas"), f"{where} {delta.get('ingredientAssertionURI')}")


def _recorded_failures(ingredient: Mapping[str, Any], where: str) -> Iterator[ValidationFailure]:
    """Yield what was recorded when the ingredient was taken up; old manifests list statuses flatly."""
    results = ingredient.get("validation_results")
    statuses: Sequence[Mapping[str, Any]] = ingredient.get("validation_status") or ()
    if results is not None:
        yield from _failures(results.get("activeManifest"), where)
        yield from _delta_failures(results, where)
    elif ingredient.get("active_manifest") and str(ingredient.get("label")).startswith(_INGREDIENT_V3):
        yield ValidationFailure(
            "ingredient.unvalidated", where, "nobody recorded whether the ingredient was sound"
        )
    for status in statuses:
        yield ValidationFailure(status["code"], where, status.get("explanation") or "")
