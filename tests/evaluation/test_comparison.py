import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from expunge.evaluation import (
    EvaluationInput,
    Metric,
    Rates,
    SplitScores,
    average_gap,
    leak,
    literature_metrics,
    spearman,
    tug_of_war,
)
from tests.evaluation.synthetic import scores

SHARE = st.floats(0, 1)
RATES = st.builds(Rates, SHARE, SHARE, SHARE, SHARE)


def test_hand_computed_gap_and_tug_of_war():
    candidate, retrain = Rates(0.9, 0.95, 0.8, 0.6), Rates(0.8, 1.0, 0.9, 0.5)
    assert average_gap(candidate, retrain) == pytest.approx((0.1 + 0.05 + 0.1 + 0.1) / 4)
    assert tug_of_war(candidate, retrain) == pytest.approx(0.9 * 0.95 * 0.9)


@given(RATES, RATES)
def test_both_are_symmetric_and_best_for_the_retrain_itself(a, b):
    assert average_gap(a, b) == average_gap(b, a)
    assert tug_of_war(a, b) == pytest.approx(tug_of_war(b, a))
    assert (average_gap(a, a), tug_of_war(a, a)) == (0.0, 1.0)
    assert 0 <= tug_of_war(a, b) <= 1


def test_without_an_attack_there_is_no_average_gap():
    assert math.isnan(average_gap(Rates(1, 1, 1), Rates(1, 1, 1, 0.5)))
    assert tug_of_war(Rates(1, 1, 1), Rates(1, 1, 0.5)) == 0.5


def split(rng, candidate, retrain, n=400):
    subjects = np.arange(n) // 4

    def model(share):
        right = rng.random(n) < share
        return scores(rng.normal(size=n), rng.integers(0, 2, n) * 0, subjects, right)

    return SplitScores(model(0.9), model(candidate), None if retrain is None else model(retrain))


def test_metrics_from_scores_agree_with_their_rates():
    rng = np.random.default_rng(0)
    inputs = EvaluationInput(split(rng, 0.9, 0.6), split(rng, 0.95, 0.9), split(rng, 0.8, 0.8))
    gap, tow = literature_metrics(inputs, seed=0, resamples=300)
    splits = inputs.forget, inputs.retain, inputs.held_out
    mine, theirs = (
        [getattr(each, who).correct.mean() for each in splits] for who in ("candidate", "retrain")
    )
    assert tow.value == pytest.approx(tug_of_war(Rates(*mine), Rates(*theirs)))
    auc = [
        np.mean(f.margin[:, None] > h.margin)
        for f, h in (
            (inputs.forget.candidate, inputs.held_out.candidate),
            (inputs.forget.retrain, inputs.held_out.retrain),
        )
    ]
    expected = average_gap(Rates(*mine, auc[0]), Rates(*theirs, auc[1]))
    assert gap.value == pytest.approx(expected)
    assert gap.low <= gap.value <= gap.high < 0.2
    assert tow.low < tow.value < tow.high < 1
    assert (gap.reference, tow.reference) == (0.0, 1.0)


def test_without_a_retrain_in_every_split_both_are_undefined():
    rng = np.random.default_rng(1)
    inputs = EvaluationInput(split(rng, 0.9, 0.6), split(rng, 0.95, None), split(rng, 0.8, 0.8))
    found = literature_metrics(inputs, seed=0)
    assert [metric.undefined for metric in found] == ["no exact retrain"] * 2


def test_leak_is_the_difference_to_the_null_control():
    metric = Metric("auc", 0.62, 0.03, 0.56, 0.68, 300)
    null = Metric("auc", 0.52, 0.04, 0.44, 0.6, 300)
    found = leak(metric, null)
    assert (found.name, found.value) == ("auc_leak", pytest.approx(0.1))
    assert found.se == pytest.approx(0.05)
    assert found.reference == 0.0
    nothing = Metric("auc", math.nan, math.nan, math.nan, math.nan, 0, undefined="no rows")
    assert leak(metric, nothing).undefined == "no rows"


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=4, max_size=20))
def test_rho_is_scipys_ties_and_all(pairs):
    x, y = zip(*pairs, strict=True)
    found = spearman(x, y, seed=0, resamples=50)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert "same for every model" in found.undefined
    else:
        assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
        assert -1 <= found.low <= found.rho <= found.high <= 1


def test_the_p_value_is_that_of_all_permutations():
    x, y = [1, 2, 3, 4, 5, 6], [2, 1, 3, 4, 6, 5]
    rho = stats.spearmanr(x, y).statistic
    each = [stats.spearmanr(x, order).statistic for order in itertools.permutations(y)]
    exact = np.mean(np.abs(each) >= abs(rho) - 1e-12)
    assert spearman(x, y, seed=0, resamples=20_000).p == pytest.approx(exact, abs=0.005)


def test_models_without_one_of_the_two_are_left_out_and_few_models_say_nothing():
    x, y = [1.0, 2.0, 3.0, math.nan, 5.0], [1.0, 2.0, 3.0, 4.0, math.nan]
    found = spearman(x, y, seed=0)
    assert found.models == 3
    assert found.undefined == "3 models have both, 4 needed"
    assert found.to_json()["rho"] is None
