"""Reading: everything that one file tells, taken from it in any process.

The pictures are decoded once, embedded and put into the store, then the sound is. Only small facts are returned: who
asked for them writes the records.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from db.project import Settings
from db.vocabularies import Tri
from ingest.encoders.encoder import Encoder
from ingest.errors import MediaError
from ingest.media.cadence import CadenceMeter
from ingest.media.frames import ScannedFrame
from ingest.media.probe import MediaFacts, probe
from ingest.media.shots import Shot, ShotCutter
from ingest.pictures.embedding import VectorsBuilder, scan_pictures
from ingest.pictures.vectors import VectorStore
from ingest.sound.chromaprint import EngineMissing, open_engine
from ingest.sound.prints import SoundNotCompared, read_sound
from ingest.sound.store import SoundStore

Stamp = tuple[int, int, int, int]
Frames = Generator[ScannedFrame]


@dataclass(frozen=True, kw_only=True)
class FileToRead:
    """A file that is not known yet, or not all of it."""

    path: Path
    sha256: str
    size_bytes: int
    stamp: Stamp
    """Taken before its digest was."""
    wants_pictures: bool
    wants_sound: bool


@dataclass(frozen=True, kw_only=True)
class PicturesRead:
    """What the decode pass tells. The vectors and stills are in the store by then."""

    facts: MediaFacts
    is_variable_frame_rate: Tri
    shots: tuple[Shot, ...]
    num_rows: int
    """Of the vectors."""
    textured_pts: tuple[int, ...]
    """Of every sampled frame that has texture enough to be compared, ascending."""
    num_frames: int
    duration_seconds: float


@dataclass(frozen=True, kw_only=True)
class SoundRead:
    """The answer on a file's sound. A fingerprint is in the store by then."""

    num_items: int
    code: str
    """Why it cannot be compared; empty if it can."""
    detail: str


@dataclass(frozen=True, kw_only=True)
class FileRead:
    """What was wanted of a file."""

    pictures: PicturesRead | None
    sound: SoundRead | None


@dataclass(frozen=True, kw_only=True)
class FileUnread:
    """Why a file was not read."""

    code: str
    detail: str


def stamp_of(path: Path) -> Stamp:
    """Return what changes when somebody writes to a file."""
    status = path.stat()
    # The time of modification can be set back by anyone, the time of change by nobody.
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def unread(path: Path, error: MediaError | OSError) -> FileUnread:
    """Return why a file could not be read. Raises `error` where that is not the file's fault."""
    if isinstance(error, MediaError):
        return FileUnread(code=error.code, detail=str(error))
    if error.filename is None or Path(os.fsdecode(error.filename)) != path:
        raise error  # our own store: a full disk is not the footage's fault
    return FileUnread(code="source.unreadable", detail=error.strerror or str(error))


def sound_store(vectors: Path) -> SoundStore:
    """Return where the fingerprints of sound lie, beside the vectors."""
    return SoundStore(vectors / "sound")


def missing_engine() -> SoundRead | None:
    """Say what is missing to fingerprint sound on this machine; None: nothing."""
    try:
        open_engine()
    except EngineMissing as exc:
        return SoundRead(num_items=0, code="sound.engine_missing", detail=str(exc))
    return None


class Reader:
    """Reads files with one encoder, into one store.

    `paced` may let the decoder run ahead of the encoder (`ingest.intake.readahead`).
    """

    def __init__(
        self, vectors: Path, settings: Settings, encoder: Encoder, *, paced: Callable[[Frames], Frames]
    ) -> None:
        self._store = VectorStore(vectors)
        self._sounds = sound_store(vectors)
        self._settings = settings
        self._encoder = encoder
        self._paced = paced

    def read(self, file: FileToRead) -> FileRead | FileUnread:
        """Read what is wanted of a file. Raises `OSError` where the store cannot be written."""
        try:
            return FileRead(
                pictures=self._read_pictures(file) if file.wants_pictures else None,
                sound=self._read_sound(file) if file.wants_sound else None,
            )
        except (MediaError, OSError) as exc:
            return unread(file.path, exc)

    def _read_pictures(self, file: FileToRead) -> PicturesRead:
        facts = probe(file.path)
        cutter, cadence = ShotCutter(self._settings.max_clip_seconds), CadenceMeter()
        last: ScannedFrame | None = None
        num_frames = 0
        with self._store.writing_stills(file.sha256, self._encoder.identity) as stills:
            builder = VectorsBuilder(self._encoder, stills)
            with closing(self._paced(self._frames(file.path))) as frames:
                for frame in frames:
                    cutter.push(frame)
                    cadence.push(frame.pts)
                    builder.take(frame)
                    last, num_frames = frame, num_frames + 1
            vectors = builder.finish()
            _check_unchanged(file)
        assert last is not None, "scan_frames yields a frame or raises"
        self._store.write(file.sha256, self._encoder.identity, vectors)
        return PicturesRead(
            facts=facts,
            is_variable_frame_rate=cadence.is_variable,
            shots=tuple(cutter.shots()),
            num_rows=vectors.num_rows,
            textured_pts=tuple(builder.textured_pts),
            num_frames=num_frames,
            duration_seconds=last.seconds + float(last.duration_pts * last.time_base),
        )

    def _frames(self, path: Path) -> Frames:
        yield from scan_pictures(path, samples_per_second=self._settings.samples_per_second)

    def _read_sound(self, file: FileToRead) -> SoundRead:
        found = read_sound(file.path)
        _check_unchanged(file)
        if isinstance(found, SoundNotCompared):
            return SoundRead(num_items=0, code=found.code, detail=found.reason)
        self._sounds.write(file.sha256, found)
        return SoundRead(num_items=found.num_items, code="", detail="")


def _check_unchanged(file: FileToRead) -> None:
    if stamp_of(file.path) != file.stamp:
        raise MediaError(
            f"{file.path}: changed while it was read", code="media.changed", hint="ingest it again"
        )
