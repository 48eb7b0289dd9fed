"""Lookup: where a clip occurs in what is held, without taking the clip in.

The clip is digested, decoded and embedded as intake does it, but its files lie in a folder of the caller's, and nothing
is recorded. That nothing was found is a definite answer only if all of the collection and the clip were compared;
what was not is named as a gap. Pictures are compared, not sound.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from db import holdings, queries
from db.errors import ConfigError
from db.evidence import LIBRARY
from db.files import path_of
from db.matches import library_members, reference_sets_of
from db.project import Project
from db.vocabularies import COPY_TIERS, MatchTier
from ingest.encoders.encoder import Encoder, EncoderIdentity
from ingest.errors import MediaError
from ingest.intake.readahead import read_ahead
from ingest.intake.reading import FileToRead, FileUnread, Frames, Reader, stamp_of
from ingest.matching.matches import find_matches
from ingest.matching.nomination import ExactNominator, Nominator, nominator_for
from ingest.matching.scoring import Detector
from ingest.matching.span import MatchSpan
from ingest.media.digests import file_digest
from ingest.media.sources import printable_path
from ingest.pictures.vectors import VectorStore

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_PAGE = 500
_BATCH_ASSETS = 100


class Answer(enum.StrEnum):
    """What a lookup says."""

    FOUND = "found"
    NOT_FOUND = "not-found"
    UNDECIDED = "undecided"


@dataclass(frozen=True, kw_only=True)
class SearchedCollection:
    """One collection and how much of it can be compared."""

    name: str
    num_assets: int
    duration_seconds: float
    num_compared: int
    """Assets whose vectors of the present encoder are in the store."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a clip is looked for in."""

    collections: tuple[SearchedCollection, ...]
    assets: Mapping[str, int]
    """Digest to id of every asset that can be compared."""
    memberships: Mapping[int, tuple[str, ...]]
    """Names of the searched collections that hold each of these assets."""
    unreadable_paths: tuple[str, ...]
    """Files that were offered and could not be taken in. Those of reference sets are not told apart by set."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Query:
    """The clip that is looked for, embedded."""

    path: Path
    name: str
    """How people are shown it."""
    sha256: str
    duration_seconds: float
    num_samples: int
    num_textured: int
    """Sampled pictures with texture enough to be compared."""
    store: QueryStore


@dataclass(frozen=True, kw_only=True)
class Occurrence:
    """Seconds of the clip that are, or look like, seconds of an asset."""

    asset_id: int
    asset_sha256: str
    paths: tuple[Path, ...]
    """Where the asset was seen, newest first."""
    collections: tuple[str, ...]
    tier: MatchTier
    probability: float
    query_start_seconds: float
    query_end_seconds: float
    other_start_seconds: float
    other_end_seconds: float
    speed: float = 1.0
    """Seconds of the asset per second of the clip."""
    is_mirrored: bool = False
    query_view: int = 0
    other_view: int = 0
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """The numbers that the probability was made of; empty where the bytes are the same."""

    @property
    def is_copy(self) -> bool:
        """Whether it is more than alike."""
        return self.tier in COPY_TIERS

    @property
    def name(self) -> str:
        """How people are shown the asset."""
        return printable_path(self.paths[0]) if self.paths else f"asset {self.asset_sha256[:16]}"


@dataclass(frozen=True)
class Gap:
    """Something that was not compared."""

    code: str
    """`file.too_plain`, `collection.empty`, `asset.no_vectors`, `asset.too_plain` or `source.unreadable`."""
    message: str


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """Where a clip occurs, and what the answer covers."""

    occurrences: tuple[Occurrence, ...]
    """The surest first."""
    gaps: tuple[Gap, ...]

    @property
    def answer(self) -> Answer:
        """Found if there is a copy; not found only if all was compared and nothing is left for a person to look at."""
        if any(found.is_copy for found in self.occurrences):
            return Answer.FOUND
        is_open = any(found.tier is MatchTier.CANDIDATE for found in self.occurrences)
        return Answer.UNDECIDED if is_open or self.gaps else Answer.NOT_FOUND


class QueryStore(VectorStore):
    """The project's vectors with one asset more, whose files may lie in a folder of their own."""

    def __init__(self, folder: Path, *, query_folder: Path, query_sha256: str) -> None:
        super().__init__(folder)
        self._query = VectorStore(query_folder)
        self._query_sha256 = query_sha256

    def path(self, asset_sha256: str, identity: EncoderIdentity) -> Path:
        """Return where an asset's vectors lie or would lie."""
        if asset_sha256 == self._query_sha256:
            return self._query.path(asset_sha256, identity)
        return super().path(asset_sha256, identity)


