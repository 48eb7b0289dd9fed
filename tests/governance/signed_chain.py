"""Makes real signed artefacts for tests: snapshot, weights and clip, each with its Content Credentials."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from db.records import SnapshotRecord
from governance.credentials.engine import Ingredient, ingredient_from_sidecar, sign_embedded, sign_sidecar
from governance.manifests import manifest as m
from governance.manifests.statements import (
    ClipStatement,
    ComparedCollection,
    ComponentStatement,
    ComponentStatus,
    HumanOversight,
    LicenseShare,
    ModelStatement,
    PromptStatement,
    ScreenStatement,
    SnapshotReference,
    SnapshotStatement,
    WatermarkStatement,
)
from governance.signing.keys import (
    TRUST_ANCHOR_FILE,
    SigningIdentity,
    create_development_keys,
    load_signing_identity,
)
from governance.trust.anchors import TrustAnchors, load_trust_anchors
from governance.verification.companions import document_root
from governance.verification.kinds import sidecar_of

SEALED_AT = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
TRAINED_AT = dt.datetime(2026, 11, 2, 12, tzinfo=dt.UTC)
GENERATED_AT = dt.datetime(2026, 11, 3, 12, tzinfo=dt.UTC)
EXPIRES_AT = dt.datetime(2027, 6, 1, tzinfo=dt.UTC)
SNAPSHOT_URN = "urn:cleartitle:snapshot:spring"
MODEL_URN = "urn:cleartitle:model:tiny"
VERSION = "0.1.0"
PROMPT = "a red kite over the harbour"


@dataclass(frozen=True)
class Signer:
    """Who signs, and the anchors under which that counts."""

    identity: SigningIdentity
    trust: TrustAnchors


@dataclass(frozen=True)
class SignedChain:
    """The three artefacts on disk, with the parts they were made from."""

    signer: Signer
    snapshot: Path
    weights: Path
    unsigned_clip: Path
    clip: Path
    model_statement: ModelStatement
    clip_statement: ClipStatement
    model_ingredient: Ingredient


def make_signer(folder: Path) -> Signer:
    """Make development keys in `folder`."""
    create_development_keys(folder)
    return Signer(load_signing_identity(folder), load_trust_anchors([folder / TRUST_ANCHOR_FILE]))


def write_clip(path: Path, *, shade: int = 90, container_options: dict[str, str] | None = None) -> None:
    """Encode a second of a moving grey gradient as H.264."""
    import av
    import numpy as np

    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream("libx264", rate=Fraction(12))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.options = {"bf": "0", "threads": "1", "preset": "ultrafast", "qp": "30"}
        ramp = np.arange(64, dtype=np.uint8)
        for index in range(12):
            row = np.roll(ramp, index) + shade
            picture = np.repeat(np.repeat(row[None, :, None], 48, axis=0), 3, axis=2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def snapshot_document() -> bytes:
    """Three clips under two licences."""
    leaves = [{"clipId": f"{index:016x}", "grant": "ab" * 32} for index in range(3)]
    return json.dumps({"name": "spring", "leaves": leaves}, indent=1).encode()


def snapshot_statement(document: bytes, **changes: Any) -> SnapshotStatement:
    """What is true of `snapshot_document()`, except for `changes`."""
    facts: dict[str, Any] = {
        "name": "spring",
        "snapshot_urn": SNAPSHOT_URN,
        "merkle_root": document_root(document)[0],
        "num_assets": 2,
        "num_clips": 3,
        "duration_seconds": 31.5,
        "policy_name": "commercial-training",
        "policy_version": "1",
        "policy_digest": "cd" * 32,
        "purpose": "commercial",
        "sealed_at": SEALED_AT,
        "expires_at": EXPIRES_AT,
        "licenses": (
            LicenseShare(license_expression="CC-BY-4.0", num_clips=2, duration_seconds=21.5),
            LicenseShare(license_expression="CC0-1.0", num_clips=1, duration_seconds=10.0),
        ),
        "document_sha256": hashlib.sha256(document).hexdigest(),
    }
    return SnapshotStatement(**facts | changes)


def model_statement(weights: bytes, snapshot_root: str, **changes: Any) -> ModelStatement:
    """What is true of weights trained on that snapshot, except for `changes`."""
    facts: dict[str, Any] = {
        "name": "tiny",
        "model_urn": MODEL_URN,
        "version": "1",
        "architecture": "rectified-flow DiT",
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "run_id": "run-1",
        "num_parameters": 1000,
        "num_steps": 20,
        "trained_at": TRAINED_AT,
        "snapshot_urn": SNAPSHOT_URN,
        "snapshot_root": snapshot_root,
    }
    return ModelStatement(**facts | changes)


def clip_statement(snapshot_root: str, **changes: Any) -> ClipStatement:
    """What is true of a clip of that model, except for `changes`."""
    facts: dict[str, Any] = {
        "title": "harbour kite 0001",
        "clip_urn": "urn:cleartitle:clip:0001",
        "generated_at": GENERATED_AT,
        "prompt_sha256": hashlib.sha256(PROMPT.encode()).hexdigest(),
        "seed": 7,
        "num_steps": 20,
        "width": 64,
        "height": 48,
        "frame_rate": Fraction(12),
        "num_frames": 12,
        "model_name": "tiny",
        "model_urn": MODEL_URN,
        "snapshot_urn": SNAPSHOT_URN,
        "snapshot_root": snapshot_root,
    }
    return ClipStatement(**facts | changes)


def thumbnail_jpeg() -> bytes:
    """A small grey picture."""
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), (90, 90, 90)).save(buffer, "JPEG")
    return buffer.getvalue()


def screen_statement(**changes: Any) -> ScreenStatement:
    """What a replication screen says that found nothing, except for `changes`."""
    facts: dict[str, Any] = {
        "outcome": "passed",
        "detector_name": "aligned-copies",
        "detector_digest": "ab" * 32,
        "encoder_name": "lite0",
        "encoder_digest": "cd" * 32,
        "min_probability": 0.9,
        "compared": (
            ComparedCollection(name="spring", against="training", num_assets=2, num_compared=2),
            ComparedCollection(name="films", against="reference", num_assets=7, num_compared=6),
        ),
        "num_matches": 0,
        "highest_probability": None,
        "sha256": "ef" * 32,
        "caveat": "how many copies are missed was not measured",
    }
    return ScreenStatement(**facts | changes)


def whole_clip_statement(document: bytes, **changes: Any) -> ClipStatement:
    """A clip of which everything is said that can be, except for `changes`."""
    facts: dict[str, Any] = {
        "human_oversight": HumanOversight.HUMAN_VALIDATED,
        "prompt": PromptStatement(sha256=hashlib.sha256(PROMPT.encode()).hexdigest()),
        "snapshot_reference": SnapshotReference(
            url="snapshot.json", sha256=hashlib.sha256(document).hexdigest(), size_bytes=len(document)
        ),
        "watermark": WatermarkStatement(mark_id="0123456789abcdef"),
        "screen": screen_statement(),
        "thumbnail_jpeg": thumbnail_jpeg(),
        "components": base_components(),
    }
    return clip_statement(document_root(document)[0], **facts | changes)


def base_components() -> tuple[ComponentStatement, ...]:
    """Two models that nobody signed, one of them known by its weights."""
    return (
        ComponentStatement(
            role="captioner",
            name="tiny captioner",
            version="2",
            status=ComponentStatus.LICENSED_CLAIMED,
            sha256="12" * 32,
            license_expression="Apache-2.0",
            remark="not attested",
        ),
        ComponentStatement(
            role="autoencoder", name="video autoencoder", version="1", status=ComponentStatus.UNDISCLOSED
        ),
    )


def sign_snapshot(path: Path, statement: SnapshotStatement, signer: Signer) -> None:
    """Sign the document at `path` with a sidecar."""
    sign_sidecar(
        m.snapshot_manifest(statement, generator_version=VERSION),
        path,
        sidecar_of(path),
        media_type=m.SNAPSHOT_MEDIA_TYPE,
        identity=signer.identity,
        trust=signer.trust,
    )


def snapshot_ingredient(path: Path, signer: Signer) -> Ingredient:
    """The signed document as it goes into a model."""
    return ingredient_from_sidecar(
        path,
        sidecar_of(path),
        title="spring",
        label=m.SNAPSHOT_INGREDIENT,
        data_types=m.SNAPSHOT_DATA_TYPES,
        media_type=m.SNAPSHOT_MEDIA_TYPE,
        trust=signer.trust,
    )


def sign_model(
    path: Path,
    statement: ModelStatement,
    signer: Signer,
    *,
    snapshot: Ingredient,
    bases: Sequence[Ingredient] = (),
) -> None:
    """Sign the weights at `path` with a sidecar; `bases` are components with manifests of their own."""
    sign_sidecar(
        m.model_manifest(statement, generator_version=VERSION),
        path,
        sidecar_of(path),
        media_type=m.MODEL_MEDIA_TYPE,
        identity=signer.identity,
        trust=signer.trust,
        ingredients=[snapshot, *bases],
    )


def model_ingredient(path: Path, statement: ModelStatement, signer: Signer) -> Ingredient:
    """The signed weights as they go into a clip."""
    return ingredient_from_sidecar(
        path,
        sidecar_of(path),
        title=statement.name,
        label=m.MODEL_INGREDIENT,
        data_types=m.model_data_types(statement.version),
        media_type=m.MODEL_MEDIA_TYPE,
        trust=signer.trust,
    )


def sign_clip(
    source: Path, destination: Path, statement: ClipStatement, signer: Signer, *, model: Ingredient
) -> None:
    """Write a signed copy of the clip at `source`."""
    sign_embedded(
        m.clip_manifest(statement, generator_version=VERSION),
        source,
        destination,
        media_type=m.CLIP_MEDIA_TYPE,
        identity=signer.identity,
        trust=signer.trust,
        ingredients=[model],
        resources=m.clip_resources(statement),
    )


def make_signed_chain(folder: Path) -> SignedChain:
    """Make everything in `folder`."""
    signer = make_signer(folder / "keys")
    document, weights_bytes = snapshot_document(), b"weights of a very small model" * 40
    snapshot, weights = folder / "snapshot.json", folder / "weights.safetensors"
    snapshot.write_bytes(document)
    weights.write_bytes(weights_bytes)
    unsigned_clip, clip = folder / "unsigned.mp4", folder / "clip.mp4"
    write_clip(unsigned_clip)
    about_snapshot = snapshot_statement(document)
    about_model = model_statement(weights_bytes, about_snapshot.merkle_root)
    about_clip = clip_statement(about_snapshot.merkle_root)
    sign_snapshot(snapshot, about_snapshot, signer)
    sign_model(weights, about_model, signer, snapshot=snapshot_ingredient(snapshot, signer))
    model = model_ingredient(weights, about_model, signer)
    sign_clip(unsigned_clip, clip, about_clip, signer, model=model)
    return SignedChain(signer, snapshot, weights, unsigned_clip, clip, about_model, about_clip, model)


def snapshot_record(merkle_root: str, *, recall_reason: str | None) -> SnapshotRecord:
    """Return what a project's database says of the snapshot with this root."""
    return SnapshotRecord(
        id=1,
        name="spring",
        merkle_root=merkle_root,
        policy_name="commercial-training",
        policy_digest="cd" * 32,
        document_sha256="ab" * 32,
        num_clips=3,
        num_assets=2,
        duration_seconds=31.5,
        expires_at=dt.datetime(2027, 6, 1, tzinfo=dt.UTC),
        sealed_at=SEALED_AT,
        is_promotable=True,
        recall_reason=recall_reason,
    )
