"""Nomination: which frames of a library are alike enough to frames of a query for the pictures to be compared.

Two ways lead to the same hits. The exact one compares a batch of query rows with every stored row; that is fine up to
about 20 million rows. Above, an index (`ingest.index.shards`) names rows that may be alike, and those are scored again
with the stored vectors, so that a score never depends on how its pair was found: an approximate index can miss a pair,
but not invent one. Assets that the index does not hold yet are compared exactly as well.

Shapes: Q query rows, D dimensions, P pairs, H hits.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from ingest.encoders.normalization import Normalization, load_normalization
from ingest.errors import EncoderError
from ingest.index.exact import FrameIndex
from ingest.index.identity import IndexIdentity
from ingest.index.kind import EXACT_ROWS
from ingest.index.manifest import check_sizes, is_index, read_manifest
from ingest.index.recall import NEIGHBOURS, NOMINATIONS
from ingest.index.sharded import ShardedIndex
from ingest.index.shards import assets_of
from ingest.matching.alignment import PairHits, expand_runs
from ingest.pictures.vectors import VectorStore, recipe_digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from db.project import Project
    from ingest.encoders.encoder import EncoderIdentity
    from ingest.index.identity import Vectors
    from ingest.index.manifest import IndexManifest
    from ingest.index.sharded import Nominations
    from ingest.pictures.vectors import VectorBlock

_logger = logging.getLogger(__name__)

_BLOCK_ROWS = 250_000
_CACHED_ROWS = 250_000
_QUERY_ROWS = 1024
_PILE_PAIRS = 8_000_000
"""Nominated pairs that are gathered before they are scored: the more, the fewer files are read twice."""
_SCORED_PAIRS = 4096
_ROUNDING = 2e-3
"""More than single or half precision can be wrong by about an inner product of unit vectors."""
_WIDENING = 4
_MOST_NOMINATIONS = 16_384
_ROW_BYTES, _FILE_BYTES = 100, 4000
"""What a stored row takes beside its vector, and a file beside its rows; measured on files of 1 to 5,000 rows."""
_PAIR = np.dtype(
    [
        ("query", np.int64),
        ("other", np.int32),  # which asset, -1 where it is not to be looked at
        ("view", np.int16),
        ("seconds", np.float64),
        ("end_seconds", np.float64),
        ("score", np.float32),
        ("is_far", np.bool_),  # in the farther half of what was named for the query
    ]
)


@dataclass(frozen=True)
class ViewPair:
    """A view of a query asset and a view of another asset."""

    query_sha256: str
    other_sha256: str
    query_view: int
    other_view: int


@runtime_checkable
class Nominator(Protocol):
    """Finds what in a given set of assets is like the rows of a query."""

    def nominate(
        self, batch: VectorBlock, *, min_similarity: float, period_seconds: float
    ) -> Iterator[tuple[ViewPair, PairHits]]:
        """Yield the hits of `batch`, whole query assets, with every view of every other asset; each pair once.

        A hit is a pair of samples whose stored vectors have an inner product of at least `min_similarity`; runs of
        still frames are the samples they stand for, `period_seconds` apart. Raises `EncoderError` if an asset has no
        vectors or damaged ones.
        """


class ExactNominator:
    """Compares a query with every row of `others`; memory is bounded by a block of rows."""

    def __init__(self, store: VectorStore, identity: EncoderIdentity, others: Iterable[str]) -> None:
        self._store = store
        self._identity = identity
        self._others = tuple(dict.fromkeys(others))

    def nominate(
        self, batch: VectorBlock, *, min_similarity: float, period_seconds: float
    ) -> Iterator[tuple[ViewPair, PairHits]]:
        """Yield hits as `Nominator` says; none is missed."""
        for block in self._store.blocks(self._others, self._identity, max_rows=_BLOCK_ROWS):
            found = FrameIndex(block.vectors_ND).search_above(batch.vectors_ND, min_similarity)
            pairs = np.zeros(found.num_pairs, dtype=_PAIR)
            pairs["query"], pairs["score"] = found.query_P, found.score_P
            pairs["other"], pairs["view"] = block.asset_N[found.row_P], block.view_N[found.row_P]
            pairs["seconds"] = block.seconds_N[found.row_P]
            pairs["end_seconds"] = block.end_seconds_N[found.row_P]
            yield from _hits(batch, block.assets, pairs, period_seconds)


@dataclass(frozen=True, kw_only=True)
class LibraryIndex:
    """The index of a project for one encoder: where it lies, or would lie, and whose vectors it must hold."""

    folder: Path
    identity: IndexIdentity

    @property
    def is_there(self) -> bool:
        """Whether one was built, fitting or not."""
        return is_index(self.folder)

    def manifest(self) -> IndexManifest:
        """Read what it holds. Raises `EncoderError` if it is another's, or what its shards share is damaged."""
        manifest = read_manifest(self.folder)
        self.identity.check(self.folder, manifest)
        check_sizes(self.folder, manifest.files)
        return manifest