def read_scope(project: Project, name: str | None, identity: EncoderIdentity) -> Scope:
    """Return what collection `name` holds; without a name, what the library and all reference sets hold.

    Raises `ConfigError` if there is no such collection.
    """
    with project.session() as session:
        chosen = _chosen(session, name)
        store = VectorStore(project.vectors)
        embedded = queries.embedded_assets(session, identity.digest)
        ids = [asset_id for sha256, asset_id in embedded.items() if store.has(sha256, identity)]
        memberships = _memberships(session, ids, {collection[0] for collection in chosen})
        compared = Counter(name for names in memberships.values() for name in names)
        return Scope(
            collections=tuple(
                SearchedCollection(
                    name=name, num_assets=num, duration_seconds=seconds, num_compared=compared[name]
                )
                for name, num, seconds in chosen
            ),
            assets={sha256: asset_id for sha256, asset_id in embedded.items() if asset_id in memberships},
            memberships=memberships,
            unreadable_paths=_unreadable(session, name),
        )


def _chosen(session: Session, name: str | None) -> list[tuple[str, int, float]]:
    """Return name, number of assets and seconds of the collections that are meant."""
    sizes = {found: (num, seconds) for found, _, num, seconds in queries.collection_sizes(session)}
    sizes.setdefault(LIBRARY, (0, 0.0))
    if name is not None and name not in sizes:
        raise ConfigError(
            f"there is no collection {name!r}",
            hint=f"search in one of: {', '.join(sorted(sizes))}; or leave out --in to search in all of them",
        )
    return [(found, *size) for found, size in sorted(sizes.items()) if name in {None, found}]


