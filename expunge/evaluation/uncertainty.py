"""Standard errors and intervals, by subject.

Rows of one person resemble each other, so people are the sampling unit: the variance of a mean
is that of the subjects' sums (Taylor linearisation, m/(m−1) corrected). With fewer than two
subjects there is nothing to compare, and rows are taken as independent.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from expunge.evaluation.scores import Codes, Floats

Z95 = 1.959963984540054


def dense_codes(subjects: Codes) -> tuple[Codes, int]:
    """Subject codes renumbered 0 … m−1, and m."""
    unique, dense = np.unique(subjects, return_inverse=True)
    return dense.astype(np.int64), len(unique)


def units(subjects: Codes) -> tuple[Codes, int]:
    """What varies independently: people, renumbered; the rows themselves below two people."""
    dense, m = dense_codes(subjects)
    return (dense, m) if m > 1 else (np.arange(len(subjects)), len(subjects))


def subject_covariance(
    columns: NDArray[np.float64], subjects: Codes, weights: Floats | None = None
) -> Floats:
    """Covariance [k, k] of the (weighted) means of `columns` [N, k] over rows grouped by subject.

    Zero for a constant column, whatever the subjects.
    """
    n = len(columns)
    w = np.ones(n) if weights is None else weights
    if n == 0 or w.sum() <= 0:
        return np.full((columns.shape[1],) * 2, np.nan)
    dense, m = units(subjects)
    residual = (columns - w @ columns / w.sum()) * (w / w.sum())[:, None]
    sums = np.zeros((m, columns.shape[1]))
    np.add.at(sums, dense, residual)
    correction = m / (m - 1) if m > 1 else 1.0
    return np.asarray(correction * (sums.T @ sums))


def paired_se(change: Floats, subjects: Codes) -> float:
    """Error of a mean: of rows taken as independent, or by subject where that is larger."""
    n = len(change)
    discordance = math.sqrt(max(0.0, float((change**2).mean() - change.mean() ** 2)) / n)
    return max(discordance, math.sqrt(float(subject_covariance(change[:, None], subjects)[0, 0])))


def wilson(share: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927), always within [0, 1].

    `n` may be an effective number of rows and need not be whole; (0, 1) when it is 0.
    """
    if n <= 0:
        return 0.0, 1.0
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # Rounding must not put the share outside its own interval.
    low, high = (centre - half) / scale, (centre + half) / scale
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def effective_rows(values: Floats, subjects: Codes) -> float:
    """Rows that would be as informative if all came from different people; at most N."""
    n = len(values)
    share = float(values.mean()) if n else 0.0
    independent = share * (1 - share) / n if n else 0.0
    if independent == 0:
        return float(n)
    clustered = float(subject_covariance(values[:, None], subjects)[0, 0])
    return n * min(1.0, independent / clustered) if clustered > 0 else float(n)


def fieller(top: float, bottom: float, cov: Floats, z: float = Z95) -> tuple[float, float]:
    """Fieller's interval of top / bottom with covariance [2, 2]; (−inf, inf) when unbounded.

    All θ with (top − θ·bottom)² ≤ z²·Var(top − θ·bottom). Finite when the denominator is more than
    z standard errors from zero.
    """
    a = bottom**2 - z * z * cov[1, 1]
    if not a > 0:
        return -math.inf, math.inf
    b = top * bottom - z * z * cov[0, 1]
    c = top**2 - z * z * cov[0, 0]
    # b² − ac is never below 0 when a > 0; rounding may say otherwise.
    root = math.sqrt(max(0.0, b * b - a * c))
    return float((b - root) / a), float((b + root) / a)


def ratio_se(top: float, bottom: float, cov: Floats) -> float:
    """Standard error of top / bottom to first order."""
    slope = np.array([1.0, -top / bottom]) / bottom
    return math.sqrt(max(0.0, float(slope @ cov @ slope)))


def denominator_floor(se: float, unit: float = 1.0) -> float:
    """The least denominator of a ratio that still means something: max(0.05 units, 3·SE)."""
    return max(0.05 * unit, 3 * se)
