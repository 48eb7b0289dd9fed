"""The chain of title inside a manifest store: clip, model, snapshot, as their own assertions tell it.

Only what a manifest names as its ingredient counts as the next link; other manifests in the store are
ignored. The store itself must have been found sound before: nothing here looks at a signature.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from db.terminal import safe_text
from governance.credentials.store import ManifestStore, assertion_data
from governance.errors import VerificationError
from governance.manifests.manifest import (
    CLIP_LABEL,
    COMPONENTS_LABEL,
    DISCLOSURE_LABEL,
    MODEL_LABEL,
    PROMOTABLE_KEY,
    SNAPSHOT_LABEL,
)
from governance.manifests.statements import (
    ComponentStatement,
    ComponentStatus,
    LicenseShare,
    ModelStatement,
    SnapshotStatement,
)
from governance.manifests.terms import SCREEN_LABEL
from governance.policy.policy import RESEARCH
from governance.verification.origin import Edit, find_origin, signer_of


@dataclass(frozen=True, kw_only=True)
class ClipFacts:
    """What a clip's manifest states that its chain is checked against."""

    clip_urn: str
    generated_at: dt.datetime
    model_name: str
    model_urn: str
    snapshot_urn: str
    snapshot_root: str
    is_promotable: bool = True
    screen_outcome: str | None = None
    """What the search for training and reference footage in it came to; `None`: the clip does not say."""
    screen_probability: float | None = None
    """That the likest footage found is shown again; `None`: none was found."""
    components: tuple[ComponentStatement, ...] = ()
    """The models that its model was made with."""
    human_oversight: str | None = None
    """How far a person was involved, as the disclosure says."""


@dataclass(frozen=True, kw_only=True)
class ChainOfTitle:
    """The links found, from the file towards the licences. Its text has been made safe to show."""

    clip: ClipFacts | None
    model: ModelStatement | None
    snapshot: SnapshotStatement
    signers: tuple[str, ...]
    """Who signed each link, in the same order: common name and organisation of the certificates."""
    edits: tuple[Edit, ...] = ()
    """What was done after us, the latest first."""

    @property
    def components(self) -> tuple[ComponentStatement, ...]:
        """The models of others that went into the model; with one whose data is not cleared, nothing here is clean."""
        return () if self.model is None else self.model.components

    @property
    def is_for_research(self) -> bool:
        """The footage was cleared for research alone; another release may still be barred, by a base model."""
        return not self.snapshot.is_promotable or self.snapshot.purpose == RESEARCH

    @property
    def is_promotable(self) -> bool:
        """No link says that it is for research only; what a link leaves out, the one below it may say."""
        links = [link for link in (self.clip, self.model, self.snapshot) if link is not None]
        return all(link.is_promotable for link in links) and self.snapshot.purpose != RESEARCH


def read_chain(store: ManifestStore) -> ChainOfTitle:
    """Follow the ingredients of a clip, a model or a snapshot down to the snapshot and compare what they say.

    Raises `VerificationError` if there is no manifest of ours, if a link is missing, doubled or malformed, or if two
    links contradict each other.
    """
    origin = find_origin(store)
    if origin is None:
        raise VerificationError("not one of ours: the credentials name no dataset snapshot")
    manifests = [origin.manifest]
    if origin.kind == "clip":
        manifests.append(_ingredient_manifest(store, manifests[-1], MODEL_LABEL))
    if origin.kind != "snapshot":
        manifests.append(_ingredient_manifest(store, manifests[-1], SNAPSHOT_LABEL))
    clip = _read_clip(manifests[0]) if origin.kind == "clip" else None
    model = _read_model(manifests[-2]) if origin.kind != "snapshot" else None
    snapshot = _read_snapshot(manifests[-1])
    if clip is not None and model is not None:
        _check_clip_and_model(clip, model)
    if model is not None:
        _check_model_and_snapshot(model, snapshot)
    return ChainOfTitle(
        clip=clip,
        model=model,
        snapshot=snapshot,
        signers=tuple(signer_of(manifest) for manifest in manifests),
        edits=origin.edits,
    )


