import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from expunge.evaluation.membership import comparable
from expunge.evaluation.per_subject import (
    between_people,
    held_out_people,
    people_aucs,
    stranger_variance,
    worst_subject,
)
from tests.evaluation.synthetic import people, scores


@given(st.integers(0, 2**32 - 1))
def test_each_persons_auc_agrees_with_scikit_learn_in_one_class(seed):
    rng = np.random.default_rng(seed)
    margin, subjects = rng.integers(0, 5, 12).astype(float), np.repeat([3, 5, 9], 4)
    others = rng.integers(0, 5, 20).astype(float)
    found = people_aucs((margin, np.zeros(12), subjects), (others, np.zeros(20)))
    for number, code in enumerate([3, 5, 9]):
        own = margin[subjects == code]
        truth = np.r_[np.ones(4), np.zeros(20)]
        assert found.auc[number] == pytest.approx(roc_auc_score(truth, np.r_[own, others]))


def test_a_held_out_person_is_compared_with_the_others_only():
    held_out = scores([0.0, 4.0, 1.0, 2.0, 3.0, 5.0], subjects=[0, 0, 1, 1, 2, 2])
    rows = comparable(held_out, held_out)
    found = held_out_people(rows, held_out)
    # Person 0: 0 beats none of {1, 2, 3, 5}, 4 beats three of them.
    assert found.auc[0] == pytest.approx(3 / 8)
    assert found.rows.tolist() == [2, 2, 2]
    assert found.auc.mean() == pytest.approx(0.5)


def test_ranks_are_within_the_class_of_the_row():
    others = (np.array([0.0, 10.0]), np.array([0, 1]))
    found = people_aucs((np.array([5.0, 5.0]), np.array([0, 1]), np.array([7, 7])), others)
    assert found.auc.tolist() == [0.5]
    nobody = people_aucs((np.array([5.0]), np.array([2]), np.array([7])), others)
    assert math.isnan(nobody.auc[0])
    assert nobody.rows.tolist() == [0]


def test_the_spread_between_people_is_told_from_that_of_rows():
    rng = np.random.default_rng(0)
    alike, apart = people(rng, 400, 10, icc=0.0), people(rng, 400, 10, icc=0.3)
    alike_tau = between_people(held_out_people(comparable(alike, alike), alike))
    found = held_out_people(comparable(apart, apart), apart)
    assert alike_tau < 0.003
    assert between_people(found) > 0.015
    assert np.var(found.auc) == pytest.approx(
        float(stranger_variance(np.array([10.0]), between_people(found))[0]), rel=0.15
    )


def test_the_one_person_still_known_is_found_and_strangers_are_not():
    rng = np.random.default_rng(1)
    held_out, forget = people(rng, 48, 10), people(rng, 25, 10)
    margin = forget.margin.copy()
    margin[forget.subjects == 13] += 4.0
    known = scores(margin, forget.labels, forget.subjects)
    rows = comparable(forget, held_out)
    quiet = worst_subject(rows, forget, held_out, asked=25)
    loud = worst_subject(rows, known, held_out, asked=25)
    assert quiet.p_holm > 0.05
    assert loud.p_holm < 0.01
    assert loud.auc > 0.95
    assert (loud.subjects, loud.unscored, loud.held_out_subjects) == (25, 0, 48)


def test_strangers_are_taken_for_known_at_the_nominal_rate():
    rng, wrong = np.random.default_rng(2), 0
    for _ in range(200):
        held_out, forget = people(rng, 48, 7), people(rng, 25, 7)
        worst = worst_subject(comparable(forget, held_out), forget, held_out, asked=25)
        wrong += worst.p_holm < 0.05
    assert stats.binomtest(wrong, 200, 0.05, alternative="greater").pvalue > 0.01


def test_with_few_held_out_people_nobody_can_be_judged():
    rng = np.random.default_rng(3)
    held_out, forget = people(rng, 19, 10), people(rng, 3, 10)
    found = worst_subject(comparable(forget, held_out), forget, held_out, asked=5)
    assert found.undefined == "19 held-out people to compare with, 20 needed"
    assert math.isnan(found.p_holm)
    assert found.unscored == 2
