"""Our metrics against other people's implementations, by hand, and by law."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.special import log_softmax
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from expunge.evaluation import EvaluationInput, SplitScores, evaluate, scores_of_logits
from expunge.evaluation.levels import level, retrained_level
from expunge.evaluation.membership import auc, comparable, weighted_auc
from expunge.evaluation.rates import forgetting_rate, generalisation, memory_retention
from expunge.evaluation.uncertainty import fieller, subject_covariance, wilson
from tests.evaluation.synthetic import scores

VALUES = arrays(np.float64, st.integers(5, 40), elements=st.integers(-4, 4).map(float))
RIGHT = arrays(np.bool_, st.integers(4, 60))
LOGITS = arrays(np.float64, (6, 4), elements=st.floats(-15, 15))


def of(right, **changes):
    right = np.asarray(right)
    return scores(np.where(right, 1.0, -1.0), correct=right, **changes)


def sklearn_auc(forget, held_out, weights=None):
    truth = np.r_[np.ones(len(forget)), np.zeros(len(held_out))]
    return roc_auc_score(truth, np.r_[forget, held_out], sample_weight=weights)


# Against scikit-learn, scipy and the textbook


@given(LOGITS, arrays(np.int64, 6, elements=st.integers(0, 3)))
def test_accuracy_loss_and_margin_of_logits(logits, labels):
    found = scores_of_logits(logits, labels, np.arange(6))
    log_p = log_softmax(logits, axis=1)
    own = log_p[np.arange(6), labels]
    assert found.correct.mean() == accuracy_score(labels, logits.argmax(axis=1))
    np.testing.assert_allclose(found.loss, -own, atol=1e-9)
    expected = log_loss(labels, np.exp(log_p), labels=range(4))
    assert found.loss.mean() == pytest.approx(expected, abs=1e-9)
    sure = own > -1e-6  # 1 − p has lost its digits there, which is why the margin is not made of it
    odds = own - np.log(-np.expm1(np.minimum(own, -1e-300)))
    np.testing.assert_allclose(found.margin[~sure], odds[~sure], atol=1e-6)


@given(VALUES, VALUES, st.integers(0, 2**32 - 1))
def test_weighted_auc_is_scikit_learns(forget, held_out, seed):
    rng = np.random.default_rng(seed)
    wf, wh = rng.uniform(0.1, 3, len(forget)), rng.uniform(0.1, 3, len(held_out))
    found = weighted_auc(forget, held_out, wf[:, None], wh[:, None])[0]
    assert found == pytest.approx(sklearn_auc(forget, held_out, np.r_[wf, wh]), abs=1e-12)


@given(VALUES, VALUES)
def test_the_auc_of_one_class_is_mann_whitneys_statistic(forget, held_out):
    model = scores(forget), scores(held_out)
    u = stats.mannwhitneyu(forget, held_out).statistic
    assert auc(comparable(*model), model) == pytest.approx(u / (len(forget) * len(held_out)))


@given(st.integers(0, 2**32 - 1))
def test_the_class_matched_auc_is_the_weighted_mean_of_each_class_against_all(seed):
    rng = np.random.default_rng(seed)
    forget = scores(rng.normal(size=40), rng.integers(0, 3, 40))
    held_out = scores(rng.normal(size=90), np.arange(90) % 3)
    share = np.bincount(forget.labels, minlength=3) / 40
    weights = np.r_[np.ones(40), share[held_out.labels] / 30]
    expected = sklearn_auc(forget.margin, held_out.margin, weights)
    model = forget, held_out
    assert auc(comparable(*model), model) == pytest.approx(expected)


@given(st.integers(0, 400), st.integers(0, 400), st.sampled_from([0.9, 0.95, 0.99]))
def test_wilson_is_scipys(hits, misses, confidence):
    n = hits + misses
    assume(n > 0)
    expected = stats.binomtest(hits, n).proportion_ci(confidence, method="wilson")
    found = wilson(hits / n, n, stats.norm.isf((1 - confidence) / 2))
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(arrays(np.float64, st.integers(3, 40), elements=st.floats(-5, 5)))
def test_the_error_of_a_mean_over_people_with_one_row_is_scipys(values):
    found = math.sqrt(subject_covariance(values[:, None], np.arange(len(values)))[0, 0])
    assert found == pytest.approx(stats.sem(values), abs=1e-12)


def test_a_paired_difference_has_the_error_of_a_paired_t_test():
    rng = np.random.default_rng(0)
    before, after = of(rng.random(500) < 0.8), of(rng.random(500) < 0.7)
    t = stats.ttest_rel(after.correct.astype(float), before.correct.astype(float))
    found = generalisation(before, after)
    assert found.value / found.se == pytest.approx(t.statistic, rel=1e-9)


def test_fieller_without_an_error_below_is_the_plain_interval():
    low, high = fieller(1.0, 2.0, np.array([[0.01, 0.0], [0.0, 0.0]]), 1.96)
    assert (low, high) == pytest.approx((0.5 - 0.098, 0.5 + 0.098))


# By hand


def test_rates_of_a_hand_computed_case():
    champion, candidate = of([1] * 9 + [0]), of([1] * 7 + [0] * 3)
    retrain = of([1] * 5 + [0] * 5)
    rate = forgetting_rate(champion, candidate, retrained_level(retrain))
    assert rate.undefined or rate.value == pytest.approx((0.9 - 0.7) / (0.9 - 0.5))
    many = [of(np.tile(each.correct, 50)) for each in (champion, candidate, retrain)]
    found = forgetting_rate(many[0], many[1], retrained_level(many[2]))
    assert found.value == pytest.approx(0.5)
    assert memory_retention(many[0], many[1]).value == pytest.approx(7 / 9)
    assert generalisation(many[0], many[1]).value == pytest.approx(-0.2)
    assert level("a", many[1]).value == pytest.approx(0.7)


# Laws


@given(RIGHT)
def test_the_champion_against_itself_forgot_nothing_and_lost_nothing(right):
    champion = of(right)
    nothing = retrained_level(of(np.zeros(len(right), dtype=bool)))
    rate, mrr = forgetting_rate(champion, champion, nothing), memory_retention(champion, champion)
    assert rate.undefined or rate.value == 0.0
    assert mrr.undefined or mrr.value == 1.0
    assert (generalisation(champion, champion).value, generalisation(champion, champion).se) == (
        0.0,
        0.0,
    )


@given(RIGHT, st.integers(0, 99))
def test_the_retrain_as_candidate_forgot_exactly_all(right, seed):
    retrain = of(np.random.default_rng(seed).permutation(right))
    rate = forgetting_rate(of(np.ones_like(right)), retrain, retrained_level(retrain))
    assert rate.undefined or rate.value == 1.0


def test_another_retrain_forgot_all_but_for_chance():
    rng = np.random.default_rng(1)
    champion, first, second = (of(rng.random(2000) < share) for share in (0.99, 0.6, 0.6))
    rate = forgetting_rate(champion, second, retrained_level(first))
    assert rate.low < 1 < rate.high
    assert rate.value == pytest.approx(1, abs=0.15)


@given(RIGHT, st.integers(0, 99))
def test_generalisation_turns_its_sign_with_its_sides(right, seed):
    one, other = of(right), of(np.random.default_rng(seed).permutation(~right))
    found, turned = generalisation(one, other), generalisation(other, one)
    assert found.value == -turned.value
    assert found.se == turned.se


@given(VALUES, VALUES)
def test_swapped_sides_give_one_minus_auc_and_ties_count_half(forget, held_out):
    model, turned = (scores(forget), scores(held_out)), (scores(held_out), scores(forget))
    found = auc(comparable(*model), model)
    assert found + auc(comparable(*turned), turned) == pytest.approx(1)
    flat = scores(np.zeros(len(forget))), scores(np.zeros(len(held_out)))
    assert auc(comparable(*flat), flat) == pytest.approx(0.5, abs=1e-15)


@given(VALUES, VALUES)
def test_negated_margins_give_one_minus_auc(forget, held_out):
    model = scores(forget), scores(held_out)
    turned = scores(-forget), scores(-held_out)
    rows = comparable(*model)
    assert auc(rows, model) + auc(rows, turned) == pytest.approx(1)


@given(VALUES, st.integers(0, 99))
def test_the_order_of_rows_changes_nothing(values, seed):
    rng = np.random.default_rng(seed)
    forget = scores(values, rng.integers(0, 2, len(values)))
    held_out = scores(rng.normal(size=40), np.arange(40) % 2)
    shuffled = forget.take(rng.permutation(len(values)))
    found = auc(comparable(forget, held_out), (forget, held_out))
    assert auc(comparable(shuffled, held_out), (shuffled, held_out)) == pytest.approx(found)


@settings(max_examples=20)
@given(st.integers(0, 2**31))
def test_an_evaluation_of_the_champion_itself_reads_before_everywhere(seed):
    rng = np.random.default_rng(seed)
    forget = scores(rng.normal(1, 1, 120), subjects=np.arange(120) // 3)
    held_out = scores(rng.normal(0, 1, 240), subjects=1000 + np.arange(240) // 3)
    splits = [
        SplitScores(each, each, reference_margin=np.zeros(len(each))) for each in (forget, held_out)
    ]
    found = evaluate(EvaluationInput(splits[0], splits[0], splits[1]), seed=1, resamples=50)
    for name in ("forget_accuracy", "held_out_accuracy", "auc", "hard_row_auc"):
        assert found.metric(name).value == found.metric(f"{name}_before").value
    rate = found.metric("forgetting_rate")
    assert rate.undefined or rate.value == 0.0
    assert found.metric("auc") == replace(found.metric("hard_row_auc"), name="auc")
