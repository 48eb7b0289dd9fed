"""Publishing: generated clips, each screened, signed, verified, and put on record, or not there at all.

0. The prompt is read for what the grants of the model forbid (`training.generation.permission`): nothing is drawn that
   asks for it, and where a person must judge, the clip is held whatever the screen says.
1. The clip is drawn, marked and encoded in a hidden folder (`training.generation.drawing`).
2. It is screened: what shows training or reference footage again is refused; what may do so, or cannot be compared, is
   held for a person (`training.generation.holding`).
3. It is signed, verified, put on record and into the registry (`training.generation.release`).

Asked for again, a clip that is there already, or that waits for a person, is returned as it is: an interrupted command
goes on where it stopped. If the command was killed after the clip was moved to its name and before it was on record, it
is put on record then.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from db.errors import ConfigError, RefusedError
from db.files import hidden_folder
from db.project import Project
from governance.credentials.engine import read_store
from governance.credentials.store import assertion_data
from governance.manifests.manifest import CLIP_LABEL, CLIP_MEDIA_TYPE, clip_manifest
from governance.manifests.statements import ClipStatement
from governance.verification.verdict import VerdictOutcome
from governance.verification.verify import verify_file
from governance.version import VERSION
from training.generation.drawing import DrawnClip, draw
from training.generation.generator import Generator
from training.generation.holding import HeldClip, held_already, hold_clip
from training.generation.permission import Permission, permission_for, shows_protected_scene
from training.generation.release import record_released, release_clip
from training.generation.request import ClipRequest, check_drawable, requested, state_clip
from training.generation.source import Source
from training.screening.judgement import held_instead
from training.screening.statement import may_be_signed, screen_statement

_ALL_ARE_HELD = "this project has every clip approved by a person"


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
    not_examined: tuple[str, ...]
    """Constraints of grants that the prompt keeps and that nobody looked for in the pictures, a sentence each."""


def publish_clip(
    project: Project,
    generator: Generator,
    request: ClipRequest,
    *,
    folder: Path,
    source: Source | None = None,
) -> PublishedClip | HeldClip:
    """Make one clip. The same model and request give the same pictures.

    `source` is what the request names by digest, opened.

    Raises `PromptRefused` if a grant forbids what the prompt asks for, `RefusedError` if the clip shows footage again
    or another file of that name is there already, `SigningError` or `VerificationError` if it cannot be signed or does
    not verify.
    """
    permission = permission_for(generator, request.prompt)  # 0
    if request.source_sha256 != (None if source is None else source.sha256):
        raise ConfigError("the source that was opened is not the one that the request names")
    check_drawable(generator, request)
    doubts = (*permission.doubts, *(() if source is None or source.doubt is None else (source.doubt,)))
    destination = folder / request.file_name
    statement = state_clip(generator, request)
    if destination.exists():
        urn = _take_up(project, generator, statement, destination)
        return _published(generator, request, permission, destination, urn, is_new=False)
    held = held_already(project, generator.record.name, request)
    if held is not None:
        return held
    destination.parent.mkdir(parents=True, exist_ok=True)
    with hidden_folder(destination.parent) as hidden:
        drawn = draw(generator, request, statement, hidden / "plain.mp4", source)  # 1
        screened = generator.screen.screen_clip(drawn.path, hidden / "screened", name=destination.name)  # 2
        if project.settings.training_replicas == "hold" and not shows_protected_scene(generator, screened):
            screened = held_instead(screened)
        statement = _completed(statement, drawn)
        if project.settings.approval == "always":
            doubts = (*doubts, _ALL_ARE_HELD)
        if not may_be_signed(screened) or doubts:
            return hold_clip(project, request, statement, drawn, screened, destination, doubts, source)
        statement = dataclasses.replace(statement, screen=screen_statement(screened))
        release_clip(
            project,
            generator,
            statement,
            drawn.path,
            screened.as_json(),
            drawn.compute,
            destination,
            ingredients=() if source is None else source.ingredients,
        )
    return _published(generator, request, permission, destination, statement.clip_urn, is_new=True)


def _published(
    generator: Generator,
    request: ClipRequest,
    permission: Permission,
    path: Path,
    urn: str,
    *,
    is_new: bool,
) -> PublishedClip:
    return PublishedClip(
        path=path,
        urn=urn,
        request=request,
        unknown_words=generator.trained.unknown_words(request.prompt),
        is_new=is_new,
        not_examined=permission.not_examined,
    )


def _completed(statement: ClipStatement, drawn: DrawnClip) -> ClipStatement:
    """Return the statement with what is known only when the clip is there."""
    return dataclasses.replace(statement, watermark=drawn.watermark, thumbnail_jpeg=drawn.thumbnail_jpeg)


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
    record_released(project, generator, dataclasses.replace(asked, clip_urn=urn), store, destination)
    return urn
