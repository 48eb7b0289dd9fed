"""Calibration: from evidence to a probability, from a wanted precision to a threshold, and how sure both are.

Pure statistics: nothing here knows what a feature is, reads a file or draws without a seed.

Shapes: N pairs of clips (or queries) that were judged, F features of each, T thresholds.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from db.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_DEFAULT_RIDGE = 1.0
"""A standard normal prior on each standardised weight. It matters for a handful of copies only, and keeps the
weights finite where copies and others do not overlap at all."""


@dataclass(frozen=True, kw_only=True)
class LogisticModel:
    """A logistic regression whose weights are never negative: more of a feature never makes a copy less likely."""

    intercept: float
    weights_F: tuple[float, ...]
    """Per unit of each feature as it is given, at least 0."""
    prior: float
    """The share of copies among all pairs, for which the probabilities hold."""

    def __post_init__(self) -> None:
        _check_share("prior", self.prior)
        if not all(math.isfinite(weight) and weight >= 0 for weight in self.weights_F):
            raise ConfigError(f"weights of a logistic model are finite and at least 0: {self.weights_F}")
        if not math.isfinite(self.intercept):
            raise ConfigError(f"the intercept of a logistic model is finite, not {self.intercept}")

    def probabilities(self, features_NF: ArrayLike) -> NDArray[np.float64]:
        """Return the probability that each row of features is a copy."""
        checked_NF = _features(features_NF, len(self.weights_F))
        return _sigmoid(self.intercept + checked_NF @ np.array(self.weights_F))

    def at_prior(self, prior: float) -> LogisticModel:
        """Return the same model where `prior` is the share of copies (King and Zeng 2001, section 4.1)."""
        _check_share("prior", prior)
        return replace(self, intercept=self.intercept + _log_odds(prior) - _log_odds(self.prior), prior=prior)


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A score from which on pairs are called copies, and what that gave on the pairs it was fitted to."""

    score: float
    """The lowest that counts as a copy."""
    num_found: int
    num_false: int
    recall: float
    """The found share of all copies that were judged."""
    precision: float
    precision_low: float
    """Lower bound of the precision at `confidence`."""
    confidence: float


@dataclass(frozen=True, kw_only=True)
class RecallRow:
    """How many of the queries of one kind were found."""

    name: str
    num_queries: int
    num_found: int
    recall: float
    low: float
    """Lower bound, as `proportion_bounds` gives it."""
    high: float


def fit_logistic(
    features_NF: ArrayLike,
    is_copy_N: ArrayLike,
    *,
    weights_N: ArrayLike | None = None,
    prior: float = 0.5,
    ridge: float = _DEFAULT_RIDGE,
) -> LogisticModel:
    """Fit a ridge logistic regression with weights that are not negative; every feature says "more means surer".

    Copies and others are given the same total weight, however many there are; the intercept is then moved to
    `prior`, the share of copies to be expected where the model is used. `weights_N` counts some rows for more than
    others of their class. A feature that says nothing, or the contrary of what it should, gets weight 0. The ridge
    penalty is on standardised features, so their units do not matter. The same rows give the same model.

    Raises `ConfigError` where there are not rows of both classes, or for values that are not finite.
    """
    from scipy.optimize import minimize

    x_NF = _features(features_NF)
    y_N = _labels(is_copy_N, len(x_NF))
    _check_share("prior", prior)
    if not (math.isfinite(ridge) and ridge > 0):
        raise ConfigError(f"the ridge of a logistic regression is above 0, not {ridge}")
    share_N = _balanced(y_N, weights_N)
    mean_F = share_N @ x_NF
    scale_F = np.sqrt(share_N @ (x_NF - mean_F) ** 2)
    # What varies by rounding errors only is constant.
    is_constant_F = scale_F <= 1e-9 * np.maximum(1.0, np.abs(mean_F))
    z_NF = np.where(is_constant_F, 0.0, (x_NF - mean_F) / np.where(is_constant_F, 1.0, scale_F))
    # Against the number of equally weighted rows that would say as much (Kish 1965, section 11.7).
    penalty = ridge * float(share_N @ share_N)

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logit_N = parameters[0] + z_NF @ parameters[1:]
        losses_N = np.logaddexp(0.0, np.where(y_N, -logit_N, logit_N))
        excess_N = share_N * (_sigmoid(logit_N) - y_N)
        slopes = np.concatenate([[excess_N.sum()], excess_N @ z_NF + penalty * parameters[1:]])
        return float(share_N @ losses_N + penalty / 2 * (parameters[1:] @ parameters[1:])), slopes

    bounds = [(None, None)] + [(0.0, None)] * x_NF.shape[1]
    options = {"maxiter": 10_000, "maxfun": 100_000, "ftol": 1e-14, "gtol": 1e-9}
    found = minimize(
        loss, np.zeros(len(bounds)), jac=True, method="L-BFGS-B", bounds=bounds, options=options
    ).x
    weights_F = np.where(is_constant_F, 0.0, found[1:] / np.where(is_constant_F, 1.0, scale_F))
    balanced = LogisticModel(
        intercept=float(found[0] - weights_F @ mean_F),
        weights_F=tuple(float(weight) for weight in weights_F),
        prior=0.5,
    )
    return balanced.at_prior(prior)


