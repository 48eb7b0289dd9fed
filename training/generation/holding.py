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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.artefacts import has_output
from db.canonical import canonical_json, digest_of
from db.clock import rfc3339, utc_now
from db.errors import ConfigError, RefusedError
from db.events import list_events, record_event
from db.files import hidden_folder, new_folder, path_of, place_text
from db.project import Project
from governance.credentials.engine import Ingredient, read_store
from governance.credentials.store import assertion_data
from governance.errors import NoManifest, VerificationError
from governance.manifests.manifest import CLIP_LABEL, CLIP_MEDIA_TYPE
from governance.manifests.statements import (
    ClipStatement,
    HumanOversight,
    ScreenStatement,
    WatermarkStatement,
)
from governance.signing.signers import load_project_trust
from governance.verification.verdict import VerdictOutcome
from governance.verification.verify import verify_file
from ingest.media.digests import file_digest
from training.generation.approver import require_another_person
from training.generation.drawing import DrawnClip
from training.generation.generator import Generator
from training.generation.permission import permission_for
from training.generation.release import record_released, release_clip
from training.generation.request import ClipRequest, SourceUse, state_clip
from training.generation.source import Source, signed_source
from training.quality.effort import compute_from_json
from training.screening.result import ScreenOutcome, ScreenResult
from training.screening.statement import screen_from_json, screen_statement

CLIP_NAME, REQUEST_NAME, SOURCE_NAME = "clip.mp4", "request.json", "source.mp4"
FORMAT = "cleartitle.held-clip/1"
_START_AGAIN = "remove the folder, and generate again"


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
        return str(self.document["reason"])

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
        return self.folder.parents[2] / path_of(self.document["destination"])


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
    """Lay the clip aside for a person.

    `doubts` are what a person must judge besides what the screen found, a sentence each. A signed `source` is laid
    beside the clip, to be its ingredient.

    Raises `RefusedError` if a clip of that name waits already: it may be the one that somebody is looking at.
    """
    name, reason = request.file_name.removesuffix(".mp4"), _reason(doubts, screened)
    document = {
        "format": FORMAT,
        "model": statement.model_name,
        "request": request.as_json(),
        "clip_urn": statement.clip_urn,
        "watermark": None if drawn.watermark is None else dataclasses.asdict(drawn.watermark),
        "thumbnail": base64.b64encode(drawn.thumbnail_jpeg).decode(),
        "reason": reason,
        "screen": screened.as_json(),
        "screen_statement": dataclasses.asdict(screen_statement(screened)),
        "compute": drawn.compute.as_json(),
        "destination": place_text(_within(project, destination)),
        "held_at": rfc3339(utc_now()),
    }
    folder = held_folder(project) / name
    payload = {"reason": reason, "outcome": screened.outcome.value, "document_sha256": digest_of(document)}
    try:
        with new_folder(folder) as staged:
            shutil.copyfile(drawn.path, staged / CLIP_NAME)
            if source is not None and source.is_signed:
                shutil.copyfile(source.path, staged / SOURCE_NAME)
            (staged / REQUEST_NAME).write_bytes(canonical_json(document))
            # On record before it is there: what is not on record is never signed.
            with project.session() as session:
                record_event(session, "clip.held", name, payload)
    except FileExistsError as exc:
        raise RefusedError(
            f"another clip called {name} is held", hint="settle it first: cleartitle outputs list"
        ) from exc
    return _read(folder)


def _reason(doubts: Sequence[str], screened: ScreenResult) -> str:
    """Say why a clip is held: every doubt, and what the screen found if that is one."""
    is_doubt = screened.outcome is not ScreenOutcome.PASSED
    return ". ".join((*doubts, screened.sentence()) if is_doubt else doubts)


def _within(project: Project, destination: Path) -> Path:
    """Return the place relative to the project if it lies in it, so that both can be moved together."""
    place = destination.absolute()
    return place.relative_to(project.root) if place.is_relative_to(project.root) else place


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
    return [_read(folder) for folder in _held_folders(project)]


def each_held(project: Project) -> Iterator[tuple[str, HeldClip | ConfigError]]:
    """Yield the name of each clip that waits, and the clip, or what is wrong with its folder."""
    for folder in _held_folders(project):
        try:
            yield folder.name, _read(folder)
        except ConfigError as exc:
            yield folder.name, exc


def _held_folders(project: Project) -> list[Path]:
    """Return every folder there, also one that lacks what a held clip has; those in the making are hidden."""
    parent = held_folder(project)
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))


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
            raise ConfigError(f"{folder}: not a held clip of the format {FORMAT}", hint=_START_AGAIN)
        held = HeldClip(name=folder.name, folder=folder, document=document)
        _read_all(held)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as exc:
        raise ConfigError(
            f"{folder / REQUEST_NAME}: cannot be read as a held clip: {type(exc).__name__}: {exc}",
            hint=_START_AGAIN,
        ) from exc
    if not held.clip.is_file():
        raise ConfigError(f"{held.clip}: missing", hint=_START_AGAIN)
    return held


