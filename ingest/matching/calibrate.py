"""Calibrate: how sure a detector is, and how much it misses, measured on the user's own footage.

Copies of the footage are made by many kinds of attack (`ingest.attacks.suite`), hidden among footage that is not in the
references, and put to the detector. What it saw of every pair trains the probability; each pair is judged by a model
that has not learnt from its content, and on those judgements the threshold and the recall rest.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from db.canonical import digest_of
from db.errors import ConfigError
from ingest.attacks.bases import Base
from ingest.attacks.corpus import Unwritten, Written, write_queries, write_references
from ingest.attacks.suite import AttackSuite, PlannedQuery, PlannedReference, Relation, Role, relation_of
from ingest.encoders.compute import choose_compute
from ingest.encoders.encoder import Encoder, EncoderIdentity, open_encoder
from ingest.matching.calibration import (
    cross_fitted_probabilities,
    fit_logistic,
    proportion_bounds,
    recall_row,
    recall_table,
    threshold_for_precision,
)
from ingest.matching.detectors import starting_detector
from ingest.matching.matches import find_matches
from ingest.matching.scoring import Detector, Weights
from ingest.matching.span import MatchSpan
from ingest.media.digests import file_digest
from ingest.pictures.embedding import embed_file
from ingest.pictures.vectors import VectorStore
from ingest.workers import ItemT, ResultT, worked

_QUERIES_AT_ONCE = 16
_NUM_FOLDS = 5
_LEAST_PROBABILITY = 0.5
_CANDIDATE_SHARE = 0.4
"""Of the threshold: a pair that is nearly half as likely to be a copy as one that counts is for a person to look at."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a query is to a reference, and the span that came nearest to a copy; None: they were not nominated."""

    query: PlannedQuery
    reference: PlannedReference
    relation: Relation
    span: MatchSpan | None


@dataclass(frozen=True)
class _Embedded:
    """The file of a query, or why there is none."""

    query: PlannedQuery
    sha256: str | None
    code: str = ""


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """Where a calibration keeps its corpus, and what it embeds it with."""

    folder: Path
    encoder_spec: str | None
    samples_per_second: int
    num_workers: int

    @property
    def store(self) -> VectorStore:
        """Vectors of the corpus, kept apart from those of the library."""
        return VectorStore(self.folder / "vectors")


def judge_suite(
    suite: AttackSuite, place: Workplace, identity: EncoderIdentity, *, on_progress: Callable[[int], None]
) -> tuple[list[Judged], Counter[str]]:
    """Make the corpus of a suite, embed it, and put every query to every reference.

    Returns all pairs with a relation other than "same group", and how many parts of the suite could not be made, by
    reason. `on_progress` gets the number of queries that were made, and again when they were searched. Running it
    again goes on where it was interrupted.
    """
    left_out: Counter[str] = Counter()
    references: dict[str, PlannedReference] = {}
    queries: list[_Embedded] = []
    for part in _in_workers(_make, _by_base(suite), place):
        for planned, sha256, code in part.references:
            left_out.update([code] if code else [])
            references |= {sha256: planned} if sha256 else {}
        left_out.update(query.code for query in part.queries if query.code)
        queries += [query for query in part.queries if query.sha256]
        on_progress(len(part.queries))
    detector = _judging_all(starting_detector(identity))
    batches = [queries[at : at + _QUERIES_AT_ONCE] for at in range(0, len(queries), _QUERIES_AT_ONCE)]
    searches = [_Searched(tuple(batch), tuple(references), detector) for batch in batches]
    judged: list[Judged] = []
    for batch, nearest in _in_workers(_search, searches, place):
        judged += _pairs(batch.queries, references, nearest)
        on_progress(len(batch.queries))
    # Workers finish in any order; what follows must not depend on it.
    judged.sort(key=lambda pair: (pair.query.name, pair.reference.name))
    return judged, left_out


def _in_workers(
    task: Callable[[ItemT], ResultT], items: Iterable[ItemT], place: Workplace
) -> Iterator[ResultT]:
    return worked(task, items, num_workers=place.num_workers, prepare=_prepare, arguments=(place,))


