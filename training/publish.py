"""Publishing: generated clips, each signed, verified, and put on record, or not there at all.

1. The clip is drawn and encoded in a hidden folder.
2. It is signed with the model as ingredient.
3. Our own verifier passes it.
4. It is moved to its name, recorded, and registered under what survives if it loses its credentials. On any failure
   before that, nothing is left.

Asked for again, a clip that is there already is returned as it is: an interrupted command goes on where it stopped. If
the command was killed between the two halves of step 4, the clip is put on record then.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db import artefacts
from db.credentials import NewCredential, add_credential
from db.errors import Error, RefusedError
from db.files import hidden_folder, path_text, sync_folder
from db.project import Project
from governance.credentials.embedded_store import extract_store
from governance.credentials.engine import read_store, sign_embedded
from governance.credentials.kept_stores import keep_store
from governance.credentials.manifest import CLIP_LABEL, CLIP_MEDIA_TYPE, clip_manifest
from governance.credentials.statements import ClipStatement
from governance.credentials.store import ManifestStore, assertion_data
from governance.credentials.verdict import VerdictOutcome
from governance.credentials.verify import verify_file
from governance.errors import VerificationError
from governance.version import VERSION
from ingest.digests import file_digest
from ingest.essence import essence_digest
from ingest.picture_prints import picture_prints
from training.clip_file import write_clip
from training.clip_request import ClipRequest, requested, state_clip
from training.generator import Generator
from training.sample import draw_clip


@dataclass(frozen=True, kw_only=True)
class PublishedClip:
    """A clip that is signed, verified and on record."""

    path: Path
    urn: str
    request: ClipRequest
    unknown_words: tuple[str, ...]
    """Words of the prompt that the model never met; they were ignored."""
    is_new: bool
    """False: the very clip that was asked for was there already."""


def publish_clip(
    project: Project, generator: Generator, request: ClipRequest, *, folder: Path
) -> PublishedClip:
    """Make one clip. The same model and request give the same pictures.

    Raises `RefusedError` if another file of that name is there already, `SigningError` or `VerificationError` if the
    clip cannot be signed or does not verify.
    """
    destination = folder / request.file_name
    statement = state_clip(generator, request)
    is_new = not destination.exists()
    if is_new:
        _make(project, generator, request, statement, destination)
        urn = statement.clip_urn
    else:
        urn = _take_up(project, generator, statement, destination)
    return PublishedClip(
        path=destination,
        urn=urn,
        request=request,
        unknown_words=tuple(generator.trained.vocabulary.unknown_words(request.prompt)),
        is_new=is_new,
    )


def _make(
    project: Project, generator: Generator, request: ClipRequest, statement: ClipStatement, destination: Path
) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    with hidden_folder(destination.parent) as hidden:
        plain, signed = hidden / "plain.mp4", hidden / "signed.mp4"
        _draw(generator, request, statement, plain)  # 1
        store = _sign(generator, statement, plain, signed)  # 2
        verdict = verify_file(signed, generator.trust)  # 3
        if verdict.outcome is not VerdictOutcome.PASS:
            reasons = "; ".join(f"{failure.code}: {failure.reason}" for failure in verdict.failures)
            raise VerificationError(f"the new clip does not verify and was removed: {reasons}")
        columns = _columns(statement, signed, destination)
        credential = _credential(project, signed, store)
        try:  # 4
            with project.session() as session:
                output_id = artefacts.add_output(session, model_id=generator.record.id, columns=columns)
                add_credential(session, output_id, statement.clip_urn, credential)
                # Moved inside the transaction: if the move fails, the record is rolled back.
                session.flush()
                signed.replace(destination)
                sync_folder(destination.parent)
        except (Error, OSError):
            destination.unlink(missing_ok=True)  # on a full disk it is the commit that fails
            raise


def _draw(generator: Generator, request: ClipRequest, statement: ClipStatement, path: Path) -> None:
    trained = generator.trained
    frames_TCHW = draw_clip(
        trained.model,
        trained.tokenizer,
        trained.vocabulary,
        request.prompt,
        request.seed,
        num_steps=statement.num_steps,
        guidance=trained.config.guidance,
    )
    write_clip(
        path, frames_TCHW, frame_rate=statement.frame_rate, height=statement.height, width=statement.width
    )


def _sign(generator: Generator, statement: ClipStatement, plain: Path, signed: Path) -> ManifestStore:
    return sign_embedded(
        clip_manifest(statement, generator_version=VERSION),
        plain,
        signed,
        media_type=CLIP_MEDIA_TYPE,
        identity=generator.identity,
        trust=generator.trust,
        ingredients=(generator.ingredient,),
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
    if requested(store.active) != requested(clip_manifest(asked, generator_version=VERSION)):
        raise refusal
    urn = str(assertion_data(store.active, CLIP_LABEL)["clipUrn"])  # type: ignore[index]
    with project.session() as session:
        is_recorded = artefacts.has_output(session, urn)
    if not is_recorded:
        columns = _columns(asked, destination, destination) | {"urn": urn}
        credential = _credential(project, destination, store)
        with project.session() as session:
            output_id = artefacts.add_output(session, model_id=generator.record.id, columns=columns)
            add_credential(session, output_id, urn, credential)
    return urn


def _columns(statement: ClipStatement, file: Path, destination: Path) -> dict[str, Any]:
    return {
        "urn": statement.clip_urn,
        "sha256": file_digest(file).sha256,
        "prompt_sha256": statement.prompt_sha256,
        "seed": statement.seed,
        "path": path_text(destination),
    }


def _credential(project: Project, signed: Path, store: ManifestStore) -> NewCredential:
    """Keep the manifest store, and return what the clip can be found by."""
    return NewCredential(
        manifest_label=store.active_label,
        store_sha256=keep_store(project, extract_store(signed)),
        essence_sha256=essence_digest(signed),
        mark_id=None,
        screen=None,
        prints=picture_prints(signed),
    )