def _read_all(held: HeldClip) -> None:
    """Read everything that a held clip says, so that what is missing or of another kind shows at once."""
    _ = held.reason, held.request, held.model_name, held.destination
    _ = _screen(held), compute_from_json(held.document["compute"])
    _ = str(held.document["clip_urn"]), _watermark(held), held.document["held_at"]
    base64.b64decode(held.document["thumbnail"], validate=True)


def let_through(project: Project, generator: Generator, held: HeldClip, reason: str) -> Path:
    """Sign a held clip, say that a person approved it, and put it where it was to go; return that place.

    Raises as `training.generation.publish.publish_clip` does; the clip then stays held.
    """
    require_another_person(project, held.name, digest_of(dict(held.document)))
    permission_for(generator, held.request.prompt)
    statement = dataclasses.replace(
        state_clip(generator, held.request),
        clip_urn=str(held.document["clip_urn"]),
        human_oversight=HumanOversight.HUMAN_VALIDATED,
        watermark=_watermark(held),
        screen=_screen(held),
        thumbnail_jpeg=base64.b64decode(held.document["thumbnail"]),
    )
    if held.destination.exists():
        _take_up(project, generator, statement, held.destination)
    else:
        _release(project, generator, statement, held)
    _close(project, held, "clip.let_through", reason)
    return held.destination


def _release(project: Project, generator: Generator, statement: ClipStatement, held: HeldClip) -> None:
    held.destination.parent.mkdir(parents=True, exist_ok=True)
    with hidden_folder(held.destination.parent) as hidden:
        plain = hidden / "plain.mp4"
        shutil.copyfile(held.clip, plain)
        _require_unchanged(project, held, plain)
        release_clip(
            project,
            generator,
            statement,
            plain,
            held.document["screen"],
            compute_from_json(held.document["compute"]),
            held.destination,
            ingredients=_source_ingredients(generator, held),
        )


def _require_unchanged(project: Project, held: HeldClip, clip: Path) -> None:
    """Require that what is signed is what was drawn, screened and looked at.

    Raises `RefusedError` if the pictures are others than were screened, or the document is not the one on record.
    """
    with project.session() as session:
        events = list_events(session, kind="clip.held", subject=held.name)
    digests = {event.payload["document_sha256"] for event in events}
    is_on_record = digest_of(dict(held.document)) in digests
    if not is_on_record or file_digest(clip).sha256 != held.document["screen_statement"]["sha256"]:
        raise RefusedError(
            f"{held.folder} was changed since the clip was held",
            hint=f"refuse it, and generate again: cleartitle outputs refuse {held.name}",
        )


def _take_up(project: Project, generator: Generator, statement: ClipStatement, destination: Path) -> None:
    """Put a clip on record that was signed, and not closed, when the process was killed.

    Raises `ConfigError` if `destination` is anything else.
    """
    refusal = ConfigError(f"{destination} is there already; clips are never overwritten")
    if verify_file(destination, generator.trust).outcome is not VerdictOutcome.PASS:
        raise refusal
    store = read_store(destination, generator.trust, media_type=CLIP_MEDIA_TYPE)
    if assertion_data(store.active, CLIP_LABEL)["clipUrn"] != statement.clip_urn:  # type: ignore[index]
        raise refusal
    record_released(project, generator, statement, store, destination)


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
    """Remove a held clip.

    Raises `RefusedError` if it was signed already, by an approval that was interrupted.
    """
    with project.session() as session:
        is_recorded = has_output(session, str(held.document["clip_urn"]))
    if is_recorded or _is_signed(project, held):
        raise RefusedError(
            f"{held.name} was approved and signed before: {held.destination}",
            hint="approve it again to finish that, or delete the signed file first",
        )
    _close(project, held, "clip.turned_down", reason)


def _is_signed(project: Project, held: HeldClip) -> bool:
    """Return whether the file at the held clip's destination is that clip, signed."""
    if not held.destination.is_file():
        return False
    try:
        store = read_store(held.destination, load_project_trust(project), media_type=CLIP_MEDIA_TYPE)
    except (VerificationError, NoManifest):
        return False
    data = assertion_data(store.active, CLIP_LABEL)
    return data is not None and data.get("clipUrn") == held.document["clip_urn"]


def _close(project: Project, held: HeldClip, kind: str, reason: str) -> None:
    with project.session() as session:
        record_event(session, kind, held.name, {"reason": reason, "clip_urn": held.document["clip_urn"]})
    shutil.rmtree(held.folder)


def _watermark(held: HeldClip) -> WatermarkStatement | None:
    """Return the mark that is in the clip, whatever the project marks with now."""
    if "watermark" not in held.document:  # held when there was one method only
        mark_id = held.document["mark_id"]
        return None if mark_id is None else WatermarkStatement(mark_id=mark_id)
    stated = held.document["watermark"]
    return None if stated is None else WatermarkStatement(**stated)


def _screen(held: HeldClip) -> ScreenStatement:
    return screen_from_json(held.document["screen_statement"])
