"""Clips that a person must look at before they are signed.

A held clip lies in `store/held/NAME`: `clip.mp4`, marked and not signed, and `request.json`, which says what was asked
for, what the screen found, and where the clip is to go. A person lets it through, and it is signed with that said, or
turns it down, and it is removed. Both are events on record.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.canonical import canonical_json
from db.clock import rfc3339, utc_now
from db.errors import ConfigError, RefusedError
from db.events import record_event
from db.files import hidden_folder, path_of, path_text, staged_folder
from db.project import Project
from governance.credentials.engine import Ingredient
from governance.manifests.statements import (
    ClipStatement,
    HumanOversight,
    ScreenStatement,
    WatermarkStatement,
)
from ingest.digests import file_digest
from training.generation.drawing import DrawnClip
from training.generation.generator import Generator
from training.generation.permission import permission_for
from training.generation.release import release_clip
from training.generation.request import ClipRequest, SourceUse, state_clip
from training.generation.source import Source, signed_source
from training.quality.effort import compute_from_json
from training.screening.result import ScreenOutcome, ScreenResult
from training.screening.statement import screen_from_json, screen_statement

CLIP_NAME, REQUEST_NAME, SOURCE_NAME = "clip.mp4", "request.json", "source.mp4"
FORMAT = "cleartitle.held-clip/1"


@dataclass(frozen=True, kw_only=True)
class HeldClip:
    """A clip that waits for a person."""

    name: str
    """Among the held ones."""
    folder: Path
    document: Mapping[str, Any]

    @property
    def clip(self) -> Path:
        """The pictures, unsigned."""
        return self.folder / CLIP_NAME

    @property
    def reason(self) -> str:
        """Why it is held, in a sentence."""
        doubts = [str(doubt) for doubt in self.document.get("doubts", ())]
        screen = self.document["screen"]
        if screen["outcome"] != ScreenOutcome.PASSED or not doubts:
            doubts.append(str(screen["sentence"]))
        return ". ".join(doubts)

    @property
    def request(self) -> ClipRequest:
        """What was asked for."""
        return ClipRequest.from_json(self.document["request"])

    @property
    def model_name(self) -> str:
        """The model that drew it."""
        return str(self.document["model"])

    @property
    def destination(self) -> Path:
        """Where it goes when it is let through."""
        return path_of(self.document["destination"])


def hold_clip(
    project: Project,
    request: ClipRequest,
    statement: ClipStatement,
    drawn: DrawnClip,
    screened: ScreenResult,
    destination: Path,
    doubts: Sequence[str] = (),
    source: Source | None = None,
) -> HeldClip:
    """Lay the clip aside for a person. The same request held again takes the place of the one that waits.

    `doubts` are what a person must judge besides what the screen found, a sentence each. A signed `source` is laid
    beside the clip, to be its ingredient.
    """
    name = request.file_name.removesuffix(".mp4")
    document = {
        "format": FORMAT,
        "model": statement.model_name,
        "request": request.as_json(),
        "clip_urn": statement.clip_urn,
        "mark_id": None if drawn.watermark is None else drawn.watermark.mark_id,
        "thumbnail": base64.b64encode(drawn.thumbnail_jpeg).decode(),
        "doubts": list(doubts),
        "screen": screened.as_json(),
        "screen_statement": dataclasses.asdict(screen_statement(screened)),
        "compute": drawn.compute.as_json(),
        "destination": path_text(destination),
        "held_at": rfc3339(utc_now()),
    }
    folder = held_folder(project) / name
    with staged_folder(folder) as staged:
        shutil.copyfile(drawn.path, staged / CLIP_NAME)
        if source is not None and source.is_signed:
            shutil.copyfile(source.path, staged / SOURCE_NAME)
        (staged / REQUEST_NAME).write_bytes(canonical_json(document))
    held = _read(folder)
    with project.session() as session:
        payload = {"reason": held.reason, "outcome": screened.outcome.value}
        record_event(session, "clip.held", name, payload)
    return held


def held_already(project: Project, model_name: str, request: ClipRequest) -> HeldClip | None:
    """Return the clip that waits for this very request of this model, if there is one."""
    folder = held_folder(project) / request.file_name.removesuffix(".mp4")
    if not (folder / REQUEST_NAME).is_file():
        return None
    held = _read(folder)
    return held if (held.model_name, held.request) == (model_name, request) else None


def held_folder(project: Project) -> Path:
    """Return where held clips lie."""
    return project.store / "held"


def list_held(project: Project) -> list[HeldClip]:
    """Return the clips that wait, by name. Raises `ConfigError` for one that cannot be read."""
    folders = sorted(path.parent for path in held_folder(project).glob(f"*/{REQUEST_NAME}"))
    return [_read(folder) for folder in folders]


def find_held(project: Project, name: str) -> HeldClip:
    """Return one clip that waits. Raises `ConfigError` if there is none of that name."""
    folder = held_folder(project) / name
    if Path(name).name != name or not (folder / REQUEST_NAME).is_file():
        raise ConfigError(f"no clip {name!r} is held", hint="`cleartitle outputs list` names those that are")
    return _read(folder)


def _read(folder: Path) -> HeldClip:
    try:
        document = json.loads((folder / REQUEST_NAME).read_bytes())
        if document["format"] != FORMAT:
            raise ConfigError(f"{folder}: not a held clip of the format {FORMAT}")
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ConfigError(f"{folder}: cannot be read as a held clip: {exc}") from exc
    return HeldClip(name=folder.name, folder=folder, document=document)


def let_through(project: Project, generator: Generator, held: HeldClip, reason: str) -> Path:
    """Sign a held clip, say that a person approved it, and put it where it was to go; return that place.

    Raises as `training.generation.publish.publish_clip` does; the clip then stays held.
    """
    permission_for(generator, held.request.prompt)
    if held.destination.exists():
        raise ConfigError(f"{held.destination} is there already; clips are never overwritten")
    statement = dataclasses.replace(
        state_clip(generator, held.request),
        clip_urn=str(held.document["clip_urn"]),
        human_oversight=HumanOversight.HUMAN_VALIDATED,
        watermark=_watermark(generator, held),
        screen=_screen(held),
        thumbnail_jpeg=base64.b64decode(held.document["thumbnail"]),
    )
    held.destination.parent.mkdir(parents=True, exist_ok=True)
    with hidden_folder(held.destination.parent) as hidden:
        plain = hidden / "plain.mp4"
        shutil.copyfile(held.clip, plain)
        compute = compute_from_json(held.document["compute"])
        ingredients = _source_ingredients(generator, held)
        release_clip(
            project,
            generator,
            statement,
            plain,
            held.document["screen"],
            compute,
            held.destination,
            ingredients=ingredients,
        )
    _close(project, held, "clip.let_through", reason)
    return held.destination


def _source_ingredients(generator: Generator, held: HeldClip) -> tuple[Ingredient, ...]:
    """Return the signed source of a held clip, checked again."""
    source = held.folder / SOURCE_NAME
    request = held.request
    if request.source_use in {None, SourceUse.FIRST_FRAME}:
        return ()
    if not source.is_file() or file_digest(source).sha256 != request.source_sha256:
        raise RefusedError(f"{source}: is not the clip that {held.name} was made from")
    return (signed_source(source, generator),)


def turn_down(project: Project, held: HeldClip, reason: str) -> None:
    """Remove a held clip."""
    _close(project, held, "clip.turned_down", reason)


def _close(project: Project, held: HeldClip, kind: str, reason: str) -> None:
    with project.session() as session:
        record_event(session, kind, held.name, {"reason": reason, "clip_urn": held.document["clip_urn"]})
    shutil.rmtree(held.folder)


def _watermark(generator: Generator, held: HeldClip) -> WatermarkStatement | None:
    mark_id = held.document["mark_id"]
    return None if mark_id is None else WatermarkStatement(mark_id=mark_id, algorithm=generator.binding.alg)


def _screen(held: HeldClip) -> ScreenStatement:
    return screen_from_json(held.document["screen_statement"])