class IndexNominator:
    """Asks an index, scores again what it names, and compares exactly what it does not hold."""

    def __init__(
        self, store: VectorStore, identity: EncoderIdentity, index: LibraryIndex, others: Iterable[str]
    ) -> None:
        """Open the index. Raises `EncoderError` if it is of another encoder or transform, or damaged."""
        self._num_rows = index.manifest().num_rows
        wanted = tuple(dict.fromkeys(others))
        present = assets_of(index.folder)
        self._folder = index.folder
        self._keeps_scores = index.identity.transform is None
        self._index = ShardedIndex(index.folder, index.identity)
        self._rows = _StoredRows(store, identity)
        self._assets = tuple(asset for asset in wanted if asset in present)
        self._numbers = {asset: number for number, asset in enumerate(self._assets)}
        beyond = [asset for asset in wanted if asset not in present]
        self.num_beyond_index = len(beyond)
        """How many of the assets the index does not hold: they are compared exactly."""
        self._beyond = ExactNominator(store, identity, beyond)

    def nominate(
        self, batch: VectorBlock, *, min_similarity: float, period_seconds: float
    ) -> Iterator[tuple[ViewPair, PairHits]]:
        """Yield hits as `Nominator` says; of indexed assets those that the index names."""
        search = self._above if self._keeps_scores else self._among_nearest
        found = search(batch, min_similarity)
        # The order in which exact search finds them.
        found = found[np.lexsort((found["seconds"], found["view"], found["other"], found["query"]))]
        yield from _hits(batch, self._assets, found, period_seconds)
        yield from self._beyond.nominate(batch, min_similarity=min_similarity, period_seconds=period_seconds)

    def _above(self, batch: VectorBlock, min_similarity: float) -> NDArray[np.void]:
        """Return the like ones of the rows whose score in the index is high enough."""
        limit = min_similarity - _ROUNDING
        named = (
            self._named(batch, rows, self._index.search_above(batch.vectors_ND[rows], limit))
            for rows in _parts(np.arange(len(batch.vectors_ND)))
        )
        found = [self._alike(batch, pile, min_similarity) for pile in _piled(named)]
        return np.concatenate([_no_pairs(), *found])

    def _among_nearest(self, batch: VectorBlock, min_similarity: float) -> NDArray[np.void]:
        """Return the like ones of the nearest rows; for an index of transformed vectors, whose scores are others.

        A query is asked again with more of them as long as the farther half holds a like row, or one that is not to
        be looked at.
        """
        found = [_no_pairs()]
        open_Q = np.arange(len(batch.vectors_ND))
        num_neighbours = NOMINATIONS
        while len(open_Q):
            named = (
                self._named(batch, rows, self._index.search(batch.vectors_ND[rows], num_neighbours))
                for rows in _parts(open_Q)
            )
            is_open_Q = np.zeros(len(batch.vectors_ND), dtype=np.bool_)
            alike = [_no_pairs()]
            for pile in _piled(named):
                alike.append(self._alike(batch, pile, min_similarity))
                for part in (alike[-1], pile[pile["other"] < 0]):
                    is_open_Q[part["query"][part["is_far"]]] = True
            if not self._can_widen(num_neighbours, int(is_open_Q.sum())):
                is_open_Q[:] = False
            level = np.concatenate(alike)
            found.append(level[~is_open_Q[level["query"]]])
            open_Q = np.flatnonzero(is_open_Q)
            num_neighbours *= _WIDENING
        return np.concatenate(found)

    def _can_widen(self, num_neighbours: int, num_open: int) -> bool:
        """Return whether asking for more can give more; say so where it could, but would cost too much."""
        if num_neighbours >= self._num_rows:
            return False
        if num_open and num_neighbours >= _MOST_NOMINATIONS:
            _logger.warning(
                "%s: %d query rows are like more than the %d nearest rows, the rest was not looked at",
                self._folder,
                num_open,
                num_neighbours,
            )
        return num_neighbours < _MOST_NOMINATIONS

    def _named(self, batch: VectorBlock, rows_Q: NDArray[np.int64], names: Nominations) -> NDArray[np.void]:
        """Return what the index names for some rows of the batch, as pairs that are not scored yet."""
        numbers = np.array([self._numbers.get(asset, -1) for asset in names.assets], dtype=np.int32)
        own_A = np.array([self._numbers.get(asset, -1) for asset in batch.assets], dtype=np.int32)
        pairs = np.zeros(names.num_pairs, dtype=_PAIR)
        pairs["query"] = rows_Q[names.query_P]
        pairs["other"] = numbers[names.asset_P] if len(numbers) else -1
        pairs["other"][pairs["other"] == own_A[batch.asset_N[pairs["query"]]]] = -1
        pairs["view"], pairs["seconds"] = names.view_P, names.seconds_P
        rank_P = np.arange(names.num_pairs) - np.searchsorted(names.query_P, names.query_P)
        num_Q = np.bincount(names.query_P, minlength=len(rows_Q))
        pairs["is_far"] = rank_P >= num_Q[names.query_P] // 2
        return pairs

    def _alike(self, batch: VectorBlock, pairs: NDArray[np.void], min_similarity: float) -> NDArray[np.void]:
        """Score pairs with the stored vectors and return those that are alike."""
        pairs = pairs[pairs["other"] >= 0]
        pairs = pairs[np.argsort(pairs["other"], kind="stable")]
        found = [_no_pairs()]
        for chosen in np.split(pairs, np.flatnonzero(np.diff(pairs["other"])) + 1) if len(pairs) else ():
            asset = self._assets[chosen["other"][0]]
            rows = self._rows.of(asset)
            at_P = _positions(rows, chosen)
            if at_P.min() < 0:
                raise EncoderError(
                    f"{self._folder}: asset {asset[:16]} was embedded anew since it was indexed",
                    hint="run `cleartitle index drop`, then `cleartitle index build`",
                )
            chosen["end_seconds"] = rows.end_seconds_N[at_P]
            chosen["score"] = _scores(batch.vectors_ND, chosen["query"], rows.vectors_ND, at_P)
            found.append(chosen[chosen["score"] >= min_similarity])
        return np.concatenate(found)


