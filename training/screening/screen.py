"""Screening: does a generated clip show training footage or reference footage again? Asked before it is signed.

1. The clip is read and embedded in a folder of the caller's, as `find` does it; nothing is recorded.
2. It is looked for, with the detector of the project, in all that was taken in: footage that the model was trained on,
   every reference set, and the rest of the library, which costs nothing more.
3. Where training clips may run in it faster than the detector follows, it is looked for in those again, slowed down.
4. A sure match with training or reference footage refuses the clip, an unsure one holds it for a person. So does a
   sure match with library footage that was not trained on: whose rights were not cleared for it. An unsure one of
   those is reported.
5. What could not be compared has not passed: a clip too plain or too short, footage without vectors.
6. The likest training, held-out and reference footage is told of every clip (`training.screening.likeness`). One that
   is as like a training clip as what is drawn from memory is held for a person, though no copy was found.

Pictures are compared, not sound; and as far as the detector goes: a replica that is drawn anew is not surely found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from db import queries
from db.errors import ConfigError
from db.evidence import LIBRARY
from db.files import path_of
from db.project import Project
from db.vocabularies import MatchTier
from governance.policy.reading import parse_policy
from governance.snapshots.snapshot import Snapshot, find_record, verified_document
from ingest.encoders.encoder import Encoder
from ingest.lookup.find import Gap, Query, read_query
from ingest.matching.detectors import detector_for, measurement_of
from ingest.matching.matches import find_matches
from ingest.matching.nomination import index_statement
from ingest.media.sources import printable_path
from training.screening.footage import OnlyAmong, ScreenedFootage, open_footage
from training.screening.judgement import gravest_first, outcome_of
from training.screening.likeness import LIMITS, too_like
from training.screening.result import Against, ScreenedWith, ScreenMatch, ScreenResult
from training.screening.tempo import is_lapsed, tempos, write_slowed
from training.screening.training_clips import TrainedSeconds, TrainingClip, clips_of_document

if TYPE_CHECKING:
    from ingest.matching.nomination import Nominator
    from ingest.matching.scoring import Detector
    from ingest.matching.span import MatchSpan


@dataclass(frozen=True, eq=False, kw_only=True)
class ClipToScreen:
    """A generated clip, embedded at every tempo that it is looked for at."""

    query: Query
    """As it is."""
    slowed: tuple[tuple[int, Query], ...]
    """Slowed down by a factor."""

    @property
    def by_tempo(self) -> tuple[tuple[int, Query], ...]:
        """Return all of them, the clip as it is first."""
        return ((1, self.query), *self.slowed)


@dataclass(frozen=True, eq=False, kw_only=True)
class Screen:
    """What every clip of one model is compared with and by, opened once for any number of clips."""

    project: Project
    snapshot_name: str
    clips: dict[str, TrainingClip]
    """Of the snapshot, by id."""
    encoder: Encoder
    detector: Detector
    screened_with: ScreenedWith
    footage: ScreenedFootage
    trained: TrainedSeconds

    def read(self, clip: Path, folder: Path, *, name: str) -> ClipToScreen:
        """Embed an unsigned clip into `folder`, which is the caller's to remove; `name` is how people are shown it.

        Raises `MediaError` if the clip cannot be read whole.
        """
        query = read_query(self.project, clip, self.encoder, folder, name=name)
        lasting = (training.duration_seconds for training in self.clips.values())
        slowed = []
        for tempo in tempos(query.duration_seconds, lasting)[1:]:
            path = folder / f"slowed-{tempo}.mp4"
            write_slowed(clip, path, tempo)
            slowed.append((tempo, read_query(self.project, path, self.encoder, folder, name=name)))
        return ClipToScreen(query=query, slowed=tuple(slowed))

    def judge(self, clip: ClipToScreen) -> ScreenResult:
        """Compare a clip with everything and say what becomes of it.

        Raises `EncoderError` if stored vectors are damaged or were made by other rules.
        """
        query = clip.query
        found = [*self._same_bytes(query)]
        for tempo, slowed in clip.by_tempo:
            found += [self._match(span, tempo) for span in self._spans(slowed, tempo)]
        matches = tuple(gravest_first(found))
        gaps = (*_gaps_of(query, self.detector), *self.footage.gaps)
        neighbourhood, limit = self.footage.neighbourhood, LIMITS.get(self.encoder.identity.digest)
        nearest = () if neighbourhood is None else neighbourhood.nearest(query)
        is_too_like = limit is not None and too_like(nearest, limit) is not None
        return ScreenResult(
            outcome=outcome_of(matches, gaps, is_too_like=is_too_like),
            sha256=query.sha256,
            duration_seconds=query.duration_seconds,
            num_samples=query.num_samples,
            num_textured=query.num_textured,
            slowed_by=tuple(tempo for tempo, _ in clip.by_tempo),
            screened_with=self.screened_with,
            compared=self.footage.compared,
            matches=matches,
            gaps=gaps,
            nearest=nearest,
            likeness_limit=limit,
        )

    def screen_clip(self, clip: Path, folder: Path, *, name: str) -> ScreenResult:
        """Read and judge an unsigned clip; raises as `read` and `judge` do."""
        return self.judge(self.read(clip, folder, name=name))

    def _spans(self, query: Query, tempo: int) -> Iterator[MatchSpan]:
        period_seconds = 1 / self.project.settings.samples_per_second
        for nominator in self._nominators(query, tempo):
            yield from find_matches(
                query.store,
                self.encoder.identity,
                [query.sha256],
                nominator,
                self.detector,
                period_seconds=period_seconds,
            )

    def _nominators(self, query: Query, tempo: int) -> Iterator[Nominator]:
        """Yield what to search with: slowed down, a clip is looked for only where it can have been sped up from."""
        if tempo == 1:
            yield from self.footage.nominators
            return
        clip_seconds = query.duration_seconds / tempo
        lapsed = {
            clip.asset_sha256
            for clip in self.clips.values()
            if is_lapsed(clip_seconds, clip.duration_seconds, tempo)
        }
        for nominator in self.footage.nominators:
            yield OnlyAmong(nominator, lapsed)

    def _same_bytes(self, query: Query) -> Iterator[ScreenMatch]:
        """Yield the footage that has the clip's own bytes, which is never compared with itself."""
        asset_id = self.footage.scope.assets.get(query.sha256)
        if asset_id is not None:
            yield self._described(
                asset_id,
                query.sha256,
                tier=MatchTier.EXACT,
                probability=1.0,
                seconds=(0.0, query.duration_seconds),
                other_seconds=(0.0, query.duration_seconds),
            )

    def _match(self, span: MatchSpan, tempo: int) -> ScreenMatch:
        return self._described(
            self.footage.scope.assets[span.other_sha256],
            span.other_sha256,
            tier=span.tier,
            probability=span.probability,
            seconds=(span.query_start_seconds / tempo, span.query_end_seconds / tempo),
            other_seconds=(span.other_start_seconds, span.other_end_seconds),
            speed=span.speed * tempo,
            is_mirrored=span.is_mirrored,
        )

    def _described(
        self,
        asset_id: int,
        asset_sha256: str,
        *,
        tier: MatchTier,
        probability: float,
        seconds: tuple[float, float],
        other_seconds: tuple[float, float],
        speed: float = 1.0,
        is_mirrored: bool = False,
    ) -> ScreenMatch:
        collections = self.footage.scope.memberships[asset_id]
        within = self.trained.clips_within(asset_id, *other_seconds)
        against = Against.TRAINING if within else Against.OTHER
        if set(collections) - {LIBRARY}:
            against = Against.REFERENCE
        return ScreenMatch(
            against=against,
            name=self._name(asset_id, asset_sha256),
            asset_sha256=asset_sha256,
            collections=collections,
            training_clips=within,
            rights_holders=tuple(dict.fromkeys(self.clips[clip_id].rights_holder for clip_id in within)),
            tier=tier,
            probability=probability,
            start_seconds=seconds[0],
            end_seconds=seconds[1],
            other_start_seconds=other_seconds[0],
            other_end_seconds=other_seconds[1],
            speed=speed,
            is_mirrored=is_mirrored,
        )

    def _name(self, asset_id: int, asset_sha256: str) -> str:
        with self.project.session() as session:
            paths = queries.asset_paths(session, [asset_id]).get(asset_id, ())
        return printable_path(path_of(paths[0])) if paths else f"asset {asset_sha256[:16]}"


