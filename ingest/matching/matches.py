"""Matches: which seconds of one asset are a copy of which seconds of another.

Three steps, each stricter than the one before:

1. Nearest neighbours nominate: pairs of sampled frames whose vectors are alike (`ingest.matching.nomination`).
2. Alignment over time: hits that lie on a line form segments.
3. The pictures decide. Both are in `ingest.matching.judging`, pair by pair, on as many processes as are worth it.

Without the third step other takes before the same wall would match; the measurement is in docs/matching.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from ingest.encoders.encoder import EncoderIdentity
from ingest.matching.alignment import PairHits
from ingest.matching.geometry import use_one_thread
from ingest.matching.judging import NominatedPair, PairJudge, Views
from ingest.matching.nomination import ExactNominator, Nominator, ViewPair
from ingest.matching.scoring import Detector
from ingest.matching.span import MatchSpan
from ingest.pictures.vectors import VectorStore
from ingest.workers import worked

_QUERY_ROWS = 50_000
_WORTH_A_WORKER = 12
"""Pairs: judging fewer takes less time than a process takes to begin."""

_MOST_WORKERS = 8
"""Each may hold the pictures of 24 films, some 25 MB of each."""

_own_judge: PairJudge | None = None
"""Of this process, if it is a worker."""


def find_matches(
    store: VectorStore,
    identity: EncoderIdentity,
    queries: Sequence[str],
    others: Nominator | Iterable[str],
    detector: Detector,
    *,
    period_seconds: float = 0.5,
    num_workers: int = 1,
) -> Iterator[MatchSpan]:
    """Find what `queries` share with `others`; both are SHA-256 digests of assets that `identity` embedded.

    `others` are compared exactly, or by the nominator that is given in their place.

    An asset is never compared with itself, so identical bytes are the caller's to see. Where two assets are in both
    lists the shorter one is the query: it lies whole in the longer one more often than the other way round.
    `period_seconds` is how far samples are apart. Memory is bounded by a block of vectors, not by the library. With
    several workers the pairs are shared out; spans come in the same order.

    Raises `EncoderError` if an asset has no vectors of this encoder.
    """
    # Some rereading for a smaller memory: all hits of one batch of queries are held at once.
    nominator = others if isinstance(others, Nominator) else ExactNominator(store, identity, others)
    by_length = sorted(set(queries), key=lambda sha256: (store.num_bytes(sha256, identity), sha256))
    turn = {sha256: number for number, sha256 in enumerate(by_length)}
    arguments = (store, identity, detector, period_seconds)
    here = PairJudge(*arguments)
    for batch in store.blocks(queries, identity, max_rows=_QUERY_ROWS):
        nominated = nominator.nominate(
            batch, min_similarity=detector.min_similarity, period_seconds=period_seconds
        )
        pairs = _asset_pairs(nominated, turn, frozenset(batch.assets))
        num_worth = min(num_workers, _MOST_WORKERS, len(pairs) // _WORTH_A_WORKER)
        if num_worth <= 1:
            yield from (span for pair in pairs for span in here.spans(pair))
        else:
            yield from _shared_out(pairs, num_worth, arguments)


def _asset_pairs(
    nominated: Iterable[tuple[ViewPair, PairHits]], turn: Mapping[str, int], present: frozenset[str]
) -> list[NominatedPair]:
    """Gather the hits of all views of each two assets, the one whose turn comes first as the query; in order."""
    hits: dict[tuple[str, str], dict[Views, PairHits]] = defaultdict(dict)
    for pair, part in nominated:
        near, far = (pair.query_sha256, pair.query_view), (pair.other_sha256, pair.other_view)
        if turn.get(far[0], len(turn)) > turn[near[0]]:
            hits[near[0], far[0]][near[1], far[1]] = part
        elif far[0] in present:
            # An approximate index may have found it from this side only.
            hits[far[0], near[0]].setdefault((far[1], near[1]), part.swapped())
    return [
        NominatedPair(query, other, by_views, is_other_searched=other in turn)
        for (query, other), by_views in sorted(hits.items(), key=lambda item: item[0])
    ]


def _shared_out(
    pairs: Sequence[NominatedPair],
    num_workers: int,
    arguments: tuple[VectorStore, EncoderIdentity, Detector, float],
) -> Iterator[MatchSpan]:
    """Judge pairs on several processes; those of one query together, which decodes its pictures once."""
    by_query = groupby(pairs, key=lambda pair: pair.query_sha256)
    duties = [_Duty(number, tuple(group)) for number, (_, group) in enumerate(by_query)]
    early: dict[int, list[MatchSpan]] = {}
    turn = 0
    for number, spans in worked(
        _judge, duties, num_workers=num_workers, prepare=_prepare, arguments=arguments
    ):
        early[number] = spans
        while turn in early:
            yield from early.pop(turn)
            turn += 1


@dataclass(frozen=True, eq=False)
class _Duty:
    """What a worker does at a time."""

    number: int
    pairs: tuple[NominatedPair, ...]


def _prepare(
    store: VectorStore, identity: EncoderIdentity, detector: Detector, period_seconds: float
) -> None:
    """Become a worker."""
    global _own_judge  # noqa: PLW0603 - a worker keeps the pictures it decoded from duty to duty.
    use_one_thread()
    _own_judge = PairJudge(store, identity, detector, period_seconds)


def _judge(duty: _Duty) -> tuple[int, list[MatchSpan]]:
    assert _own_judge is not None, "a worker calls `_prepare` first"
    return duty.number, [span for pair in duty.pairs for span in _own_judge.spans(pair)]