@dataclass(frozen=True)
class _Made:
    """All files that come of one base."""

    references: Sequence[tuple[PlannedReference, str | None, str]]
    queries: Sequence[_Embedded]


@dataclass(frozen=True)
class _Searched:
    """Queries to be put to the references."""

    queries: tuple[_Embedded, ...]
    references: tuple[str, ...]
    detector: Detector


def _by_base(suite: AttackSuite) -> Iterator[AttackSuite]:
    """Cut a suite into those of one base each: its excerpts are decoded once for all its queries."""
    queries: dict[str, list[PlannedQuery]] = defaultdict(list)
    for query in suite.queries:
        queries[query.base.sha256].append(query)
    references = {reference.base.sha256: reference for reference in suite.references}
    for sha256, of_base in queries.items():
        mine = (references[sha256],) if sha256 in references else ()
        yield replace(suite, references=mine, queries=tuple(of_base))


_worker: dict[str, Any] = {}
"""What a worker process opened: its place and its encoder."""


def _prepare(place: Workplace) -> None:
    encoder = open_encoder(place.encoder_spec, choose_compute()).encoder
    _worker.update(place=place, encoder=encoder)


def _make(suite: AttackSuite) -> _Made:
    place: Workplace = _worker["place"]
    references = [
        (made.planned, _embedded(made.path), "")
        if isinstance(made, Written)
        else (made.planned, None, made.code)
        for made in write_references(suite, place.folder)
    ]
    queries = [
        _Embedded(made.planned, None, made.code)
        if isinstance(made, Unwritten)
        else _Embedded(made.planned, _embedded(made.path))
        for made in write_queries(suite, place.folder)
    ]
    return _Made(references, queries)


def _embedded(path: Path) -> str:
    place: Workplace = _worker["place"]
    encoder: Encoder = _worker["encoder"]
    sha256 = file_digest(path).sha256
    if not place.store.has(sha256, encoder.identity):
        embed_file(path, sha256, place.store, encoder, samples_per_second=place.samples_per_second)
    return sha256


def _search(batch: _Searched) -> tuple[_Searched, dict[tuple[str, str], MatchSpan]]:
    """Return the surest span of each pair that was nominated."""
    place: Workplace = _worker["place"]
    encoder: Encoder = _worker["encoder"]
    nearest: dict[tuple[str, str], MatchSpan] = {}
    spans = find_matches(
        place.store,
        encoder.identity,
        [query.sha256 for query in batch.queries if query.sha256],
        batch.references,
        batch.detector,
        period_seconds=1 / place.samples_per_second,
    )
    for span in spans:
        pair = (span.query_sha256, span.other_sha256)
        if pair not in nearest or span.probability > nearest[pair].probability:
            nearest[pair] = span
    return batch, nearest


def _judging_all(detector: Detector) -> Detector:
    """Return a detector that says something of every pair it looks at."""
    return replace(detector, min_candidate=0.0)


def _pairs(
    queries: Iterable[_Embedded],
    references: dict[str, PlannedReference],
    nearest: dict[tuple[str, str], MatchSpan],
) -> Iterator[Judged]:
    for embedded in queries:
        for sha256, reference in references.items():
            relation = relation_of(embedded.query, reference)
            if relation is not Relation.SAME_GROUP and embedded.sha256 != sha256:
                span = nearest.get((embedded.sha256 or "", sha256))
                yield Judged(query=embedded.query, reference=reference, relation=relation, span=span)


