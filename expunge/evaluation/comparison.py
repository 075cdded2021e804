"""One number per candidate as the literature reports it, and how metrics agree over candidates.

- average gap: mean of |ΔFA|, |ΔRA|, |ΔTA|, |ΔMIA| to the exact retrain (SalUn, Fan et al. 2024);
- ToW, tug of war: Π (1 − |Δ|) over FA, RA, TA (Zhao et al. 2024, "What makes unlearning hard");
- leak: a metric less that of the NULL control, the same pipeline started from the exact retrain;
- Spearman's correlation of a metric with LiRA over models.

FA, RA, TA: accuracies on forget, retain and held-out rows; MIA: the membership AUC. Shares, not
percentage points. Mean absolute differences of noisy numbers are above 0 for a retrain too: read
them beside a second retrain's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from expunge.evaluation.evaluate import RESAMPLES
from expunge.evaluation.inputs import EvaluationInput
from expunge.evaluation.levels import worth
from expunge.evaluation.membership import auc, comparable, resampled_aucs
from expunge.evaluation.metric import Metric, json_ready, undefined
from expunge.evaluation.scores import Floats, Scores
from expunge.evaluation.uncertainty import Z95, units

MIN_MODELS = 4


@dataclass(frozen=True)
class Rates:
    """Shares in [0, 1] of one model: accuracy on forget, retain and held-out rows, and MIA."""

    forget: float
    retain: float
    held_out: float
    mia: float = math.nan


def average_gap(candidate: Rates, retrain: Rates) -> float:
    """Mean absolute difference of FA, RA, TA and MIA; 0 like the retrain; NaN if one is."""
    return float(np.mean(np.abs(_columns(candidate) - _columns(retrain))))


def tug_of_war(candidate: Rates, retrain: Rates) -> float:
    """Π (1 − |Δ|) over FA, RA, TA; 1 like the retrain, 0 at worst."""
    return float(np.prod(1 - np.abs(_columns(candidate) - _columns(retrain))[:3]))


def literature_metrics(
    inputs: EvaluationInput, *, seed: int, resamples: int = RESAMPLES
) -> tuple[Metric, Metric]:
    """`average_gap` and `tug_of_war` of a candidate whose three splits have a retrain's scores.

    Errors and percentile intervals are a bootstrap by subject of each split; both statistics are
    biased away from the retrain's where the rows are few, and the interval shows it.
    """
    names = "average_gap", "tug_of_war"
    if inputs.forget.champion.task == "regression":
        why = "it compares accuracies; labels are real numbers"
        return undefined(names[0], why), undefined(names[1], why)
    splits = inputs.forget, inputs.retain, inputs.held_out
    exact = [split.retrain for split in splits if split.retrain is not None]
    if len(exact) < len(splits):
        return undefined(names[0], "no exact retrain"), undefined(names[1], "no exact retrain")
    rows = comparable(inputs.forget.champion, inputs.held_out.champion)
    if rows.empty or not len(inputs.retain.champion):
        why = "a split has no rows to compare"
        return undefined(names[0], why), undefined(names[1], why)
    models = [_sides(inputs, "candidate"), _sides(inputs, "retrain")]
    drawn_aucs = resampled_aucs(rows, models, resamples=resamples, seed=seed)
    gaps = [
        _accuracy_gaps(split.candidate, retrain, resamples, [seed, place])
        for place, (split, retrain) in enumerate(zip(splits, exact, strict=True))
    ]
    gaps.append(np.r_[auc(rows, models[0]) - auc(rows, models[1]), drawn_aucs[0] - drawn_aucs[1]])
    absolute = np.abs(np.array(gaps))
    n = len(inputs.forget.champion)
    return (
        _bootstrapped(names[0], absolute.mean(axis=0), n, 0.0),
        _bootstrapped(names[1], np.prod(1 - absolute[:3], axis=0), n, 1.0),
    )


def leak(metric: Metric, null: Metric) -> Metric:
    """`metric` less the NULL control's, with 0 for reference.

    The errors are added as if independent; of the same rows they are not, and the true one is
    smaller as a rule.
    """
    name = f"{metric.name}_leak"
    if why := metric.undefined or null.undefined:
        return undefined(name, why, metric.n)
    value, se = metric.value - null.value, math.hypot(metric.se, null.se)
    low, high = value - Z95 * se, value + Z95 * se
    known = replace(metric, name=name, value=value, se=se, low=low, high=high, gap_se=se)
    return replace(known, reference=0.0, reference_kind="exact_retrain")


@dataclass(frozen=True)
class Correlation:
    """Spearman's ρ of two metrics over `models`, its bootstrap 95 % interval, two-sided p."""

    rho: float
    low: float
    high: float
    p: float
    models: int
    undefined: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields by name; NaN as None."""
        return json_ready(dict(vars(self)))


def spearman(
    metric: Sequence[float], lira: Sequence[float], *, seed: int, resamples: int = 2_000
) -> Correlation:
    """Rank correlation over models, a pair with a NaN left out; ties share their mean rank.

    The interval resamples models (percentiles), the p value permutes them (Phipson and Smyth's
    (b + 1)/(m + 1), never 0). Models of one strategy resemble each other, so that with few
    strategies the interval is too narrow.
    """
    x, y = np.asarray(metric, dtype=np.float64), np.asarray(lira, dtype=np.float64)
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    n, nan = len(x), math.nan
    if n < MIN_MODELS or np.ptp(x) == 0 or np.ptp(y) == 0:
        few = f"{n} models have both, {MIN_MODELS} needed"
        why = few if n < MIN_MODELS else "one of them is the same for every model"
        return Correlation(nan, nan, nan, nan, n, undefined=why)
    rng = np.random.default_rng([seed, 0x5B])
    at = rng.integers(0, n, size=(resamples, n))
    drawn = _rank_correlation(x[at], y[at])
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    rho = float(_rank_correlation(x[None], y[None])[0])
    shuffled = rng.permuted(np.tile(y, (resamples, 1)), axis=1)
    chance = _rank_correlation(np.tile(x, (resamples, 1)), shuffled)
    p = (1 + np.count_nonzero(np.abs(chance) >= abs(rho) - 1e-12)) / (resamples + 1)
    return Correlation(rho, min(rho, float(low)), max(rho, float(high)), float(p), n)


def _rank_correlation(x: Floats, y: Floats) -> Floats:
    """ρ [B] of rows [B, n]; NaN where a row is constant."""
    rx, ry = (stats.rankdata(each, axis=1) for each in (x, y))
    rx, ry = (each - each.mean(axis=1, keepdims=True) for each in (rx, ry))
    norm = np.sqrt((rx**2).sum(axis=1) * (ry**2).sum(axis=1))
    top, nothing = (rx * ry).sum(axis=1), np.full(len(norm), np.nan)
    return np.asarray(np.divide(top, norm, out=nothing, where=norm > 0))


def _columns(rates: Rates) -> Floats:
    return np.array([rates.forget, rates.retain, rates.held_out, rates.mia])


def _sides(inputs: EvaluationInput, which: str) -> Any:
    return getattr(inputs.forget, which), getattr(inputs.held_out, which)


def _accuracy_gaps(candidate: Scores, retrain: Scores, resamples: int, key: list[int]) -> Floats:
    """Accuracy of candidate less retrain: the estimate, then `resamples` of it [1 + B]."""
    change = worth(candidate) - worth(retrain)
    people, m = units(candidate.subjects)
    sums = np.bincount(people, change, minlength=m)
    sizes = np.bincount(people, minlength=m).astype(np.float64)
    rng = np.random.default_rng([*key, 0x70])
    times = rng.multinomial(m, np.full(m, 1 / m), size=resamples)
    return np.asarray(np.r_[change.mean(), (times @ sums) / (times @ sizes)])


def _bootstrapped(name: str, drawn: Floats, n: int, reference: float) -> Metric:
    """A metric from its estimate, first, and its resamples."""
    value, resamples = float(drawn[0]), drawn[1:][~np.isnan(drawn[1:])]
    low, high = np.quantile(resamples, [0.025, 0.975])
    se = float(resamples.std(ddof=1))
    low, high = min(value, float(low)), max(value, float(high))
    return Metric(name, value, se, low, high, n, reference, "exact_retrain", gap_se=se)
