from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.errors import ConfigError
from ingest.matching.calibration import (
    LogisticModel,
    Threshold,
    cross_fitted_probabilities,
    fit_logistic,
    proportion_bounds,
    recall_row,
    recall_table,
    split_groups,
    threshold_for_assured_precision,
    threshold_for_precision,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _evidence(seed: int, num_copies: int, num_others: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return pairs whose true log-odds, of copies and others equally frequent, are 4 times the first feature less 2."""
    generator = np.random.default_rng(seed)
    is_copy_N = np.arange(num_copies + num_others) < num_copies
    # Two Gaussians of deviation 1/2, the means one apart: log-odds = (x - 1/2) / (1/4).
    first_N = generator.normal(is_copy_N.astype(float), 0.5)
    return np.column_stack([first_N, generator.normal(size=len(first_N))]), is_copy_N


@pytest.mark.parametrize(
    ("num_hits", "num_trials", "low", "high"),
    [
        # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 5: 95 %.
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0, 0.1684),
        (1, 29, 0.0009, 0.1776),
    ],
)
def test_bounds_are_those_of_clopper_and_pearson(
    num_hits: int, num_trials: int, low: float, high: float
) -> None:
    assert proportion_bounds(num_hits, num_trials, 0.975) == pytest.approx((low, high), abs=5e-5)
    misses = proportion_bounds(num_trials - num_hits, num_trials, 0.975)
    assert misses == pytest.approx((1 - high, 1 - low), abs=5e-5)


@pytest.mark.parametrize("num_trials", [30, 300, 3000])
def test_none_of_n_bounds_the_rate_by_about_three_nths(num_trials: int) -> None:
    low, high = proportion_bounds(0, num_trials)
    assert low == 0
    assert high == pytest.approx(1 - 0.05 ** (1 / num_trials), rel=1e-9)
    assert high == pytest.approx(3 / num_trials, rel=0.06)


def test_nothing_is_known_of_a_proportion_without_trials() -> None:
    assert proportion_bounds(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("arguments", [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0), (1, 2, 0.0)])
def test_impossible_proportions_are_refused(arguments: tuple[int, int, float]) -> None:
    with pytest.raises(ConfigError):
        proportion_bounds(*arguments)


@given(num_trials=st.integers(1, 400), share=st.floats(0, 1), confidence=st.floats(0.5, 0.999))
def test_bounds_enclose_the_rate_and_rise_with_it(num_trials: int, share: float, confidence: float) -> None:
    num_hits = int(share * num_trials)
    low, high = proportion_bounds(num_hits, num_trials, confidence)
    assert 0 <= low <= num_hits / num_trials <= high <= 1
    if num_hits < num_trials:
        next_low, next_high = proportion_bounds(num_hits + 1, num_trials, confidence)
        assert next_low > low
        assert next_high > high


def test_the_fit_finds_the_log_odds_that_made_the_pairs() -> None:
    model = fit_logistic(*_evidence(1, 4000, 4000))
    assert model.weights_F[0] == pytest.approx(4, abs=0.25)
    assert model.weights_F[1] == pytest.approx(0, abs=0.1)
    assert model.intercept == pytest.approx(-2, abs=0.2)


def test_probabilities_hold_at_the_prior_however_many_of_each_class_were_fitted() -> None:
    model = fit_logistic(*_evidence(2, 500, 20_000), prior=0.1)
    features_NF, is_copy_N = _evidence(3, 2000, 18_000)
    probability_N = model.probabilities(features_NF)
    for low, high in [(0.0, 0.05), (0.05, 0.3), (0.3, 0.7), (0.7, 1.0)]:
        is_inside_N = (probability_N >= low) & (probability_N < high)
        observed = is_copy_N[is_inside_N].mean()
        assert observed == pytest.approx(probability_N[is_inside_N].mean(), abs=0.04)


def test_another_prior_changes_the_odds_by_the_ratio_of_the_prior_odds() -> None:
    features_NF, is_copy_N = _evidence(4, 100, 300)
    even = fit_logistic(features_NF, is_copy_N)
    rare = even.at_prior(0.01)
    odds = [p / (1 - p) for p in (even.probabilities([[0.6, 0]])[0], rare.probabilities([[0.6, 0]])[0])]
    assert odds[0] / odds[1] == pytest.approx(99)
    assert rare.weights_F == even.weights_F
    assert rare == fit_logistic(features_NF, is_copy_N, prior=0.01)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), feature=st.integers(0, 2), more=st.floats(0, 50))
def test_more_evidence_never_lowers_the_probability(seed: int, feature: int, more: float) -> None:
    generator = np.random.default_rng(seed)
    is_copy_N = np.arange(60) < 20
    # Some features speak for a copy, some against it, whatever they are said to do.
    features_NF = generator.normal(size=(60, 3)) + np.outer(is_copy_N, generator.normal(size=3) * 2)
    model = fit_logistic(features_NF, is_copy_N)
    surer_NF = features_NF.copy()
    surer_NF[:, feature] += more
    assert (model.probabilities(surer_NF) >= model.probabilities(features_NF)).all()


def test_a_feature_that_speaks_against_copies_or_never_varies_gets_no_weight() -> None:
    features_NF, is_copy_N = _evidence(5, 200, 200)
    contrary_N = np.random.default_rng(6).normal(size=400) - is_copy_N
    constant_N = np.full(400, 1e6 / 3)
    model = fit_logistic(np.column_stack([features_NF[:, 0], contrary_N, constant_N]), is_copy_N)
    assert model.weights_F[0] > 2
    assert model.weights_F[1:] == (0.0, 0.0)


def test_units_of_features_do_not_matter() -> None:
    features_NF, is_copy_N = _evidence(7, 100, 400)
    scaled_NF = features_NF * [1000.0, 0.01] + [5.0, -3.0]
    one, other = fit_logistic(features_NF, is_copy_N), fit_logistic(scaled_NF, is_copy_N)
    assert one.probabilities(features_NF) == pytest.approx(other.probabilities(scaled_NF), abs=1e-5)


def test_classes_that_do_not_overlap_give_a_finite_and_steep_model() -> None:
    features_NF = np.concatenate([np.linspace(0, 0.3, 50), np.linspace(0.7, 1, 50)])[:, None]
    model = fit_logistic(features_NF, np.arange(100) >= 50)
    low, high = model.probabilities([[0.2], [0.8]])
    assert low < 0.1
    assert high > 0.9


def test_extreme_evidence_is_a_probability_still() -> None:
    model = LogisticModel(intercept=-1.0, weights_F=(5.0,), prior=0.5)
    assert model.probabilities([[-1e6], [1e6]]).tolist() == [0.0, 1.0]


def test_rows_that_weigh_more_count_as_if_they_were_there_more_often() -> None:
    features_NF, is_copy_N = _evidence(8, 40, 40)
    twice_N = np.where(np.arange(80) % 2, 2.0, 1.0)
    repeated_N = np.repeat(np.arange(80), twice_N.astype(int))
    weighted = fit_logistic(features_NF, is_copy_N, weights_N=twice_N, ridge=1e-6)
    repeated = fit_logistic(features_NF[repeated_N], is_copy_N[repeated_N], ridge=1e-6)
    assert weighted.weights_F == pytest.approx(repeated.weights_F, rel=1e-3)


@pytest.mark.parametrize(
    ("features_NF", "is_copy_N", "message"),
    [
        ([[1.0], [2.0]], [True, True], "0 others"),
        ([[1.0], [2.0]], [False, False], "0 copies"),
        ([[1.0], [float("nan")]], [True, False], "finite"),
        ([[1.0], [2.0]], [True], "2 pairs"),
        ([[1.0], [2.0]], [1, 0], "True or False"),
        ([1.0, 2.0], [True, False], "shape"),
    ],
)
def test_rows_that_nothing_can_be_learnt_from_are_refused(
    features_NF: list[list[float]], is_copy_N: list[bool], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        fit_logistic(features_NF, is_copy_N)


def test_a_model_refuses_features_that_are_not_its_own() -> None:
    with pytest.raises(ConfigError, match=r"expected \(N, 2\)"):
        LogisticModel(intercept=0.0, weights_F=(1.0, 2.0), prior=0.5).probabilities([[1.0]])


def test_a_model_with_a_negative_weight_cannot_be_made() -> None:
    with pytest.raises(ConfigError, match="at least 0"):
        LogisticModel(intercept=0.0, weights_F=(-1.0,), prior=0.5)


def test_the_threshold_is_the_lowest_that_reaches_the_precision() -> None:
    scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    is_copy = [True, True, False, True, True, False]
    threshold = threshold_for_precision(scores, is_copy, 0.8)
    assert (threshold.score, threshold.num_found, threshold.num_false) == (0.5, 5, 1)
    assert (threshold.precision, threshold.recall) == (0.8, 1.0)
    assert threshold.precision_low == pytest.approx(proportion_bounds(4, 5)[0])
    assert threshold_for_precision(scores, is_copy, 1.0).score == 0.8


def test_pairs_of_one_score_are_found_together() -> None:
    threshold = threshold_for_precision([0.9, 0.5, 0.5], [True, True, False], 1.0)
    assert (threshold.score, threshold.recall) == (0.9, 0.5)


def test_an_assured_precision_takes_many_copies() -> None:
    scores = np.linspace(1, 0.5, 59)
    assert threshold_for_assured_precision(scores, np.ones(59, dtype=bool), 0.95).score == 0.5
    with pytest.raises(ConfigError, match=r"0 of 58 found are false.*95% confidence"):
        threshold_for_assured_precision(scores[:58], np.ones(58, dtype=bool), 0.95)


@pytest.mark.parametrize("find", [threshold_for_precision, threshold_for_assured_precision])
def test_a_precision_out_of_reach_is_refused(
    find: Callable[[list[float], list[bool], float], Threshold],
) -> None:
    with pytest.raises(ConfigError, match=r"1 of 2 found are false"):
        find([0.9, 0.8], [False, True], 0.9)
    with pytest.raises(ConfigError, match="there is no pair"):
        find([], [], 0.9)


@given(
    st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=60),
    st.floats(0.05, 1.0),
)
def test_no_lower_threshold_reaches_the_precision(pairs: list[tuple[int, bool]], precision: float) -> None:
    def precision_at(score: float) -> float:
        found = [is_copy for each, is_copy in pairs if each >= score]
        return sum(found) / len(found)

    scores, is_copy = [score for score, _ in pairs], [is_copy for _, is_copy in pairs]
    reaching = [score for score in scores if precision_at(score) >= precision]
    if reaching:
        assert threshold_for_precision(scores, is_copy, precision).score == min(reaching)
    else:
        with pytest.raises(ConfigError):
            threshold_for_precision(scores, is_copy, precision)


@given(
    st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(1, 9), min_size=3, max_size=20),
    st.integers(2, 3),
    st.integers(0, 99),
)
def test_folds_hold_whole_groups_and_about_as_many_items(
    sizes: dict[str, int], num_folds: int, seed: int
) -> None:
    items = [name for name, size in sizes.items() for _ in range(size)]
    folds = split_groups(items, num_folds, seed)
    assert folds == split_groups(reversed(items), num_folds, seed)
    assert folds.keys() == sizes.keys()
    totals = [sum(sizes[name] for name in sizes if folds[name] == fold) for fold in range(num_folds)]
    assert min(totals) > 0
    assert max(totals) - min(totals) <= max(sizes.values())


def test_another_seed_splits_otherwise() -> None:
    names = [f"g{index}" for index in range(20)]
    assert split_groups(names, 4, 1) != split_groups(names, 4, 2)


def test_fewer_groups_than_folds_are_refused() -> None:
    with pytest.raises(ConfigError, match="1 groups of content cannot be split into 2"):
        split_groups(["a", "a"], 2, 1)


def test_a_probability_is_never_learnt_from_the_content_it_is_for() -> None:
    """Each group leaks its answer into a feature of its own; cross-fitting must not see it."""
    groups = [f"g{index % 6}" for index in range(60)]
    is_copy_N = np.random.default_rng(9).random(60) < 0.5
    own_NF = np.array([[float(group == f"g{column}") for column in range(6)] for group in groups])
    leak_NF = own_NF * np.where(is_copy_N, 1.0, 0.0)[:, None]
    is_leaky = fit_logistic(leak_NF, is_copy_N).probabilities(leak_NF)
    assert is_leaky[is_copy_N].min() > is_leaky[~is_copy_N].max()
    probability_N = cross_fitted_probabilities(
        leak_NF,
        is_copy_N,
        query_groups_N=groups,
        reference_groups_N=groups,
        num_folds=6,
        seed=1,
    )
    for group in set(groups):
        is_own_N = np.array(groups) == group
        assert len(set(probability_N[is_own_N].round(9))) == 1


def test_pairs_with_the_content_on_their_other_side_are_not_learnt_from() -> None:
    features_NF, is_copy_N = _evidence(10, 30, 30)
    queries = [f"q{index % 3}" for index in range(60)]
    references = list(queries)
    changed_NF = features_NF.copy()
    is_touched_N = np.array([index % 3 == 1 and index % 2 == 0 for index in range(60)])
    changed_NF[is_touched_N] += 3.0
    # Rows of q1 that now face q0: whatever they say, no probability of q0 may change.
    references = [
        "q0" if is_touched else name for is_touched, name in zip(is_touched_N, references, strict=True)
    ]
    both = [
        cross_fitted_probabilities(
            each_NF, is_copy_N, query_groups_N=queries, reference_groups_N=references, num_folds=3, seed=1
        )
        for each_NF in (features_NF, changed_NF)
    ]
    is_q0_N = np.array(queries) == "q0"
    is_q2_N = np.array(queries) == "q2"
    assert (both[0][is_q0_N] == both[1][is_q0_N]).all()
    assert (both[0][is_q2_N] != both[1][is_q2_N]).any()


def test_recall_is_told_for_each_name_in_its_order() -> None:
    outcomes = [("mirrored", True), ("caption", False), ("mirrored", True), ("mirrored", False)]
    mirrored, caption = recall_table(outcomes)
    assert (mirrored.name, mirrored.num_queries, mirrored.num_found) == ("mirrored", 3, 2)
    assert mirrored.recall == pytest.approx(2 / 3)
    assert (mirrored.low, mirrored.high) == proportion_bounds(2, 3)
    assert (caption.name, caption.recall, caption.low) == ("caption", 0.0, 0.0)
    assert recall_table([]) == ()
    with pytest.raises(ConfigError, match="one query at least"):
        recall_row("nothing", 0, 0)
