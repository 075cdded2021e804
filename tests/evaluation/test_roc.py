import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_curve as sklearn_roc_curve

from expunge.evaluation import EvaluationError, roc_curve
from expunge.evaluation.membership import auc, comparable
from expunge.evaluation.roc import area, ones, true_positive_rates
from tests.evaluation.synthetic import people, scores

VALUES = arrays(np.float64, st.integers(5, 30), elements=st.integers(-4, 4).map(float))


@given(VALUES, VALUES)
def test_its_points_are_scikit_learns(forget, held_out):
    model = scores(forget), scores(held_out)
    rows = comparable(*model)
    truth = np.r_[np.ones(len(forget)), np.zeros(len(held_out))]
    fpr, tpr, _ = sklearn_roc_curve(truth, np.r_[forget, held_out], drop_intermediate=False)
    grid = np.linspace(0, 1, 37)
    # The best rate whose false positives are no more than asked for.
    best = [tpr[fpr <= at + 1e-12].max() for at in grid]
    found = true_positive_rates(rows, model, grid, *ones(rows))[:, 0]
    np.testing.assert_allclose(found, best, atol=1e-12)


def test_a_hand_computed_curve():
    model = scores([5.0, 3.0, 3.0, 0.0]), scores([4.0, 3.0, 2.0, 1.0, 1.0])
    rows = comparable(*model)
    at = np.array([0.0, 0.19, 0.2, 0.4, 0.6, 1.0])
    found = true_positive_rates(rows, model, at, *ones(rows))[:, 0]
    # At a threshold of 4, 3 and 2 no, one and two held-out rows are strictly above.
    assert found.tolist() == [0.25, 0.25, 0.25, 0.75, 0.75, 1.0]


def test_false_positives_are_weighted_to_the_classes_of_the_forget_set():
    forget = scores([2.0] * 10, labels=[0] * 9 + [1])
    held_out = scores([3.0] * 5 + [1.0] * 45, labels=[0] * 5 + [1] * 45)
    rows = comparable(forget, held_out)
    at = np.array([0.1, 0.89, 0.9])
    found = true_positive_rates(rows, (forget, held_out), at, *ones(rows))[:, 0]
    assert found.tolist() == [0.0, 0.0, 1.0]


def test_the_curve_rises_within_its_band_and_repeats_for_a_seed():
    rng = np.random.default_rng(0)
    model = people(rng, 40, 5, auc=0.7), people(rng, 80, 5)
    rows = comparable(*model)
    roc, again = (roc_curve(rows, model, seed=1) for _ in range(2))
    assert np.all(np.diff(roc.tpr) >= 0)
    assert np.all((roc.low <= roc.tpr) & (roc.tpr <= roc.high))
    assert roc.fpr[0] == pytest.approx(1 / 400)
    assert (roc.fpr[-1], roc.tpr[-1], roc.low[-1]) == (1.0, 1.0, 1.0)
    assert json.dumps(roc.to_json()) == json.dumps(again.to_json())


def test_the_area_under_a_dense_curve_is_the_auc():
    rng = np.random.default_rng(1)
    model = people(rng, 60, 5, auc=0.75), people(rng, 200, 5)
    rows = comparable(*model)
    grid = np.linspace(0, 1, 4001)
    curve = true_positive_rates(rows, model, grid, *ones(rows))[:, 0]
    assert np.trapezoid(curve, grid) == pytest.approx(auc(rows, model), abs=0.003)
    assert area("any", model, seed=0, resamples=50).value == auc(rows, model)


def test_the_band_covers_the_true_rate():
    rng = np.random.default_rng(2)
    many = people(rng, 20_000, 1, auc=0.7), people(rng, 20_000, 1)
    everyone, hits = comparable(*many), 0
    for seed in range(60):
        model = people(rng, 40, 5, auc=0.7), people(rng, 60, 5)
        roc = roc_curve(comparable(*model), model, seed=seed, points=3, resamples=100)
        truth = true_positive_rates(everyone, many, roc.fpr, *ones(everyone))[1, 0]
        hits += roc.low[1] <= truth <= roc.high[1]
    assert hits >= 51


def test_nothing_to_compare_is_an_error():
    model = scores([1.0], labels=[1]), scores(np.ones(9))
    with pytest.raises(EvaluationError, match="ROC curve"):
        roc_curve(comparable(*model), model, seed=0)
