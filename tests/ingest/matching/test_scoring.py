from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.vocabularies import MatchTier
from ingest.matching.detectors import STARTING_DETECTOR
from ingest.matching.scoring import FEATURES, HASH_DISTANCE, Evidence, Weights

_COPY = Evidence(
    similarity=0.95,
    num_votes=12,
    coverage=1.0,
    num_inliers=120,
    texture=0.97,
    motion=0.95,
    overlap=0.8,
    correlation=0.96,
    is_moving=True,
    speed=1.0,
    pdq_distance=12,
)
_NOTHING = Evidence(
    similarity=0.0,
    num_votes=0,
    coverage=0.0,
    num_inliers=0,
    texture=0.0,
    motion=0.0,
    overlap=0.0,
    correlation=0.0,
    is_moving=False,
    speed=2.0,
    pdq_distance=128,
)
_SAME_ROOM = dataclasses.replace(_COPY, texture=0.7, motion=0.2, correlation=0.05, pdq_distance=60)

# However busy the machine is.
_unhurried = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
_share = st.floats(0, 1)
_evidence = st.builds(
    Evidence,
    similarity=_share,
    num_votes=st.integers(0, 10_000),
    coverage=_share,
    num_inliers=st.integers(0, 300),
    texture=_share,
    motion=_share,
    overlap=_share,
    correlation=st.floats(-1, 1),
    is_moving=st.booleans(),
    speed=st.floats(0.5, 2),
    pdq_distance=st.floats(0, 256),
)
_weights = st.builds(
    Weights,
    intercept=st.floats(-20, 20),
    coefficients=st.tuples(*[st.floats(0, 10)] * len(FEATURES)),
)


def test_every_feature_has_a_name_and_more_of_it_for_a_copy() -> None:
    assert (
        len(FEATURES)
        == len(set(FEATURES))
        == len(_COPY.features())
        == len(STARTING_DETECTOR.weights.coefficients)
    )
    assert all(more > less for more, less in zip(_COPY.features(), _NOTHING.features(), strict=True))


def test_the_probability_is_the_logistic_of_the_weighted_features() -> None:
    weights = Weights(intercept=-2.0, coefficients=(1.0, *[0.0] * (len(FEATURES) - 2), 3.0))
    logit = -2.0 + 0.95 + 3.0 * (1 - 12 / 128)
    assert weights.probability(_COPY) == pytest.approx(1 / (1 + math.exp(-logit)))
    assert weights.probability(_NOTHING) == pytest.approx(1 / (1 + math.exp(2)))


_RISES: dict[str, Any] = {
    "similarity": 0.1,
    "num_votes": 3,
    "coverage": 0.1,
    "num_inliers": 5,
    "texture": 0.1,
    "motion": 0.1,
    "overlap": 0.1,
    "correlation": 0.2,
    "pdq_distance": -10.0,
}


@pytest.mark.parametrize("name", _RISES)
@_unhurried
@given(evidence=_evidence, weights=_weights)
def test_more_evidence_never_makes_a_copy_less_likely(
    name: str, evidence: Evidence, weights: Weights
) -> None:
    more = dataclasses.replace(evidence, **{name: getattr(evidence, name) + _RISES[name]})
    assert weights.probability(more) >= weights.probability(evidence)


@pytest.mark.parametrize("name", _RISES)
def test_every_kind_of_evidence_counts_from_the_start(name: str) -> None:
    middling = dataclasses.replace(_SAME_ROOM, correlation=0.3, coverage=0.5, texture=0.5, motion=0.5)
    more = dataclasses.replace(middling, **{name: getattr(middling, name) + _RISES[name]})
    weights = STARTING_DETECTOR.weights
    assert weights.probability(more) > weights.probability(middling)


@_unhurried
@given(evidence=_evidence, weights=_weights)
def test_a_probability_is_one(evidence: Evidence, weights: Weights) -> None:
    assert 0 <= weights.probability(evidence) <= 1


def test_extreme_evidence_overflows_nothing() -> None:
    assert Weights(intercept=-1e6, coefficients=(0.0,) * len(FEATURES)).probability(_COPY) < 1e-20
    assert Weights(intercept=1e6, coefficients=(0.0,) * len(FEATURES)).probability(_COPY) == 1.0


def test_changes_that_disagree_count_no_less_than_none() -> None:
    """The sign of a chance correlation says nothing."""
    weights = STARTING_DETECTOR.weights
    against = dataclasses.replace(_SAME_ROOM, correlation=-0.6)
    assert weights.probability(against) == weights.probability(dataclasses.replace(against, correlation=0.0))


