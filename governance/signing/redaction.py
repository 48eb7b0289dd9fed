"""Redaction: which assertions can be taken out of a signed file, and the proof that their bytes are gone."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from db.errors import ConfigError, RefusedError
from governance.credentials.jumbf import ASSERTION_STORE_LABEL, JumbfBox, assertion_contents
from governance.credentials.store import ManifestStore
from governance.errors import VerificationError
from governance.manifests.terms import SCREEN_LABEL

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "personal": "c2pa.PII.present",
        "invalid": "c2pa.invalid.data",
        "trade-secret": "c2pa.trade-secret.present",
        "confidential": "c2pa.government.confidential",
    }
)
"""Why an assertion is taken out, by the word that a user says (C2PA 2.4, section 18.15.4)."""

# C2PA 2.4, section 6.8: what was done to a file, and what binds it to its credentials, stays.
_PROTECTED = ("c2pa.actions", "c2pa.hash.", "c2pa.ingredient")
# Ours: a finding against the clip, and what its maker reserved, are nobody's to take out.
_KEPT = (SCREEN_LABEL, "cawg.training-mining")
_SHORTEST_NEEDLE_BYTES = 16


@dataclass(frozen=True)
class Target:
    """An assertion to be taken out, with its content as it stands in the file."""

    manifest_label: str
    label: str
    contents: tuple[JumbfBox, ...]

    @property
    def uri(self) -> str:
        """Its JUMBF address, as C2PA writes it."""
        return f"self#jumbf=/c2pa/{self.manifest_label}/{ASSERTION_STORE_LABEL}/{self.label}"


def find_targets(store: ManifestStore, labels: Sequence[str]) -> tuple[Target, ...]:
    """Find each assertion in the active manifest, or else in the nearest parent that has it.

    Raises `ConfigError` for a label that no manifest of the file itself has, `RefusedError` for what must stay.
    """
    if not labels:
        raise ConfigError("no assertion is named", hint="name one with --assertion LABEL")
    return tuple(_find(store, label) for label in dict.fromkeys(labels))


def _find(store: ManifestStore, label: str) -> Target:
    if label.startswith(_PROTECTED):
        raise RefusedError(f"{label}: what was done to a file and what binds it together is never redacted")
    if label in _KEPT:
        raise RefusedError(f"{label}: what the screen found and what is reserved is never redacted")
    known: list[str] = []
    for manifest_label in _generations(store):
        contents = assertion_contents(store.jumbf, manifest_label, label)
        if contents:
            return Target(manifest_label, label, contents)
        assertions = store.manifests[manifest_label].get("assertions") or ()
        known += [str(entry["label"]) for entry in assertions]
    redactable = sorted({name for name in known if not name.startswith(_PROTECTED)})
    raise ConfigError(
        f"the file has no assertion {label!r}", hint=f"it has {', '.join(redactable) or 'none that can go'}"
    )


def _generations(store: ManifestStore) -> Iterator[str]:
    """Yield the labels of the active manifest, its parent, the parent's parent and so on."""
    label: str | None = store.active_label
    visited: set[str] = set()
    while label is not None and label in store.manifests and label not in visited:
        yield label
        visited.add(label)
        ingredients: Sequence[Mapping[str, Any]] = store.manifests[label].get("ingredients") or ()
        parents = [entry for entry in ingredients if entry.get("relationship") == "parentOf"]
        label = parents[0].get("active_manifest") if parents else None


def require_gone(path: Path, store: ManifestStore, targets: Sequence[Target]) -> None:
    """Prove that the assertions are no longer in the file: not in its manifests, and their content nowhere at all.

    `store` is what `path` now carries. Content that occurs a second time, outside the assertion, also counts as still
    there.

    Raises `VerificationError` naming the first that is left.
    """
    redacted = store.active.get("redactions") or ()
    for target in targets:
        if target.uri not in redacted or assertion_contents(store.jumbf, target.manifest_label, target.label):
            raise VerificationError(f"{path}: assertion {target.label} is still there")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for target in targets:
            for box in target.contents:
                if content.find(_needle(box)) != -1:
                    raise VerificationError(
                        f"{path}: the content of assertion {target.label} still occurs in the file"
                    )


def _needle(box: JumbfBox) -> bytes:
    """Return what to look for. A very short content, such as an empty map, occurs anywhere: it is sought as a box."""
    return box.payload if len(box.payload) >= _SHORTEST_NEEDLE_BYTES else box.encoded()
