"""Publishing: generated clips, each signed, verified, and put on record, or not there at all.

1. The model is on record, its snapshot opens (signature, root, expiry, recall), and its weights are the signed ones.
2. The clip is drawn and encoded in a hidden folder.
3. It is signed with the model as ingredient.
4. Our own verifier passes it.
5. It is moved to its name and recorded. On any failure before that, nothing is left.

Asked for again, a clip that is there already is returned as it is: an interrupted command goes on where it stopped. If
the command was killed between the two halves of step 5, the clip is put on record then.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from db import artefacts
from db.canonical import sha256_hex
from db.clock import utc_now
from db.errors import ConfigError, Error, RefusedError
from db.files import hidden_folder, path_text, sync_folder
from db.project import Project
from db.records import ModelRecord
from governance.credentials.engine import (
    Ingredient,
    ingredient_from_sidecar,
    read_store,
    sign_embedded,
)
from governance.credentials.keys import load_signing_identity
from governance.credentials.manifest import (
    ACTIONS_LABEL,
    CLIP_LABEL,
    CLIP_MEDIA_TYPE,
    MODEL_INGREDIENT,
    MODEL_MEDIA_TYPE,
    PROMOTABLE_KEY,
    clip_manifest,
    model_data_types,
)
from governance.credentials.statements import ClipStatement
from governance.credentials.store import assertion_data
from governance.credentials.trust import TrustAnchors, load_trust_anchors
from governance.credentials.verdict import VerdictOutcome
from governance.credentials.verify import verify_file
from governance.errors import VerificationError
from governance.snapshots.snapshot import Snapshot, open_snapshot
from governance.snapshots.taint import require_promotable_ancestry
from governance.version import VERSION
from ingest.compute import choose_compute
from ingest.digests import file_digest
from training.clip_file import write_clip
from training.licensed_run import SIDECAR_NAME, WEIGHTS_NAME, model_folder
from training.sample import draw_clip
from training.weights import TrainedModel, load_weights

MAX_PROMPT_CHARACTERS = 1000
FRAME_RATE = Fraction(8)


@dataclass(frozen=True, kw_only=True)
class Generator:
    """A model that may be generated with: everything was checked when it was opened."""

    record: ModelRecord
    snapshot: Snapshot
    trained: TrainedModel
    ingredient: Ingredient
    trust: TrustAnchors


@dataclass(frozen=True, kw_only=True)
class PublishedClip:
    """A clip that is signed, verified and on record."""

    path: Path
    urn: str
    prompt: str
    seed: int
    unknown_words: tuple[str, ...]
    """Words of the prompt that the model never met; they were ignored."""
    is_new: bool
    """False: the very clip that was asked for was there already."""


def open_generator(project: Project, name: str) -> Generator:
    """Open a model for generation (step 1).

    Raises `ConfigError` for an unknown model, `RefusedError` if its snapshot or weights do not hold.
    """
    with project.session() as session:
        record = artefacts.find_model(session, name)
        names = ", ".join(model.name for model in artefacts.list_models(session)) or "none"
    if record is None:
        raise ConfigError(f"no model is called {name!r}; trained so far: {names}")
    snapshot = open_snapshot(project, record.snapshot_name, now=utc_now())
    weights = model_folder(project, name) / WEIGHTS_NAME
    trust = load_trust_anchors(project.trust_anchors)
    compute = choose_compute()
    trained = load_weights(weights, device=str(compute.device), expected_sha256=record.weights_sha256)
    ingredient = ingredient_from_sidecar(
        weights,
        weights.with_name(SIDECAR_NAME),
        title=name,
        label=MODEL_INGREDIENT,
        data_types=model_data_types(trained.config.digest[:12]),
        media_type=MODEL_MEDIA_TYPE,
        trust=trust,
    )
    return Generator(record=record, snapshot=snapshot, trained=trained, ingredient=ingredient, trust=trust)


def require_commercial_release(project: Project, generator: Generator) -> None:
    """Refuse to generate for commercial release with what research footage went into.

    Raises `RefusedError` if the model's snapshot, or one that footage of it comes from, is for research only or cannot
    be read.
    """
    with project.session() as session:
        outputs = artefacts.library_outputs(session)
    require_promotable_ancestry(project, generator.record.snapshot_name, outputs)


def check_prompt(prompt: str) -> str:
    """Return the prompt without surrounding space. Raises `ConfigError` if it is empty or too long."""
    text = prompt.strip()
    if not text:
        raise ConfigError("the prompt is empty", hint="describe the clip in a few words")
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise ConfigError(f"the prompt has {len(text)} characters, at most {MAX_PROMPT_CHARACTERS} are read")
    return text


def clip_name(prompt: str, seed: int) -> str:
    """Return the file name of a clip: readable, and different for each prompt and seed."""
    words = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:40].strip("-") or "clip"
    return f"{words}-{sha256_hex(prompt.encode())[:8]}-{seed}.mp4"


def publish_clip(
    project: Project, generator: Generator, prompt: str, *, seed: int, folder: Path, height: int, width: int
) -> PublishedClip:
    """Draw, sign, verify and record one clip (steps 2 to 5). The same model, prompt and seed give the same pictures.

    Raises `RefusedError` if another file of that name is there already, `SigningError` or `VerificationError` if the
    clip cannot be signed or does not verify.
    """
    destination = folder / clip_name(prompt, seed)
    statement = _statement(generator, prompt, seed=seed, height=height, width=width)
    words = tuple(generator.trained.vocabulary.unknown_words(prompt))
    if destination.exists():
        urn = _take_up(project, generator, statement, destination)
        return PublishedClip(
            path=destination, urn=urn, prompt=prompt, seed=seed, unknown_words=words, is_new=False
        )
    folder.mkdir(parents=True, exist_ok=True)
    with hidden_folder(folder) as hidden:
        signed = _sign(project, generator, statement, prompt, hidden)
        verdict = verify_file(signed, generator.trust)  # 4
        if verdict.outcome is not VerdictOutcome.PASS:
            reasons = "; ".join(f"{failure.code}: {failure.reason}" for failure in verdict.failures)
            raise VerificationError(f"the new clip does not verify and was removed: {reasons}")
        _record(project, generator, statement, signed, destination)  # 5
    return PublishedClip(
        path=destination, urn=statement.clip_urn, prompt=prompt, seed=seed, unknown_words=words, is_new=True
    )


def _take_up(project: Project, generator: Generator, asked: ClipStatement, destination: Path) -> str:
    """Return the name of the clip at `destination` if it is the one that is asked for; record it where needed.

    Raises `RefusedError` if it is anything else.
    """
    refusal = RefusedError(
        f"{destination} exists and is not that clip; clips are never overwritten",
        hint="give another --seed or --output",
    )
    if verify_file(destination, generator.trust).outcome is not VerdictOutcome.PASS:
        raise refusal
    store = read_store(destination, generator.trust, media_type=CLIP_MEDIA_TYPE)
    if _request(store.active) != _request(clip_manifest(asked, generator_version=VERSION)):
        raise refusal
    urn = str(assertion_data(store.active, CLIP_LABEL)["clipUrn"])  # type: ignore[index]
    with project.session() as session:
        if not artefacts.has_output(session, urn):
            columns = _columns(asked, destination, destination) | {"urn": urn}
            artefacts.add_output(session, model_id=generator.record.id, columns=columns)
    return urn


def _request(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a clip's manifest says that follows from the request: model, prompt, seed, size and so on."""
    facts = assertion_data(manifest, CLIP_LABEL) or {}
    created = (assertion_data(manifest, ACTIONS_LABEL) or {}).get("actions", [{}])[0]
    parameters = created.get("parameters", {})
    # Clips from before it was written down do not say whether they are for research only; their snapshot does.
    others = {"clipUrn", "generatedAt", PROMOTABLE_KEY}
    return {key: value for key, value in facts.items() if key not in others} | {
        key: value for key, value in parameters.items() if key.startswith("org.cleartitle.")
    }