class _StoredRows:
    """Reads the textured rows of assets; keeps those read last, as far as they fit."""

    def __init__(self, store: VectorStore, identity: EncoderIdentity) -> None:
        self._store = store
        self._identity = identity
        self._blocks: OrderedDict[str, VectorBlock] = OrderedDict()
        self._num_rows = 0

    def of(self, asset: str) -> VectorBlock:
        """Return one asset's rows. Raises `EncoderError` if they cannot be read."""
        if asset in self._blocks:
            self._blocks.move_to_end(asset)
            return self._blocks[asset]
        (block,) = self._store.blocks([asset], self._identity)
        self._blocks[asset] = block
        self._num_rows += len(block.seconds_N)
        while self._num_rows > _CACHED_ROWS and len(self._blocks) > 1:
            _, oldest = self._blocks.popitem(last=False)
            self._num_rows -= len(oldest.seconds_N)
        return block


def _no_pairs() -> NDArray[np.void]:
    return np.empty(0, dtype=_PAIR)


def _parts(rows_Q: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(rows_Q), _QUERY_ROWS):
        yield rows_Q[start : start + _QUERY_ROWS]


def _piled(parts: Iterable[NDArray[np.void]]) -> Iterator[NDArray[np.void]]:
    """Join parts until there are pairs enough for each stored file to be read for many of them."""
    waiting, num_pairs = [_no_pairs()], 0
    for part in parts:
        waiting.append(part)
        num_pairs += len(part)
        if num_pairs >= _PILE_PAIRS:
            yield np.concatenate(waiting)
            waiting, num_pairs = [_no_pairs()], 0
    yield np.concatenate(waiting)


