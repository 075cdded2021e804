import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score

from expunge.evaluation.membership import (
    auc,
    comparable,
    hard_rows,
    resampled_aucs,
    weighted_auc,
)
from tests.evaluation.synthetic import people, scores

VALUES = arrays(np.float64, st.integers(1, 30), elements=st.integers(-5, 5).map(float))
SEEDS = st.integers(0, 2**32 - 1)


def one(forget, held_out, wf=None, wh=None):
    wf = np.ones(len(forget)) if wf is None else wf
    wh = np.ones(len(held_out)) if wh is None else wh
    return float(weighted_auc(forget, held_out, wf[:, None], wh[:, None])[0])


@given(VALUES, VALUES, SEEDS)
def test_it_agrees_with_scikit_learn_under_weights_and_ties(forget, held_out, seed):
    rng = np.random.default_rng(seed)
    wf, wh = rng.uniform(0.1, 3, len(forget)), rng.uniform(0.1, 3, len(held_out))
    truth = np.r_[np.ones(len(forget)), np.zeros(len(held_out))]
    expected = roc_auc_score(truth, np.r_[forget, held_out], sample_weight=np.r_[wf, wh])
    assert one(forget, held_out, wf, wh) == pytest.approx(expected, abs=1e-12)


@given(VALUES, VALUES, SEEDS)
def test_swapped_sides_give_one_minus_auc_at_fixed_weights(forget, held_out, seed):
    rng = np.random.default_rng(seed)
    wf, wh = rng.uniform(0.1, 3, len(forget)), rng.uniform(0.1, 3, len(held_out))
    swapped = one(held_out, forget, wh, wf)
    assert one(forget, held_out, wf, wh) == pytest.approx(1 - swapped, abs=1e-12)


@given(VALUES, VALUES, st.floats(1e-3, 1e3))
def test_monotone_transformations_and_the_scale_of_weights_change_nothing(forget, held_out, c):
    plain = one(forget, held_out)
    assert one(np.arctan(forget) * c, np.arctan(held_out) * c) == pytest.approx(plain)
    assert one(forget, held_out, np.full(len(forget), c)) == pytest.approx(plain)


def test_ties_count_half_and_infinite_margins_are_ordered():
    assert one(np.zeros(3), np.zeros(4)) == 0.5
    assert one(np.array([1.0, 2.0]), np.array([1.0])) == 0.75
    assert one(np.array([math.inf]), np.array([0.0, math.inf, -math.inf])) == pytest.approx(2.5 / 3)


def test_held_out_rows_are_weighted_to_the_classes_of_the_forget_set():
    forget = scores([3.0] * 9 + [0.0], labels=[0] * 9 + [1])
    held_out = scores([1.0] * 5 + [5.0] * 45, labels=[0] * 5 + [1] * 45)
    rows = comparable(forget, held_out)
    # 90 % of the forget rows beat class 0, whose weight is 90 %, and lose against class 1.
    assert auc(rows, (forget, held_out)) == pytest.approx(0.9 * 0.9)


def test_classes_with_fewer_than_five_held_out_rows_are_left_out_and_counted():
    forget = scores(np.zeros(12), labels=[0] * 6 + [1] * 4 + [2] * 2)
    held_out = scores(np.zeros(20), labels=[0] * 5 + [1] * 4 + [3] * 11)
    rows = comparable(forget, held_out)
    assert rows.left_out == 6
    assert rows.forget.tolist() == [0, 1, 2, 3, 4, 5]
    assert rows.held_out.tolist() == [0, 1, 2, 3, 4]


def test_only_rows_hard_for_the_references_are_compared():
    margin = np.array([-2.0, 0.99, 1.0, 3.0, 0.5, 0.5, 0.5])
    hard = hard_rows(margin, margin, "classification")
    assert hard[0].tolist() == [True, True, False, False, True, True, True]
    side = scores(np.arange(7.0))
    rows = comparable(side, side, hard)
    assert rows.forget.tolist() == rows.held_out.tolist() == [0, 1, 4, 5, 6]


def test_without_comparable_rows_there_is_no_auc():
    rows = comparable(scores([1.0], labels=[0]), scores(np.ones(9), labels=[1] * 9))
    assert rows.empty
    assert math.isnan(auc(rows, (scores([1.0]), scores(np.ones(9)))))


def test_resamples_are_the_same_for_a_seed_and_for_every_model():
    rng = np.random.default_rng(0)
    model = people(rng, 10, 5), people(rng, 30, 5)
    rows = comparable(*model)
    first = resampled_aucs(rows, [model, model], resamples=100, seed=3)
    again = resampled_aucs(rows, [model], resamples=100, seed=3)
    other = resampled_aucs(rows, [model], resamples=100, seed=4)
    assert first.shape == (2, 100)
    assert np.array_equal(first[0], first[1])
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(again, other)


def test_a_resample_draws_whole_people_and_rebalances_their_classes():
    rng = np.random.default_rng(5)
    model = people(rng, 6, 4, classes=2), people(rng, 8, 6, classes=2)
    rows = comparable(*model)
    drawn = resampled_aucs(rows, [model], resamples=1, seed=11)[0, 0]
    stream = np.random.default_rng([11, 0])
    held = np.bincount(stream.integers(0, 8, (1, 8))[0], minlength=8)[rows.held_out_subjects]
    kept = np.bincount(stream.integers(0, 6, (1, 6))[0], minlength=6)[rows.forget_subjects]
    weights = held.astype(float)
    for label in (0, 1):
        same = rows.held_out_labels == label
        weights[same] *= kept[rows.forget_labels == label].sum() / held[same].sum()
    truth = np.r_[np.ones(len(kept)), np.zeros(len(held))]
    margin = np.concatenate(rows.margins(model))
    expected = roc_auc_score(truth, margin, sample_weight=np.r_[kept, weights])
    assert drawn == pytest.approx(expected)


def test_the_bootstrap_error_is_the_spread_over_new_people():
    rng = np.random.default_rng(1)
    values, errors = [], []
    for seed in range(150):
        model = people(rng, 25, 7, icc=0.3), people(rng, 48, 7, icc=0.3)
        rows = comparable(*model)
        values.append(auc(rows, model))
        errors.append(resampled_aucs(rows, [model], resamples=200, seed=seed).std())
    assert np.mean(values) == pytest.approx(0.5, abs=0.015)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)