def open_screen(
    project: Project, snapshot: Snapshot, *, encoder: Encoder, detector: Detector | None = None
) -> Screen:
    """Open what the clips of a model are screened with. `detector`: the one that serves the project if not given.

    Raises `ConfigError` if the snapshot's policy pins another detector, or the calibration is damaged.
    """
    identity = encoder.identity
    detector = detector or detector_for(identity, project.calibrations)
    document = verified_document(project, find_record(project, snapshot.name))
    _check_pinned(document["policy"], detector)
    clips = clips_of_document(document)
    measurement = measurement_of(detector.digest, project.calibrations)
    return Screen(
        project=project,
        snapshot_name=snapshot.name,
        clips=clips,
        encoder=encoder,
        detector=detector,
        screened_with=ScreenedWith(
            encoder_name=identity.name,
            encoder_digest=identity.digest,
            detector_name=detector.name,
            detector_digest=detector.digest,
            min_probability=detector.min_probability,
            min_candidate=detector.min_candidate,
            measured_recall=None if measurement is None else measurement["recall"],
            index_statement=index_statement(project, identity),
        ),
        footage=open_footage(project, snapshot, identity, detector),
        trained=TrainedSeconds(project, clips.values()),
    )


def _check_pinned(policy: dict[str, str], detector: Detector) -> None:
    pinned = parse_policy(policy["text"].encode(), policy["name"]).detector
    if pinned and pinned != detector.digest:
        raise ConfigError(
            f"policy {policy['name']} asks for the detector {pinned[:16]}, the project's is {detector.digest[:16]}",
            hint="put the calibration back that the snapshot was cleared with, or clear and seal again",
        )


def _gaps_of(query: Query, detector: Detector) -> Iterator[Gap]:
    if query.num_textured < detector.min_samples:
        yield Gap(
            "file.too_plain",
            f"{query.name} lasts {query.duration_seconds:.1f} s and has {query.num_textured} sampled pictures with "
            f"texture; {detector.min_samples} are needed",
        )
