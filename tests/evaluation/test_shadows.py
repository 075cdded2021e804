import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from expunge.evaluation import EvaluationError, score
from expunge.evaluation.shadows import shadow_split, train_shadow, train_shadows
from tests.evaluation.tiny import FACTORY, RECIPE, crowd

QUICK = RECIPE.model_copy(update={"epochs": 2})


@given(st.lists(st.integers(-(2**62), 2**62), min_size=2, max_size=60), st.integers(0, 99))
def test_every_person_is_wholly_in_one_half_of_each_pair(codes, seed):
    codes = np.array(codes)
    for pair in range(3):
        first, second = (shadow_split(codes, 2 * pair + half, seed) for half in (0, 1))
        assert np.array_equal(first, ~second)
        assert all(len(set(first[codes == person])) == 1 for person in codes)
        people = len(np.unique(codes))
        assert len(np.unique(codes[first])) == people // 2


@given(st.permutations(range(20)))
def test_the_split_does_not_depend_on_the_order_of_rows(order):
    codes = np.arange(20) // 2
    assert np.array_equal(shadow_split(codes, 5, 1)[order], shadow_split(codes[order], 5, 1))


def test_pairs_and_seeds_divide_the_people_differently():
    codes = np.arange(100)
    splits = [shadow_split(codes, number, seed) for number, seed in ((0, 0), (2, 0), (0, 1))]
    assert not any(np.array_equal(splits[a], splits[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_one_shadow_trained_alone_is_the_same_as_among_the_others():
    pool = crowd(20, 5, 0)
    shadows = train_shadows(FACTORY, pool, QUICK, models=4, seed=3, device="cpu")
    alone = train_shadow(2, FACTORY, pool, QUICK, seed=3, device="cpu")
    assert torch.equal(alone.model[0].weight, shadows.shadows[2].model[0].weight)
    together = shadows.scores(pool)
    assert np.array_equal(together.margin[2:3], alone.scores(pool).margin)
    assert np.array_equal(together.seen.sum(axis=0), np.full(100, 2))


def test_strangers_to_the_pool_are_seen_by_no_shadow():
    pool, strangers = crowd(10, 4, 0), crowd(5, 4, 1, first=100)
    shadow = train_shadow(1, FACTORY, pool, QUICK, seed=0, device="cpu")
    found = shadow.scores(strangers)
    assert not found.seen.any()
    expected = score(shadow.model, strangers, device="cpu").margin
    assert np.array_equal(found.margin[0], expected)


@pytest.mark.parametrize("models", [2, 5])
def test_an_odd_or_tiny_number_of_shadows_is_refused(models):
    with pytest.raises(EvaluationError, match=f"{models} shadow models"):
        train_shadows(FACTORY, crowd(4, 2, 0), QUICK, models=models, seed=0, device="cpu")


def test_one_person_cannot_be_halved():
    with pytest.raises(EvaluationError, match="a half of 1 people"):
        train_shadow(0, FACTORY, crowd(1, 9, 0), QUICK, seed=0, device="cpu")