def _ingredient_manifest(store: ManifestStore, manifest: Mapping[str, Any], label: str) -> Mapping[str, Any]:
    """Return the one ingredient manifest with an assertion called `label`."""
    names = {ingredient.get("active_manifest") for ingredient in manifest.get("ingredients") or ()}
    candidates = [store.manifests[name] for name in names if name in store.manifests]
    found = [candidate for candidate in candidates if assertion_data(candidate, label) is not None]
    if len(found) != 1:
        raise VerificationError(
            f"the chain needs one ingredient with an assertion {label}, found {len(found)}"
        )
    return found[0]


def _read_clip(manifest: Mapping[str, Any]) -> ClipFacts:
    facts = _Facts(manifest, CLIP_LABEL)
    root = _Facts(manifest, SNAPSHOT_LABEL)
    return ClipFacts(
        clip_urn=facts.text("clipUrn"),
        generated_at=facts.time("generatedAt"),
        model_name=facts.text("modelName"),
        model_urn=facts.text("modelUrn"),
        snapshot_urn=root.text("snapshotUrn"),
        snapshot_root=root.text("merkleRoot"),
        is_promotable=facts.promotable(),
        **_read_screen(manifest),
        components=_read_components(manifest),
        human_oversight=_read_oversight(manifest),
    )


def _read_screen(manifest: Mapping[str, Any]) -> dict[str, Any]:
    if assertion_data(manifest, SCREEN_LABEL) is None:
        return {}
    facts = _Facts(manifest, SCREEN_LABEL)
    probability = facts.seconds("highestProbability") if "highestProbability" in facts else None
    return {"screen_outcome": facts.text("outcome"), "screen_probability": probability}


def _read_oversight(manifest: Mapping[str, Any]) -> str | None:
    data = assertion_data(manifest, DISCLOSURE_LABEL)
    profile = data.get("contentProfile") if isinstance(data, Mapping) else None
    level = profile.get("humanOversightLevel") if isinstance(profile, Mapping) else None
    return None if level is None else safe_text(str(level))


def _read_model(manifest: Mapping[str, Any]) -> ModelStatement:
    facts = _Facts(manifest, MODEL_LABEL)
    try:
        return ModelStatement(
            name=facts.text("name"),
            model_urn=facts.text("modelUrn"),
            version=facts.text("version"),
            architecture=facts.text("architecture"),
            weights_sha256=facts.text("weightsSha256"),
            run_id=facts.text("runId"),
            num_parameters=facts.count("numParameters"),
            num_steps=facts.count("numSteps"),
            trained_at=facts.time("trainedAt"),
            snapshot_urn=facts.text("snapshotUrn"),
            snapshot_root=facts.text("snapshotRoot"),
            is_promotable=facts.promotable(),
            components=_read_components(manifest),
        )
    except ValueError as exc:
        raise VerificationError(f"assertion {MODEL_LABEL}: {safe_text(str(exc))}") from exc


def _read_components(manifest: Mapping[str, Any]) -> tuple[ComponentStatement, ...]:
    """Return the models that a model, or that of a clip, was made with; nothing stated: none."""
    if assertion_data(manifest, COMPONENTS_LABEL) is None:
        return ()
    try:
        return tuple(_component(row) for row in _Facts(manifest, COMPONENTS_LABEL).rows("components"))
    except ValueError as exc:
        raise VerificationError(f"assertion {COMPONENTS_LABEL}: {safe_text(str(exc))}") from exc


def _component(row: _Facts) -> ComponentStatement:
    status = ComponentStatus(row.text("status"))
    return ComponentStatement(
        role=row.text("role"),
        name=row.text("name"),
        version=row.text("version"),
        status=status,
        sha256=row.optional_text("sha256"),
        license_expression=row.optional_text("licenseExpression"),
        has_manifest=status is ComponentStatus.CLEARED,
        remark=row.optional_text("remark"),
    )


