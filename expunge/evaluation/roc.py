"""The ROC curve of a membership attack on a logarithmic axis, and the area under it.

The attack says "forgotten" of a row whose margin is above a threshold. False positives are counted
on held-out rows, weighted to the forget set's classes as in the AUC. Where an attack is worth
making is the far left: a few people named with near certainty (Carlini et al. 2022), hence the
logarithmic axis. Bands are a bootstrap by subject, pointwise; at rates below some ten held-out
rows they say little.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from expunge.evaluation.evaluate import RESAMPLES, evaluate
from expunge.evaluation.inputs import EvaluationInput, SplitScores
from expunge.evaluation.membership import Population, TwoSides, balanced
from expunge.evaluation.metric import EvaluationError, Metric, RequestKind
from expunge.evaluation.scores import Floats
from expunge.evaluation.uncertainty import units

POINTS = 101
_CELLS = 2_000_000
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Roc:
    """True positive rate [P] at false positive rates [P], with a pointwise 95 % band."""

    fpr: Floats
    tpr: Floats
    low: Floats
    high: Floats
    forget_rows: int
    held_out_rows: int

    def to_json(self) -> dict[str, Any]:
        """Points and counts; no row and no subject."""
        curves = ("fpr", "tpr", "low", "high")
        return {name: getattr(self, name).tolist() for name in curves} | {
            "forget_rows": self.forget_rows,
            "held_out_rows": self.held_out_rows,
        }


def roc_curve(
    population: Population,
    model: TwoSides,
    *,
    resamples: int = 200,
    seed: int,
    points: int = POINTS,
) -> Roc:
    """The class-balanced ROC of `model`, from one held-out row to all, evenly on a log axis.

    Raises:
        EvaluationError: the population is empty.
    """
    if population.empty:
        raise EvaluationError(
            "There is no forget and held-out row of one class to draw a ROC curve of.",
            fix="give held-out rows of the forgotten classes, five of each at least",
        )
    fpr = np.geomspace(min(0.1, 1 / len(population.held_out)), 1.0, points)
    drawn = resampled_rates(population, model, fpr, resamples=resamples, seed=seed)
    low, high = np.nanquantile(drawn, [0.025, 0.975], axis=1)
    tpr = true_positive_rates(population, model, fpr, *ones(population))[:, 0]
    # Bootstrap quantiles may leave the estimate out where a rate is a matter of one row.
    low, high = np.minimum(low, tpr), np.maximum(high, tpr)
    return Roc(fpr, tpr, low, high, len(population.forget), len(population.held_out))


def true_positive_rates(
    population: Population, model: TwoSides, fpr: Floats, forget: Floats, held_out: Floats
) -> Floats:
    """TPR [P, B] under B pairs of row weights [n, B], balanced here by class.

    A step function, never interpolated: the share of forget rows strictly above the lowest
    threshold whose false positive rate is at most `fpr`. NaN where a resample left nothing.
    """
    s_f, s_h = population.margins(model)
    w_f, w_h = balanced(population, forget, held_out)
    thresholds = np.append(np.unique(s_h)[::-1], -np.inf)
    false, true = _above(s_h, w_h, thresholds), _above(s_f, w_f, thresholds)
    false[-1], true[-1] = w_h.sum(axis=0), w_f.sum(axis=0)
    with np.errstate(invalid="ignore"):
        false, true = false / false[-1], true / true[-1]
    columns = range(false.shape[1])
    at = [np.searchsorted(false[:, b], fpr + _ROUNDING, side="right") - 1 for b in columns]
    return np.column_stack([true[at[b], b] for b in columns])


def resampled_rates(
    population: Population, model: TwoSides, fpr: Floats, *, resamples: int, seed: int
) -> Floats:
    """TPR [P, B] on B bootstrap resamples of the people of both sides."""
    parts = [
        true_positive_rates(population, model, fpr, *weights)
        for weights in _resampled(population, resamples, seed)
    ]
    return np.concatenate(parts, axis=1)


def ones(population: Population) -> tuple[Floats, Floats]:
    """Every row once."""
    return np.ones((len(population.forget), 1)), np.ones((len(population.held_out), 1))


def area(
    name: str,
    candidate: TwoSides,
    *,
    retrain: TwoSides | None = None,
    reference_margin: tuple[Floats, Floats] | None = None,
    request: RequestKind = "subjects",
    seed: int,
    resamples: int = RESAMPLES,
) -> Metric:
    """The AUC of any score put in the place of the margin, as `evaluate` measures it.

    Same class matching, reference, errors and bootstrap; with `reference_margin` of both sides it
    is the hard-row AUC.
    """
    forget, held_out = (
        SplitScores(
            champion=candidate[side],
            candidate=candidate[side],
            retrain=retrain[side] if retrain else None,
            reference_margin=reference_margin[side] if reference_margin else None,
        )
        for side in (0, 1)
    )
    found = evaluate(
        EvaluationInput(forget, held_out, held_out, request), seed=seed, resamples=resamples
    )
    return replace(found.metric("hard_row_auc" if reference_margin else "auc"), name=name)


def _above(scores: Floats, weights: Floats, thresholds: Floats) -> Floats:
    """Weight [T, B] of the rows strictly above each of the falling thresholds [T]."""
    order = np.argsort(-scores, kind="stable")
    total = np.zeros((len(scores) + 1, weights.shape[1]))
    np.cumsum(weights[order], axis=0, out=total[1:])
    return np.asarray(total[np.searchsorted(-scores[order], -thresholds, side="left")])


def _resampled(rows: Population, resamples: int, seed: int) -> Iterator[tuple[Floats, Floats]]:
    sides = units(rows.forget_subjects), units(rows.held_out_subjects)
    step = max(1, _CELLS // (len(rows.forget) + len(rows.held_out)))
    for number, start in enumerate(range(0, resamples, step)):
        count = min(step, resamples - start)
        rng = np.random.default_rng([seed, 0x20C, number])
        forget, held_out = (
            rng.multinomial(m, np.full(m, 1 / m), size=count).T[people].astype(np.float64)
            for people, m in sides
        )
        yield forget, held_out