def _positions(rows: VectorBlock, pairs: NDArray[np.void]) -> NDArray[np.int64]:
    """Return where among an asset's rows those lie that pairs name by view and time; -1 where there is none."""
    at_P = np.full(len(pairs), -1, dtype=np.int64)
    for view in np.unique(pairs["view"]):
        mine = np.flatnonzero(rows.view_N == view)
        if len(mine) == 0:
            continue
        mine = mine[np.argsort(rows.seconds_N[mine], kind="stable")]
        wanted = np.flatnonzero(pairs["view"] == view)
        near = np.searchsorted(rows.seconds_N[mine], pairs["seconds"][wanted]).clip(max=len(mine) - 1)
        is_exact = rows.seconds_N[mine[near]] == pairs["seconds"][wanted]
        at_P[wanted[is_exact]] = mine[near[is_exact]]
    return at_P


def _scores(
    queries_QD: Vectors, query_P: NDArray[np.int64], rows_ND: Vectors, row_P: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return inner products as exact search gives them (`ingest.index.exact`)."""
    score_P = np.empty(len(query_P), dtype=np.float32)
    for start in range(0, len(query_P), _SCORED_PAIRS):
        part = slice(start, start + _SCORED_PAIRS)
        near, far = queries_QD[query_P[part]], rows_ND[row_P[part]]
        score_P[part] = np.einsum("pd,pd->p", near.astype(np.float64), far.astype(np.float64))
    return score_P


def _hits(
    batch: VectorBlock, others: tuple[str, ...], pairs: NDArray[np.void], period_seconds: float
) -> Iterator[tuple[ViewPair, PairHits]]:
    """Yield the pairs of each two views as hits between samples; an asset is never compared with itself."""
    query_P = pairs["query"]
    keys = (batch.asset_N[query_P], pairs["other"], batch.view_N[query_P], pairs["view"])
    for (query, other, query_view, other_view), chosen in _grouped(keys):
        if batch.assets[query] == others[other]:
            continue
        near, far = query_P[chosen], pairs[chosen]
        hits = expand_runs(
            batch.seconds_N[near],
            batch.end_seconds_N[near],
            far["seconds"],
            far["end_seconds"],
            far["score"].astype(np.float64),
            period_seconds=period_seconds,
        )
        yield ViewPair(batch.assets[query], others[other], query_view, other_view), hits


def _grouped(
    keys: tuple[NDArray[np.integer], ...],
) -> Iterator[tuple[tuple[int, ...], NDArray[np.int64]]]:
    """Yield each distinct key with the positions that have it."""
    if len(keys[0]) == 0:
        return
    order = np.lexsort(keys[::-1])
    is_new = np.zeros(len(order) - 1, dtype=np.bool_)
    for key in keys:
        is_new |= np.diff(key[order]) != 0
    for chosen in np.split(order, np.flatnonzero(is_new) + 1):
        yield tuple(int(key[chosen[0]]) for key in keys), chosen


@dataclass(frozen=True)
class _Normalized:
    """A normalisation as an index takes it: the query's correction as a term, not as a dimension of every row."""

    normalization: Normalization
    encoder: EncoderIdentity

    @property
    def digest(self) -> str:
        """Of the normalisation."""
        return self.normalization.digest

    def apply_rows(self, vectors_ND: Vectors) -> NDArray[np.float32]:
        """Map vectors that are indexed."""
        return self.normalization.apply_rows(vectors_ND, self.encoder)[:, :-1]

    def apply_queries(self, vectors_QD: Vectors) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Map vectors that are searched with, and return their corrections."""
        queries = self.normalization.apply_queries(vectors_QD, self.encoder)
        return queries[:, :-1], queries[:, -1]


def normalization_path(project: Project, identity: EncoderIdentity) -> Path:
    """Return where the normalisation fitted for an encoder lies or would lie."""
    return project.store / "normalizations" / f"{identity.digest[:16]}.safetensors"


def index_folder(project: Project, identity: EncoderIdentity) -> Path:
    """Return where the index for an encoder lies or would lie."""
    return project.store / "index" / identity.digest[:16]


def index_of(project: Project, identity: EncoderIdentity) -> LibraryIndex:
    """Return the project's index for an encoder, through its normalisation if one was fitted.

    Raises `EncoderError` if the normalisation is damaged.
    """
    path = normalization_path(project, identity)
    normalized = _Normalized(load_normalization(path), identity) if path.is_file() else None
    # Rows of the same encoder that were cut by other rules lie at other times and show other parts of the picture.
    return LibraryIndex(
        folder=index_folder(project, identity),
        identity=IndexIdentity(encoder_digest=recipe_digest(identity), transform=normalized),
    )


def estimated_rows(store: VectorStore, identity: EncoderIdentity, assets: Iterable[str]) -> int:
    """Estimate how many rows assets have together by the sizes of their files: reading them would take long.

    A missing file counts nothing; whoever reads it next says so.
    """
    num_bytes = 0
    for asset in assets:
        with contextlib.suppress(OSError):
            num_bytes += max(0, store.path(asset, identity).stat().st_size - _FILE_BYTES)
    return num_bytes // (2 * identity.dim + _ROW_BYTES)


def nominator_for(project: Project, identity: EncoderIdentity, others: Collection[str]) -> Nominator:
    """Return what to search `others` with: the project's index if there is one that fits, else exact search."""
    store = VectorStore(project.vectors)
    if is_index(index_folder(project, identity)):
        try:
            nominator = IndexNominator(store, identity, index_of(project, identity), others)
        except EncoderError as exc:
            _logger.warning("compared exactly, the index cannot be used: %s (%s)", exc, exc.hint)
        else:
            _logger.info("%d assets are not in the index, compared exactly", nominator.num_beyond_index)
            return nominator
    elif (num_rows := estimated_rows(store, identity, others)) > EXACT_ROWS:
        _logger.warning(
            "compared exactly with about %d rows; `cleartitle index build` would make it faster", num_rows
        )
    return ExactNominator(store, identity, others)


def index_statement(project: Project, identity: EncoderIdentity) -> str | None:
    """Say what a search with the index in use may miss; None where nothing is missed, or no index is in use."""
    if not is_index(index_folder(project, identity)):
        return None
    try:
        index = index_of(project, identity)
        manifest = index.manifest()
    except EncoderError:  # such an index is not used
        return None
    is_reduced = index.identity.transform is not None
    if manifest.recall is None or (manifest.kind.is_exact and not is_reduced):
        return None
    # Rounded down: what is missed is not to be rounded away.
    share = math.floor(100 * manifest.recall.recall_nominated)
    num_held = len(np.load(index.folder / "held.npy", mmap_mode="r", allow_pickle=False))
    statement = (
        f"nominated by an approximate index: finds {share} % of the true {NEIGHBOURS} nearest "
        f"(measured on {num_held} rows)"
    )
    if is_reduced:
        statement += (
            f" among vectors reduced from {identity.dim} to {manifest.dim} dimensions; "
            "what the reduction itself loses was not measured"
        )
    return statement
