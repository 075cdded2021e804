"""Rates made of two levels: forgetting, memory retention, generalisation.

FR  = (A_f(o) − A_f(u)) / (A_f(o) − A_f(*))     0 nothing forgotten, 1 like retraining
MRR = A_r(u) / A_r(o), the same retain rows     1 nothing lost; reported, not gated
GEN = A_t(u) − A_t(o), the same held-out rows   0 nothing lost; gated
with o the champion, u the candidate, * the exact retrain (method.md, section 3).

Where the label is a real number accuracy means nothing, and the method says "metrics by loss". The
definitions are ours, with L the mean absolute error |y − ŷ| in the units of the label, and M that
of the rows' median label, which knows nothing of a row:

FR  = (L_f(u) − L_f(o)) / (L_f(*) − L_f(o))     as above: A = −L
MRR = (M_r − L_r(u)) / (M_r − L_r(o))           the share of what the champion explains that is kept
GEN = 1 − L_t(u) / L_t(o)                       relative: −0.05 is an error 5 % larger

A denominator of FR or MRR has to reach 0.05, of real labels 0.05 standard deviations of them, and
three of its own standard errors.
"""

from __future__ import annotations

import math

import numpy as np

from expunge.evaluation.levels import LevelReference, unit_of, worth
from expunge.evaluation.metric import GENERALISATION, Metric, ReferenceKind, undefined
from expunge.evaluation.scores import Floats, Scores
from expunge.evaluation.uncertainty import (
    Z95,
    denominator_floor,
    dense_codes,
    fieller,
    paired_se,
    ratio_se,
    subject_covariance,
)

RETAIN_ROWS = 2_000


def sample_rows(total: int, *, seed: int, size: int = RETAIN_ROWS) -> np.ndarray:
    """Which rows of `total` to measure MRR on: `size` of them, or all if fewer; sorted."""
    if total <= size:
        return np.arange(total)
    return np.sort(np.random.default_rng([seed, 0x4D]).choice(total, size, replace=False))


def forgetting_rate(
    champion: Scores, candidate: Scores, reference: LevelReference | None
) -> Metric:
    """FR with Fieller's interval; undefined where its denominator is too small."""
    n = len(champion)
    if n == 0 or reference is None:
        return undefined("forgetting_rate", "no reference" if n else "no rows", n)
    classes = champion.task == "classification"
    before, after = worth(champion), worth(candidate)
    target = np.zeros(n) if reference.retrain is None else worth(reference.retrain)
    columns = np.column_stack([before - after, before - target])
    cov = subject_covariance(columns, champion.subjects)
    top, bottom = (float(mean) for mean in columns.mean(axis=0))
    if reference.retrain is None:
        bottom -= reference.value if classes else -reference.value
        cov[1, 1] += reference.se**2
    ends = top, bottom, cov, reference.unit
    return _ratio("forgetting_rate", *ends, n=n, reference=(1.0, reference.kind))


def memory_retention(champion: Scores, candidate: Scores) -> Metric:
    """MRR, paired on the same retain rows, with Fieller's interval."""
    n = len(champion)
    if n == 0:
        return undefined("memory_retention_rate", "no rows")
    classes = champion.task == "classification"
    nothing = 0.0 if classes else np.abs(champion.labels - np.median(champion.labels))
    columns = np.column_stack([worth(candidate) + nothing, worth(champion) + nothing])
    cov = subject_covariance(columns, champion.subjects)
    top, bottom = (float(mean) for mean in columns.mean(axis=0))
    return _ratio("memory_retention_rate", top, bottom, cov, unit_of(champion), n=n)


def generalisation(champion: Scores, candidate: Scores) -> Metric:
    """GEN, paired on the same held-out rows; 0 with error 0 for the champion itself.

    Of real labels the relative one: its error is that of a ratio, linearised, by subject.
    """
    n, name = len(champion), GENERALISATION[champion.task]
    if n == 0:
        return undefined(name, "no rows")
    change = worth(candidate) - worth(champion)
    if champion.task == "regression":
        before = float(champion.error.mean())
        if before == 0:
            return undefined(name, "the champion makes no error on these rows", n)
        value = float(change.mean()) / before
        # Var of Σu/Σo is that of the mean of u − (1 − value)·o over the mean of o.
        residual = (change - value * champion.error) / before
        se = paired_se(residual, champion.subjects)
    else:
        value, se = float(change.mean()), paired_se(change, champion.subjects)
    low, high = value - Z95 * se, value + Z95 * se
    people = dense_codes(champion.subjects)[1]
    return Metric(name, value, se, low, high, n, 0.0, None, gap_se=se, degrees=people - 1)


def _ratio(
    name: str,
    top: float,
    bottom: float,
    cov: Floats,
    unit: float,
    *,
    n: int,
    reference: tuple[float | None, ReferenceKind | None] = (None, None),
) -> Metric:
    floor = denominator_floor(math.sqrt(cov[1, 1]), unit)
    if bottom <= 0 or bottom < floor:
        return undefined(name, f"the denominator is {bottom:.3f}, below {floor:.3f}", n)
    low, high = fieller(top, bottom, cov)
    se = ratio_se(top, bottom, cov)
    return Metric(name, top / bottom, se, low, high, n, *reference, gap_se=se)
