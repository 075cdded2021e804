import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import jensenshannon
from scipy.special import softmax

from expunge.evaluation import EvaluationError, divergence_gap, js_divergence
from expunge.evaluation.membership import comparable
from tests.evaluation.synthetic import scores

LOGITS = arrays(np.float64, (6, 4), elements=st.floats(-30, 30))


@given(LOGITS, LOGITS)
def test_it_is_the_square_of_scipys_distance(a, b):
    expected = [jensenshannon(p, q) ** 2 for p, q in zip(softmax(a, 1), softmax(b, 1), strict=True)]
    np.testing.assert_allclose(js_divergence(a, b), np.nan_to_num(expected), atol=1e-7)


@given(LOGITS, LOGITS, st.floats(-100, 100))
def test_it_is_symmetric_bounded_and_blind_to_a_constant(a, b, c):
    found = js_divergence(a, b)
    assert np.all((found >= 0) & (found <= math.log(2)))
    np.testing.assert_allclose(found, js_divergence(b, a), atol=1e-12)
    np.testing.assert_allclose(found, js_divergence(a + c, b), atol=1e-9)
    assert np.all(js_divergence(a, a) == 0)


def test_sure_and_opposite_answers_are_ln_2_apart_and_overflow_nothing():
    a, b = np.array([[1e4, 0.0], [np.inf, 0.0]]), np.array([[0.0, 1e4], [0.0, 1.0]])
    assert js_divergence(a[:1], b[:1]) == pytest.approx([math.log(2)])
    with pytest.raises(EvaluationError, match="1 of 2 rows"):
        js_divergence(a, b)
    with pytest.raises(EvaluationError, match="shapes"):
        js_divergence(a, b[:1])


def sides(rng, n_f=60, n_h=200):
    labels = rng.integers(0, 2, n_f), rng.integers(0, 2, n_h)
    people = np.arange(n_f) // 3, 1000 + np.arange(n_h) // 4
    model = tuple(scores(np.zeros(len(y)), y, who) for y, who in zip(labels, people, strict=True))
    return comparable(*model), tuple(rng.normal(size=(len(y), 4)) for y in labels)


def noisy(rng, logits, forget=0.5, held_out=0.5):
    return tuple(
        z + s * rng.normal(size=z.shape) for z, s in zip(logits, (forget, held_out), strict=True)
    )


def test_a_candidate_that_differs_on_forgotten_rows_alone_stands_out_of_the_floor():
    rng = np.random.default_rng(0)
    rows, retrain = sides(rng)
    second, knows = noisy(rng, retrain), noisy(rng, retrain, forget=3.0)
    gap, floor = divergence_gap(rows, knows, retrain, second)
    assert floor.low < 0 < floor.high
    assert gap.low > floor.high
    assert gap.reference == floor.value
    assert gap.reference_kind == "exact_retrain"
    assert gap.value - gap.reference > 5 * gap.gap_se


def test_the_retrain_itself_has_no_gap_and_the_second_retrain_is_the_floor():
    rng = np.random.default_rng(1)
    rows, retrain = sides(rng)
    second = noisy(rng, retrain)
    own, _ = divergence_gap(rows, retrain, retrain)
    assert (own.value, own.se, own.reference) == (0.0, 0.0, None)
    gap, floor = divergence_gap(rows, second, retrain, second)
    assert (gap.value, gap.gap_se) == (floor.value, 0.0)


def test_held_out_rows_are_weighted_to_the_classes_of_the_forget_set():
    forget = scores(np.zeros(10), labels=[0] * 10)
    held_out = scores(np.zeros(20), labels=[0] * 10 + [1] * 10)
    rows = comparable(forget, held_out)
    same, other = np.zeros((30, 2)), np.zeros((30, 2))
    other[20:, 0] = 9.0
    gap, floor = divergence_gap(rows, (other[:10], other[10:]), (same[:10], same[10:]))
    assert gap.value == 0.0
    assert floor.undefined == "no second exact retrain"


def test_the_error_is_the_spread_over_new_people():
    rng, values, errors = np.random.default_rng(2), [], []
    for _ in range(150):
        rows, retrain = sides(rng)
        gap, _ = divergence_gap(rows, noisy(rng, retrain), retrain)
        values.append(gap.value)
        errors.append(gap.se)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.2)
