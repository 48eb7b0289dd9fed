"""A C2PA manifest store as it was read, and the failures in it, wherever they hide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from governance.errors import VerificationError

TRUSTED = "Trusted"
# From this version on, an ingredient with a manifest must say how that manifest validated (18.15.12.4.3).
_INGREDIENT_V3 = "c2pa.ingredient.v3"
_URL_START = "self#jumbf=/c2pa/"
UNTRUSTED_SIGNER_CODE = "signingCredential.untrusted"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where in a chain of manifests something was found."""

    label: str
    """Label of the manifest; empty for an ingredient that has none."""
    titles: tuple[str, ...]
    """Titles of the ingredients from the file downwards; empty for the file's own manifest."""

    @property
    def depth(self) -> int:
        """0 for the file's own manifest, 1 for its ingredients, 2 for theirs."""
        return len(self.titles)

    def __str__(self) -> str:
        if not self.titles:
            return "active manifest"
        path = " > ".join(repr(title) for title in self.titles)
        return f"ingredient {path}, depth {self.depth}"


@dataclass(frozen=True)
class ValidationFailure:
    """One failure that the validator recorded."""

    code: str
    """C2PA status code, such as `assertion.bmffHash.mismatch`."""
    place: Place
    """The manifest concerned."""
    explanation: str
    is_recorded: bool = False
    """The signer wrote it down when the ingredient was taken up; otherwise it was found now."""


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
    jumbf: bytes = field(default=b"", repr=False)
    """The store itself, as it lies in the file."""

    @property
    def active(self) -> Mapping[str, Any]:
        """The manifest that speaks for the file itself; empty if it is so damaged that nothing of it can be read."""
        return self.manifests.get(self.active_label, {})

    def places(self) -> dict[str, Place]:
        """Return where each manifest hangs, by its label: nearest first, and those that hang nowhere not at all."""
        places = {self.active_label: Place(label=self.active_label, titles=())}
        for label in (queue := [self.active_label]):
            for ingredient in _ingredients(self.manifests.get(label)):
                below = str(ingredient.get("active_manifest"))
                if below in self.manifests and below not in places:
                    titles = (*places[label].titles, _title(ingredient))
                    places[below] = Place(label=below, titles=titles)
                    queue.append(below)
        return places

    def active_failures(self) -> tuple[ValidationFailure, ...]:
        """Return the failures in the active manifest."""
        place = Place(label=self.active_label, titles=())
        entries = _entries(self.validation_results.get("activeManifest"))
        return tuple(ValidationFailure(code, place, text) for code, text, _url in entries)

    def ingredient_failures(self) -> tuple[ValidationFailure, ...]:
        """Return the failures in ingredients, at any depth.

        A store reads Trusted although an ingredient was tampered with before it was taken up, or was signed
        by nobody we know: such failures stand only in the deltas and in the results recorded beside each
        ingredient.
        """
        places = self.places()
        found = [
            ValidationFailure(code, _place_of(url, owner, places), text)
            for owner, code, text, url in _deltas(self.validation_results, places)
        ]
        for label, manifest in self.manifests.items():
            owner = places.get(label, Place(label=label, titles=("unlinked manifest",)))
            for ingredient in _ingredients(manifest):
                found += _recorded(ingredient, owner, places)
        return tuple(dict.fromkeys(found))

    def require_sound(self, subject: str) -> None:
        """Raise `VerificationError` unless the store is Trusted and free of failures everywhere."""
        failures = (*self.active_failures(), *self.ingredient_failures())
        if self.state != TRUSTED or failures:
            reasons = ", ".join(f"{failure.code} in {failure.place}" for failure in failures)
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


def _ingredients(manifest: Mapping[str, Any] | None) -> Sequence[Mapping[str, Any]]:
    return (manifest or {}).get("ingredients") or ()


def _title(ingredient: Mapping[str, Any]) -> str:
    return str(ingredient.get("title") or ingredient.get("label") or "untitled")


def _entries(results: Mapping[str, Any] | None) -> Iterator[tuple[str, str, str]]:
    """Yield code, explanation and address of each failure."""
    for entry in (results or {}).get("failure") or ():
        yield entry["code"], entry.get("explanation") or "", entry.get("url") or ""


def _deltas(results: Mapping[str, Any], places: Mapping[str, Place]) -> Iterator[tuple[Place, str, str, str]]:
    """Yield the place of the ingredient that each delta is about, with code, explanation and address."""
    for delta in results.get("ingredientDeltas") or ():
        label = _label_in(str(delta.get("ingredientAssertionURI")))
        owner = places.get(label, Place(label=label, titles=("unlinked manifest",)))
        for code, text, url in _entries(delta.get("validationDeltas")):
            yield owner, code, text, url


def _label_in(url: str) -> str:
    return url.removeprefix(_URL_START).split("/", 1)[0] if url.startswith(_URL_START) else ""


def _place_of(url: str, owner: Place, places: Mapping[str, Place]) -> Place:
    """Return the manifest that a failure is about: the one its address names, else an ingredient of `owner`."""
    named = places.get(_label_in(url))
    return named or Place(label=_label_in(url), titles=(*owner.titles, "ingredient without manifest"))


def _recorded(
    ingredient: Mapping[str, Any], owner: Place, places: Mapping[str, Place]
) -> Iterator[ValidationFailure]:
    """Yield what was recorded when the ingredient was taken up; old manifests list statuses flatly."""
    below = ingredient.get("active_manifest") or ""
    own = Place(label=below, titles=(*owner.titles, _title(ingredient)))
    results = ingredient.get("validation_results")
    if results is not None:
        for code, text, _url in _entries(results.get("activeManifest")):
            yield ValidationFailure(code, own, text, is_recorded=True)
        for _owner, code, text, url in _deltas(results, places):
            yield ValidationFailure(code, _place_of(url, own, places), text, is_recorded=True)
    elif below and str(ingredient.get("label")).startswith(_INGREDIENT_V3):
        text = "nobody recorded whether the ingredient was sound"
        yield ValidationFailure("ingredient.unvalidated", own, text, is_recorded=True)
    for status in ingredient.get("validation_status") or ():
        yield ValidationFailure(status["code"], own, status.get("explanation") or "", is_recorded=True)
