"""Does the candidate answer on forgotten rows as the exact retrain does?

JS_f − JS_t: mean Jensen–Shannon divergence of the candidate's softmax to the exact retrain's, on
forget rows less on held-out rows of the same classes. Two trainings differ on every row; what
counts is that they differ no more on the forgotten ones. A second exact retrain in the candidate's
place gives the floor. Natural logarithm: nats, 0 to ln 2 = 0.693 for one row. float64 throughout.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from expunge.evaluation.membership import Population, balanced
from expunge.evaluation.metric import EvaluationError, Metric, undefined
from expunge.evaluation.roc import ones
from expunge.evaluation.scores import Floats
from expunge.evaluation.uncertainty import Z95, dense_codes, subject_covariance

Outputs: TypeAlias = tuple[NDArray[Any], NDArray[Any]]
"""One model's logits [N, C] on all forget rows and on all held-out rows."""


def js_divergence(logits: NDArray[Any], others: NDArray[Any]) -> Floats:
    """Jensen–Shannon divergence [N] between the softmaxes of two arrays of logits [N, C], in nats.

    ½KL(p‖m) + ½KL(q‖m), m = ½(p + q) (Lin 1991), from log probabilities; 0 for equal logits.

    Raises:
        EvaluationError: the shapes differ, or a logit is NaN.
    """
    if logits.shape != others.shape or logits.ndim != 2:
        raise EvaluationError(
            f"Outputs of the shapes {logits.shape} and {others.shape} cannot be compared.",
            fix="give the logits of both models on the same rows",
        )
    with np.errstate(invalid="ignore"):  # NaN is refused below
        log_p, log_q = _log_softmax(logits), _log_softmax(others)
        js = (_terms(log_p, log_q) + _terms(log_q, log_p)).sum(axis=1) / 2
    if np.isnan(js).any():
        raise EvaluationError(
            f"{int(np.isnan(js).sum())} of {len(js)} rows have outputs that are not numbers.",
            fix="train or unlearn the model again",
        )
    return np.asarray(np.clip(js, 0.0, math.log(2)))


def divergence_gap(
    population: Population,
    candidate: Outputs,
    retrain: Outputs,
    second_retrain: Outputs | None = None,
) -> tuple[Metric, Metric]:
    """`js_gap` of the candidate and `js_floor` of a second retrain, both to `retrain`, in nats.

    The floor is the gap's reference, and their difference is paired row by row. Errors by subject.
    """
    names = "js_gap", "js_floor"
    if population.empty:
        why = "no forget and held-out rows of one class"
        return undefined(names[0], why), undefined(names[1], why)
    own = _divergences(population, candidate, retrain)
    value, se = _gap(population, own)
    gap = _metric(names[0], population, value, se)
    if second_retrain is None:
        return gap, undefined(names[1], "no second exact retrain", gap.n)
    noise = _divergences(population, second_retrain, retrain)
    floor, floor_se = _gap(population, noise)
    paired = _gap(population, (own[0] - noise[0], own[1] - noise[1]))[1]
    known = _metric(names[0], population, value, se, reference=floor, gap_se=paired)
    return known, _metric(names[1], population, floor, floor_se)


def _divergences(rows: Population, model: Outputs, retrain: Outputs) -> tuple[Floats, Floats]:
    return (
        js_divergence(model[0][rows.forget], retrain[0][rows.forget]),
        js_divergence(model[1][rows.held_out], retrain[1][rows.held_out]),
    )


def _gap(rows: Population, values: tuple[Floats, Floats]) -> tuple[float, float]:
    """Forget mean less the class-matched held-out mean, and its error."""
    weights = [side[:, 0] for side in balanced(rows, *ones(rows))]
    subjects = rows.forget_subjects, rows.held_out_subjects
    means = [np.average(v, weights=w) for v, w in zip(values, weights, strict=True)]
    variance = sum(
        float(subject_covariance(v[:, None], s, w)[0, 0])
        for v, s, w in zip(values, subjects, weights, strict=True)
    )
    return float(means[0] - means[1]), math.sqrt(variance)


def _metric(
    name: str,
    rows: Population,
    value: float,
    se: float,
    *,
    reference: float | None = None,
    gap_se: float = math.nan,
) -> Metric:
    people = min(dense_codes(rows.forget_subjects)[1], dense_codes(rows.held_out_subjects)[1])
    return Metric(
        name=name,
        value=value,
        se=se,
        low=value - Z95 * se,
        high=value + Z95 * se,
        n=len(rows.forget),
        reference=reference,
        reference_kind=None if reference is None else "exact_retrain",
        gap_se=gap_se,
        degrees=people - 1,
        left_out=rows.left_out,
    )


def _log_softmax(logits: NDArray[Any]) -> Floats:
    z = np.asarray(logits, dtype=np.float64)
    z = z - z.max(axis=1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=1, keepdims=True)))


def _terms(log_p: Floats, log_q: Floats) -> Floats:
    """p · log(p / m), m the mean of both: exactly 0 where they are equal, and where p is 0."""
    p = np.exp(log_p)
    above = math.log(2) - np.logaddexp(0.0, log_q - log_p)
    return np.asarray(np.where(p == 0, 0.0, p * above))
