"""Releasing a clip that may be signed: signed, verified, put on record and into the registry, or not there at all.

1. It is signed with the model as ingredient.
2. Our own verifier passes it.
3. It is moved to its name, recorded, and registered under what survives if it loses its credentials.
4. A card of its quality is laid beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from db import artefacts
from db.credentials import NewCredential, add_credential
from db.errors import Error, RefusedError
from db.files import path_text, place_new
from db.project import Project
from governance.credentials.embedded_store import extract_store
from governance.credentials.engine import Ingredient, sign_embedded
from governance.credentials.store import ManifestStore, assertion_data
from governance.errors import VerificationError
from governance.manifests.assertions import mark_id_of
from governance.manifests.manifest import CLIP_MEDIA_TYPE, clip_manifest, clip_resources
from governance.manifests.statements import ClipStatement
from governance.manifests.terms import SCREEN_LABEL, SOFT_BINDING_LABEL
from governance.registry.kept_stores import keep_store
from governance.verification.verdict import VerdictOutcome
from governance.verification.verify import verify_file
from governance.version import VERSION
from ingest.media.digests import file_digest
from ingest.media.essence import essence_digest
from ingest.pictures.picture_prints import picture_prints
from training.generation.generator import Generator
from training.quality.card import card_path, write_card
from training.quality.effort import ComputeRecord
from training.quality.measuring import measure_quality


def release_clip(
    project: Project,
    generator: Generator,
    statement: ClipStatement,
    plain: Path,
    screen: Mapping[str, Any],
    compute: ComputeRecord,
    destination: Path,
    *,
    ingredients: Sequence[Ingredient] = (),
) -> None:
    """Sign the clip at `plain` and put it at `destination`, on record. On any failure nothing is left.

    `screen` is what the replication screen found, as the record keeps it; `ingredients` are what is signed into it
    besides the model.
    Raises `SigningError` or `VerificationError` if it cannot be signed or does not verify, `RefusedError` if another
    file took the name meanwhile.
    """
    signed = plain.with_name("signed.mp4")
    store = _sign(generator, statement, plain, signed, ingredients)  # 1
    verdict = verify_file(signed, generator.trust)  # 2
    if verdict.outcome is not VerdictOutcome.PASS:
        reasons = "; ".join(f"{failure.code}: {failure.reason}" for failure in verdict.failures)
        raise VerificationError(f"the new clip does not verify and was removed: {reasons}")
    columns = output_columns(statement, signed, destination)
    credential = credential_of(project, signed, store, screen)
    card = measure_quality(
        signed,
        encoder=None,
        compute=compute,
        screen=screen,
        oversight=statement.human_oversight.value,
    )
    is_placed = False
    try:  # 3
        with project.session() as session:
            output_id = artefacts.add_output(session, model_id=generator.record.id, columns=columns)
            add_credential(session, output_id, statement.clip_urn, credential)
            # Moved inside the transaction: if the move fails, the record is rolled back.
            session.flush()
            place_new(signed, destination)
            is_placed = True
    except FileExistsError as exc:
        raise RefusedError(f"{destination} is there already; clips are never overwritten") from exc
    except (Error, OSError):
        if is_placed:
            destination.unlink()  # on a full disk it is the commit that fails
        raise
    write_card(card, card_path(destination))  # 4


def record_released(
    project: Project, generator: Generator, statement: ClipStatement, store: ManifestStore, destination: Path
) -> None:
    """Put a released clip on record that a kill between its two halves left off it. On record already, it stays."""
    with project.session() as session:
        if artefacts.has_output(session, statement.clip_urn):
            return
    columns = output_columns(statement, destination, destination)
    credential = credential_of(project, destination, store, assertion_data(store.active, SCREEN_LABEL))
    with project.session() as session:
        output_id = artefacts.add_output(session, model_id=generator.record.id, columns=columns)
        add_credential(session, output_id, statement.clip_urn, credential)


def _sign(
    generator: Generator,
    statement: ClipStatement,
    plain: Path,
    signed: Path,
    ingredients: Sequence[Ingredient],
) -> ManifestStore:
    return sign_embedded(
        clip_manifest(statement, generator_version=VERSION),
        plain,
        signed,
        media_type=CLIP_MEDIA_TYPE,
        identity=generator.identity,
        trust=generator.trust,
        ingredients=(generator.ingredient, *ingredients),
        resources=clip_resources(statement),
    )


def output_columns(statement: ClipStatement, file: Path, destination: Path) -> dict[str, Any]:
    """Return the record of a clip: what `file` holds, at `destination`."""
    return {
        "urn": statement.clip_urn,
        "sha256": file_digest(file).sha256,
        "prompt_sha256": statement.prompt_sha256,
        "seed": statement.seed,
        "path": path_text(destination),
    }


def credential_of(
    project: Project, signed: Path, store: ManifestStore, screen: Mapping[str, Any] | None
) -> NewCredential:
    """Keep the manifest store, and return what the clip can be found by."""
    binding = assertion_data(store.active, SOFT_BINDING_LABEL)
    return NewCredential(
        manifest_label=store.active_label,
        store_sha256=keep_store(project, extract_store(signed)),
        essence_sha256=essence_digest(signed),
        mark_id=None if binding is None else mark_id_of(binding),
        screen=screen,
        prints=picture_prints(signed),
    )
