import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from expunge.evaluation.uncertainty import (
    effective_rows,
    fieller,
    ratio_se,
    subject_covariance,
    wilson,
)


@given(st.integers(0, 500), st.integers(1, 500))
def test_wilson_agrees_with_scipy_and_stays_a_share(hits, more):
    n = hits + more
    low, high = wilson(hits / n, n)
    assert 0 <= low <= hits / n <= high <= 1
    expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_one_row_per_subject_gives_the_textbook_standard_error():
    values = np.random.default_rng(0).normal(size=(50, 2))
    found = subject_covariance(values, np.arange(50))
    np.testing.assert_allclose(found, np.cov(values.T) / 50)


def test_copies_of_a_row_within_a_subject_add_no_information():
    values = np.random.default_rng(1).integers(0, 2, 40).astype(float)
    once = subject_covariance(values[:, None], np.arange(40))
    copied = subject_covariance(np.repeat(values, 20)[:, None], np.repeat(np.arange(40), 20))
    np.testing.assert_allclose(copied, once)
    subjects = np.repeat(np.arange(40), 20)
    assert effective_rows(np.repeat(values, 20), subjects) == pytest.approx(39)


def test_effective_rows_are_never_more_than_the_rows():
    alternating = np.tile([0.0, 1.0], 50)
    assert effective_rows(alternating, np.repeat(np.arange(50), 2)) == 100


def test_fieller_of_independent_normals_covers_the_true_ratio_nominally():
    rng, cov, hits = np.random.default_rng(2), np.array([[0.04, 0.01], [0.01, 0.02]]), 0
    for top, bottom in rng.multivariate_normal([2.0, 1.0], cov, 2000):
        low, high = fieller(top, bottom, cov)
        hits += low <= 2.0 <= high
    assert hits / 2000 == pytest.approx(0.95, abs=0.015)


def test_fieller_solves_its_equation_and_says_when_it_is_unbounded():
    cov = np.array([[0.01, 0.002], [0.002, 0.01]])
    for theta in fieller(0.8, 1.0, cov):
        spread = math.sqrt(cov[0, 0] - 2 * theta * cov[0, 1] + theta**2 * cov[1, 1])
        assert abs(0.8 - theta * 1.0) == pytest.approx(1.959964 * spread, rel=1e-6)
    assert fieller(0.1, 0.1, cov) == (-math.inf, math.inf)


def test_the_error_of_a_ratio_of_equal_things_is_zero():
    assert ratio_se(0.3, 0.3, np.full((2, 2), 0.01)) == pytest.approx(0)
