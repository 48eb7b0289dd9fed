"""Intake: a file becomes an asset with its clips, its vectors and its place in a collection.

Each file is digested, read once (`ingest.intake.reading`), and recorded in one transaction; its vectors are written
before that, so that a killed command leaves at most vectors that nobody refers to, and running it again goes on where
it stopped. Files are read by several processes, but this one alone writes records.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from db import evidence, queries
from db.canonical import digest_of
from db.errors import ConflictError
from db.evidence import NewClip
from db.files import path_text
from db.project import Project
from db.records import AssetRecord
from db.sounds import sound_of
from ingest.encoders.encoder import Encoder, EncoderIdentity
from ingest.errors import MediaError
from ingest.intake.readers import Opener, Readers
from ingest.intake.reading import (
    FileRead,
    FileToRead,
    FileUnread,
    PicturesRead,
    SoundRead,
    Stamp,
    missing_engine,
    sound_store,
    stamp_of,
    unread,
)
from ingest.media.digests import FileDigest, file_digest
from ingest.media.shots import Shot
from ingest.media.sources import SkippedFile, SourceFile, walk_sources
from ingest.pictures.vectors import VectorStore
from ingest.sound.store import SOUND_ENGINE_DIGEST

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

T = TypeVar("T")

QUIET_SKIPS = frozenset({"source.hidden", "source.not_video_suffix", "source.already_visited"})
"""Reasons for leaving a file out that are counted but are no failure to read footage."""


# Two can meet over the encoder, the asset and its place; a fourth conflict is no coincidence.
_MAX_CONFLICTS = 3


class Intake(enum.StrEnum):
    """What became of one file."""

    NEW = "new"
    KNOWN = "known"
    REJECTED = "rejected"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class TakenFile:
    """One file and what became of it."""

    path: Path
    intake: Intake
    asset_id: int | None = None
    code: str = ""
    detail: str = ""
    duration_seconds: float = 0.0
    sound: SoundRead | None = None
    """Whether its sound can be compared; None if it is no asset."""


def take_in(
    project: Project,
    paths: Iterable[Path],
    *,
    collection_id: int,
    encoder: Encoder,
    num_workers: int = 1,
    opener: Opener | None = None,
) -> Generator[TakenFile]:
    """Take every file that `paths` stand for into a collection, yielding what became of each as it is known.

    With several workers that is not the order of the files. Each opens the encoder with `opener`, by default the one
    that the project is configured for; it must be the same as `encoder`.
    """
    desk = _Desk(project, collection_id, encoder.identity)
    with Readers(project, encoder, num_workers=num_workers, opener=opener) as readers:
        for source in walk_sources(paths):
            yield from desk.offer(source, readers)
            while readers.is_full or readers.is_known():
                yield from desk.record(*readers.outcome(), readers)
        while readers.num_under_way:
            yield from desk.record(*readers.outcome(), readers)


class _Desk:
    """Decides what must be read, and records what was."""

    def __init__(self, project: Project, collection_id: int, identity: EncoderIdentity) -> None:
        self._project = project
        self._collection_id = collection_id
        self._identity = identity
        self._store = VectorStore(project.vectors)
        self._sounds = sound_store(project.vectors)
        self._missing_engine = missing_engine()
        self._under_way: dict[str, list[SourceFile]] = {}
        """By digest: files with the same bytes as one that is being read."""

    def offer(self, source: SourceFile | SkippedFile, readers: Readers) -> Iterator[TakenFile]:
        """Have a file read, or yield what became of it where that is known."""
        if isinstance(source, SkippedFile):
            yield self._leave_out(source)
            return
        try:
            stamp = stamp_of(source.path)
            digest = file_digest(source.path)
        except (MediaError, OSError) as exc:
            yield self._reject(source.path, unread(source.path, exc))
            return
        if digest.sha256 in self._under_way:
            self._under_way[digest.sha256].append(source)
            return
        found = _retried(partial(self._look_up, source.path, digest, stamp))
        if isinstance(found, TakenFile):
            yield found
        else:
            self._under_way[digest.sha256] = []
            readers.give(found)

    def record(
        self, file: FileToRead, reading: FileRead | FileUnread, readers: Readers
    ) -> Iterator[TakenFile]:
        """Record what became of a file, and offer those of the same bytes again."""
        if isinstance(reading, FileUnread):
            yield self._reject(file.path, reading)
        else:
            yield _retried(partial(self._record, file, reading))
        for source in self._under_way.pop(file.sha256):
            yield from self.offer(source, readers)

    def _leave_out(self, skipped: SkippedFile) -> TakenFile:
        if skipped.code not in QUIET_SKIPS:
            return self._reject(skipped.path, FileUnread(code=skipped.code, detail=skipped.detail))
        return TakenFile(path=skipped.path, intake=Intake.SKIPPED, code=skipped.code, detail=skipped.detail)

    def _reject(self, path: Path, why: FileUnread) -> TakenFile:
        with self._project.session() as session:
            evidence.reject_file(
                session,
                collection_id=self._collection_id,
                path=path_text(path),
                code=why.code,
                detail=why.detail,
            )
        return TakenFile(path=path, intake=Intake.REJECTED, code=why.code, detail=why.detail)

    def _look_up(self, path: Path, digest: FileDigest, stamp: Stamp) -> TakenFile | FileToRead:
        with self._project.session() as session:
            known = queries.find_asset(session, digest.sha256)
            sound = None if known is None else self._known_sound(session, known)
            is_whole = known is not None and self._has_pictures(session, known)
            if known is not None and is_whole and sound is not None:
                return self._file_under(session, known.id, path, known.duration_seconds, sound)
        return FileToRead(
            path=path,
            sha256=digest.sha256,
            size_bytes=digest.size_bytes,
            stamp=stamp,
            wants_pictures=not is_whole,
            wants_sound=sound is None,
        )

    def _has_pictures(self, session: Session, asset: AssetRecord) -> bool:
        is_on_record = queries.has_embedding(session, asset.id, self._identity.digest)
        return is_on_record and self._store.has(asset.sha256, self._identity)

    def _known_sound(self, session: Session, asset: AssetRecord) -> SoundRead | None:
        """Return the answer on an asset's sound; None if it should be asked for."""
        known = sound_of(session, asset.id, SOUND_ENGINE_DIGEST)
        if known is not None and (known.code or self._sounds.has(asset.sha256)):
            return SoundRead(num_items=known.num_items, code=known.code, detail=known.detail)
        return self._missing_engine

    def _record(self, file: FileToRead, reading: FileRead) -> TakenFile:
        with self._project.session() as session:
            known = queries.find_asset(session, file.sha256)
            asset_id = self._recorded_asset(session, file, reading, known)
            sound = reading.sound
            if sound is not None and sound.code != "sound.engine_missing":
                evidence.add_sound_print(
                    session, asset_id=asset_id, engine_digest=SOUND_ENGINE_DIGEST, **asdict(sound)
                )
            asset = queries.get_asset(session, asset_id)
            sound = sound or self._known_sound(session, asset)
            taken = self._file_under(session, asset_id, file.path, asset.duration_seconds, sound)
        # One whose vectors had to be made again is as new as one that was never seen.
        return replace(taken, intake=Intake.NEW) if reading.pictures is not None else taken

    def _recorded_asset(
        self, session: Session, file: FileToRead, reading: FileRead, known: AssetRecord | None
    ) -> int:
        pictures = reading.pictures
        if pictures is None:
            assert known is not None, "only a known asset lacks nothing but its sound"
            return known.id
        asset_id = (
            known.id
            if known is not None
            else evidence.add_asset(
                session,
                columns=_asset_columns(file, pictures),
                clips=[_clip(file.sha256, shot, pictures) for shot in pictures.shots],
            )
        )
        evidence.add_embedding(
            session,
            asset_id=asset_id,
            encoder_id=register_encoder(session, self._identity),
            num_rows=pictures.num_rows,
            num_textured_rows=len(pictures.textured_pts),
        )
        return asset_id

    def _file_under(
        self,
        session: Session,
        asset_id: int,
        path: Path,
        duration_seconds: float,
        sound: SoundRead | None,
    ) -> TakenFile:
        evidence.add_path(session, asset_id, path_text(path))
        is_new = evidence.add_membership(session, self._collection_id, asset_id)
        return TakenFile(
            path=path,
            intake=Intake.NEW if is_new else Intake.KNOWN,
            asset_id=asset_id,
            duration_seconds=duration_seconds,
            sound=sound,
        )


