"""Intake: a file becomes an asset with its clips, its vectors and its place in a collection.

Each file is digested, decoded once, embedded, and recorded in one transaction; its vectors are written before that, so
that a killed command leaves at most vectors that nobody refers to, and running it again goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import enum
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db import evidence, queries
from db.canonical import digest_of
from db.errors import ConflictError
from db.evidence import NewClip
from db.files import path_text
from db.project import Project
from ingest.cadence import CadenceMeter
from ingest.digests import FileDigest, file_digest
from ingest.encoders import Encoder, EncoderIdentity
from ingest.errors import MediaError
from ingest.frames import ScannedFrame, scan_frames
from ingest.probe import MediaFacts, probe
from ingest.shots import Shot, ShotCutter
from ingest.sources import SkippedFile, SourceFile, walk_sources
from ingest.vectors import STILLS_PER_SECOND, FrameVectors, VectorsBuilder, VectorStore

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

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


@dataclass(frozen=True)
class _Reading:
    """Everything one decode pass tells."""

    facts: MediaFacts
    shots: list[Shot]
    vectors: FrameVectors
    num_frames: int
    duration_seconds: float
    cadence: CadenceMeter


def take_in(
    project: Project, paths: Iterable[Path], *, collection_id: int, encoder: Encoder
) -> Iterator[TakenFile]:
    """Take every file that `paths` stand for into a collection, one at a time, yielding what became of each."""
    store = VectorStore(project.vectors)
    for source in walk_sources(paths):
        if isinstance(source, SkippedFile):
            yield _leave_out(project, source, collection_id)
            continue
        try:
            yield _take_contested_file(project, source, collection_id, encoder, store)
        except MediaError as exc:
            yield _reject(project, source.path, collection_id, exc.code, str(exc))
        except OSError as exc:
            if exc.filename is None or Path(os.fsdecode(exc.filename)) != source.path:
                raise  # our own store: a full disk is not the footage's fault
            yield _reject(project, source.path, collection_id, "source.unreadable", exc.strerror or str(exc))


def _leave_out(project: Project, skipped: SkippedFile, collection_id: int) -> TakenFile:
    if skipped.code not in QUIET_SKIPS:
        return _reject(project, skipped.path, collection_id, skipped.code, skipped.detail)
    return TakenFile(path=skipped.path, intake=Intake.SKIPPED, code=skipped.code, detail=skipped.detail)


def _reject(project: Project, path: Path, collection_id: int, code: str, detail: str) -> TakenFile:
    with project.session() as session:
        evidence.reject_file(
            session, collection_id=collection_id, path=path_text(path), code=code, detail=detail
        )
    return TakenFile(path=path, intake=Intake.REJECTED, code=code, detail=detail)


def _take_contested_file(
    project: Project, source: SourceFile, collection_id: int, encoder: Encoder, store: VectorStore
) -> TakenFile:
    """Take a file that another `ingest` may be taking too: what that one records first is then known."""
    for _ in range(_MAX_CONFLICTS):
        with contextlib.suppress(ConflictError):
            return _take_file(project, source, collection_id, encoder, store)
    return _take_file(project, source, collection_id, encoder, store)


def _take_file(
    project: Project, source: SourceFile, collection_id: int, encoder: Encoder, store: VectorStore
) -> TakenFile:
    before = source.path.stat()
    digest = file_digest(source.path)
    with project.session() as session:
        known = queries.find_asset(session, digest.sha256)
        is_embedded = known is not None and queries.has_embedding(session, known.id, encoder.identity.digest)
        if known is not None and is_embedded and store.has(digest.sha256, encoder.identity):
            is_new = _file_under(session, known.id, source.path, collection_id)
            intake = Intake.NEW if is_new else Intake.KNOWN
            return TakenFile(
                path=source.path, intake=intake, asset_id=known.id, duration_seconds=known.duration_seconds
            )
    reading = _read(project, source.path, encoder)
    if _stamp(source.path.stat()) != _stamp(before):
        raise MediaError(
            f"{source.path}: changed while it was read", code="media.changed", hint="ingest it again"
        )
    store.write(digest.sha256, encoder.identity, reading.vectors)
    return _record(project, source.path, digest, reading, collection_id, encoder)


def _stamp(status: os.stat_result) -> tuple[int, int, int, int]:
    # The time of modification can be set back by anyone, the time of change by nobody.
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read(project: Project, path: Path, encoder: Encoder) -> _Reading:
    facts = probe(path)
    cutter, cadence = ShotCutter(project.settings.max_clip_seconds), CadenceMeter()
    rate = Fraction(project.settings.samples_per_second)
    builder = VectorsBuilder(encoder, samples_per_second=rate)
    last: ScannedFrame | None = None
    num_frames = 0
    for frame in scan_frames(path, samples_per_second=max(rate, STILLS_PER_SECOND)):
        cutter.push(frame)
        cadence.push(frame.pts)
        if frame.image is not None:
            builder.push(frame.pts, frame.seconds, frame.image)
        last, num_frames = frame, num_frames + 1
    assert last is not None, "scan_frames yields a frame or raises"
    return _Reading(
        facts=facts,
        shots=cutter.shots(),
        vectors=builder.finish(),
        num_frames=num_frames,
        duration_seconds=last.seconds + float(last.duration_pts * last.time_base),
        cadence=cadence,
    )


def _record(
    project: Project,
    path: Path,
    digest: FileDigest,
    reading: _Reading,
    collection_id: int,
    encoder: Encoder,
) -> TakenFile:
    vectors = reading.vectors
    with project.session() as session:
        known = queries.find_asset(session, digest.sha256)
        asset_id = (
            known.id
            if known is not None
            else evidence.add_asset(
                session,
                columns=_asset_columns(digest, reading),
                clips=[_clip(digest.sha256, shot, reading) for shot in reading.shots],
            )
        )
        evidence.add_embedding(
            session,
            asset_id=asset_id,
            encoder_id=register_encoder(session, encoder.identity),
            num_rows=vectors.num_rows,
            num_textured_rows=vectors.num_textured_rows,
        )
        _file_under(session, asset_id, path, collection_id)
    return TakenFile(
        path=path, intake=Intake.NEW, asset_id=asset_id, duration_seconds=reading.duration_seconds
    )


def _file_under(session: Session, asset_id: int, path: Path, collection_id: int) -> bool:
    evidence.add_path(session, asset_id, path_text(path))
    return evidence.add_membership(session, collection_id, asset_id)


def register_encoder(session: Session, identity: EncoderIdentity) -> int:
    """Put an encoder on record and return its id."""
    return evidence.ensure_encoder(session, digest=identity.digest, columns=asdict(identity))


def _asset_columns(digest: FileDigest, reading: _Reading) -> dict[str, Any]:
    facts = reading.facts
    return {
        "sha256": digest.sha256,
        "size_bytes": digest.size_bytes,
        "container": facts.container,
        "video_codec": facts.video_codec,
        "pixel_format": facts.pixel_format,
        "width": facts.width,
        "height": facts.height,
        "rotation_degrees": facts.rotation_degrees,
        "frame_rate": facts.frame_rate,
        "is_variable_frame_rate": reading.cadence.is_variable,
        "time_base": facts.time_base,
        "duration_seconds": reading.duration_seconds,
        "num_frames": reading.num_frames,
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


def _clip(asset_sha256: str, shot: Shot, reading: _Reading) -> NewClip:
    pts_N = reading.vectors.pts_N
    is_inside_N = (pts_N >= shot.start_pts) & (pts_N < shot.end_pts)
    return NewClip(
        clip_id=clip_id(asset_sha256, shot.start_pts, shot.end_pts, reading.facts.time_base),
        start_pts=shot.start_pts,
        end_pts=shot.end_pts,
        start_seconds=shot.start_seconds,
        end_seconds=shot.end_seconds,
        num_textured_samples=int((is_inside_N & reading.vectors.is_textured_N).sum()),
    )


def count_sources(paths: Iterable[Path], on_source: Callable[[int], None] = lambda _n: None) -> int:
    """Count the files that `paths` stand for, for a progress bar."""
    num = 0
    for source in walk_sources(paths):
        if isinstance(source, SourceFile):
            num += 1
            on_source(num)
    return num