def _columns(statement: ClipStatement, file: Path, destination: Path) -> dict[str, Any]:
    return {
        "urn": statement.clip_urn,
        "sha256": file_digest(file).sha256,
        "prompt_sha256": statement.prompt_sha256,
        "seed": statement.seed,
        "path": path_text(destination),
    }


def _statement(generator: Generator, prompt: str, *, seed: int, height: int, width: int) -> ClipStatement:
    config = generator.trained.config
    return ClipStatement(
        title="Generated clip",
        clip_urn=f"urn:uuid:{uuid.uuid4()}",
        generated_at=utc_now(),
        prompt_sha256=sha256_hex(prompt.encode()),
        seed=seed,
        num_steps=config.sampling_steps,
        width=width,
        height=height,
        frame_rate=FRAME_RATE,
        num_frames=config.num_frames,
        model_name=generator.record.name,
        model_urn=generator.record.urn,
        snapshot_urn=generator.snapshot.urn,
        snapshot_root=generator.snapshot.merkle_root,
        is_promotable=generator.snapshot.is_promotable,
    )


def _sign(
    project: Project, generator: Generator, statement: ClipStatement, prompt: str, hidden: Path
) -> Path:
    trained = generator.trained
    frames_TCHW = draw_clip(
        trained.model,
        trained.tokenizer,
        trained.vocabulary,
        prompt,
        statement.seed,
        num_steps=statement.num_steps,
        guidance=trained.config.guidance,
    )
    plain, signed = hidden / "plain.mp4", hidden / "signed.mp4"
    write_clip(plain, frames_TCHW, frame_rate=FRAME_RATE, height=statement.height, width=statement.width)  # 2
    sign_embedded(  # 3
        clip_manifest(statement, generator_version=VERSION),
        plain,
        signed,
        media_type=CLIP_MEDIA_TYPE,
        identity=load_signing_identity(project.keys),
        trust=generator.trust,
        ingredients=(generator.ingredient,),
    )
    return signed


def _record(
    project: Project, generator: Generator, statement: ClipStatement, signed: Path, destination: Path
) -> None:
    columns = _columns(statement, signed, destination)
    try:
        with project.session() as session:
            artefacts.add_output(session, model_id=generator.record.id, columns=columns)
            # Moved inside the transaction: if the move fails, the record is rolled back.
            session.flush()
            signed.replace(destination)
            sync_folder(destination.parent)
    except (Error, OSError):
        destination.unlink(missing_ok=True)  # on a full disk it is the commit that fails
        raise
