"""Where a chain of title begins: the manifest of ours in a store, and what others did to the file after us.

Somebody who edits or publishes a file of ours takes our manifest up as the parent (`parentOf`) of his. The way leads
from parent to parent; the store itself must have been found sound before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from db.terminal import safe_text
from governance.credentials.store import ManifestStore, assertion_data
from governance.errors import VerificationError
from governance.manifests.manifest import CLIP_LABEL, MODEL_LABEL, SNAPSHOT_LABEL

_PARENT = "parentOf"
_TAKING_UP = "c2pa.opened"
# C2PA 2.4, section 18.15: actions that leave the content alone, though not always its encoding.
_QUIET_ACTIONS = frozenset(
    {"c2pa.published", "c2pa.repackaged", "c2pa.transcoded", "c2pa.converted", "c2pa.redacted"}
)


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What somebody did to a file of ours after us. Its text has been made safe to show."""

    signer: str
    actions: tuple[str, ...]
    """As C2PA names them, such as `c2pa.published`; what they do not list may have happened too."""
    when: str | None
    """The signer's own word."""
    label: str

    @property
    def keeps_content(self) -> bool:
        """Whether all that it says was done leaves pictures and sound as they were."""
        return bool(self.actions) and set(self.actions) <= _QUIET_ACTIONS


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The manifest in a store that is ours, and the way to it."""

    manifest: Mapping[str, Any]
    kind: str
    edits: tuple[Edit, ...]
    """By others, from the file downwards."""


def find_origin(store: ManifestStore) -> Origin | None:
    """Follow the parents of the active manifest to the first one of ours, `None` if there is none.

    Raises `VerificationError` if an edit names several parents, or one of our assertions is there twice.
    """
    label, edits = store.active_label, []
    visited = {label}
    while (kind := kind_of(store.manifests[label])) is None:
        manifest = store.manifests[label]
        parents = [
            str(ingredient.get("active_manifest"))
            for ingredient in manifest.get("ingredients") or ()
            if ingredient.get("relationship") == _PARENT
        ]
        if len(parents) > 1:
            raise VerificationError(f"manifest {label} names {len(parents)} parents, expected one")
        if not parents or parents[0] not in store.manifests or parents[0] in visited:
            return None
        edits.append(_read_edit(manifest, label))
        label = parents[0]
        visited.add(label)
    return Origin(manifest=store.manifests[label], kind=kind, edits=tuple(edits))


def kind_of(manifest: Mapping[str, Any]) -> str | None:
    """Return `clip`, `model` or `snapshot` by our own assertions, `None` for what is not one of ours.

    Raises `VerificationError` if one of them is there twice.
    """
    for kind, label in (("clip", CLIP_LABEL), ("model", MODEL_LABEL), ("snapshot", SNAPSHOT_LABEL)):
        if assertion_data(manifest, label) is not None:
            return kind
    return None


def signer_of(manifest: Mapping[str, Any]) -> str:
    """Return who signed a manifest, by the names in the certificate, made safe to show."""
    info = manifest.get("signature_info") or {}
    names = [name for name in (info.get("common_name"), info.get("issuer")) if name]
    return safe_text(", ".join(names)) or "unnamed signer"


def actions_of(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the actions that a manifest lists, in whatever version; what is none is passed over."""
    for entry in manifest.get("assertions") or ():
        data = entry["data"]
        if not str(entry["label"]).startswith("c2pa.actions") or not isinstance(data, Mapping):
            continue
        listed = data.get("actions")
        for action in listed if isinstance(listed, list) else ():
            if isinstance(action, Mapping):
                yield action


def _read_edit(manifest: Mapping[str, Any], label: str) -> Edit:
    """Tell what a manifest says was done, without its taking up of the parent."""
    actions = [action for action in actions_of(manifest) if action.get("action") != _TAKING_UP]
    times = [str(action["when"]) for action in actions if action.get("when")]
    return Edit(
        signer=signer_of(manifest),
        actions=tuple(safe_text(str(action.get("action"))) for action in actions),
        when=safe_text(max(times)) if times else None,
        label=safe_text(label),
    )