def calibrate(
    judged: Sequence[Judged], detector: Detector, *, precision: float, seed: int, about: dict[str, Any]
) -> tuple[Detector, dict[str, Any]]:
    """Fit a detector to judged pairs; return it with the measurement that says how good it is.

    `about` says what was measured on; it becomes part of the measurement. Siblings teach the model and are counted
    apart: the same camera at another time is no copy, and the hardest thing to tell from one.

    Raises `ConfigError` if there are too few copies or others to learn from, or no threshold reaches `precision`.
    """
    seen = [pair for pair in judged if pair.span is not None]
    features = [pair.span.evidence.features() for pair in seen if pair.span is not None]
    is_copy = [pair.relation is Relation.COPY for pair in seen]
    if not any(is_copy) or all(is_copy):
        raise ConfigError(
            "no copies, or nothing but copies, were nominated: there is nothing to tell apart",
            hint="calibrate on more footage, of several contents",
        )
    groups = [pair.query.base.group for pair in seen], [pair.reference.base.group for pair in seen]
    scores = cross_fitted_probabilities(
        features,
        is_copy,
        query_groups_N=groups[0],
        reference_groups_N=groups[1],
        num_folds=min(_NUM_FOLDS, len(set(groups[0]))),
        seed=seed,
    )
    # On a few hundred clips any threshold may look precise; odds below even are not asked to carry a decision.
    threshold = max(_LEAST_PROBABILITY, threshold_for_precision(scores, is_copy, precision).score)
    model = fit_logistic(features, is_copy)
    by_pair = {id(pair): float(score) for pair, score in zip(seen, scores, strict=True)}
    measurement = about | {
        "precision_asked": precision,
        "threshold": threshold,
        "seed": seed,
        **_counts(judged, by_pair, threshold),
        **_edges(seen, by_pair, threshold),
    }
    calibrated = replace(
        detector,
        weights=Weights(intercept=model.intercept, coefficients=model.weights_F),
        min_probability=threshold,
        min_candidate=_CANDIDATE_SHARE * threshold,
        calibration_sha256=digest_of(measurement),
    )
    return calibrated, measurement


def _counts(judged: Sequence[Judged], scores: dict[int, float], bar: float) -> dict[str, Any]:
    def is_found(pair: Judged) -> bool:
        return scores.get(id(pair), 0.0) >= bar

    copies = [pair for pair in judged if pair.relation is Relation.COPY]
    strangers = [pair for pair in judged if pair.relation is Relation.STRANGER]
    siblings = [pair for pair in judged if pair.relation is Relation.SIBLING]
    num_false = sum(map(is_found, strangers))
    overall = recall_row("all", sum(map(is_found, copies)), len(copies))
    by_kind = recall_table((pair.query.kind.value, is_found(pair)) for pair in copies)
    return {
        "recall": asdict(overall),
        "recall_by_attack": [asdict(row) for row in sorted(by_kind, key=lambda row: row.name)],
        "num_false": num_false,
        "num_strangers": len(strangers),
        "false_rate_bound": proportion_bounds(num_false, len(strangers))[1] if strangers else 1.0,
        "num_sibling_copies": sum(map(is_found, siblings)),
        "num_siblings": len(siblings),
        "num_not_nominated": sum(pair.span is None for pair in copies),
        "num_negative_queries": len({p.query.name for p in judged if p.query.role is Role.NEGATIVE}),
    }


def _edges(seen: Sequence[Judged], scores: dict[int, float], bar: float) -> dict[str, Any]:
    """Say how exact the seconds of found copies are."""
    import numpy as np

    errors, shares = [], []
    for pair in seen:
        expected, span = pair.query.reference_seconds, pair.span
        if pair.relation is not Relation.COPY or expected is None or span is None or scores[id(pair)] < bar:
            continue
        start, end = span.other_start_seconds, span.other_end_seconds
        shared = max(0.0, min(end, expected.end_seconds) - max(start, expected.start_seconds))
        shares.append(shared / (expected.seconds + end - start - shared))
        errors += [abs(start - expected.start_seconds), abs(end - expected.end_seconds)]
    return {
        "median_edge_error_seconds": round(float(np.median(errors)), 3) if errors else None,
        "mean_overlap": round(float(np.mean(shares)), 3) if shares else None,
    }


def bases_of(found: Iterable[Base]) -> list[Base]:
    """Return the bases a suite is planned with, each content once: the same bytes twice teach nothing."""
    return list({base.sha256: base for base in found}.values())