def threshold_for_precision(
    scores_N: ArrayLike, is_copy_N: ArrayLike, precision: float, *, confidence: float = 0.95
) -> Threshold:
    """Return the lowest threshold at which the share of copies among what is found reaches `precision`.

    The share is that of these very pairs: without a single false one even a handful of copies reaches 1. What
    it is elsewhere is bounded by `precision_low` of the result; `threshold_for_assured_precision` asks for that.

    Raises `ConfigError` if no threshold reaches it.
    """
    curve = _Curve.of(scores_N, is_copy_N, confidence)
    return _lowest(curve, curve.precisions(), precision)


def threshold_for_assured_precision(
    scores_N: ArrayLike, is_copy_N: ArrayLike, precision: float, *, confidence: float = 0.95
) -> Threshold:
    """Return the lowest threshold at which the precision is `precision` or more with `confidence`.

    That is, at which the lower Clopper-Pearson bound reaches it. It takes many copies: with none false, 59 for a
    precision of .95 and 299 for .99. As the threshold is chosen on the same pairs, the bound is slightly too kind.

    Raises `ConfigError` if no threshold reaches it.
    """
    curve = _Curve.of(scores_N, is_copy_N, confidence)
    return _lowest(curve, curve.precision_bounds(), precision)


def proportion_bounds(num_hits: int, num_trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return exact lower and upper bounds of a proportion (Clopper and Pearson 1934), each at `confidence`.

    Each bound holds by itself with that confidence, so that with 0 of n the upper one is about 3/n at .95. For an
    interval that holds on both sides together with .95, ask for .975. Of 0 trials nothing is known: (0, 1).

    Raises `ConfigError` for counts or a confidence that cannot be.
    """
    from scipy.special import betaincinv

    if not 0 <= num_hits <= num_trials:
        raise ConfigError(f"{num_hits} of {num_trials} is not a proportion")
    _check_share("confidence", confidence)
    num_misses = num_trials - num_hits
    low = 0.0 if num_hits == 0 else float(betaincinv(num_hits, num_misses + 1, 1 - confidence))
    high = 1.0 if num_misses == 0 else float(betaincinv(num_hits + 1, num_misses, confidence))
    return low, high


def split_groups(groups: Iterable[str], num_folds: int, seed: int) -> dict[str, int]:
    """Return the fold, 0 to `num_folds` - 1, of each group of content; folds are about equally large.

    `groups` names the group of each item, so that a group counts for as many items as it has. The same groups
    and seed give the same folds, in whatever order they come.

    Raises `ConfigError` if there are fewer groups than folds, or fewer than two folds.
    """
    sizes = Counter(groups)
    if num_folds < 2 or len(sizes) < num_folds:
        raise ConfigError(
            f"{len(sizes)} groups of content cannot be split into {num_folds} folds",
            hint="bring footage of more contents, or calibrate with fewer folds (two at least)",
        )
    shuffled = sorted(sizes)
    Random(seed).shuffle(shuffled)
    totals = [0] * num_folds
    folds: dict[str, int] = {}
    for group in sorted(shuffled, key=lambda name: -sizes[name]):
        fold = totals.index(min(totals))
        folds[group] = fold
        totals[fold] += sizes[group]
    return folds


def cross_fitted_probabilities(
    features_NF: ArrayLike,
    is_copy_N: ArrayLike,
    *,
    query_groups_N: Sequence[str],
    reference_groups_N: Sequence[str],
    num_folds: int,
    seed: int,
    prior: float = 0.5,
    ridge: float = _DEFAULT_RIDGE,
) -> NDArray[np.float64]:
    """Return for each pair the probability given by a model that has seen neither the query's content nor its like.

    Folds are of query groups. The model for a fold learns from no pair that has a group of that fold on either side.

    Raises `ConfigError`: as `split_groups` and `fit_logistic`, for example where a fold leaves no copy to learn from.
    """
    x_NF = _features(features_NF)
    y_N = _labels(is_copy_N, len(x_NF))
    if not len(query_groups_N) == len(reference_groups_N) == len(y_N):
        raise ConfigError(f"{len(y_N)} pairs need a query group and a reference group each")
    folds = split_groups(query_groups_N, num_folds, seed)
    query_fold_N = np.array([folds[group] for group in query_groups_N])
    # A group that is never queried is in no fold, and may be learnt from by all.
    reference_fold_N = np.array([folds.get(group, -1) for group in reference_groups_N])
    probabilities_N = np.full(len(y_N), np.nan)
    for fold in range(num_folds):
        is_tested_N = query_fold_N == fold
        is_learnt_N = ~is_tested_N & (reference_fold_N != fold)
        model = fit_logistic(x_NF[is_learnt_N], y_N[is_learnt_N], prior=prior, ridge=ridge)
        probabilities_N[is_tested_N] = model.probabilities(x_NF[is_tested_N])
    return probabilities_N


def recall_table(outcomes: Iterable[tuple[str, bool]], confidence: float = 0.95) -> tuple[RecallRow, ...]:
    """Return one row for each name among `outcomes` (name, whether it was found), in order of first appearance."""
    found: defaultdict[str, list[bool]] = defaultdict(list)
    for name, is_found in outcomes:
        found[name].append(is_found)
    return tuple(recall_row(name, sum(hits), len(hits), confidence) for name, hits in found.items())


def recall_row(name: str, num_found: int, num_queries: int, confidence: float = 0.95) -> RecallRow:
    """Return the row of `num_found` found among `num_queries`, of which there is one at least."""
    if num_queries < 1:
        raise ConfigError(f"{name}: recall needs one query at least")
    low, high = proportion_bounds(num_found, num_queries, confidence)
    return RecallRow(
        name=name,
        num_queries=num_queries,
        num_found=num_found,
        recall=num_found / num_queries,
        low=low,
        high=high,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Curve:
    """What each score that occurs would give as a threshold, highest first."""

    score_T: NDArray[np.float64]
    num_found_T: NDArray[np.int64]
    num_copies_T: NDArray[np.int64]
    """Among those found."""
    confidence: float

    @classmethod
    def of(cls, scores_N: ArrayLike, is_copy_N: ArrayLike, confidence: float) -> _Curve:
        """Sort the pairs into a curve."""
        scores = np.asarray(scores_N, dtype=np.float64)
        if scores.ndim != 1 or not np.isfinite(scores).all():
            raise ConfigError("scores are one finite number for each pair")
        y_N = _labels(is_copy_N, len(scores))
        _check_share("confidence", confidence)
        order = np.argsort(-scores, kind="stable")
        # Pairs of one score are taken together or not at all: where the score falls, a threshold ends.
        falls_T = np.flatnonzero(np.diff(scores[order], append=-np.inf) < 0)
        return cls(
            score_T=scores[order][falls_T],
            num_found_T=falls_T + 1,
            num_copies_T=np.cumsum(y_N[order], dtype=np.int64)[falls_T],
            confidence=confidence,
        )

    def precisions(self) -> NDArray[np.float64]:
        return self.num_copies_T / self.num_found_T

    def precision_bounds(self) -> NDArray[np.float64]:
        from scipy.special import betaincinv

        num_false_T = self.num_found_T - self.num_copies_T
        low_T = betaincinv(np.maximum(self.num_copies_T, 1), num_false_T + 1, 1 - self.confidence)
        return np.where(self.num_copies_T > 0, low_T, 0.0)

    def threshold(self, at: int) -> Threshold:
        """Return the threshold at one place of the curve."""
        num_found, num_copies = int(self.num_found_T[at]), int(self.num_copies_T[at])
        return Threshold(
            score=float(self.score_T[at]),
            num_found=num_found,
            num_false=num_found - num_copies,
            recall=num_copies / max(1, int(self.num_copies_T[-1])),
            precision=num_copies / num_found,
            precision_low=proportion_bounds(num_copies, num_found, self.confidence)[0],
            confidence=self.confidence,
        )


def _lowest(curve: _Curve, reached_T: NDArray[np.float64], precision: float) -> Threshold:
    if not 0 < precision <= 1:
        raise ConfigError(f"a precision is above 0 and at most 1, not {precision}")
    places = np.flatnonzero(reached_T >= precision)
    if len(places):
        return curve.threshold(int(places[-1]))
    raise ConfigError(
        f"no threshold reaches a precision of {precision:g}: {_best(curve)}",
        hint="ask for a lower precision, or calibrate on more footage",
    )


def _best(curve: _Curve) -> str:
    if not len(curve.score_T):
        return "there is no pair"
    best = curve.threshold(int(np.argmax(curve.precision_bounds())))
    return (
        f"at best {best.num_false} of {best.num_found} found are false, a precision of {best.precision:.4f},"
        f" {best.precision_low:.4f} or more with {best.confidence:.0%} confidence"
    )


def _features(features_NF: ArrayLike, num_features: int | None = None) -> NDArray[np.float64]:
    x_NF = np.asarray(features_NF, dtype=np.float64)
    if x_NF.ndim != 2 or num_features not in {None, x_NF.shape[1]}:
        raise ConfigError(f"features of shape {x_NF.shape}, expected (N, {num_features or 'F'})")
    if not np.isfinite(x_NF).all():
        raise ConfigError("a feature is not a finite number")
    return x_NF


def _labels(is_copy_N: ArrayLike, num_rows: int) -> NDArray[np.bool_]:
    y_N = np.asarray(is_copy_N)
    if y_N.shape != (num_rows,) or (num_rows and y_N.dtype != np.bool_):
        raise ConfigError(
            f"{num_rows} pairs need {num_rows} times True or False, not {y_N.dtype} {y_N.shape}"
        )
    return y_N.astype(np.bool_)


def _balanced(y_N: NDArray[np.bool_], weights_N: ArrayLike | None) -> NDArray[np.float64]:
    """Return weights that sum to a half over the copies and to a half over the others."""
    share_N = np.ones(len(y_N)) if weights_N is None else np.asarray(weights_N, dtype=np.float64)
    if share_N.shape != y_N.shape or not np.isfinite(share_N).all() or (share_N < 0).any():
        raise ConfigError("weights of pairs are finite and at least 0, one for each pair")
    of_copies, of_others = float(share_N[y_N].sum()), float(share_N[~y_N].sum())
    if of_copies <= 0 or of_others <= 0:
        raise ConfigError(
            f"{int(y_N.sum())} copies and {int((~y_N).sum())} others: both are needed to tell them apart",
            hint="calibrate on more footage",
        )
    return np.where(y_N, share_N / (2 * of_copies), share_N / (2 * of_others))


def _sigmoid(logit_N: NDArray[np.float64]) -> NDArray[np.float64]:
    # By way of exp(-|x|), which cannot overflow.
    small_N = np.exp(-np.abs(logit_N))
    return np.where(logit_N >= 0, 1 / (1 + small_N), small_N / (1 + small_N))


def _log_odds(share: float) -> float:
    return math.log(share) - math.log1p(-share)


def _check_share(what: str, share: float) -> None:
    if not 0 < share < 1:
        raise ConfigError(f"{what} is between 0 and 1, not {share}")
