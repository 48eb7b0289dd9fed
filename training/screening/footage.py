"""The footage that generated clips are compared with: opened once, and what of it cannot be compared is said."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from db import holdings, queries
from db.evidence import LIBRARY
from db.files import path_of
from db.project import Project
from governance.snapshots.snapshot import Snapshot
from ingest.encoders.encoder import EncoderIdentity
from ingest.lookup.find import Gap, Scope, read_scope
from ingest.matching.nomination import ExactNominator, Nominator, nominator_for
from ingest.media.sources import printable_path
from training.screening.held_vectors import HeldVectors
from training.screening.likeness import FootageSpan, NearTo, Neighbourhood
from training.screening.result import Against, ComparedFootage

if TYPE_CHECKING:
    from ingest.matching.alignment import PairHits
    from ingest.matching.nomination import ViewPair
    from ingest.matching.scoring import Detector
    from ingest.pictures.vectors import VectorBlock

_BATCH_ASSETS = 100


class OnlyAmong:
    """A nominator whose hits are those in some of its assets."""

    def __init__(self, nominator: Nominator, assets: Collection[str]) -> None:
        self._nominator = nominator
        self._assets = assets

    def nominate(
        self, batch: VectorBlock, *, min_similarity: float, period_seconds: float
    ) -> Iterator[tuple[ViewPair, PairHits]]:
        """Yield hits as `Nominator` says."""
        found = self._nominator.nominate(batch, min_similarity=min_similarity, period_seconds=period_seconds)
        yield from ((pair, hits) for pair, hits in found if pair.other_sha256 in self._assets)


@dataclass(frozen=True, eq=False, kw_only=True)
class ScreenedFootage:
    """All that was taken in, ready to be searched for any number of clips."""

    scope: Scope
    compared: tuple[ComparedFootage, ...]
    """The footage that the model was trained on first."""
    gaps: tuple[Gap, ...]
    """What of it cannot be compared with any clip."""
    nominators: tuple[Nominator, ...]
    neighbourhood: Neighbourhood | None
    """What the nearest footage of a clip is looked for in; `None`: the library is searched through an index."""


def open_footage(
    project: Project, snapshot: Snapshot, identity: EncoderIdentity, detector: Detector
) -> ScreenedFootage:
    """Open the footage of a snapshot, of every reference set, and of the rest of the library."""
    scope = read_scope(project, None, identity)
    compared = tuple(_compared(snapshot, scope))
    gaps = tuple(_gaps(project, scope, compared, identity, detector))
    assets = tuple(scope.assets)
    nominator = nominator_for(project, identity, assets)
    if not isinstance(nominator, ExactNominator):
        gap = Gap(
            "nearest.not_searched", "the nearest footage is not told: the library is searched by an index"
        )
        return ScreenedFootage(
            scope=scope,
            compared=compared,
            gaps=(*gaps, gap),
            nominators=(nominator,),
            neighbourhood=None,
        )
    # Batches of footage that stay in memory once they were read, for both searches.
    held = HeldVectors(project.vectors)
    batches = [assets[start : start + _BATCH_ASSETS] for start in range(0, len(assets), _BATCH_ASSETS)]
    return ScreenedFootage(
        scope=scope,
        compared=compared,
        gaps=gaps,
        nominators=tuple(ExactNominator(held, identity, batch) for batch in batches),
        neighbourhood=Neighbourhood(held, identity, batches, _near_spans(project, snapshot, scope)),
    )


def _near_spans(project: Project, snapshot: Snapshot, scope: Scope) -> dict[str, list[FootageSpan]]:
    """Return the clips of the snapshot, by the part that they are in, and reference footage as a whole."""
    kinds = {clip.clip_id: NearTo.TRAINING for clip in snapshot.clips}
    kinds |= {clip.clip_id: NearTo.HELD_OUT for clip in snapshot.held_out}
    digests = {asset_id: sha256 for sha256, asset_id in scope.assets.items()}
    references = [asset_id for asset_id, names in scope.memberships.items() if set(names) - {LIBRARY}]
    spans: dict[str, list[FootageSpan]] = {}
    with project.session() as session:
        for sha256 in snapshot.sources.keys() & scope.assets.keys():
            name = printable_path(snapshot.sources[sha256])
            spans[sha256] = [
                FootageSpan(
                    kind=kinds[clip.clip_id],
                    name=name,
                    clip_id=clip.clip_id,
                    start_seconds=clip.start_seconds,
                    end_seconds=clip.end_seconds,
                )
                for clip in queries.clips_of_asset(session, scope.assets[sha256])
                if clip.clip_id in kinds
            ]
        paths = queries.asset_paths(session, references)
    for asset_id in references:
        known = paths.get(asset_id, ())
        name = printable_path(path_of(known[0])) if known else f"asset {digests[asset_id][:16]}"
        spans.setdefault(digests[asset_id], []).append(FootageSpan(kind=NearTo.REFERENCE, name=name))
    return spans


def _compared(snapshot: Snapshot, scope: Scope) -> Iterator[ComparedFootage]:
    """Yield what clips are compared with, the snapshot first."""
    trained = {clip.asset_sha256 for clip in snapshot.clips}
    yield ComparedFootage(
        against=Against.TRAINING,
        name=snapshot.name,
        num_assets=len(trained),
        num_compared=len(trained & scope.assets.keys()),
        duration_seconds=sum(clip.duration_seconds for clip in snapshot.clips),
    )
    for part in scope.collections:
        yield ComparedFootage(
            against=Against.OTHER if part.name == LIBRARY else Against.REFERENCE,
            name=part.name,
            num_assets=part.num_assets,
            num_compared=part.num_compared,
            duration_seconds=part.duration_seconds,
        )


def _gaps(
    project: Project,
    scope: Scope,
    compared: Sequence[ComparedFootage],
    identity: EncoderIdentity,
    detector: Detector,
) -> Iterator[Gap]:
    """Yield what of the footage cannot be compared with any clip."""
    references = [part for part in compared if part.against is Against.REFERENCE]
    if not references:
        yield Gap("reference.none", "there is no reference set: clips are compared with the library only")
    for part in references:
        if part.num_assets == 0:
            yield Gap("reference.empty", f"reference set {part.name} holds nothing to compare with")
    for part in compared:
        if (missing := part.num_assets - part.num_compared) and part.against is not Against.OTHER:
            whose = "snapshot" if part.against is Against.TRAINING else "reference set"
            yield Gap(
                f"{part.against.value}.no_vectors",
                f"{whose} {part.name}: {missing} of {part.num_assets} files have no vectors of this encoder; "
                "ingest them again",
            )
    with project.session() as session:
        texture = holdings.reference_texture(session, identity.digest)
        unread = holdings.rejected_reference_files(session)
    num_plain = sum(
        num < detector.min_samples for asset_id, _, num in texture if asset_id in scope.memberships
    )
    if num_plain:
        yield Gap(
            "reference.too_plain", f"reference files too short or too plain to be recognised: {num_plain}"
        )
    if unread:
        shown = printable_path(path_of(unread[0]))
        yield Gap(
            "reference.unreadable", f"reference files that could not be read: {len(unread)}, such as {shown}"
        )