def test_the_further_from_its_own_pace_the_less_a_copy_is_likely() -> None:
    """Twice as fast is as far as half as fast."""
    speeds = (1.0, 1.1, 1.25, 1.5)
    steady = [dataclasses.replace(_SAME_ROOM, speed=speed) for speed in speeds]
    found = [STARTING_DETECTOR.weights.probability(evidence) for evidence in steady]
    assert found == sorted(found, reverse=True)
    assert dataclasses.replace(_COPY, speed=1.25).features() == pytest.approx(
        dataclasses.replace(_COPY, speed=0.8).features()
    )


def test_where_nothing_moves_the_pictures_stand_for_the_changes() -> None:
    """A still copy has nothing to correlate, and must not look like a take that moves otherwise."""
    still = dataclasses.replace(_COPY, is_moving=False, correlation=0.0)
    place = FEATURES.index("correlation")
    assert still.features()[place] == min(still.texture, still.motion)


def test_weights_of_other_features_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        Weights(intercept=0.0, coefficients=(1.0,)).probability(_COPY)


@pytest.mark.parametrize(
    ("evidence", "probability", "tier"),
    [
        (_COPY, 0.9, MatchTier.HASH),
        (dataclasses.replace(_COPY, pdq_distance=HASH_DISTANCE), 0.99, MatchTier.HASH),
        (dataclasses.replace(_COPY, pdq_distance=HASH_DISTANCE + 1), 0.99, MatchTier.VERIFIED),
        # Fingerprints alone make no copy of what the pictures speak against.
        (_COPY, 0.89, MatchTier.CANDIDATE),
        (_COPY, 0.3, MatchTier.CANDIDATE),
        (_COPY, 0.29, None),
        (_SAME_ROOM, 0.89, MatchTier.SAME_SCENE),
        (_SAME_ROOM, 0.01, MatchTier.SAME_SCENE),
        (_SAME_ROOM, 0.95, MatchTier.VERIFIED),
        (_NOTHING, 0.01, None),
    ],
)
def test_tiers_say_how_sure_a_match_is(
    evidence: Evidence, probability: float, tier: MatchTier | None
) -> None:
    detector = dataclasses.replace(STARTING_DETECTOR, min_probability=0.9, min_candidate=0.3)
    assert detector.tier(evidence, probability) == tier


def test_the_same_scene_is_told_by_what_moves_or_else_by_the_pictures() -> None:
    assert _SAME_ROOM.is_same_scene
    assert not _COPY.is_same_scene
    assert not dataclasses.replace(_SAME_ROOM, correlation=0.8).is_same_scene
    assert not dataclasses.replace(_SAME_ROOM, num_inliers=5).is_same_scene
    assert not dataclasses.replace(_SAME_ROOM, texture=0.3).is_same_scene
    still = dataclasses.replace(_SAME_ROOM, is_moving=False, correlation=0.0)
    assert still.is_same_scene
    assert not dataclasses.replace(still, motion=0.9).is_same_scene


def test_even_uncalibrated_a_clear_copy_is_one_and_nothing_is_none() -> None:
    detector = STARTING_DETECTOR
    assert detector.weights.probability(_COPY) >= detector.min_probability
    assert detector.weights.probability(_NOTHING) < detector.min_candidate < detector.min_probability


def test_the_digest_changes_with_every_field() -> None:
    """Searches are recorded under it: a detector that changed must search again."""
    changes: dict[str, Any] = {
        "name": "another",
        "min_similarity": 0.41,
        "min_samples": 4,
        "max_failures": 5,
        "weights": Weights(intercept=-7.9, coefficients=STARTING_DETECTOR.weights.coefficients),
        "min_probability": 0.91,
        "min_candidate": 0.31,
        "rules": "others",
        "calibration_sha256": "c" * 64,
    }
    assert set(changes) == {field.name for field in dataclasses.fields(STARTING_DETECTOR)}
    digests = {
        dataclasses.replace(STARTING_DETECTOR, **{name: value}).digest for name, value in changes.items()
    }
    coefficients = (*STARTING_DETECTOR.weights.coefficients[:-1], 9.0)
    reweighed = Weights(intercept=STARTING_DETECTOR.weights.intercept, coefficients=coefficients)
    digests.add(dataclasses.replace(STARTING_DETECTOR, weights=reweighed).digest)
    digests.add(STARTING_DETECTOR.digest)
    assert len(digests) == len(changes) + 2
    assert dataclasses.replace(STARTING_DETECTOR).digest == STARTING_DETECTOR.digest