def _read_snapshot(manifest: Mapping[str, Any]) -> SnapshotStatement:
    facts = _Facts(manifest, SNAPSHOT_LABEL)
    try:
        return SnapshotStatement(
            name=facts.text("name"),
            snapshot_urn=facts.text("snapshotUrn"),
            merkle_root=facts.text("merkleRoot"),
            num_assets=facts.count("numAssets"),
            num_clips=facts.count("numClips"),
            duration_seconds=facts.seconds("durationSeconds"),
            policy_name=facts.text("policyName"),
            policy_version=facts.text("policyVersion"),
            policy_digest=facts.text("policyDigest"),
            purpose=facts.text("purpose"),
            sealed_at=facts.time("sealedAt"),
            expires_at=facts.time("expiresAt") if "expiresAt" in facts else None,
            licenses=facts.shares("licenses"),
            document_sha256=facts.text("documentSha256") if "documentSha256" in facts else None,
            is_promotable=facts.promotable(),
        )
    except ValueError as exc:
        raise VerificationError(f"assertion {SNAPSHOT_LABEL}: {safe_text(str(exc))}") from exc


def _check_clip_and_model(clip: ClipFacts, model: ModelStatement) -> None:
    _require_same("model", clip.model_urn, model.model_urn, "the clip", "the model")
    _require_same("snapshot", clip.snapshot_urn, model.snapshot_urn, "the clip", "the model")
    _require_same("snapshot root", clip.snapshot_root, model.snapshot_root, "the clip", "the model")
    if clip.components != model.components:
        raise VerificationError("the clip names other components of its model than the model itself")
    if clip.generated_at < model.trained_at:
        raise VerificationError("the clip says it was generated before its model was trained")


def _check_model_and_snapshot(model: ModelStatement, snapshot: SnapshotStatement) -> None:
    _require_same("snapshot", model.snapshot_urn, snapshot.snapshot_urn, "the model", "the snapshot")
    _require_same("snapshot root", model.snapshot_root, snapshot.merkle_root, "the model", "the snapshot")
    if model.trained_at < snapshot.sealed_at:
        raise VerificationError("the model says it was trained before its snapshot was sealed")
    if snapshot.expires_at is not None and model.trained_at >= snapshot.expires_at:
        raise VerificationError("the model was trained after its snapshot had expired")


def _require_same(what: str, stated: str, found: str, left: str, right: str) -> None:
    if stated != found:
        raise VerificationError(f"{left} names {what} {stated}, {right} says {found}")


class _Facts:
    """Typed access to the fields of one assertion. Every getter raises `VerificationError`."""

    def __init__(self, manifest: Mapping[str, Any], label: str) -> None:
        data = assertion_data(manifest, label)
        if not isinstance(data, Mapping):
            raise VerificationError(f"assertion {label}: missing or no map")
        self._data, self._label = data, label

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def _get(self, key: str, types: tuple[type, ...]) -> Any:
        value = self._data.get(key)
        if not isinstance(value, types) or isinstance(value, bool):
            expected = " or ".join(kind.__name__ for kind in types)
            raise VerificationError(
                f"assertion {self._label}: {key} must be {expected}, is {type(value).__name__}"
            )
        return value

    def text(self, key: str) -> str:
        return safe_text(self._get(key, (str,)))

    def optional_text(self, key: str) -> str | None:
        return self.text(key) if key in self else None

    def count(self, key: str) -> int:
        return int(self._get(key, (int,)))

    def promotable(self) -> bool:
        """Only `false` is ever written; anything else was not written by us, and what it means is not known."""
        if PROMOTABLE_KEY in self._data and self._data[PROMOTABLE_KEY] is not False:
            raise VerificationError(
                f"assertion {self._label}: {PROMOTABLE_KEY} must be false where it is stated"
            )
        return PROMOTABLE_KEY not in self._data

    def seconds(self, key: str) -> float:
        return float(self._get(key, (int, float)))

    def time(self, key: str) -> dt.datetime:
        text = self.text(key)
        try:
            time = dt.datetime.fromisoformat(text)
        except ValueError as exc:
            raise VerificationError(f"assertion {self._label}: {key} is {text!r}, expected RFC 3339") from exc
        if time.tzinfo is None:
            raise VerificationError(f"assertion {self._label}: {key} is {text!r}, which has no time zone")
        return time

    def shares(self, key: str) -> tuple[LicenseShare, ...]:
        return tuple(
            LicenseShare(
                license_expression=row.text("licenseExpression"),
                num_clips=row.count("numClips"),
                duration_seconds=row.seconds("durationSeconds"),
            )
            for row in self.rows(key)
        )

    def rows(self, key: str) -> list[_Facts]:
        entries = self._get(key, (list,))
        return [_Facts({"assertions": [{"label": key, "data": entry}]}, key) for entry in entries]