def _retried(write: Callable[[], T]) -> T:
    """Write what another `ingest` may be writing too: what that one records first is then known."""
    for _ in range(_MAX_CONFLICTS):
        with suppress(ConflictError):
            return write()
    return write()


def register_encoder(session: Session, identity: EncoderIdentity) -> int:
    """Put an encoder on record and return its id."""
    return evidence.ensure_encoder(session, digest=identity.digest, columns=asdict(identity))


def _asset_columns(file: FileToRead, pictures: PicturesRead) -> dict[str, Any]:
    facts = pictures.facts
    return {
        "sha256": file.sha256,
        "size_bytes": file.size_bytes,
        "container": facts.container,
        "video_codec": facts.video_codec,
        "pixel_format": facts.pixel_format,
        "width": facts.width,
        "height": facts.height,
        "rotation_degrees": facts.rotation_degrees,
        "frame_rate": facts.frame_rate,
        "is_variable_frame_rate": pictures.is_variable_frame_rate,
        "time_base": facts.time_base,
        "duration_seconds": pictures.duration_seconds,
        "num_frames": pictures.num_frames,
        "audio_codec": facts.audio_codec,
    }


def clip_id(asset_sha256: str, start_pts: int, end_pts: int, time_base: Fraction) -> str:
    """Return a clip's id: 16 hex digits that follow from the asset's bytes and the span."""
    span = {
        "start_pts": start_pts,
        "end_pts": end_pts,
        "time_base": f"{time_base.numerator}/{time_base.denominator}",
    }
    return digest_of({"asset_sha256": asset_sha256, **span})[:16]


def _clip(asset_sha256: str, shot: Shot, pictures: PicturesRead) -> NewClip:
    textured = pictures.textured_pts
    return NewClip(
        clip_id=clip_id(asset_sha256, shot.start_pts, shot.end_pts, pictures.facts.time_base),
        start_pts=shot.start_pts,
        end_pts=shot.end_pts,
        start_seconds=shot.start_seconds,
        end_seconds=shot.end_seconds,
        num_textured_samples=bisect_left(textured, shot.end_pts) - bisect_left(textured, shot.start_pts),
    )


def count_sources(paths: Iterable[Path], on_source: Callable[[int], None] = lambda _n: None) -> int:
    """Count the files that `paths` stand for, for a progress bar."""
    num = 0
    for source in walk_sources(paths):
        if isinstance(source, SourceFile):
            num += 1
            on_source(num)
    return num
