from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from db.errors import ConfigError
from ingest.attacks.bases import Base, survey_bases
from ingest.attacks.recipes import AttackKind
from ingest.attacks.suite import (
    PlannedQuery,
    PlannedReference,
    Relation,
    SuiteSettings,
    plan_suite,
    relation_of,
)
from ingest.encoders.compute import choose_compute
from ingest.encoders.encoder import EncoderIdentity, open_encoder
from ingest.matching.calibrate import Judged, Workplace, bases_of, calibrate, judge_suite
from ingest.matching.detectors import (
    STARTING_DETECTOR,
    calibration_path,
    detector_for,
    read_calibration,
    write_calibration,
)
from ingest.matching.scoring import Evidence
from ingest.matching.span import MatchSpan
from tests.media import moving_scene, write_video

IDENTITY = EncoderIdentity(name="e", weights_sha256="0" * 64, preprocessing="p", dim=4)
ABOUT = {"encoder_digest": IDENTITY.digest, "num_clips": 8}
_KINDS = (AttackKind.PLAIN, AttackKind.MIRRORED, AttackKind.GREY)


def _bases(num: int) -> list[Base]:
    return [
        Base(path=Path(f"{index}.mp4"), sha256=f"{index:064x}", group=f"g{index}", seconds=40.0)
        for index in range(num)
    ]


def _span(query: PlannedQuery, reference: PlannedReference, strength: float) -> MatchSpan:
    evidence = Evidence(
        similarity=strength,
        num_votes=1 + round(10 * strength),
        coverage=strength,
        num_inliers=round(60 * strength),
        texture=strength,
        motion=strength,
        overlap=strength,
        correlation=strength,
        is_moving=True,
        speed=1.0,
        pdq_distance=128 * (1 - strength),
    )
    expected = query.reference_seconds
    start, end = (0.0, 4.0) if expected is None else (expected.start_seconds, expected.end_seconds)
    tier = STARTING_DETECTOR.tier(evidence, 1.0)
    assert tier is not None
    return MatchSpan(
        query_sha256=query.name,
        other_sha256=reference.name,
        query_start_seconds=0.0,
        query_end_seconds=end - start,
        other_start_seconds=start,
        other_end_seconds=end,
        tier=tier,
        probability=strength,
        evidence=evidence,
        speed=1.0,
        is_mirrored=False,
        query_view=0,
        other_view=0,
    )


def _judged(*, copy: float = 0.9, other: float = 0.2) -> list[Judged]:
    """Every query against every reference, as a detector would see them that is nearly always right."""
    suite = plan_suite(_bases(12), seed=1, settings=SuiteSettings(kinds=_KINDS))
    judged = []
    for number, query in enumerate(suite.queries):
        for reference in suite.references:
            relation = relation_of(query, reference)
            strength = (copy if relation is Relation.COPY else other) + 0.01 * (number % 7)
            span = _span(query, reference, strength)
            judged.append(Judged(query=query, reference=reference, relation=relation, span=span))
    return judged


def test_a_calibration_tells_copies_from_others_and_says_how_well() -> None:
    detector, measured = calibrate(_judged(), STARTING_DETECTOR, precision=0.99, seed=1, about=ABOUT)
    assert measured["recall"]["recall"] == 1.0
    assert (measured["num_false"], measured["num_clips"]) == (0, 8)
    assert 0 < measured["false_rate_bound"] < 0.05
    assert {row["name"] for row in measured["recall_by_attack"]} == {kind.value for kind in _KINDS}
    assert measured["median_edge_error_seconds"] == 0.0
    assert detector.min_candidate <= detector.min_probability
    assert detector.calibration_sha256 is not None
    assert detector.digest != STARTING_DETECTOR.digest


def test_copies_that_nobody_nominated_are_counted_as_missed() -> None:
    judged = _judged()
    first = next(number for number, pair in enumerate(judged) if pair.relation is Relation.COPY)
    judged[first] = dataclasses.replace(judged[first], span=None)
    _, measured = calibrate(judged, STARTING_DETECTOR, precision=0.99, seed=1, about=ABOUT)
    assert measured["num_not_nominated"] == 1
    assert measured["recall"]["num_found"] == measured["recall"]["num_queries"] - 1


def test_a_precision_that_cannot_be_reached_is_refused() -> None:
    with pytest.raises(ConfigError, match="precision"):
        calibrate(_judged(copy=0.2), STARTING_DETECTOR, precision=1.0, seed=1, about=ABOUT)


def test_without_anything_to_tell_apart_there_is_no_calibration() -> None:
    only_copies = [pair for pair in _judged() if pair.relation is Relation.COPY]
    with pytest.raises(ConfigError, match="nothing to tell apart"):
        calibrate(only_copies, STARTING_DETECTOR, precision=0.9, seed=1, about=ABOUT)


def test_a_calibrated_detector_serves_its_encoder_alone(tmp_path: Path) -> None:
    detector, measured = calibrate(_judged(), STARTING_DETECTOR, precision=0.99, seed=1, about=ABOUT)
    path = calibration_path(IDENTITY, tmp_path)
    write_calibration(path, detector, measured)
    assert detector_for(IDENTITY, tmp_path) == detector
    assert read_calibration(path) == (detector, measured)
    other = dataclasses.replace(IDENTITY, weights_sha256="1" * 64)
    assert detector_for(other, tmp_path).calibration_sha256 is None


def test_the_same_bytes_twice_are_one_base() -> None:
    assert len(bases_of([*_bases(3), *_bases(2)])) == 3


@pytest.mark.slow
def test_a_real_suite_is_made_embedded_and_judged_once(tmp_path: Path) -> None:
    for seed in range(4):
        write_video(tmp_path / f"{seed}.mp4", moving_scene(seed, 48, 144, 192), rate=12)
    found = survey_bases((path, path.name) for path in sorted(tmp_path.glob("*.mp4")))
    settings = SuiteSettings(
        kinds=(AttackKind.PLAIN, AttackKind.MIRRORED), longest_seconds=4.0, negatives_per_base=1
    )
    suite = plan_suite([base for base in found if isinstance(base, Base)], seed=3, settings=settings)
    identity = open_encoder(None, choose_compute()).encoder.identity
    place = Workplace(folder=tmp_path / "corpus", encoder_spec=None, samples_per_second=2, num_workers=1)
    steps: list[int] = []
    judged, left_out = judge_suite(suite, place, identity, on_progress=steps.append)
    assert not left_out
    assert sum(steps) == 2 * len(suite.queries)
    copies = [pair for pair in judged if pair.relation is Relation.COPY]
    assert len(copies) == len(suite.references) * 2
    assert all(pair.span is not None and pair.span.evidence.texture > 0.6 for pair in copies)
    others = [pair for pair in judged if pair.relation is Relation.STRANGER]
    assert all(pair.span is None or pair.span.evidence.texture < 0.5 for pair in others)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "corpus").rglob("*.*")}
    again, _ = judge_suite(suite, place, identity, on_progress=steps.append)
    assert again == judged
    assert files == {path: path.stat().st_mtime_ns for path in (tmp_path / "corpus").rglob("*.*")}
