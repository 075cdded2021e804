"""How well rows are answered: accuracy, or the mean absolute error where labels are real numbers.

The level of an exact retrain on the forget rows is what the forgetting rate is measured against; it
is read off the retrain, or estimated from rows that the champion never saw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from expunge.evaluation.membership import strata
from expunge.evaluation.metric import Metric, ReferenceKind, undefined
from expunge.evaluation.scores import Floats, Scores
from expunge.evaluation.uncertainty import (
    Z95,
    dense_codes,
    effective_rows,
    paired_se,
    subject_covariance,
    wilson,
)


@dataclass(frozen=True)
class LevelReference:
    """Level that an exact retrain has on the forget rows, or an estimate of it with its error.

    A level is an accuracy, or a mean absolute error. `retrain`: its scores on the same rows.
    `unit`: what a difference of levels is large or small against, 1 or the labels' deviation.
    """

    kind: ReferenceKind
    value: float
    se: float
    retrain: Scores | None = None
    unit: float = 1.0


def worth(scores: Scores) -> Floats:
    """How well each row is answered, more being better: 1 right, 0 wrong; minus the error."""
    return 1.0 - scores.error if scores.task == "classification" else -scores.error


def unit_of(scores: Scores) -> float:
    """What a level is measured in: 1 for a share, the standard deviation of real labels."""
    if scores.task == "classification":
        return 1.0
    return float(scores.labels.std()) if len(scores) else math.nan


def level(name: str, scores: Scores, reference: LevelReference | None = None) -> Metric:
    """Accuracy with Wilson's interval, or the mean absolute error with a normal one, by subject.

    Wilson's n is the effective number of rows: rows of one person count for less.
    """
    n = len(scores)
    if n == 0:
        return undefined(name, "no rows")
    own = worth(scores)
    value, se, (low, high) = (
        _share(own, scores) if scores.task == "classification" else _mean_error(scores)
    )
    if reference is None:
        return Metric(name, value, se, low, high, n)
    gap = math.hypot(se, reference.se)
    if reference.retrain is not None:
        gap = paired_se(own - worth(reference.retrain), scores.subjects)
    return Metric(name, value, se, low, high, n, reference.value, reference.kind, gap_se=gap)


def _share(right: Floats, scores: Scores) -> tuple[float, float, tuple[float, float]]:
    value, rows = float(right.mean()), effective_rows(right, scores.subjects)
    return value, math.sqrt(value * (1 - value) / rows), wilson(value, rows)


def _mean_error(scores: Scores) -> tuple[float, float, tuple[float, float]]:
    value, se = float(scores.error.mean()), paired_se(scores.error, scores.subjects)
    return value, se, (max(0.0, value - Z95 * se), value + Z95 * se)


def estimated_level(kind: ReferenceKind, champion: Scores, forget: Scores) -> LevelReference | None:
    """The champion's level on held-out rows (`champion`), weighted to the forget set's classes.

    Real labels are weighted by their strata (`membership.strata`). The error is that of predicting
    this forget set: the held-out mean's own, and as much again for a sample of as many people as
    the forget set has. None without held-out rows of its classes.
    """
    mine, theirs = strata(forget.labels, champion.labels)
    classes, wanted = np.unique(mine, return_counts=True)
    weights = np.zeros(len(champion))
    for label, count in zip(classes, wanted, strict=True):
        same = theirs == label
        weights[same] = count / max(1, same.sum())
    if weights.sum() <= 0:
        return None
    own = worth(champion)
    variance = float(subject_covariance(own[:, None], champion.subjects, weights)[0, 0])
    people = dense_codes(champion.subjects[weights > 0])[1]
    asked = dense_codes(forget.subjects)[1]
    value = abs(float(weights @ own / weights.sum()))
    se = math.sqrt(variance * (1 + people / asked))
    return LevelReference(kind, value, se, unit=unit_of(champion))


def retrained_level(retrain: Scores) -> LevelReference:
    """The level on the forget rows as the exact retrain has it."""
    own = worth(retrain)
    se = math.sqrt(float(subject_covariance(own[:, None], retrain.subjects)[0, 0]))
    value = abs(float(own.mean()))
    return LevelReference("exact_retrain", value, se, retrain, unit_of(retrain))
