"""Accuracies and the rates made of them: forgetting, memory retention, generalisation.

FR  = (A_f(o) − A_f(u)) / (A_f(o) − A_f(*))     0 nothing forgotten, 1 like retraining
MRR = A_r(u) / A_r(o), the same retain rows     1 nothing lost; reported, not gated
GEN = A_t(u) − A_t(o), the same held-out rows   0 nothing lost; gated
with o the champion, u the candidate, * the exact retrain (method.md, section 3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from expunge.evaluation.metric import Metric, ReferenceKind
from expunge.evaluation.scores import Codes, Floats, Scores
from expunge.evaluation.uncertainty import (
    Z95,
    denominator_floor,
    dense_codes,
    effective_rows,
    fieller,
    ratio_se,
    subject_covariance,
    wilson,
)

RETAIN_ROWS = 2_000


@dataclass(frozen=True)
class AccuracyReference:
    """A_f(*): the exact retrain's scores on the same rows, or an estimate with its error."""

    kind: ReferenceKind
    value: float
    se: float
    retrain: Scores | None = None


def sample_rows(total: int, *, seed: int, size: int = RETAIN_ROWS) -> np.ndarray:
    """Which rows of `total` to measure MRR on: `size` of them, or all if fewer; sorted."""
    if total <= size:
        return np.arange(total)
    return np.sort(np.random.default_rng([seed, 0x4D]).choice(total, size, replace=False))


def hits(scores: Scores) -> Floats:
    """1.0 where the model is right, else 0.0."""
    return scores.correct.astype(np.float64)


def undefined(name: str, why: str, n: int = 0) -> Metric:
    """The metric `name` without a value, and why."""
    nan = math.nan
    return Metric(name, nan, nan, nan, nan, n, undefined=why)


def accuracy(name: str, scores: Scores, reference: AccuracyReference | None = None) -> Metric:
    """Share of rows that the model gets right, with Wilson's interval.

    The interval's n is the effective number of rows: rows of one person count for less.
    """
    n = len(scores)
    if n == 0:
        return undefined(name, "no rows")
    right = hits(scores)
    value, rows = float(right.mean()), effective_rows(right, scores.subjects)
    se = math.sqrt(value * (1 - value) / rows)
    low, high = wilson(value, rows)
    if reference is None:
        return Metric(name, value, se, low, high, n)
    gap = math.hypot(se, reference.se)
    if reference.retrain is not None:
        gap = paired_se(right - hits(reference.retrain), scores.subjects)
    return Metric(name, value, se, low, high, n, reference.value, reference.kind, gap_se=gap)


def estimated_accuracy(
    kind: ReferenceKind, champion: Scores, forget: Scores
) -> AccuracyReference | None:
    """A_f(*) from the champion's held-out rows (`champion`), weighted to the forget set's classes.

    The error is that of predicting this forget set: the held-out mean's own, and as much again
    for a sample of as many people as the forget set has. None without held-out rows of its classes.
    """
    classes, wanted = np.unique(forget.labels, return_counts=True)
    weights = np.zeros(len(champion))
    for label, count in zip(classes, wanted, strict=True):
        same = champion.labels == label
        weights[same] = count / max(1, same.sum())
    if weights.sum() <= 0:
        return None
    right = hits(champion)
    variance = float(subject_covariance(right[:, None], champion.subjects, weights)[0, 0])
    people = dense_codes(champion.subjects[weights > 0])[1]
    asked = dense_codes(forget.subjects)[1]
    value = float(weights @ right / weights.sum())
    return AccuracyReference(kind, value, math.sqrt(variance * (1 + people / asked)))


def retrained_accuracy(retrain: Scores) -> AccuracyReference:
    """A_f(*) as the exact retrain has it."""
    right = hits(retrain)
    se = math.sqrt(float(subject_covariance(right[:, None], retrain.subjects)[0, 0]))
    return AccuracyReference("exact_retrain", float(right.mean()), se, retrain)


def forgetting_rate(
    champion: Scores, candidate: Scores, reference: AccuracyReference | None
) -> Metric:
    """FR with Fieller's interval; undefined when its denominator < max(0.05, 3·SE of it)."""
    n = len(champion)
    if n == 0 or reference is None:
        return undefined("forgetting_rate", "no reference" if n else "no rows", n)
    before, after = hits(champion), hits(candidate)
    target = np.zeros(n) if reference.retrain is None else hits(reference.retrain)
    columns = np.column_stack([before - after, before - target])
    cov = subject_covariance(columns, champion.subjects)
    top, bottom = (float(mean) for mean in columns.mean(axis=0))
    if reference.retrain is None:
        bottom -= reference.value
        cov[1, 1] += reference.se**2
    return _ratio("forgetting_rate", top, bottom, cov, n=n, reference=(1.0, reference.kind))


def memory_retention(champion: Scores, candidate: Scores) -> Metric:
    """MRR, paired on the same retain rows, with Fieller's interval."""
    n = len(champion)
    if n == 0:
        return undefined("memory_retention_rate", "no rows")
    columns = np.column_stack([hits(candidate), hits(champion)])
    cov = subject_covariance(columns, champion.subjects)
    top, bottom = (float(mean) for mean in columns.mean(axis=0))
    return _ratio("memory_retention_rate", top, bottom, cov, n=n)


def generalisation(champion: Scores, candidate: Scores) -> Metric:
    """GEN, paired on the same held-out rows; 0 with error 0 for the champion itself."""
    n = len(champion)
    if n == 0:
        return undefined("generalisation", "no rows")
    change = hits(candidate) - hits(champion)
    value, se = float(change.mean()), paired_se(change, champion.subjects)
    low, high = value - Z95 * se, value + Z95 * se
    people = dense_codes(champion.subjects)[1]
    return Metric(
        "generalisation", value, se, low, high, n, 0.0, None, gap_se=se, degrees=people - 1
    )


def paired_se(change: Floats, subjects: Codes) -> float:
    """Error of a mean of −1, 0, 1: by discordant pairs, or by subject where that is larger."""
    n = len(change)
    discordance = math.sqrt(max(0.0, float((change**2).mean() - change.mean() ** 2)) / n)
    return max(discordance, math.sqrt(float(subject_covariance(change[:, None], subjects)[0, 0])))


def _ratio(
    name: str,
    top: float,
    bottom: float,
    cov: Floats,
    *,
    n: int,
    reference: tuple[float | None, ReferenceKind | None] = (None, None),
) -> Metric:
    floor = denominator_floor(math.sqrt(cov[1, 1]))
    if bottom < floor:
        return undefined(name, f"the denominator is {bottom:.3f}, below {floor:.3f}", n)
    low, high = fieller(top, bottom, cov)
    se = ratio_se(top, bottom, cov)
    return Metric(name, top / bottom, se, low, high, n, *reference, gap_se=se)