def _memberships(session: Session, asset_ids: Sequence[int], names: set[str]) -> dict[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = {}
    for start in range(0, len(asset_ids), _PAGE):
        page = asset_ids[start : start + _PAGE]
        library, sets = library_members(session, page), reference_sets_of(session, page)
        for asset_id in page:
            of_asset = ((LIBRARY,) if asset_id in library else ()) + sets.get(asset_id, ())
            if searched := tuple(name for name in of_asset if name in names):
                found[asset_id] = searched
    return found


def _unreadable(session: Session, name: str | None) -> tuple[str, ...]:
    if name not in {None, LIBRARY}:
        return tuple(holdings.rejected_reference_files(session))
    of_references = set() if name is None else set(holdings.rejected_reference_files(session))
    paths = [rejection.subject for rejection in holdings.rejected_files(session)]
    return tuple(path for path in paths if path not in of_references)


def read_query(
    project: Project,
    path: Path,
    encoder: Encoder,
    folder: Path,
    *,
    name: str,
    on_progress: Callable[[int], None] = lambda _seconds: None,
) -> Query:
    """Embed the clip at `path` into `folder`, unless the same bytes are embedded already.

    `on_progress` gets the seconds of footage decoded since it was called last.

    Raises `MediaError` if the clip cannot be read whole, or changes while it is read.
    """
    stamp = stamp_of(path)
    digest = file_digest(path)
    with project.session() as session:
        known = queries.find_asset(session, digest.sha256)
    if known is not None and VectorStore(project.vectors).has(digest.sha256, encoder.identity):
        folder, duration_seconds = project.vectors, known.duration_seconds
    else:
        reader = Reader(folder, project.settings, encoder, paced=_telling(on_progress))
        outcome = reader.read(
            FileToRead(
                path=path,
                sha256=digest.sha256,
                size_bytes=digest.size_bytes,
                stamp=stamp,
                wants_pictures=True,
                wants_sound=False,
            )
        )
        if isinstance(outcome, FileUnread):
            raise MediaError(outcome.detail.replace(printable_path(path), name), code=outcome.code)
        assert outcome.pictures is not None, "they were wanted"
        duration_seconds = outcome.pictures.duration_seconds
    store = QueryStore(project.vectors, query_folder=folder, query_sha256=digest.sha256)
    rows = store.read(digest.sha256, encoder.identity)
    whole = rows.of_view(0)
    # A run stands for as many samples as it holds.
    still_N = (rows.end_seconds_N - rows.seconds_N)[whole] * project.settings.samples_per_second
    samples_N = 1 + np.rint(still_N).astype(np.int64)
    return Query(
        path=path,
        name=name,
        sha256=digest.sha256,
        duration_seconds=duration_seconds,
        num_samples=int(samples_N.sum()),
        num_textured=int(samples_N[rows.is_textured_N[whole]].sum()),
        store=store,
    )


def _telling(on_progress: Callable[[int], None]) -> Callable[[Frames], Frames]:
    """Return how frames are decoded ahead while `on_progress` is told of every second of them."""

    def told(frames: Frames) -> Frames:
        seconds = 0
        with closing(read_ahead(frames)) as ahead:
            for frame in ahead:
                if frame.seconds >= seconds + 1:
                    on_progress(int(frame.seconds) - seconds)
                    seconds = int(frame.seconds)
                yield frame

    return told


def look_up(
    project: Project,
    query: Query,
    scope: Scope,
    identity: EncoderIdentity,
    detector: Detector,
    *,
    on_progress: Callable[[int], None] = lambda _assets: None,
) -> Lookup:
    """Compare a clip with everything in scope.

    `on_progress` gets the number of assets of each batch that is done. Memory is bounded by a batch.

    Raises `EncoderError` if stored vectors are damaged or were made by other rules.
    """
    others = [sha256 for sha256 in scope.assets if sha256 != query.sha256]
    spans: list[MatchSpan] = []
    period_seconds = 1 / project.settings.samples_per_second
    for num_assets, nominator in _parts(project, query.store, identity, others):
        spans += find_matches(
            query.store, identity, [query.sha256], nominator, detector, period_seconds=period_seconds
        )
        on_progress(num_assets)
    occurrences = [*_same_bytes(project, query, scope), *_occurrences(project, scope, spans)]
    order = list(MatchTier)
    occurrences.sort(
        key=lambda found: (order.index(found.tier), -found.probability, found.name, found.query_start_seconds)
    )
    return Lookup(
        occurrences=tuple(occurrences), gaps=tuple(_gaps(project, query, scope, identity, detector))
    )


def _parts(
    project: Project, store: VectorStore, identity: EncoderIdentity, others: Sequence[str]
) -> Iterator[tuple[int, Nominator]]:
    """Yield what to search with, and how many assets are done with it: an index, or a batch at a time."""
    nominator = nominator_for(project, identity, others)
    if not isinstance(nominator, ExactNominator):
        yield len(others), nominator
        return
    for start in range(0, len(others), _BATCH_ASSETS):
        batch = others[start : start + _BATCH_ASSETS]
        yield len(batch), ExactNominator(store, identity, batch)


def _same_bytes(project: Project, query: Query, scope: Scope) -> Iterator[Occurrence]:
    """Yield the asset with the clip's own bytes, which needs no vectors to be seen."""
    with project.session() as session:
        known = queries.find_asset(session, query.sha256)
        if known is None:
            return
        names = {collection.name for collection in scope.collections}
        collections = _memberships(session, [known.id], names).get(known.id)
        paths = queries.asset_paths(session, [known.id]).get(known.id, ())
    if collections is not None:
        yield Occurrence(
            asset_id=known.id,
            asset_sha256=known.sha256,
            paths=tuple(path_of(path) for path in paths),
            collections=collections,
            tier=MatchTier.EXACT,
            probability=1.0,
            query_start_seconds=0.0,
            query_end_seconds=known.duration_seconds,
            other_start_seconds=0.0,
            other_end_seconds=known.duration_seconds,
        )


def _occurrences(project: Project, scope: Scope, spans: Sequence[MatchSpan]) -> list[Occurrence]:
    ids = sorted({scope.assets[span.other_sha256] for span in spans})
    paths: dict[int, tuple[str, ...]] = {}
    with project.session() as session:
        for start in range(0, len(ids), _PAGE):
            paths |= queries.asset_paths(session, ids[start : start + _PAGE])
    return [_occurrence(span, scope, paths) for span in spans]


def _occurrence(span: MatchSpan, scope: Scope, paths: Mapping[int, tuple[str, ...]]) -> Occurrence:
    asset_id = scope.assets[span.other_sha256]
    return Occurrence(
        asset_id=asset_id,
        asset_sha256=span.other_sha256,
        paths=tuple(path_of(path) for path in paths.get(asset_id, ())),
        collections=scope.memberships[asset_id],
        tier=span.tier,
        probability=span.probability,
        query_start_seconds=span.query_start_seconds,
        query_end_seconds=span.query_end_seconds,
        other_start_seconds=span.other_start_seconds,
        other_end_seconds=span.other_end_seconds,
        speed=span.speed,
        is_mirrored=span.is_mirrored,
        query_view=span.query_view,
        other_view=span.other_view,
        evidence=asdict(span.evidence),
    )


def _gaps(
    project: Project, query: Query, scope: Scope, identity: EncoderIdentity, detector: Detector
) -> Iterator[Gap]:
    if query.num_textured < detector.min_samples:
        yield Gap(
            "file.too_plain",
            f"{query.name} has {query.num_textured} sampled pictures with texture, "
            f"too few to compare: {detector.min_samples} are needed",
        )
    if not any(collection.num_assets for collection in scope.collections):
        yield Gap("collection.empty", "there is nothing to compare with")
    for collection in scope.collections:
        if num := collection.num_assets - collection.num_compared:
            yield Gap(
                "asset.no_vectors",
                f"{collection.name}: {num} of {collection.num_assets} assets have no vectors of this encoder; "
                "ingest their files again",
            )
    if num_plain := _num_plain(project, scope, identity, detector.min_samples):
        yield Gap("asset.too_plain", f"reference assets too short or too plain to be recognised: {num_plain}")
    if scope.unreadable_paths:
        shown = printable_path(path_of(scope.unreadable_paths[0]))
        yield Gap(
            "source.unreadable",
            f"offered files that could not be read: {len(scope.unreadable_paths)}, such as {shown}",
        )


def _num_plain(project: Project, scope: Scope, identity: EncoderIdentity, min_samples: int) -> int:
    with project.session() as session:
        texture = holdings.reference_texture(session, identity.digest)
    return sum(num < min_samples for asset_id, _, num in texture if asset_id in scope.memberships)
